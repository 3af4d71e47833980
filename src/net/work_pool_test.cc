#include "net/work_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace millrace::net::work_pool_test {
namespace {

TEST(WorkPool, RefusesWorkBeyondItsQueueAndTakesItAgainWhenThereIsRoom) {
  WorkPool pool(1, 2);
  std::promise<void> begun, go_on;
  ASSERT_TRUE(pool.TrySubmit([&] {
    begun.set_value();
    go_on.get_future().wait();
  }));
  begun.get_future().wait();  // the thread is busy: from here on work queues
  std::promise<void> last;
  EXPECT_TRUE(pool.TrySubmit([] {}));
  EXPECT_TRUE(pool.TrySubmit([&] { last.set_value(); }));
  EXPECT_FALSE(pool.TrySubmit([] {}));
  EXPECT_EQ(pool.queued(), 2u);
  go_on.set_value();
  last.get_future().wait();
  EXPECT_TRUE(pool.TrySubmit([] {}));
}

TEST(WorkPool, RunsWhatIsQueuedBeforeItStopsAndNothingAfterwards) {
  std::atomic<int> ran{0};
  WorkPool pool(2, 100);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(pool.TrySubmit([&] { ++ran; }));
  pool.Stop();
  EXPECT_EQ(ran, 100);
  EXPECT_FALSE(pool.TrySubmit([&] { ++ran; }));
  EXPECT_EQ(ran, 100);
}

}  // namespace
}  // namespace millrace::net::work_pool_test
