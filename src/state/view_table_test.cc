#include "state/view_table.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "state/view_testing.h"

namespace millrace::state::view_table_test {
namespace {

class ViewTableTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = testing::TempDir() + "/view_test_" + std::to_string(getpid());
    std::filesystem::remove_all(directory_);
    Open();
  }
  void TearDown() override {
    store_.reset();
    std::filesystem::remove_all(directory_);
  }
  void Open() {
    store_.reset();
    auto opened = Store::Open({.directory = directory_, .workers = 1});
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    store_ = std::move(*opened);
  }
  std::unique_ptr<ViewTable> Make(std::vector<size_t> key) {
    auto table = std::make_unique<ViewTable>(*store_, kTable, TypesOfRows(), std::move(key));
    const Status loaded = table->Load(*store_);
    EXPECT_TRUE(loaded.ok()) << loaded.error().ToString();
    return table;
  }
  void Flush(ViewTable& table, Step step) {
    std::vector<Mutation> mutations;
    table.TakeDirty(step, mutations);
    store_->BeginFlush(step, std::move(mutations));
    ASSERT_TRUE(store_->FinishFlush().ok());
    table.NoteFlushed();
  }
  static Rows Many(int64_t begin, int64_t end) {
    Rows rows;
    for (int64_t i = begin; i < end; ++i) rows[{i, "some text of row " + std::to_string(i)}] = 1;
    return rows;
  }
  static rows::Batch Change(const Rows& rows, rows::Weight by = 1) {
    std::vector<std::pair<Rows::key_type, rows::Weight>> change;
    for (const auto& [row, weight] : rows) change.emplace_back(row, weight * by);
    return ToBatch(change);
  }

  std::string directory_;
  std::unique_ptr<Store> store_;
};

TEST_F(ViewTableTest, ARestartReadsNoRowsUntilTheyAreAskedFor) {
  const Rows rows = Many(0, 5000);
  {
    auto table = Make({0});
    ASSERT_TRUE(table->Apply({1}, Change(rows), {0}).ok());
    Flush(*table, {1});
  }
  Open();
  auto table = Make({0});
  EXPECT_EQ(table->memory_bytes(), 0u);
  EXPECT_EQ(table->row_count(), 5000u);
  EXPECT_EQ(table->cold_entry_count(), 5000u);
  EXPECT_EQ(LookUp(*table, 0, duckdb::Value::BIGINT(4711), {1}), Many(4711, 4712));
  EXPECT_EQ(LookUp(*table, 0, duckdb::Value::BIGINT(5000), {1}), Rows());
  EXPECT_EQ(ScanAll(*table, {1}, 1000), rows);
  for (bool more = true; more;) {
    auto warmed = table->Warm(1000);
    ASSERT_TRUE(warmed.ok());
    more = *warmed;
  }
  EXPECT_EQ(table->cold_entry_count(), 0u);
  EXPECT_EQ(ScanAll(*table, {1}, 1000), rows);
}

TEST_F(ViewTableTest, StaysWithinItsRoomWhenItIsTenTimesLarger) {
  auto table = Make({0});
  const size_t room = 200'000;
  size_t most = 0;
  for (int64_t step = 1; step <= 40; ++step) {
    ASSERT_TRUE(table->Apply({step}, Change(Many(step * 500, (step + 1) * 500)), {step - 1}).ok());
    Flush(*table, {step});
    if (table->memory_bytes() > room) table->Evict(table->memory_bytes() - room, {step});
    most = std::max(most, table->memory_bytes());
  }
  EXPECT_LE(most, room);
  EXPECT_EQ(table->row_count(), 20'000u);
  // Cold rows are taken away as others are.
  ASSERT_TRUE(table->Apply({41}, Change(Many(600, 700), -1), {40}).ok());
  EXPECT_EQ(LookUp(*table, 0, duckdb::Value::BIGINT(650), {41}), Rows());
  EXPECT_EQ(LookUp(*table, 0, duckdb::Value::BIGINT(650), {40}), Many(650, 651));
  EXPECT_EQ(table->Apply({42}, Change(Many(650, 651), -1), {40}).error().code(), Code::kInternal);
}

TEST_F(ViewTableTest, ReadersSeeADroppedContentToTheirEnd) {
  auto table = Make({0});
  const Rows rows = Many(0, 3000);
  ASSERT_TRUE(table->Apply({1}, Change(rows), {0}).ok());
  Flush(*table, {1});
  EXPECT_GT(table->Evict(SIZE_MAX, {1}), 0u);
  EXPECT_EQ(table->cold_entry_count(), 3000u);
  table->Retire();
  store_->Drop(kTable);
  store_->BeginFlush({2}, {});
  ASSERT_TRUE(store_->FinishFlush().ok());
  EXPECT_EQ(ScanAll(*table, {1}, 1000), rows);
  EXPECT_EQ(LookUp(*table, 0, duckdb::Value::BIGINT(17), {1}), Many(17, 18));
}

// As RocksDB allows one opener of a directory, one that is forgotten would keep the next from it.
TEST_F(ViewTableTest, NothingThatIsStillHeldKeepsTheDirectoryFromTheNextStore) {
  const Rows rows = Many(0, 3000);
  auto table = Make({0});
  ASSERT_TRUE(table->Apply({1}, Change(rows), {0}).ok());
  Flush(*table, {1});
  table->Evict(SIZE_MAX, {1});
  auto scan = table->Scan({1});
  const auto ignore = [](std::string_view, rows::Weight) {};
  ASSERT_TRUE(scan->Next(100, ignore).value());
  table->Retire();
  const auto later = table->Scan({1});
  Open();
  for (ViewScan* left : {scan.get(), later.get()})
    EXPECT_EQ(left->Next(5000, ignore).error().code(), Code::kUnavailable);
  rows::BatchBuilder found(TypesOfRows());
  EXPECT_EQ(table
                ->LookupByScan(
                    {1}, "", {1}, [] { return Ok(); }, found)
                .error()
                .code(),
            Code::kUnavailable);
  EXPECT_EQ(ScanAll(*Make({0}), {1}, 1000), rows);
  scan.reset();
  table->Evict(SIZE_MAX, {1});
}

TEST_F(ViewTableTest, TakesOverRowsThatStoodWithoutGroups) {
  const Rows rows = Many(0, 300);
  std::vector<Mutation> before;
  rows::RowEncoder encoder(TypesOfRows());
  const rows::Batch batch = Change(rows);
  for (const rows::Batch::Part& part : batch.parts) {
    for (const std::string_view row : encoder.Encode(*part.rows)) {
      std::string weight;
      PutZigzag(weight, 1);
      before.push_back({kTable, std::string(row), std::move(weight)});
    }
  }
  store_->BeginFlush({1}, std::move(before));
  ASSERT_TRUE(store_->FinishFlush().ok());
  // The second time by another key.
  for (const size_t key : {0, 0, 1, 1}) {
    Open();
    auto table = Make({key});
    EXPECT_EQ(table->row_count(), 300u);
    EXPECT_EQ(ScanAll(*table, {9}), rows);
    EXPECT_EQ(
        LookUp(*table, key,
               key == 0 ? duckdb::Value::BIGINT(5) : duckdb::Value("some text of row 5"), {9}),
        Many(5, 6));
    Flush(*table, {2 + static_cast<int64_t>(key)});
    table->Evict(SIZE_MAX, {9});
    EXPECT_EQ(table->cold_entry_count(), 300u);
    EXPECT_EQ(ScanAll(*table, {9}), rows);
  }
  size_t left = 0;
  ASSERT_TRUE(store_
                  ->Scan(kTable, {},
                         [&](std::string_view key, std::string_view) {
                           left += key.empty() ? 0 : 1;
                           return Ok();
                         })
                  .ok());
  EXPECT_EQ(left, 0u) << "rows without groups are left";
}

TEST_F(ViewTableTest, AScanThatStandsStillHoldsNoRowInMemory) {
  auto table = Make({0});
  const Rows rows = Many(0, 100);
  ASSERT_TRUE(table->Apply({1}, Change(rows), {0}).ok());
  Flush(*table, {1});
  Rows seen;
  const auto next = [&](ViewScan& scan, size_t rows_max) {
    const auto more = scan.Next(rows_max, [&](std::string_view row, rows::Weight weight) {
      AddEncoded(seen, row, weight);
    });
    EXPECT_TRUE(more.ok());
    return more.ok() && *more;
  };
  const auto scan = table->Scan({1});
  EXPECT_TRUE(next(*scan, 30));
  EXPECT_GT(table->Evict(SIZE_MAX, {1}), 0u);
  EXPECT_EQ(table->memory_entry_count(), 0u);
  // Some come back, into whichever slots, and some of those are changed.
  ASSERT_TRUE(table->Warm(60).ok());
  ASSERT_TRUE(table->Apply({2}, Change(Many(20, 50), -1), {1}).ok());
  EXPECT_TRUE(next(*scan, 30));
  Flush(*table, {2});
  EXPECT_GT(table->Evict(SIZE_MAX, {1}), 0u);
  while (next(*scan, 7)) {
  }
  EXPECT_EQ(seen, rows) << "each row once";
}

TEST_F(ViewTableTest, ASlowScanDuringManyEvictionsSeesEachRowOnce) {
  Random random(Seed());
  auto table = Make({});
  const Rows rows = Many(0, 2000);
  ASSERT_TRUE(table->Apply({1}, Change(rows), {0}).ok());
  Flush(*table, {1});
  for (int round = 0; round < 20; ++round) {
    while (table->cold_entry_count() > 0) ASSERT_TRUE(table->Warm(1000).ok());
    Rows seen;
    const auto scan = table->Scan({1});
    for (bool more = true; more;) {
      more = scan->Next(1 + random.Below(100),
                        [&](std::string_view row, rows::Weight weight) {
                          AddEncoded(seen, row, weight);
                        })
                 .value();
      if (random.OneIn(3)) table->Evict(random.Below(100'000), {1});
      if (random.OneIn(3)) {
        ASSERT_TRUE(table->Warm(random.Below(500)).ok());
      }
    }
    EXPECT_EQ(seen, rows);
  }
}

// A bug upstream: nothing of the change stays.
TEST_F(ViewTableTest, AChangeThatTakesAwayWhatIsNotThereLeavesItReadable) {
  auto table = Make({0});
  const Rows rows = Many(0, 10);
  ASSERT_TRUE(table->Apply({1}, Change(rows), {0}).ok());
  Flush(*table, {1});
  table->Evict(SIZE_MAX, {1});
  Rows change = Many(100, 1000);
  for (auto& [row, weight] : change) weight = row.first % 2 == 0 ? 1 : -1;
  ASSERT_EQ(table->Apply({2}, Change(change), {1}).error().code(), Code::kInternal);
  EXPECT_EQ(ScanAll(*table, {1}), rows);
  EXPECT_EQ(LookUp(*table, 0, duckdb::Value::BIGINT(5), {1}), Many(5, 6));
  EXPECT_EQ(LookUp(*table, 0, duckdb::Value::BIGINT(101), {1}), Rows());
  EXPECT_EQ(ScanAll(*table, {2}), rows);
  EXPECT_EQ(table->row_count(), 10u);
  // One that was taken goes the same way.
  const Rows more = Many(5, 12);
  ASSERT_TRUE(table->Apply({3}, Change(more), {2}).ok());
  table->Revert({3}, Change(more));
  EXPECT_EQ(ScanAll(*table, {3}), rows);
  Flush(*table, {3});
  table->Evict(SIZE_MAX, {3});
  EXPECT_EQ(ScanAll(*table, {3}), rows);
  EXPECT_EQ(table->row_count(), 10u);
}

TEST_F(ViewTableTest, ALookUpOfARowInMemoryReadsNothing) {
  ViewTable table(*store_, kTable, TypesOfRows(), {0}, /*key_is_unique=*/true);
  ASSERT_TRUE(table.Load(*store_).ok());
  ASSERT_TRUE(table.Apply({1}, Change(Many(0, 3000)), {0}).ok());
  Flush(table, {1});
  table.Evict(SIZE_MAX, {1});
  ASSERT_TRUE(table.Apply({2}, Change(Many(5000, 5010)), {1}).ok());
  ASSERT_GT(table.cold_entry_count(), 0u);
  const uint64_t before = store_->disk()->cursors_made();
  EXPECT_EQ(LookUp(table, 0, duckdb::Value::BIGINT(5001), {2}), Many(5001, 5002));
  EXPECT_EQ(store_->disk()->cursors_made(), before);
  EXPECT_EQ(LookUp(table, 0, duckdb::Value::BIGINT(5001), {1}), Rows());
  EXPECT_EQ(LookUp(table, 0, duckdb::Value::BIGINT(17), {2}), Many(17, 18));
  EXPECT_EQ(store_->disk()->cursors_made(), before + 2);
}

// What a build of a view reads for each of its slices.
TEST_F(ViewTableTest, PartsByTheKeyAreReadByThemselves) {
  auto table = Make({0});
  const Rows rows = Many(0, 20'000);
  ASSERT_TRUE(table->Apply({1}, Change(rows), {0}).ok());
  Flush(*table, {1});
  table->Evict(SIZE_MAX, {1});
  const uint64_t before = store_->disk()->cursor_steps();
  Rows seen;
  for (uint32_t part = 0; part < ViewTable::kParts; part += 64) {
    for (uint32_t worker = 0; worker < 2; ++worker) {
      ASSERT_TRUE(table
                      ->ScanParts({part + worker, part + 64, 2, {0}},
                                  [&](std::string_view row, rows::Weight weight) {
                                    AddEncoded(seen, row, weight);
                                  })
                      .ok());
    }
  }
  EXPECT_EQ(seen, rows);
  EXPECT_LE(store_->disk()->cursor_steps() - before, rows.size() + ViewTable::kParts);
  EXPECT_EQ(table->ScanParts({0, 1, 1, {1}}, [](std::string_view, rows::Weight) {}).error().code(),
            Code::kConflict);
}

TEST_F(ViewTableTest, ALookUpThatGoesThroughAllRowsEndsWhenItIsTold) {
  auto table = Make({0});
  ASSERT_TRUE(table->Apply({1}, Change(Many(0, 10'000)), {0}).ok());
  ASSERT_TRUE(table->AddIndex({1}).ok());
  Flush(*table, {1});
  table->Evict(SIZE_MAX, {1});
  int asked = 0;
  rows::BatchBuilder found(TypesOfRows());
  const Status ended = table->LookupByScan(
      {1}, "", {1},
      [&]() -> Status {
        if (++asked < 2) return Ok();
        return Error(Code::kTimeout, "enough");
      },
      found);
  EXPECT_EQ(ended.error().code(), Code::kTimeout);
  EXPECT_EQ(asked, 2);
}

TEST_F(ViewTableTest, AnOrderIsMadeAndReadBesideTheWriter) {
  auto table = Make({0});
  const Rows rows = Many(0, 20'000);
  ASSERT_TRUE(table->Apply({1}, Change(rows), {0}).ok());
  std::atomic<bool> stop{false};
  const auto read = [&] {
    rows::BatchBuilder found(TypesOfRows());
    const auto range = table->ReadRange({0}, {"", "\x03"}, {1}, SIZE_MAX, found);
    EXPECT_TRUE(range.ok());
    if (!range.ok() || !*range) return false;
    EXPECT_EQ(ToRows(found.Finish()), rows);
    return true;
  };
  std::thread reader([&] {
    while (!stop) read();
  });
  std::thread maker([&] { EXPECT_TRUE(table->AddOrder({0}).ok()); });
  // Other rows come and go; the reader's step stays pinned.
  for (int64_t step = 2; step < 60; ++step) {
    const bool comes = step % 2 == 0;
    ASSERT_TRUE(table->Apply({step}, Change(Many(30'000, 30'100), comes ? 1 : -1), {1}).ok());
  }
  maker.join();
  stop = true;
  reader.join();
  EXPECT_TRUE(table->HasOrder({0}));
  EXPECT_TRUE(read());
}

TEST_F(ViewTableTest, WhoAsksForAnOrderHasItWhoeverMakesIt) {
  auto table = Make({0});
  ASSERT_TRUE(table->Apply({1}, Change(Many(0, 20'000)), {0}).ok());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      EXPECT_TRUE(table->AddOrder({0}).ok());
      EXPECT_TRUE(table->HasOrder({0}));
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(ViewTableTest, ReadersRunBesideTheWriter) {
  auto table = Make({0});
  const Rows rows = Many(0, 2000);
  ASSERT_TRUE(table->Apply({1}, Change(rows), {0}).ok());
  Flush(*table, {1});
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int reader = 0; reader < 2; ++reader) {
    readers.emplace_back([&, reader] {
      for (int64_t i = reader; !stop; i += 7) {
        EXPECT_EQ(LookUp(*table, 0, duckdb::Value::BIGINT(i % 2000), {1}),
                  Many(i % 2000, i % 2000 + 1));
        if (i % 50 == 0) {
          EXPECT_EQ(ScanAll(*table, {1}, 500), rows);
        }
      }
    });
  }
  // Other rows come and go; the readers' step stays pinned.
  for (int64_t step = 2; step < 40; ++step) {
    const rows::Batch change = Change(Many(5000, 5200), step % 2 == 0 ? 1 : -1);
    ASSERT_TRUE(table->Apply({step}, change, {1}).ok());
    if (step % 3 == 0) Flush(*table, {step});
    table->Evict(50'000, {1});
    if (step % 5 == 0) {
      ASSERT_TRUE(table->Warm(300).ok());
    }
  }
  stop = true;
  for (std::thread& thread : readers) thread.join();
}

}  // namespace
}  // namespace millrace::state::view_table_test
