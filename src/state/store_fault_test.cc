// A flush either reaches the disk as a whole or not at all, wherever it fails: the n-th change of a
// file fails, for n = 1, 2, … until none does.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>

#include "base/logging.h"
#include "rows/key.h"
#include "state/faulty_rocks_files.h"
#include "state/store.h"
#include "state/tables.h"

namespace millrace::state::store_fault_test {
namespace {

using Fault = FaultyRocksFiles::Fault;
constexpr TableId kCells{1}, kBags{2}, kDropped{3}, kRuntime{4};
constexpr int kKeys = 300;

struct Content {
  std::map<std::string, int64_t> cells;
  std::map<std::string, std::map<std::string, int64_t>> bags;
  std::map<std::string, int64_t> dropped;
  std::map<std::string, std::string> runtime;
  bool operator==(const Content&) const = default;
};

std::string KeyName(int i) { return "key-" + std::to_string(1000 + i); }

int64_t& Cell(WorkerState& state, TableId table, const std::string& key) {
  auto& cells = state.Cells(table, sizeof(int64_t));
  const Key k{key, rows::KeyHash(key)};
  std::vector<std::byte*> found;
  std::vector<uint8_t> created;
  EXPECT_TRUE(cells.FindOrCreate({&k, 1}, found, created).ok());
  cells.Touch(found[0]);
  return *reinterpret_cast<int64_t*>(found[0]);
}

// Step 1 and step 2 each change a part of everything; 2 also deletes and drops.
void ChangeCells(WorkerState& state, Content& content, int64_t step) {
  for (int i = 0; i < kKeys; i += static_cast<int>(step)) {
    content.cells[KeyName(i)] = Cell(state, kCells, KeyName(i)) = 100 * step + i;
  }
  if (step == 1) {
    for (int i = 0; i < 10; ++i) {
      content.dropped[KeyName(i)] = Cell(state, kDropped, KeyName(i)) = i;
    }
    return;
  }
  const std::string name = KeyName(7);
  const Key key{name, rows::KeyHash(name)};
  std::vector<std::byte*> found;
  EXPECT_TRUE(state.Cells(kCells, sizeof(int64_t)).Find({&key, 1}, found).ok());
  state.Cells(kCells, sizeof(int64_t)).Erase(found[0]);
  content.cells.erase(name);
}

void ChangeBags(WorkerState& state, Content& content, int64_t step) {
  auto& bags = state.Bags(kBags, true);
  for (int i = 0; i < 20; ++i) {
    const std::string name = KeyName(i);
    const Key key{name, rows::KeyHash(name)};
    std::vector<BagTable::Group*> groups;
    EXPECT_TRUE(bags.FindOrCreate({&key, 1}, groups).ok());
    for (int row = 0; row < 5; ++row) {
      const std::string bytes = "row " + std::to_string(row * step);
      bags.Add(groups[0], bytes, 3 - 2 * step);
      int64_t& weight = content.bags[name][bytes];
      weight += 3 - 2 * step;
      if (weight == 0) content.bags[name].erase(bytes);
    }
  }
}

std::vector<Mutation> RuntimeChange(Content& content, int64_t step) {
  content.runtime["step"] = std::to_string(step);
  std::vector<Mutation> out{{kRuntime, "step", std::to_string(step)}};
  if (step == 1) {
    content.runtime["gone later"] = "x";
    out.push_back({kRuntime, "gone later", "x"});
  } else {
    content.runtime.erase("gone later");
    out.push_back({kRuntime, "gone later", std::nullopt});
  }
  return out;
}

Content Read(Store& store) {
  Content content;
  WorkerState& state = store.worker(0);
  const auto number = [](const std::byte* cell) {
    int64_t value;
    std::memcpy(&value, cell, sizeof(value));
    return value;
  };
  EXPECT_TRUE(state.Cells(kCells, sizeof(int64_t))
                  .ForEach([&](std::string_view key, const std::byte* cell) {
                    content.cells.emplace(key, number(cell));
                  })
                  .ok());
  EXPECT_TRUE(state.Cells(kDropped, sizeof(int64_t))
                  .ForEach([&](std::string_view key, const std::byte* cell) {
                    content.dropped.emplace(key, number(cell));
                  })
                  .ok());
  auto& bags = state.Bags(kBags, true);
  EXPECT_TRUE(bags.ForEach([&](std::string_view key, const BagTable::Group* group) {
                    std::vector<BagTable::Entry> rows;
                    bags.Rows(group, rows);
                    for (const auto& row : rows) {
                      content.bags[std::string(key)].emplace(row.row, row.weight);
                    }
                  })
                  .ok());
  EXPECT_TRUE(store
                  .Scan(kRuntime, "",
                        [&](std::string_view key, std::string_view value) {
                          content.runtime.emplace(key, value);
                          return Ok();
                        })
                  .ok());
  return content;
}

class StoreFaultTest : public testing::Test {
 protected:
  void SetUp() override {
    SetLogLevel(LogLevel::kOff);  // every failed flush is an error in the log
    directory_ = testing::TempDir() + "/state_fault_" + std::to_string(getpid());
  }
  void TearDown() override {
    SetLogLevel(LogLevel::kWarning);
    std::filesystem::remove_all(directory_);
  }

  // Two flushes, the second one with the fault. Returns whether the fault came up.
  bool RunOnce(Fault fault, int n, const rocksdb::IOStatus& error, bool lose_unsynced) {
    std::filesystem::remove_all(directory_);
    const auto files = std::make_shared<FaultyRocksFiles>();
    const auto env = rocksdb::NewCompositeEnv(files);
    Content old_content, new_content;
    bool fired = false, succeeded = false;
    {
      auto store = Store::Open({.directory = directory_, .env = env.get()});
      EXPECT_TRUE(store.ok()) << store.error().ToString();
      if (!store.ok()) return false;
      WorkerState& state = (*store)->worker(0);
      ChangeCells(state, old_content, 1);
      ChangeBags(state, old_content, 1);
      (*store)->BeginFlush(Step{1}, RuntimeChange(old_content, 1));
      EXPECT_TRUE((*store)->FinishFlush().ok());
      new_content = old_content;
      ChangeCells(state, new_content, 2);
      ChangeBags(state, new_content, 2);
      (*store)->Drop(kDropped);
      new_content.dropped.clear();
      files->Arm(fault, n, error);
      (*store)->BeginFlush(Step{2}, RuntimeChange(new_content, 2));
      succeeded = (*store)->FinishFlush().ok();
      EXPECT_EQ(succeeded, (*store)->health().ok());
      EXPECT_EQ((*store)->flushed_step().value, succeeded ? 2 : 1);
      EXPECT_EQ(succeeded, state.AfterStep().ok());
      if (fault == Fault::kOne) fired = files->Disarm();
    }
    if (fault == Fault::kAllAfter) fired = files->Disarm();
    if (lose_unsynced) files->RestoreDurable(directory_);
    auto store = Store::Open({.directory = directory_, .env = env.get()});
    EXPECT_TRUE(store.ok()) << store.error().ToString();
    if (!store.ok()) return false;
    const int64_t step = (*store)->flushed_step().value;
    if (succeeded) {
      EXPECT_EQ(step, 2);
    }
    EXPECT_TRUE(step == 1 || step == 2) << step;
    EXPECT_TRUE(Read(**store) == (step == 1 ? old_content : new_content)) << "at step " << step;
    return fired;
  }

  // Returns how many places were tried.
  int RunAll(Fault fault, const rocksdb::IOStatus& error, bool lose_unsynced) {
    int n = 1;
    while (true) {
      SCOPED_TRACE(testing::Message() << "change " << n << " fails");
      if (!RunOnce(fault, n, error, lose_unsynced) || HasFailure()) return n;
      ++n;
    }
  }

  std::string directory_;
};

TEST_F(StoreFaultTest, IsAtTheOldOrTheNewStepWhenThePowerFailsAnywhereInAFlush) {
  EXPECT_GT(RunAll(Fault::kAllAfter, rocksdb::IOStatus::IOError("power"), true), 10);
}

TEST_F(StoreFaultTest, IsAtTheOldOrTheNewStepWhenTheProcessDiesAnywhereInAFlush) {
  EXPECT_GT(RunAll(Fault::kAllAfter, rocksdb::IOStatus::IOError("killed"), false), 10);
}

TEST_F(StoreFaultTest, IsAtTheOldOrTheNewStepWhenOneWriteFails) {
  EXPECT_GT(RunAll(Fault::kOne, rocksdb::IOStatus::IOError("EIO"), false), 10);
}

TEST_F(StoreFaultTest, IsAtTheOldOrTheNewStepWhenTheDiskIsFull) {
  EXPECT_GT(RunAll(Fault::kAllAfter, rocksdb::IOStatus::NoSpace("full"), false), 10);
}

}  // namespace
}  // namespace millrace::state::store_fault_test
