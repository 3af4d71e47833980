#include "kafka_groups/durable_table.h"

#include <gtest/gtest.h>

#include "kafka_groups/testing.h"

namespace millrace::kafka_groups::durable_table_test {
namespace {

std::map<std::string, std::string> Contents(const DurableTable& table) {
  std::map<std::string, std::string> out;
  table.ForEach("", [&](const std::string& key, const std::string& value) { out[key] = value; });
  return out;
}

struct Opened {
  explicit Opened(MemoryDisk& disk, TableOptions options = {})
      : storage(disk), table(turns, storage, options) {
    const Turns::Turn turn(turns);
    const Status loaded = table.Load();
    EXPECT_TRUE(loaded.ok()) << loaded.error().ToString();
  }
  Status Apply(
      const std::vector<TableChange>& changes, DurableTable::Done done = [](Status) {}) {
    const Turns::Turn turn(turns);
    return table.Apply(changes, std::move(done));
  }
  Turns turns;
  MemoryStorage storage;
  DurableTable table;
};

TEST(DurableTable, HoldsWhatWasAppliedAfterARestart) {
  MemoryDisk disk;
  Opened first(disk);
  ASSERT_TRUE(first.Apply({{"a", "1"}, {"b", "2"}}).ok());
  ASSERT_TRUE(first.Apply({{"a", std::nullopt}, {"c", ""}}).ok());
  first.storage.RunAll();
  const Opened second(disk);
  EXPECT_EQ(Contents(second.table), (std::map<std::string, std::string>{{"b", "2"}, {"c", ""}}));
}

TEST(DurableTable, TellsInOrderWhenAChangeIsDurable) {
  MemoryDisk disk;
  Opened opened(disk);
  std::vector<int> done;
  ASSERT_TRUE(opened.Apply({{"a", "1"}}, [&](Status s) { done.push_back(s.ok() ? 1 : -1); }).ok());
  ASSERT_TRUE(opened.Apply({{"a", "2"}}, [&](Status s) { done.push_back(s.ok() ? 2 : -2); }).ok());
  EXPECT_TRUE(done.empty());
  opened.storage.RunAll();
  EXPECT_EQ(done, (std::vector<int>{1, 2}));
}

TEST(DurableTable, IsAsBeforeWhenTheStorageRefuses) {
  MemoryDisk disk;
  Opened opened(disk);
  ASSERT_TRUE(opened.Apply({{"a", "1"}}).ok());
  opened.storage.RefuseWith(Error(Code::kTooLarge, "too large"));
  const Status refused = opened.Apply({{"a", "2"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kTooLarge);
  EXPECT_EQ(*opened.table.Find("a"), "1");
  opened.storage.RefuseWith(std::nullopt);
  EXPECT_TRUE(opened.Apply({{"a", "3"}}).ok());
}

TEST(DurableTable, TakesNothingMoreAfterAnAppendWhoseOutcomeIsUnknown) {
  MemoryDisk disk;
  Opened opened(disk);
  bool failed = false;
  ASSERT_TRUE(opened.Apply({{"a", "1"}}, [&](Status s) { failed = !s.ok(); }).ok());
  opened.storage.Fail();
  opened.storage.RunAll();
  EXPECT_TRUE(failed);
  const Status refused = opened.Apply({{"a", "2"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kUnavailable);
}

TEST(DurableTable, StaysBoundedWhileTheSameKeysAreWritten) {
  MemoryDisk disk;
  Opened opened(disk, {.rewrite_bytes_min = 1000, .piece_bytes = 100});
  uint64_t stored_max = 0;
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(opened.Apply({{"key" + std::to_string(i % 10), std::to_string(i)}}).ok());
    opened.storage.RunAll();
    uint64_t stored = 0;
    for (const auto& [position, record] : disk.records) stored += record.size();
    stored_max = std::max(stored_max, stored);
  }
  EXPECT_LT(stored_max, 1500u);
}

TEST(DurableTable, AnIdleTableFinishesItsRewriteByTicks) {
  MemoryDisk disk;
  Opened opened(disk, {.rewrite_bytes_min = 1000, .piece_bytes = 10});
  for (int i = 0; i < 100; ++i)
    ASSERT_TRUE(opened.Apply({{"key" + std::to_string(i % 10), std::string(10, 'x')}}).ok());
  opened.storage.RunAll();
  ASSERT_GT(opened.table.stored_bytes(), 1500u);
  for (int i = 0; i < 20; ++i) {
    {
      const Turns::Turn turn(opened.turns);
      opened.table.Tick();
    }
    opened.storage.RunAll();
  }
  EXPECT_LT(opened.table.stored_bytes(), 1000u);
  EXPECT_EQ(opened.table.keys(), 10u);
}

// Any schedule of changes, pieces and power losses: what was told to be durable is there, and what
// is there is the state after some number of the changes, at least those that were told.
TEST(DurableTable, HoldsEveryAcknowledgedChangeWhereverPowerIsLost) {
  Random random(SeedFromEnvironment(1));
  for (int history = 0; history < 300; ++history) {
    MemoryDisk disk;
    std::vector<std::map<std::string, std::string>> states{{}};  // after each change
    size_t acknowledged = 0;
    for (int life = 0; life < 4; ++life) {
      Opened opened(disk, {.rewrite_bytes_min = 200, .piece_bytes = 1 + random.Below(60)});
      const auto loaded = Contents(opened.table);
      size_t at = acknowledged;
      while (at < states.size() && states[at] != loaded) ++at;
      ASSERT_LT(at, states.size()) << "history " << history << ", life " << life;
      states.resize(at + 1);
      acknowledged = at;
      for (uint64_t n = random.Below(120); n > 0; --n) {
        if (random.OneIn(3)) {
          opened.storage.RunOne();
          continue;
        }
        if (random.OneIn(8)) {
          const Turns::Turn turn(opened.turns);
          opened.table.Tick();
          continue;
        }
        std::vector<TableChange> changes;
        auto state = states.back();
        for (uint64_t c = 1 + random.Below(3); c > 0; --c) {
          const std::string key(1, static_cast<char>('a' + random.Below(12)));
          if (random.OneIn(4)) {
            changes.push_back({key, std::nullopt});
            state.erase(key);
          } else {
            state[key] = std::to_string(states.size() * 10 + c);
            changes.push_back({key, state[key]});
          }
        }
        states.push_back(state);
        const size_t number = states.size() - 1;
        ASSERT_TRUE(opened
                        .Apply(changes,
                               [&acknowledged, number](Status s) {
                                 ASSERT_TRUE(s.ok());
                                 acknowledged = number;
                               })
                        .ok());
        ASSERT_EQ(Contents(opened.table), state);
      }
      opened.storage.LosePower(random.Below(opened.storage.queued() + 1));
    }
  }
}

TEST(DurableTable, RefusesDamagedAndNewerRecords) {
  for (const auto& [record, code] :
       std::vector<std::pair<std::string, Code>>{{"", Code::kCorruption},
                                                 {std::string("\x01\x05"
                                                              "ab",
                                                              4),
                                                  Code::kCorruption},
                                                 {std::string("\x01\x01"
                                                              "a\x02",
                                                              4),
                                                  Code::kCorruption},
                                                 {std::string("\x63", 1), Code::kNotSupported}}) {
    MemoryDisk disk;
    disk.records.emplace_back(0, record);
    Turns turns;
    MemoryStorage storage(disk);
    DurableTable table(turns, storage, {});
    const Status loaded = table.Load();
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code(), code);
  }
}

}  // namespace
}  // namespace millrace::kafka_groups::durable_table_test
