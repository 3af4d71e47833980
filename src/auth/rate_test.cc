#include "auth/rate.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace millrace::auth::rate_test {
namespace {

using std::chrono::seconds;

TEST(Rate, ComesBackAsItWasWritten) {
  for (const char* text : {"", "1/s", "100/s", "600/m", "5000/h", "1000000/s"})
    EXPECT_EQ(ToString(*ParseRate(text)), text);
  for (const char* text : {"100", "/s", "0/s", "-1/s", "1/d", "1 /s", "1.5/s", "1000001/s",
                           "99999999999999999999/s", "s"}) {
    EXPECT_EQ(ParseRate(text).error().code(), Code::kInvalidArgument) << text;
  }
}

TEST(RateMeter, LetsAPeriodsWorthThroughAndThenTheRate) {
  const Rate rate{10, 60};
  RateMeter meter;
  const RateMeter::TimePoint start{seconds(1000)};
  for (int i = 0; i < 10; ++i) EXPECT_EQ(meter.Take(rate, start).count(), 0) << i;
  EXPECT_EQ(meter.Take(rate, start), seconds(6));
  EXPECT_EQ(meter.Take(rate, start + seconds(5)), seconds(1));
  EXPECT_EQ(meter.Take(rate, start + seconds(6)).count(), 0);
  EXPECT_EQ(meter.Take(rate, start + seconds(6)), seconds(6));
  EXPECT_EQ(meter.beyond(), 3);
  // Unused time is kept for one period.
  const auto later = start + seconds(3600);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(meter.Take(rate, later).count(), 0) << i;
  EXPECT_GT(meter.Take(rate, later).count(), 0);
}

TEST(RateMeter, WhoIsNeverRefusedOwes) {
  const Rate rate{2, 1};
  RateMeter meter;
  const RateMeter::TimePoint start{seconds(1000)};
  EXPECT_EQ(meter.TakeAnyway(rate, start).count(), 0);
  EXPECT_EQ(meter.TakeAnyway(rate, start).count(), 0);
  EXPECT_EQ(meter.TakeAnyway(rate, start), std::chrono::milliseconds(500));
  EXPECT_EQ(meter.TakeAnyway(rate, start), std::chrono::milliseconds(1000));
  EXPECT_GT(meter.Take(rate, start).count(), 0);
}

TEST(RateMeter, CountsEachRequestOfManyThreadsOnce) {
  const Rate rate{1000, 3600};
  RateMeter meter;
  std::atomic<int> through{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1000; ++j)
        through += meter.Take(rate, RateMeter::TimePoint{}).count() == 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(through, 1000);
  EXPECT_EQ(meter.beyond(), 3000);
}

}  // namespace
}  // namespace millrace::auth::rate_test
