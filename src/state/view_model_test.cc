// A ViewTable beside a model of plain maps: whatever is flushed, evicted, warmed, crashed and
// reopened, every reader sees the rows as of its step.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <list>

#include "state/view_testing.h"

namespace millrace::state::view_model_test {
namespace {

class ViewModel {
 public:
  ViewModel(uint64_t seed, bool keyed) : random_(seed), keyed_(keyed) {
    directory_ = testing::TempDir() + "/view_model_" + std::to_string(getpid());
    std::filesystem::remove_all(directory_);
    flushed_[0] = {};
    Open();
  }
  ~ViewModel() {
    scans_.clear();
    table_.reset();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      Change();
      if (random_.OneIn(3)) Flush();
      if (random_.OneIn(4)) NoteFlushed();
      if (random_.OneIn(3)) evicted_ += table_->Evict(random_.Below(20'000), OldestNeeded());
      if (random_.OneIn(6)) {
        EXPECT_TRUE(table_->Warm(random_.Below(100)).ok());
      }
      if (random_.OneIn(3)) OpenScan();
      GoOnWithScans();
      if (random_.OneIn(3)) CheckLookups();
      if (random_.OneIn(3)) CheckRange(now_, step_);
      if (random_.OneIn(60)) {
        EXPECT_TRUE(table_->AddOrder(kByText).ok());
      }
      if (random_.OneIn(20)) {  // all of them, so that ranges are served again
        while (*table_->Warm(50)) {
        }
      }
      if (random_.OneIn(10)) CheckAll();
      if (random_.OneIn(40)) Crash();
    }
    CheckAll();
  }
  size_t evicted() const { return evicted_; }
  size_t ranges() const { return ranges_; }

 private:
  inline static const std::vector<size_t> kByText{1, 0};

  struct OpenedScan {
    Step step;
    Rows expected;
    Rows seen;
    std::unique_ptr<ViewScan> scan;
  };

  void Open() {
    scans_.clear();
    table_.reset();
    store_.reset();
    auto opened = Store::Open({.directory = directory_, .workers = 1});
    ASSERT_TRUE(opened.ok()) << opened.error().ToString();
    store_ = std::move(*opened);
    step_ = store_->flushed_step();
    ASSERT_TRUE(flushed_.contains(step_.value));
    now_ = flushed_[step_.value];
    in_flight_ = false;
    table_ = std::make_unique<ViewTable>(*store_, kTable, TypesOfRows(),
                                         keyed_ ? std::vector<size_t>{0} : std::vector<size_t>{});
    const Status loaded = table_->Load(*store_);
    ASSERT_TRUE(loaded.ok()) << loaded.error().ToString();
    if (random_.OneIn(2)) {
      ASSERT_TRUE(table_->AddIndex({0}).ok());
    }
    ASSERT_TRUE(table_->AddIndex({1}).ok());
    if (random_.OneIn(2)) {
      ASSERT_TRUE(table_->AddOrder(kByText).ok());
    }
  }

  void Crash() {
    Open();
    if (!testing::Test::HasFatalFailure()) CheckAll();
  }

  // The step before is what is published.
  Step OldestNeeded() const {
    Step oldest{std::max<int64_t>(step_.value - 1, 0)};
    for (const OpenedScan& scan : scans_) oldest = std::min(oldest, scan.step);
    return oldest;
  }

  Rows::key_type RandomRow() {
    return {static_cast<int64_t>(random_.Below(60)), "v" + std::to_string(random_.Below(5))};
  }

  void Change() {
    ++step_.value;
    std::vector<std::pair<Rows::key_type, rows::Weight>> change;
    for (uint64_t n = random_.Below(12); n > 0; --n) {
      const Rows::key_type row = RandomRow();
      rows::Weight& weight = now_[row];
      const auto by = weight > 0 && random_.OneIn(2)
                          ? -weight
                          : static_cast<rows::Weight>(1 + random_.Below(2));
      weight += by;
      change.emplace_back(row, by);
    }
    std::erase_if(now_, [](const auto& item) { return item.second == 0; });
    const Status applied = table_->Apply(step_, ToBatch(change), OldestNeeded());
    ASSERT_TRUE(applied.ok()) << applied.error().ToString();
  }

  void Flush() {
    if (in_flight_) NoteFlushed();
    std::vector<Mutation> mutations;
    table_->TakeDirty(step_, mutations);
    flushed_[step_.value] = now_;
    store_->BeginFlush(step_, std::move(mutations));
    in_flight_ = true;
  }
  void NoteFlushed() {
    if (!in_flight_) return;
    ASSERT_TRUE(store_->FinishFlush().ok());
    table_->NoteFlushed();
    in_flight_ = false;
  }

  void OpenScan() {
    if (scans_.size() > 3) return;
    scans_.push_back({step_, now_, {}, table_->Scan(step_)});
  }
  void GoOnWithScans() {
    for (auto it = scans_.begin(); it != scans_.end();) {
      auto next = it->scan->Next(1 + random_.Below(20), [&](std::string_view row, rows::Weight w) {
        AddEncoded(it->seen, row, w);
      });
      ASSERT_TRUE(next.ok()) << next.error().ToString();
      if (random_.OneIn(5)) CheckRange(it->expected, it->step);
      // A pinned reader that comes late opens its scan at an old step.
      if (random_.OneIn(10)) {
        EXPECT_EQ(ScanAll(*table_, it->step), it->expected);
      }
      if (*next) {
        ++it;
        continue;
      }
      EXPECT_EQ(it->seen, it->expected);
      it = scans_.erase(it);
    }
  }

  void CheckLookups() {
    const Rows::key_type row = RandomRow();
    Rows by_key, by_text;
    for (const auto& [at, weight] : now_) {
      if (at.first == row.first) by_key[at] = weight;
      if (at.second == row.second) by_text[at] = weight;
    }
    EXPECT_EQ(LookUp(*table_, 0, duckdb::Value::BIGINT(row.first), step_), by_key);
    EXPECT_EQ(LookUp(*table_, 1, duckdb::Value(row.second), step_), by_text);
    for (const OpenedScan& scan : scans_) {
      Rows then;
      for (const auto& [at, weight] : scan.expected) {
        if (at.first == row.first) then[at] = weight;
      }
      EXPECT_EQ(LookUp(*table_, 0, duckdb::Value::BIGINT(row.first), scan.step), then);
    }
  }

  // Rows whose text is in a range, by text and number, as far as they are wanted.
  void CheckRange(const Rows& rows, Step step) {
    const Rows::key_type a = RandomRow(), b = RandomRow();
    const ViewTable::KeyRange range{KeyOfText(a.second), KeyOfText(b.second), random_.OneIn(2)};
    const size_t rows_max = random_.Below(40);
    rows::BatchBuilder found(TypesOfRows());
    const auto read = table_->ReadRange(kByText, range, step, rows_max, found);
    ASSERT_TRUE(read.ok()) << read.error().ToString();
    if (!*read) {
      EXPECT_TRUE(!table_->HasOrder(kByText) || table_->cold_entry_count() > 0);
      return;
    }
    std::vector<std::pair<Rows::key_type, rows::Weight>> expected;
    for (const auto& [row, weight] : rows) {
      if (row.second >= a.second && row.second < b.second) expected.emplace_back(row, weight);
    }
    std::sort(expected.begin(), expected.end(), [&](const auto& x, const auto& y) {
      const auto key = [](const auto& item) {
        return std::pair(item.first.second, item.first.first);
      };
      return range.backwards ? key(y) < key(x) : key(x) < key(y);
    });
    size_t end = 0, count = 0;
    while (end < expected.size() && count < rows_max)
      count += static_cast<size_t>(expected[end++].second);
    EXPECT_EQ((*read)->rows, count);
    EXPECT_EQ((*read)->more, end < expected.size());
    expected.resize(end);
    EXPECT_EQ(InOrder(found.Finish()), expected);
    ++ranges_;
  }

  static std::string KeyOfText(const std::string& text) {
    duckdb::DataChunk key;
    key.Initialize(duckdb::Allocator::DefaultAllocator(), {duckdb::LogicalType::VARCHAR}, 1);
    key.SetValue(0, 0, duckdb::Value(text));
    key.SetCardinality(1);
    rows::KeyEncoder encoder;
    return std::string(encoder.Encode(key)[0]);
  }

  static std::vector<std::pair<Rows::key_type, rows::Weight>> InOrder(const rows::Batch& batch) {
    std::vector<std::pair<Rows::key_type, rows::Weight>> rows;
    for (const rows::Batch::Part& part : batch.parts) {
      for (size_t i = 0; i < part.rows->size(); ++i) {
        rows.push_back(
            {{part.rows->GetValue(0, i).GetValue<int64_t>(), part.rows->GetValue(1, i).ToString()},
             part.weight(i)});
      }
    }
    return rows;
  }

  void CheckAll() {
    EXPECT_EQ(ScanAll(*table_, step_), now_);
    int64_t rows = 0;
    for (const auto& [row, weight] : now_) rows += weight;
    EXPECT_EQ(table_->row_count(), static_cast<size_t>(rows));
    for (const std::vector<size_t>& by : {table_->key(), std::vector<size_t>{}}) CheckParts(by);
    std::vector<std::pair<Rows::key_type, rows::Weight>> asked;
    for (int i = 0; i < 20; ++i) asked.emplace_back(RandomRow(), 1);
    const rows::Batch batch = ToBatch(asked);
    rows::RowEncoder encoder(TypesOfRows());
    const auto weights =
        table_->NewestWeightsShared(*batch.parts[0].rows, encoder.Encode(*batch.parts[0].rows));
    ASSERT_TRUE(weights.ok());
    for (size_t i = 0; i < asked.size(); ++i) {
      const auto known = now_.find(asked[i].first);
      EXPECT_EQ((*weights)[i], known == now_.end() ? 0 : known->second);
    }
  }

  void CheckParts(const std::vector<size_t>& by) {
    Rows all;
    rows::RowEncoder encoder(TypesOfRows());
    const auto cut = static_cast<uint32_t>(random_.Below(ViewTable::kParts));
    for (const auto& [from, to] : {std::pair{0u, cut}, std::pair{cut, ViewTable::kParts}}) {
      for (uint32_t rest = 0; rest < 3; ++rest) {
        Rows found;
        const Status scanned = table_->ScanParts(
            {from + rest, to, 3, by},
            [&](std::string_view row, rows::Weight weight) { AddEncoded(found, row, weight); });
        EXPECT_TRUE(scanned.ok());
        for (const auto& [row, weight] : found) {
          const rows::Batch batch = ToBatch({{row, weight}});
          const uint32_t part = ViewTable::PartsOf(*batch.parts[0].rows, by, encoder)[0];
          EXPECT_TRUE(part >= from && part < to && (part - from) % 3 == rest);
          all[row] += weight;
        }
      }
    }
    EXPECT_EQ(all, now_);
  }

  Random random_;
  const bool keyed_;
  std::string directory_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<ViewTable> table_;
  std::list<OpenedScan> scans_;
  Step step_;
  Rows now_;
  std::map<int64_t, Rows> flushed_;
  bool in_flight_ = false;
  size_t evicted_ = 0;
  size_t ranges_ = 0;  // that were read in order
};

TEST(ViewTableModel, ShowsEveryReaderTheRowsOfItsStep) {
  const uint64_t seed = Seed();
  std::printf("MILLRACE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  size_t evicted = 0;
  size_t ranges = 0;
  for (const bool keyed : {true, false}) {
    ViewModel model(seed + (keyed ? 1 : 0), keyed);
    model.Run(600);
    evicted += model.evicted();
    ranges += model.ranges();
  }
  EXPECT_GT(ranges, 10u);
  EXPECT_GT(evicted, 0u);
}

}  // namespace
}  // namespace millrace::state::view_model_test
