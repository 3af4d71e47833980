#include "state/store.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "rows/key.h"
#include "state/disk_key.h"
#include "state/tables.h"

namespace millrace::state::store_test {
namespace {

constexpr TableId kTable{5};
constexpr size_t kCellBytes = 32;

class StoreTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "/state_test_" + std::to_string(getpid());
    std::filesystem::remove_all(directory_);
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  void Open(int workers = 1, size_t memory_bytes = size_t{64} << 20) {
    store_.reset();
    auto opened = TryOpen(workers, memory_bytes);
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    store_ = std::move(*opened);
  }
  Result<std::unique_ptr<Store>> TryOpen(int workers = 1, size_t memory_bytes = 64 << 20) {
    return Store::Open({.directory = directory_, .workers = workers, .memory_bytes = memory_bytes});
  }
  void Flush() {
    store_->BeginFlush(Step{++step_}, {});
    ASSERT_TRUE(store_->FinishFlush().ok());
  }
  // The keys of [begin, end) that worker `w` owns.
  std::vector<Key> Keys(int begin, int end, int w = 0, int workers = 1) {
    std::vector<Key> out;
    for (int i = begin; i < end; ++i) {
      names_.push_back("key-" + std::to_string(i));
      const Key key{names_.back(), rows::KeyHash(names_.back())};
      if (rows::WorkerOfShard(rows::VirtualShard(key.hash), workers) == w) out.push_back(key);
    }
    return out;
  }
  CellTable& Cells(int worker = 0) { return store_->worker(worker).Cells(kTable, kCellBytes); }
  Status Count(const std::vector<Key>& keys, int worker = 0) {
    std::vector<std::byte*> cells;
    std::vector<uint8_t> created;
    TRY(Cells(worker).FindOrCreate(keys, cells, created));
    for (std::byte* cell : cells) {
      Cells(worker).Touch(cell);
      ++*reinterpret_cast<int64_t*>(cell);
    }
    return Ok();
  }
  size_t Found(const std::vector<Key>& keys, int worker = 0) {
    std::vector<std::byte*> cells;
    EXPECT_TRUE(Cells(worker).Find(keys, cells).ok());
    return cells.size() - static_cast<size_t>(std::count(cells.begin(), cells.end(), nullptr));
  }
  size_t Misses() {
    EXPECT_TRUE(store_->worker(0).AfterStep().ok());
    return store_->stats().misses;
  }

  std::string directory_;
  std::unique_ptr<Store> store_;
  int64_t step_ = 0;
  std::deque<std::string> names_;
};

TEST_F(StoreTest, NeverAsksTheDiskForATableThatHasNothingThere) {
  Open();
  ASSERT_TRUE(Count(Keys(0, 100)).ok());
  EXPECT_EQ(Found(Keys(50, 200)), 50u);
  Flush();
  EXPECT_EQ(Found(Keys(50, 200)), 50u);
  EXPECT_EQ(Misses(), 0u);
}

TEST_F(StoreTest, AsksTheDiskForAKeyOnlyOnce) {
  Open();
  ASSERT_TRUE(Count(Keys(0, 100)).ok());
  Flush();
  Open();
  EXPECT_EQ(store_->flushed_step(), Step{1});
  EXPECT_EQ(Found(Keys(90, 110)), 10u);
  EXPECT_EQ(Misses(), 20u);
  EXPECT_EQ(Found(Keys(90, 110)), 10u);
  ASSERT_TRUE(Count(Keys(90, 110)).ok());
  EXPECT_EQ(Found(Keys(90, 110)), 20u);
  EXPECT_EQ(Misses(), 20u);
}

TEST_F(StoreTest, StaysNearItsBudgetWithAStateManyTimesLarger) {
  constexpr size_t kBudget = 512 << 10;
  constexpr int kKeys = 60000;
  Open(1, kBudget);
  for (int round = 0; round < 2; ++round) {
    for (int at = 0; at < kKeys; at += 1000) {
      names_.clear();
      ASSERT_TRUE(Count(Keys(at, at + 1000)).ok());
      ASSERT_TRUE(store_->worker(0).AfterStep().ok());
      if (store_->wants_flush()) Flush();
      ASSERT_LT(store_->stats().memory_bytes, 2 * kBudget);
    }
  }
  EXPECT_GT(store_->stats().evicted_entries, 50000u);
  size_t entries = 0;
  ASSERT_TRUE(Cells()
                  .ForEach([&](std::string_view, const std::byte* cell) {
                    ++entries;
                    int64_t count;
                    std::memcpy(&count, cell, sizeof(count));
                    ASSERT_EQ(count, 2);
                  })
                  .ok());
  EXPECT_EQ(entries, static_cast<size_t>(kKeys));
}

TEST_F(StoreTest, WritesAFlushOfManyEntriesOnSeveralThreads) {
  constexpr int kKeys = 120000;
  constexpr TableId kRuntime{7};
  Open();
  ASSERT_TRUE(Count(Keys(0, kKeys)).ok());
  std::vector<Mutation> mutations;
  for (int i = 0; i < kKeys; ++i) {
    mutations.push_back({kRuntime, "entry " + std::to_string(i % 50000), std::to_string(i)});
  }
  store_->BeginFlush(Step{++step_}, std::move(mutations));
  ASSERT_TRUE(store_->FinishFlush().ok());
  EXPECT_EQ(store_->stats().flushed_entries, size_t{kKeys} + 50000 + 3);
  Open();
  EXPECT_EQ(store_->flushed_step(), Step{1});
  size_t cells = 0;
  ASSERT_TRUE(Cells()
                  .ForEach([&](std::string_view, const std::byte* cell) {
                    ++cells;
                    int64_t count;
                    std::memcpy(&count, cell, sizeof(count));
                    ASSERT_EQ(count, 1);
                  })
                  .ok());
  EXPECT_EQ(cells, size_t{kKeys});
  size_t entries = 0;
  ASSERT_TRUE(store_
                  ->Scan(kRuntime, {},
                         [&](std::string_view key, std::string_view value) {
                           // The last of the changes of a key.
                           const int i = std::stoi(std::string(key.substr(6)));
                           const int last = i < kKeys - 100000 ? i + 100000 : i + 50000;
                           EXPECT_EQ(value, std::to_string(last));
                           ++entries;
                           return Ok();
                         })
                  .ok());
  EXPECT_EQ(entries, 50000u);
}

TEST_F(StoreTest, FindsWhatItEvictedWithoutAskingRocksDb) {
  Open(1, 256 << 10);
  ASSERT_TRUE(Count(Keys(0, 10000)).ok());
  Flush();
  ASSERT_TRUE(store_->worker(0).AfterStep().ok());
  ASSERT_GT(store_->stats().evicted_entries, 5000u);
  EXPECT_EQ(Found(Keys(0, 10000)), 10000u);
  EXPECT_EQ(Found(Keys(10000, 11000)), 0u);
  // But for pages that were full once.
  EXPECT_LT(Misses(), 300u);
  EXPECT_GT(store_->stats().cold_hits, 5000u);
}

TEST_F(StoreTest, DoesNotBringBackWhatWasErasedAfterItWasEvicted) {
  Open(1, 64 << 10);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(Count(Keys(0, 3000)).ok());
    Flush();
    ASSERT_TRUE(store_->worker(0).AfterStep().ok());  // evicts
    std::vector<std::byte*> cells;
    ASSERT_TRUE(Cells().Find(Keys(0, 1000), cells).ok());
    for (std::byte* cell : cells) Cells().Erase(cell);
    Flush();
    ASSERT_TRUE(store_->worker(0).AfterStep().ok());
    EXPECT_EQ(Found(Keys(0, 3000)), 2000u);
    names_.clear();
  }
}

TableStats StatsOf(const Store& store, TableId table) {
  const auto stats = store.table_stats(table);
  EXPECT_TRUE(stats.has_value()) << "table " << table.value;
  return stats.value_or(TableStats());
}

TEST_F(StoreTest, CountsTheCellsOfATableWhereverTheyAre) {
  constexpr size_t kBudget = 256 << 10;
  Open(1, kBudget);
  EXPECT_FALSE(store_->table_stats(kTable).has_value());
  ASSERT_TRUE(Count(Keys(0, 10)).ok());
  ASSERT_TRUE(Count(Keys(5, 12)).ok());
  EXPECT_EQ(StatsOf(*store_, kTable).entries, 12);
  EXPECT_EQ(StatsOf(*store_, kTable).entries_in_memory, 12);
  EXPECT_EQ(StatsOf(*store_, kTable).look_ups, 17u);
  EXPECT_EQ(StatsOf(*store_, kTable).misses, 0u);
  std::vector<std::byte*> cells;
  ASSERT_TRUE(Cells().Find(Keys(0, 3), cells).ok());
  for (std::byte* cell : cells) Cells().Erase(cell);
  EXPECT_EQ(StatsOf(*store_, kTable).entries, 9);

  for (int at = 3; at < 20000; at += 1000) {
    ASSERT_TRUE(Count(Keys(at, std::min(at + 1000, 20000))).ok());
    ASSERT_TRUE(store_->worker(0).AfterStep().ok());
    Flush();
  }
  ASSERT_TRUE(store_->worker(0).AfterStep().ok());
  const TableStats full = StatsOf(*store_, kTable);
  EXPECT_EQ(full.entries, 19997);
  EXPECT_EQ(full.entries_in_memory, 19997 - static_cast<int64_t>(store_->stats().evicted_entries));
  EXPECT_LT(full.entries_in_memory, 10000);
  EXPECT_EQ(full.misses, 0u + store_->stats().misses + store_->stats().cold_hits);
  EXPECT_EQ(Found(Keys(0, 20000)), 19997u);
  const TableStats read = StatsOf(*store_, kTable);
  EXPECT_EQ(read.entries, 19997);
  EXPECT_EQ(read.entries_in_memory, 19997);
  EXPECT_EQ(read.look_ups, full.look_ups + 20000);
  EXPECT_GE(read.misses, full.misses + static_cast<uint64_t>(19997 - full.entries_in_memory));
  const Result<size_t> on_disk = store_->DiskBytes(kTable);
  ASSERT_TRUE(on_disk.ok());
  EXPECT_GT(*on_disk, 19997 * kCellBytes);
  EXPECT_EQ(*store_->DiskBytes(TableId{kTable.value + 1}), 0u);
}

TEST_F(StoreTest, KnowsTheMemoryOfEachTableAndGivesItBack) {
  constexpr TableId kBags{8};
  Open(1, size_t{64} << 20);
  BagTable& bags = store_->worker(0).Bags(kBags, /*ordered=*/true);
  ASSERT_TRUE(Count(Keys(0, 1)).ok());
  const auto add = [&](int64_t weight) {
    std::vector<BagTable::Group*> groups;
    const std::vector<Key> keys = Keys(0, 300);
    ASSERT_TRUE(bags.FindOrCreate(keys, groups).ok());
    for (BagTable::Group* group : groups) {
      for (int row = 0; row < 100; ++row) bags.Add(group, "row " + std::to_string(row), weight);
    }
  };
  add(1);
  add(2);
  ASSERT_TRUE(store_->worker(0).AfterStep().ok());
  const TableStats full = StatsOf(*store_, kBags);
  EXPECT_EQ(full.entries, 300 * 100);
  EXPECT_EQ(full.entries_in_memory, 300 * 100);
  EXPECT_EQ(full.look_ups, 600u);
  // What the tables say adds up to what the worker uses, but for pages that are not full.
  const size_t both = full.memory_bytes + StatsOf(*store_, kTable).memory_bytes;
  const size_t worker = store_->worker(0).memory_bytes();
  EXPECT_LE(both, worker);
  EXPECT_GT(both, worker * 3 / 4);
  Flush();
  add(-3);
  EXPECT_EQ(StatsOf(*store_, kBags).entries, 0);
  EXPECT_EQ(StatsOf(*store_, kBags).entries_in_memory, 0);
  // The rows are freed when their deletion has been written, the groups one flush later.
  for (int i = 0; i < 3; ++i) {
    Flush();
    ASSERT_TRUE(store_->worker(0).AfterStep().ok());
  }
  EXPECT_LT(StatsOf(*store_, kBags).memory_bytes, full.memory_bytes / 20);
}

TEST_F(StoreTest, SaysThatItDoesNotKnowTheEntriesOfATableFromBeforeTheCount) {
  Open();
  ASSERT_TRUE(Count(Keys(0, 10)).ok());
  Flush();
  store_.reset();
  {
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open({}, directory_, &db).ok());
    ASSERT_TRUE(db->Delete({}, RuntimeKey(kMetaTable, "entries")).ok());
    ASSERT_TRUE(db->Flush({}).ok());
    delete db;
  }
  Open();
  ASSERT_TRUE(Count(Keys(5, 15)).ok());
  EXPECT_EQ(StatsOf(*store_, kTable).entries, std::nullopt);
  EXPECT_EQ(StatsOf(*store_, kTable).entries_in_memory, 10);
  Flush();
  Open();
  ASSERT_TRUE(Count(Keys(15, 16)).ok());
  EXPECT_EQ(StatsOf(*store_, kTable).entries, std::nullopt);
  // Made anew, it is known.
  store_->Drop(kTable);
  ASSERT_TRUE(Count(Keys(0, 3)).ok());
  EXPECT_EQ(StatsOf(*store_, kTable).entries, 3);
  Flush();
  Open();
  ASSERT_TRUE(Count(Keys(0, 4)).ok());
  EXPECT_EQ(StatsOf(*store_, kTable).entries, 4);
}

TEST_F(StoreTest, WantsAFlushOnlyWhileDirtyEntriesFillTheMemory) {
  Open(1, 1 << 20);
  ASSERT_TRUE(Count(Keys(0, 1000)).ok());
  ASSERT_TRUE(store_->worker(0).AfterStep().ok());
  EXPECT_FALSE(store_->wants_flush());
  ASSERT_TRUE(Count(Keys(1000, 40000)).ok());
  ASSERT_TRUE(store_->worker(0).AfterStep().ok());
  EXPECT_TRUE(store_->wants_flush());
  Flush();
  ASSERT_TRUE(store_->worker(0).AfterStep().ok());
  EXPECT_FALSE(store_->wants_flush());
}

TEST_F(StoreTest, StartsADroppedTableAnewBeforeAndAfterTheFlushThatDropsIt) {
  Open();
  ASSERT_TRUE(Count(Keys(0, 100)).ok());
  Flush();
  Open();
  store_->Drop(kTable);
  EXPECT_EQ(Found(Keys(0, 100)), 0u);
  ASSERT_TRUE(Count(Keys(0, 10)).ok());
  step_ = 1;
  Flush();
  EXPECT_EQ(Found(Keys(0, 100)), 10u);
  Open();
  EXPECT_EQ(Found(Keys(0, 100)), 10u);
}

TEST_F(StoreTest, ReadsTheRuntimesTablesInKeyOrderAndByPrefix) {
  Open();
  store_->BeginFlush(Step{7}, {{kTable, "b/2", "two"},
                               {kTable, "b/10", "ten"},
                               {kTable, "a", "first"},
                               {kTable, "a", "second"},
                               {kTable, "", "empty"}});
  ASSERT_TRUE(store_->FinishFlush().ok());
  std::vector<std::string> keys;
  ASSERT_TRUE(store_
                  ->Scan(kTable, "b",
                         [&](std::string_view key, std::string_view) {
                           keys.emplace_back(key);
                           return Ok();
                         })
                  .ok());
  EXPECT_EQ(keys, (std::vector<std::string>{"b/10", "b/2"}));
  EXPECT_EQ(store_->Get(kTable, "a").value(), "second");
  EXPECT_EQ(store_->Get(kTable, "").value(), "empty");
  EXPECT_EQ(store_->Get(kTable, "c").value(), std::nullopt);
  EXPECT_EQ(store_->Get(TableId{6}, "a").value(), std::nullopt);
}

TEST_F(StoreTest, RefusesStateOfOtherEncodings) {
  Open();
  Flush();
  store_.reset();
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open({}, directory_, &db).ok());
  ASSERT_TRUE(db->Put({}, RuntimeKey(kMetaTable, "encodings"), "another").ok());
  delete db;
  const auto opened = TryOpen();
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), Code::kConflict);
}

TEST_F(StoreTest, SaysCorruptionWhereAFileIsDamaged) {
  Open();
  ASSERT_TRUE(Count(Keys(0, 5000)).ok());
  Flush();
  store_.reset();
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    if (entry.path().extension() != ".sst") continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    for (int at = 5; at < 100000; at += 1000) file.seekp(at).put('?');
  }
  const auto opened = TryOpen();
  if (!opened.ok()) {
    EXPECT_EQ(opened.error().code(), Code::kCorruption);
    return;
  }
  std::vector<std::byte*> cells;
  const Status found = (*opened)->worker(0).Cells(kTable, kCellBytes).Find(Keys(0, 5000), cells);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code(), Code::kCorruption);
}

TEST_F(StoreTest, FlushesWhileItsWorkersRunOnTheirOwnThreads) {
  constexpr int kWorkers = 2;
  constexpr int kSteps = 150;
  Open(kWorkers, 1 << 20);
  std::vector<std::vector<Key>> keys;
  for (int w = 0; w < kWorkers; ++w) keys.push_back(Keys(0, 8000, w, kWorkers));
  for (int step = 1; step <= kSteps; ++step) {
    std::vector<std::thread> threads;
    for (int w = 0; w < kWorkers; ++w) {
      threads.emplace_back([&, w] {
        EXPECT_TRUE(Count(keys[static_cast<size_t>(w)], w).ok());
        EXPECT_TRUE(store_->worker(w).AfterStep().ok());
      });
    }
    for (std::thread& thread : threads) thread.join();
    if (!store_->flushing()) store_->BeginFlush(Step{step}, {});
    (void)store_->stats();
  }
  ASSERT_TRUE(store_->FinishFlush().ok());
  const int64_t flushed = store_->flushed_step().value;
  EXPECT_GT(flushed, 1);
  Open(1);
  size_t entries = 0;
  ASSERT_TRUE(Cells()
                  .ForEach([&](std::string_view, const std::byte* cell) {
                    ++entries;
                    int64_t count;
                    std::memcpy(&count, cell, sizeof(count));
                    ASSERT_EQ(count, flushed);
                  })
                  .ok());
  EXPECT_EQ(entries, 8000u);
}

// Names, sizes and times of everything in the directory.
std::string Listing(const std::string& directory) {
  std::map<std::string, std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    const auto time = entry.last_write_time().time_since_epoch().count();
    const auto size = entry.is_regular_file() ? entry.file_size() : 0;
    found[entry.path().string()] = fmt::format("{} {}", size, time);
  }
  std::string out;
  for (const auto& [path, text] : found) out += path + " " + text + "\n";
  return out;
}

TEST_F(StoreTest, OpenedForReadingOnlyItChangesNothing) {
  Open();
  ASSERT_TRUE(Count(Keys(0, 1000)).ok());
  store_->BeginFlush(Step{++step_}, {{TableId{7}, "name", "value"}});
  ASSERT_TRUE(store_->FinishFlush().ok());
  store_.reset();
  const std::string before = Listing(directory_);
  const StoreOptions options{.directory = directory_, .read_only = true};
  {
    const auto opened = Store::Open(options);
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    EXPECT_EQ((*opened)->flushed_step(), Step{step_});
    EXPECT_EQ((*opened)->Get(TableId{7}, "name").value(), "value");
    // Two may look at once.
    EXPECT_TRUE(Store::Open(options).ok());
  }
  EXPECT_EQ(Listing(directory_), before);
  Open();
  EXPECT_EQ(Found(Keys(0, 1000)), 1000u);
  EXPECT_FALSE(Store::Open({.directory = directory_ + "/none", .read_only = true}).ok());
  EXPECT_FALSE(std::filesystem::exists(directory_ + "/none"));
}

}  // namespace
}  // namespace millrace::state::store_test
