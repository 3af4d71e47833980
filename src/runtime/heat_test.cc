#include "runtime/heat.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "log/testing.h"

namespace millrace::runtime::heat_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Heat::Time kStart = Heat::Time{} + std::chrono::hours(1);

TEST(HeatTest, RatesFollowWhatCame) {
  Heat heat;
  Heat::Time now = kStart;
  for (int i = 0; i < 600; ++i, now += milliseconds(100)) {
    heat.Add(0, 100, 10'000, {}, now);
    heat.Add(2, 300, 30'000, {}, now);
  }
  const auto seen = heat.Read(now);
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_NEAR(seen[0].records_per_s, 1000, 20);
  EXPECT_NEAR(seen[0].bytes_per_s, 100'000, 2'000);
  EXPECT_NEAR(seen[2].records_per_s, 3000, 60);
  EXPECT_NEAR(seen[0].share, 0.25, 0.001);
  EXPECT_EQ(seen[1].bytes_per_s, 0);
  EXPECT_EQ(seen[1].share, 0);
}

TEST(HeatTest, TheFirstSecondsAreNoSmallerAndWhatStopsCoolsDown) {
  Heat heat;
  Heat::Time now = kStart;
  for (int i = 0; i < 20; ++i, now += milliseconds(100)) heat.Add(0, 10, 1000, {}, now);
  EXPECT_NEAR(heat.Read(now)[0].records_per_s, 100, 15);
  EXPECT_LT(heat.Read(now + seconds(60))[0].records_per_s, 1);
}

TEST(HeatTest, FrequentKeysAreFoundAmongMany) {
  const uint64_t seed = log::SeedFromEnvironment(4);
  Random random(seed);
  Heat heat;
  for (int i = 0; i < 20'000; ++i) {
    const auto one_of_ten = random.Below(10);
    const std::string key = one_of_ten < 3   ? std::string("hot")
                            : one_of_ten < 4 ? std::string("warm")
                                             : "k" + std::to_string(random.Below(100'000));
    const std::string_view sampled[] = {key};
    heat.Add(0, Heat::kSample, 1, sampled, kStart);
  }
  const auto keys = heat.Read(kStart).at(0).keys;
  ASSERT_GE(keys.size(), 2u);
  EXPECT_EQ(keys[0].key, "hot");
  EXPECT_NEAR(keys[0].share, 0.3, 0.05);
  EXPECT_EQ(keys[1].key, "warm");
}

TEST(HeatTest, KeysThatAreLongOrNoTextAreCut) {
  Heat heat;
  const std::string long_key(1000, 'x');
  const std::string cut_key = std::string(63, 'x') + "\u00e4";
  const std::string_view keys[] = {long_key, std::string_view("a\0\xff", 3), cut_key};
  for (int32_t i = 0; i < 3; ++i) heat.Add(i, Heat::kSample, 1, {&keys[i], 1}, kStart);
  EXPECT_EQ(heat.Read(kStart)[0].keys.at(0).key, std::string(64, 'x'));
  EXPECT_EQ(heat.Read(kStart)[1].keys.at(0).key, "a\\x00\\xff");
  EXPECT_EQ(heat.Read(kStart)[2].keys.at(0).key, std::string(63, 'x'));
}

TEST(HeatTest, WarnsOfAPartitionWithMoreThanTwiceItsShareOnceAMinute) {
  Heat heat;
  Heat::Time now = kStart;
  const auto run = [&](int64_t hot) {
    for (int i = 0; i < 100; ++i, now += milliseconds(100)) {
      for (int32_t partition = 0; partition < 4; ++partition)
        heat.Add(partition, 100, partition == 3 ? hot : 100'000, {}, now);
    }
  };
  heat.Add(3, 100, 10'000'000, {}, now);
  EXPECT_EQ(heat.TakeWarning(4, now + seconds(5)), -1) << "too early to tell";
  now += seconds(60);
  run(200'000);
  EXPECT_EQ(heat.TakeWarning(4, now), -1) << "40 % is less than twice 25 %";
  run(900'000);
  EXPECT_EQ(heat.TakeWarning(4, now), 3);
  EXPECT_EQ(heat.TakeWarning(4, now), -1);
  run(900'000);
  EXPECT_EQ(heat.TakeWarning(4, now), -1) << "once a minute";
  for (int i = 0; i < 6; ++i) run(900'000);
  EXPECT_EQ(heat.TakeWarning(4, now), 3) << "a minute later";
  EXPECT_EQ(heat.TakeWarning(1, now + seconds(200)), -1) << "a stream of one partition";
}

TEST(HeatTest, AStreamWithLittleIsNowhereHot) {
  Heat heat;
  Heat::Time now = kStart;
  for (int i = 0; i < 100; ++i, now += milliseconds(100)) heat.Add(0, 1, 100, {}, now);
  EXPECT_EQ(heat.TakeWarning(4, now), -1);
}

}  // namespace
}  // namespace millrace::runtime::heat_test
