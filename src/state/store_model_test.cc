// Random operations on a Store beside a model of plain maps: whatever is flushed, evicted, dropped,
// crashed and reopened with another number of workers, the store holds what the model holds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>

#include "base/random.h"
#include "rows/key.h"
#include "state/store.h"
#include "state/tables.h"

namespace millrace::state::store_model_test {
namespace {

uint64_t Seed() {
  const char* text = std::getenv("MILLRACE_SEED");
  return text == nullptr ? static_cast<uint64_t>(getpid()) * 7919
                         : std::strtoull(text, nullptr, 10);
}

constexpr size_t kCellBytes[] = {8, 20};
constexpr TableId kCellTables[] = {{11}, {12}};
constexpr TableId kBagTables[] = {{21}, {22}};  // the second one is ordered
constexpr TableId kRuntimeTable{31};

struct Model {
  std::map<std::string, std::string> cells[2];
  std::map<std::string, std::map<std::string, int64_t>> bags[2];
  std::map<std::string, std::string> runtime;
};

class StoreModel {
 public:
  StoreModel(uint64_t seed, size_t memory_bytes, size_t keys)
      : random_(seed), memory_bytes_(memory_bytes), keys_(keys) {
    directory_ = testing::TempDir() + "/state_model_" + std::to_string(getpid());
    std::filesystem::remove_all(directory_);
    flushed_[0] = Model{};
    Open();
  }
  ~StoreModel() {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFatalFailure(); ++i) {
      ++step_;
      for (uint64_t batch = random_.Below(4); batch > 0; --batch) ChangeCells(random_.Below(2));
      for (uint64_t batch = random_.Below(4); batch > 0; --batch) ChangeBags(random_.Below(2));
      if (random_.OneIn(3)) ReadCells(random_.Below(2));
      if (random_.OneIn(3)) ReadBags(random_.Below(2));
      for (int w = 0; w < workers_; ++w) {
        ASSERT_TRUE(store_->worker(w).AfterStep().ok());
      }
      if (!store_->flushing() && random_.OneIn(4)) BeginFlush();
      if (random_.OneIn(10)) {
        ASSERT_TRUE(store_->FinishFlush().ok());
      }
      if (random_.OneIn(40)) Drop();
      if (random_.OneIn(30)) CheckAll();
      if (random_.OneIn(30)) Crash();
    }
    CheckAll();
    evicted_ += store_->stats().evicted_entries;
    misses_ += store_->stats().misses;
    cold_hits_ += store_->stats().cold_hits;
  }

  size_t evicted() const { return evicted_; }
  size_t misses() const { return misses_; }
  size_t cold_hits() const { return cold_hits_; }

 private:
  void Open() {
    workers_ = 1 + static_cast<int>(random_.Below(3));
    auto opened =
        Store::Open({.directory = directory_, .workers = workers_, .memory_bytes = memory_bytes_});
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    store_ = std::move(*opened);
    step_ = store_->flushed_step().value;
    ASSERT_TRUE(flushed_.contains(step_)) << "step " << step_ << " was never flushed";
    now_ = flushed_[step_];
    pending_.clear();
  }

  void Crash() {
    evicted_ += store_->stats().evicted_entries;
    misses_ += store_->stats().misses;
    cold_hits_ += store_->stats().cold_hits;
    const int64_t least = store_->flushed_step().value;
    store_.reset();
    Open();
    if (HasFailed()) return;
    ASSERT_GE(step_, least) << "a flush that was seen is gone";
    CheckAll();
  }
  static bool HasFailed() { return testing::Test::HasFatalFailure(); }

  void BeginFlush() {
    for (uint64_t n = random_.Below(3); n > 0; --n) {
      const std::string key = std::to_string(random_.Below(20));
      if (random_.OneIn(3)) {
        pending_.push_back({kRuntimeTable, key, std::nullopt});
        now_.runtime.erase(key);
      } else {
        pending_.push_back({kRuntimeTable, key, std::to_string(random_.Next())});
        now_.runtime[key] = *pending_.back().value;
      }
    }
    flushed_[step_] = now_;
    store_->BeginFlush(Step{step_}, std::exchange(pending_, {}));
  }

  void Drop() {
    const uint64_t table = random_.Below(2);
    if (random_.OneIn(2)) {
      store_->Drop(kCellTables[table]);
      now_.cells[table].clear();
    } else {
      store_->Drop(kBagTables[table]);
      now_.bags[table].clear();
    }
  }

  // Keys of one worker, as the engine gives them; some of them twice.
  std::vector<std::vector<std::string>> RandomKeys() {
    std::vector<std::vector<std::string>> by_worker(static_cast<size_t>(workers_));
    for (uint64_t n = 1 + random_.Below(60); n > 0; --n) {
      const std::string key = "key " + std::to_string(random_.Below(keys_)) + "/";
      by_worker[static_cast<size_t>(
                    rows::WorkerOfShard(rows::VirtualShard(rows::KeyHash(key)), workers_))]
          .push_back(key);
    }
    return by_worker;
  }
  static std::vector<Key> AsKeys(const std::vector<std::string>& keys) {
    std::vector<Key> out;
    for (const std::string& key : keys) out.push_back({key, rows::KeyHash(key)});
    return out;
  }

  void ChangeCells(uint64_t t) {
    const auto by_worker = RandomKeys();
    for (int w = 0; w < workers_; ++w) {
      const auto& keys = by_worker[static_cast<size_t>(w)];
      auto& table = store_->worker(w).Cells(kCellTables[t], kCellBytes[t]);
      std::vector<std::byte*> cells;
      std::vector<uint8_t> created;
      ASSERT_TRUE(table.FindOrCreate(AsKeys(keys), cells, created).ok());
      std::map<std::string, std::byte*> seen;
      for (size_t i = 0; i < keys.size(); ++i) {
        const auto [it, first] = seen.emplace(keys[i], cells[i]);
        ASSERT_EQ(it->second, cells[i]);
        if (!first) {
          ASSERT_FALSE(created[i]);
          continue;
        }
        std::string& expected = now_.cells[t][keys[i]];
        ASSERT_EQ(created[i] != 0, expected.empty()) << keys[i];
        if (expected.empty()) expected.assign(kCellBytes[t], '\0');
        ASSERT_EQ(expected, std::string(reinterpret_cast<char*>(cells[i]), kCellBytes[t]));
      }
      for (const auto& [key, cell] : seen) {
        if (random_.OneIn(4)) {
          table.Erase(cell);
          now_.cells[t].erase(key);
        } else if (random_.OneIn(2)) {
          table.Touch(cell);
          const uint64_t value = random_.Next();
          std::memcpy(cell, &value, sizeof(value));
          std::memcpy(now_.cells[t][key].data(), &value, sizeof(value));
        }
      }
    }
  }

  void ChangeBags(uint64_t t) {
    const auto by_worker = RandomKeys();
    for (int w = 0; w < workers_; ++w) {
      const auto& keys = by_worker[static_cast<size_t>(w)];
      auto& table = store_->worker(w).Bags(kBagTables[t], t == 1);
      std::vector<BagTable::Group*> groups;
      ASSERT_TRUE(table.FindOrCreate(AsKeys(keys), groups).ok());
      for (size_t i = 0; i < keys.size(); ++i) {
        for (uint64_t n = random_.Below(random_.OneIn(20) ? 300 : 3); n > 0; --n) {
          auto& expected = now_.bags[t][keys[i]];
          std::string row(random_.Below(12), 'x');
          row += std::to_string(random_.Below(random_.OneIn(5) ? 2000 : 10));
          int64_t weight = static_cast<int64_t>(random_.Below(3)) - 1;
          const auto before = expected.find(row);
          if (before != expected.end() && random_.OneIn(2)) weight = -before->second;
          ASSERT_EQ(table.Add(groups[i], row, weight),
                    before == expected.end() ? 0 : before->second);
          if ((expected[row] += weight) == 0) expected.erase(row);
          if (expected.empty()) now_.bags[t].erase(keys[i]);
        }
        ASSERT_EQ(table.Size(groups[i]),
                  now_.bags[t].contains(keys[i]) ? now_.bags[t][keys[i]].size() : 0u);
      }
    }
  }

  void ReadCells(uint64_t t) {
    const auto by_worker = RandomKeys();
    for (int w = 0; w < workers_; ++w) {
      const auto& keys = by_worker[static_cast<size_t>(w)];
      std::vector<std::byte*> cells;
      ASSERT_TRUE(
          store_->worker(w).Cells(kCellTables[t], kCellBytes[t]).Find(AsKeys(keys), cells).ok());
      for (size_t i = 0; i < keys.size(); ++i) {
        const auto expected = now_.cells[t].find(keys[i]);
        ASSERT_EQ(cells[i] != nullptr, expected != now_.cells[t].end()) << keys[i];
        if (cells[i] == nullptr) continue;
        ASSERT_EQ(expected->second, std::string(reinterpret_cast<char*>(cells[i]), kCellBytes[t]));
      }
    }
  }

  static std::map<std::string, int64_t> AsMap(const std::vector<BagTable::Entry>& entries) {
    std::map<std::string, int64_t> out;
    for (const auto& entry : entries) {
      EXPECT_TRUE(out.empty() || out.rbegin()->first < entry.row) << "rows out of order";
      out.emplace(entry.row, entry.weight);
    }
    return out;
  }

  void ReadBags(uint64_t t) {
    const auto by_worker = RandomKeys();
    for (int w = 0; w < workers_; ++w) {
      const auto& keys = by_worker[static_cast<size_t>(w)];
      auto& table = store_->worker(w).Bags(kBagTables[t], t == 1);
      std::vector<BagTable::Group*> groups;
      ASSERT_TRUE(table.Find(AsKeys(keys), groups).ok());
      for (size_t i = 0; i < keys.size(); ++i) {
        const auto expected = now_.bags[t].find(keys[i]);
        ASSERT_EQ(groups[i] != nullptr, expected != now_.bags[t].end()) << keys[i];
        if (groups[i] == nullptr) continue;
        std::vector<BagTable::Entry> rows;
        table.Rows(groups[i], rows);
        ASSERT_EQ(AsMap(rows), expected->second);
        if (t == 0) continue;
        const std::string from = std::string(random_.Below(12), 'x') + "5";
        std::vector<BagTable::Entry> scanned;
        table.Scan(groups[i], from, [&](const BagTable::Entry& entry) {
          scanned.push_back(entry);
          return scanned.size() < 7;
        });
        std::map<std::string, int64_t> first;
        for (auto it = expected->second.lower_bound(from);
             it != expected->second.end() && first.size() < 7; ++it) {
          first.insert(*it);
        }
        ASSERT_EQ(AsMap(scanned), first);
      }
    }
  }

  void CheckEntries(TableId table, size_t expected) {
    const auto stats = store_->table_stats(table);
    ASSERT_TRUE(stats.has_value());
    ASSERT_EQ(stats->entries, static_cast<int64_t>(expected));
    ASSERT_GE(stats->entries_in_memory, 0);
    ASSERT_LE(stats->entries_in_memory, *stats->entries);
    ASSERT_LE(stats->misses, stats->look_ups);
  }

  void CheckAll() {
    for (int t = 0; t < 2; ++t) {
      std::map<std::string, std::string> cells;
      std::map<std::string, std::map<std::string, int64_t>> bags;
      for (int w = 0; w < workers_; ++w) {
        ASSERT_TRUE(store_->worker(w)
                        .Cells(kCellTables[t], kCellBytes[t])
                        .ForEach([&](std::string_view key, const std::byte* cell) {
                          EXPECT_TRUE(
                              cells
                                  .emplace(key, std::string(reinterpret_cast<const char*>(cell),
                                                            kCellBytes[t]))
                                  .second);
                        })
                        .ok());
        auto& table = store_->worker(w).Bags(kBagTables[t], t == 1);
        ASSERT_TRUE(table
                        .ForEach([&](std::string_view key, const BagTable::Group* group) {
                          std::vector<BagTable::Entry> rows;
                          table.Rows(group, rows);
                          EXPECT_TRUE(bags.emplace(key, AsMap(rows)).second);
                        })
                        .ok());
      }
      ASSERT_EQ(cells, now_.cells[t]);
      ASSERT_EQ(bags, now_.bags[t]);
      size_t rows = 0;
      for (const auto& [key, group] : bags) rows += group.size();
      CheckEntries(kCellTables[t], cells.size());
      CheckEntries(kBagTables[t], rows);
    }
    if (store_->flushing()) return;
    std::map<std::string, std::string> runtime;
    ASSERT_TRUE(store_
                    ->Scan(kRuntimeTable, "",
                           [&](std::string_view key, std::string_view value) {
                             runtime.emplace(key, value);
                             return Ok();
                           })
                    .ok());
    ASSERT_EQ(runtime, flushed_[store_->flushed_step().value].runtime);
  }

  Random random_;
  const size_t memory_bytes_;
  const uint64_t keys_;
  std::string directory_;
  std::unique_ptr<Store> store_;
  int workers_ = 1;
  int64_t step_ = 0;
  Model now_;
  std::map<int64_t, Model> flushed_;  // as of each BeginFlush
  std::vector<Mutation> pending_;
  size_t evicted_ = 0;
  size_t misses_ = 0;
  size_t cold_hits_ = 0;
};

TEST(StoreModelTest, HoldsWhatTheModelHoldsThroughFlushesCrashesAndDrops) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(testing::Message() << "MILLRACE_SEED=" << seed);
  StoreModel model(seed, size_t{64} << 20, 200);
  model.Run(400);
}

TEST(StoreModelTest, HoldsWhatTheModelHoldsWithMemoryForAFractionOfTheState) {
  const uint64_t seed = Seed() + 1;
  SCOPED_TRACE(testing::Message() << "MILLRACE_SEED=" << seed - 1);
  StoreModel model(seed, 50 << 10, 2000);
  model.Run(400);
  EXPECT_GT(model.evicted(), 100u);
  EXPECT_GT(model.misses(), 100u);
  EXPECT_GT(model.cold_hits(), 100u);
}

}  // namespace
}  // namespace millrace::state::store_model_test
