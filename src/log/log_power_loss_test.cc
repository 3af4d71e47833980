// The same workload again and again, with the disk failing at its first, second, third, … call,
// until the fault lies behind the end. Whatever was acknowledged must be there afterwards, and
// every request whole or not at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "log/testing.h"

namespace millrace::log::log_power_loss_test {
namespace {

enum class Outcome { kAcknowledged, kRefused, kUnknown };

struct Attempt {
  std::string value;
  Outcome outcome;
};

// What the workload tried, in order. Every request goes to both partitions of topic "t".
struct History {
  std::vector<Attempt> attempts;
  bool topic_acknowledged = false;
  bool old_topic_acknowledged = false;
  bool old_topic_deleted = false;
  FrameSequence durable;
  Micros clock;
};

// Segments of several blocks, so that some are filled past the page cache.
LogOptions Options(FaultyFiles& files, ManualClock& clock) {
  LogOptions options = SmallOptions(files, clock);
  options.segment_bytes = 9 << 10;
  return options;
}

// Goes round the write-ahead file, rolls segments, deletes a topic, closes and opens again. Goes on
// after errors.
History RunWorkload(FaultyFiles& files, ManualClock& clock) {
  History history;
  int number = 0;
  for (int session = 0; session < 2; ++session) {
    auto log = Log::Open(Options(files, clock));
    if (!log.ok()) continue;
    if (session == 0) {
      const auto old = (*log)->CreateTopic("old", {});
      history.old_topic_acknowledged = old.ok();
      history.topic_acknowledged = (*log)->CreateTopic("t", {.partitions = 2}).ok();
    }
    const auto topic = (*log)->FindTopic("t");
    for (int i = 0; topic && i < 12; ++i) {
      clock.Advance(std::chrono::microseconds(10));
      const std::string value = "value " + std::to_string(number++);
      const auto appended = (*log)->AppendAndWait(
          {{{topic->id, 0}, MakeBatch(value)},
           {{topic->id, 1}, MakeBatch(value) + MakeBatch(value + std::string(600, '+'))}});
      Outcome outcome = Outcome::kAcknowledged;
      if (!appended.ok()) {
        // Only an I/O error leaves it open whether the records are on disk.
        outcome = appended.error().code() == Code::kIo ? Outcome::kUnknown : Outcome::kRefused;
      } else {
        history.durable = appended->frame;
        history.clock = appended->clock;
      }
      history.attempts.push_back({value + "/0", outcome});
      if (i % 4 == 3) (*log)->RunOnce(/*background=*/true);
      if (session == 1 && i == 5) {
        const auto old = (*log)->FindTopic("old");
        history.old_topic_deleted = old && (*log)->DeleteTopic(old->id).ok();
      }
    }
  }
  return history;
}

std::vector<std::string> WithoutSecondBatches(std::vector<std::string> values) {
  std::erase_if(values, [](const std::string& value) { return value.ends_with("+/0"); });
  return values;
}

void Check(FaultyFiles& files, const History& history) {
  ManualClock clock{history.clock};
  const auto opened = Log::Open(Options(files, clock));
  ASSERT_TRUE(opened.ok()) << opened.error().ToString();
  Log& log = **opened;
  EXPECT_TRUE(log.damage().empty()) << log.damage()[0].range.reason;
  EXPECT_GE(log.DurableFrame(), history.durable);
  EXPECT_GE(log.DurableCut()->clock, history.clock);
  if (history.old_topic_deleted) {
    EXPECT_FALSE(log.FindTopic("old").has_value());
  }
  const auto topic = log.FindTopic("t");
  if (!topic) {
    EXPECT_FALSE(history.topic_acknowledged);
    return;
  }
  const auto first = ReadAllValues(log, {topic->id, 0});
  const auto second = ReadAllValues(log, {topic->id, 1});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(*first, WithoutSecondBatches(*second)) << "a request is there in part";
  EXPECT_EQ(second->size(), 2 * first->size());
  // In order: all that was acknowledged, none that was refused, what is unknown as it likes.
  size_t at = 0;
  for (const Attempt& attempt : history.attempts) {
    const bool there = at < first->size() && (*first)[at] == attempt.value;
    if (attempt.outcome == Outcome::kAcknowledged) {
      ASSERT_TRUE(there) << attempt.value;
    }
    if (attempt.outcome == Outcome::kRefused) {
      ASSERT_FALSE(there) << attempt.value;
    }
    at += there;
  }
  EXPECT_EQ(at, first->size());
  // It goes on, without giving an offset twice.
  const auto appended = log.AppendAndWait({{{topic->id, 0}, MakeBatch("more")}});
  ASSERT_TRUE(appended.ok()) << appended.error().ToString();
  EXPECT_EQ(appended->base_offsets[0].value, static_cast<int64_t>(first->size()));
}

TEST(LogPowerLoss, KeepsEverythingAcknowledgedAtEveryPoint) {
  int points = 0;
  for (uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    FaultyFiles files;
    ManualClock clock{Micros{1000}};
    files.LosePowerAt(nth);
    const History history = RunWorkload(files, clock);
    Check(*files.AfterPowerLoss({}), history);
    for (uint64_t seed = 1; seed <= 3; ++seed) {
      SCOPED_TRACE(seed);
      Check(*files.AfterPowerLoss({.keep_some = true, .seed = seed * 1000 + nth}), history);
    }
    Check(*files.AfterCrash(), history);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
    if (!files.Fired()) break;
    ++points;
  }
  EXPECT_GT(points, 200) << "the workload is too small to prove anything";
}

// A second power loss while recovering from the first.
TEST(LogPowerLoss, RecoversFromAPowerLossDuringRecovery) {
  FaultyFiles files;
  ManualClock clock{Micros{1000}};
  files.LosePowerAt(150);
  const History history = RunWorkload(files, clock);
  int points = 0;
  for (uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    const auto first = files.AfterPowerLoss({.keep_some = true, .seed = nth});
    first->LosePowerAt(nth);
    { const auto log = Log::Open(Options(*first, clock)); }
    Check(*first->AfterPowerLoss({.keep_some = true, .seed = nth}), history);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
    if (!first->Fired()) break;
    ++points;
  }
  EXPECT_GT(points, 10);
}

void FailEveryCall(Code code, const std::string& message) {
  int points = 0;
  for (uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    FaultyFiles files;
    ManualClock clock{Micros{1000}};
    files.FailCallAt(nth, Error(code, "{}", message));
    const History history = RunWorkload(files, clock);
    Check(*files.AfterPowerLoss({}), history);
    Check(*files.AfterPowerLoss({.keep_some = true, .seed = nth}), history);
    Check(*files.AfterCrash(), history);
    if (::testing::Test::HasFatalFailure() || ::testing::Test::HasNonfatalFailure()) return;
    if (!files.Fired()) break;
    ++points;
  }
  EXPECT_GT(points, 200);
}

TEST(LogFaults, LosesNothingWhenAnyCallFailsWithAnIoError) {
  FailEveryCall(Code::kIo, "Input/output error");
}

TEST(LogFaults, LosesNothingWhenAnyCallFindsTheDiskFull) {
  FailEveryCall(Code::kOverloaded, "No space left on device");
}

}  // namespace
}  // namespace millrace::log::log_power_loss_test
