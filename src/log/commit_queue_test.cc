#include "log/commit_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace millrace::log::commit_queue_test {
namespace {

using ::testing::ElementsAre;
using Push = CommitQueue<int>::Push;

Push PushOne(CommitQueue<int>& queue, int item, uint64_t weight = 1, bool waits = false) {
  return queue.TryPush(item, weight, {.waits = waits});
}

std::deque<int> TakeAll(CommitQueue<int>& queue, uint64_t weight = 1000) {
  std::deque<int> out;
  queue.Take(out, weight);
  return out;
}

TEST(CommitQueue, RefusesBeyondItsBoundAndHandsOutInOrder) {
  CommitQueue<int> queue(10);
  EXPECT_EQ(PushOne(queue, 1, 100), Push::kQueued) << "the first is always taken";
  EXPECT_EQ(PushOne(queue, 2, 1), Push::kFull);
  int item = 3;
  EXPECT_EQ(queue.TryPush(item, 1, {.always = true}), Push::kQueued);
  EXPECT_THAT(TakeAll(queue, 5), ElementsAre(1));
  EXPECT_EQ(PushOne(queue, 4, 5), Push::kQueued);
  EXPECT_EQ(PushOne(queue, 5, 4), Push::kQueued);
  EXPECT_EQ(queue.weight(), 10u);
  EXPECT_THAT(TakeAll(queue, 6), ElementsAre(3, 4));
  queue.Close();
  EXPECT_EQ(PushOne(queue, 6), Push::kClosed);
  EXPECT_TRUE(queue.AwaitLead());
  EXPECT_THAT(TakeAll(queue), ElementsAre(5));
  EXPECT_FALSE(queue.AwaitLead());
}

TEST(CommitQueue, LetsALoneProducerLeadAndNobodyBesideIt) {
  CommitQueue<int> queue(100);
  EXPECT_EQ(PushOne(queue, 1, 1, /*waits=*/true), Push::kLead);
  EXPECT_EQ(PushOne(queue, 2, 1, true), Push::kQueued) << "somebody leads";
  EXPECT_THAT(TakeAll(queue), ElementsAre(1, 2));
  EXPECT_EQ(PushOne(queue, 3, 1, true), Push::kQueued) << "the leader still writes";
  queue.StepDown();
  EXPECT_EQ(PushOne(queue, 4, 1, true), Push::kQueued) << "the flusher is on its way";
  EXPECT_TRUE(queue.AwaitLead());
  EXPECT_THAT(TakeAll(queue), ElementsAre(3, 4));
  EXPECT_EQ(PushOne(queue, 5, 1, true), Push::kQueued) << "the flusher writes";
  EXPECT_TRUE(queue.AwaitLead());
  EXPECT_THAT(TakeAll(queue), ElementsAre(5));
}

TEST(CommitQueue, GivesALeadingProducerNoCallbacks) {
  CommitQueue<int> queue(100);
  EXPECT_EQ(PushOne(queue, 1, 1, true), Push::kLead);
  EXPECT_EQ(PushOne(queue, 2, 1, true), Push::kQueued);
  EXPECT_EQ(PushOne(queue, 3, 1, false), Push::kQueued);
  EXPECT_EQ(PushOne(queue, 4, 1, true), Push::kQueued);
  EXPECT_THAT(TakeAll(queue), ElementsAre(1, 2));
  queue.StepDown();
  EXPECT_TRUE(queue.AwaitLead());
  EXPECT_THAT(TakeAll(queue), ElementsAre(3, 4));
}

TEST(CommitQueue, LetsTheFlusherLeadWhenSomethingIsDue) {
  CommitQueue<int> queue(100);
  const auto now = Tick();
  EXPECT_FALSE(queue.IsDue());
  queue.SetDue(now + std::chrono::milliseconds(20));
  queue.SetDue(now + std::chrono::hours(1));
  EXPECT_TRUE(queue.AwaitLead());
  EXPECT_TRUE(queue.IsDue());
  EXPECT_GE(Tick(), now + std::chrono::milliseconds(20));
  queue.ClearDue();
  EXPECT_FALSE(queue.IsDue());
}

TEST(CommitQueue, HastensWhatIsDueAndNothingElse) {
  CommitQueue<int> queue(100);
  queue.Hasten();
  EXPECT_FALSE(queue.IsDue());
  // A producer leaves it behind, and the flusher sleeps already.
  ASSERT_EQ(PushOne(queue, 1, 1, /*waits=*/true), Push::kLead);
  std::atomic<int> led{0};
  std::thread flusher([&] {
    while (queue.AwaitLead()) {
      queue.ClearDue();
      ++led;
    }
  });
  TakeAll(queue);
  queue.SetDue(Tick() + std::chrono::hours(1));
  queue.StepDown();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(led, 0);
  queue.Hasten();
  while (led == 0) std::this_thread::yield();
  queue.Close();
  flusher.join();
  EXPECT_EQ(led, 1);
}

TEST(CommitQueue, ClosesOnlyWhenTheLeadingProducerHasSteppedDown) {
  CommitQueue<int> queue(100);
  ASSERT_EQ(PushOne(queue, 1, 1, true), Push::kLead);
  queue.Close();
  std::atomic<bool> ended{false};
  std::thread flusher([&] {
    EXPECT_FALSE(queue.AwaitLead());
    ended = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_FALSE(ended);
  EXPECT_THAT(TakeAll(queue), ElementsAre(1));
  queue.StepDown();
  flusher.join();
}

TEST(CommitQueue, HasOneLeaderAtATimeAndLosesNothing) {
  constexpr int kProducers = 4, kItems = 2000;
  CommitQueue<int> queue(1 << 20);
  int taken = 0;  // not atomic: only a leader touches it
  const auto lead = [&] { taken += static_cast<int>(TakeAll(queue, 3).size()); };
  std::thread flusher([&] {
    while (queue.AwaitLead()) lead();
  });
  std::vector<std::thread> producers;
  for (int p = 0; p < kProducers; ++p) {
    producers.emplace_back([&, p] {
      for (int i = 0; i < kItems; ++i) {
        const Push pushed = PushOne(queue, i, 1, (i + p) % 3 != 0);
        ASSERT_TRUE(pushed == Push::kQueued || pushed == Push::kLead);
        if (pushed == Push::kLead) {
          lead();
          queue.StepDown();
        }
      }
    });
  }
  for (std::thread& producer : producers) producer.join();
  queue.Close();
  flusher.join();
  EXPECT_EQ(taken, kProducers * kItems);
}

}  // namespace
}  // namespace millrace::log::commit_queue_test
