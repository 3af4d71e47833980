// For tests of a whole node: a disk that can fail, and a node on it.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/faulty_files.h"
#include "base/logging.h"
#include "runtime/node.h"
#include "state/faulty_rocks_files.h"

namespace millrace::runtime {

// What a node keeps its data on: the log in memory, the state in a temporary folder, both of which
// lose what was not synced when the power fails.
class TestDisk {
 public:
  TestDisk()
      : directory_(std::filesystem::path(testing::TempDir()) /
                   fmt::format("node_{}_{}", getpid(), ++count_)),
        log_files_(std::make_unique<FaultyFiles>()),
        state_files_(std::make_shared<state::FaultyRocksFiles>()),
        state_env_(rocksdb::NewCompositeEnv(state_files_)) {
    std::filesystem::create_directories(directory_);
  }
  ~TestDisk() { std::filesystem::remove_all(directory_); }

  NodeOptions Options(int workers = 2) const {
    NodeOptions options;
    options.data_directory = directory_.string();
    options.project_directory = directory_.string();
    options.workers = workers;
    options.memory_bytes = size_t{1} << 30;
    options.files = log_files_.get();
    options.state_env = state_env_.get();
    return options;
  }
  FaultyFiles& log_files() { return *log_files_; }
  state::FaultyRocksFiles& state_files() { return *state_files_; }

  // The power fails at the n-th call (log) or change (state) from now on.
  void LosePowerInLog(uint64_t nth) { log_files_->LosePowerAt(nth); }
  void LosePowerInState(int nth) {
    state_files_->Arm(state::FaultyRocksFiles::Fault::kAllAfter, nth,
                      rocksdb::IOStatus::IOError("power"));
  }
  // From now on nothing reaches the disk, as when the process is killed.
  void CutOff() {
    LosePowerInLog(1);
    LosePowerInState(1);
  }
  // After a node on it has died by CutOff or a loss of power: what the next one finds.
  // REQUIRES: no node is on it.
  void PowerIsBack(uint64_t seed) {
    log_files_ = log_files_->AfterPowerLoss({.keep_some = true, .seed = seed});
    state_files_->Disarm();
    state_files_->RestoreDurable(directory_.string() + "/state");
  }
  void ProcessDied() {
    log_files_ = log_files_->AfterCrash();
    state_files_->Disarm();
  }
  // The same content on a disk of its own. REQUIRES: no node is on it.
  std::unique_ptr<TestDisk> Copy() const {
    auto copy = std::make_unique<TestDisk>();
    std::filesystem::copy(directory_, copy->directory_,
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
    copy->log_files_ = log_files_->AfterCrash();
    EXPECT_TRUE(copy->log_files_->Rename(directory_.string(), copy->directory_.string()).ok());
    return copy;
  }

 private:
  static inline int count_ = 0;
  std::filesystem::path directory_;
  std::unique_ptr<FaultyFiles> log_files_;
  std::shared_ptr<state::FaultyRocksFiles> state_files_;
  std::unique_ptr<rocksdb::Env> state_env_;
};

// A result as texts.
using Rows = std::vector<std::vector<std::string>>;
inline Rows Query(Node& node, const std::string& text) {
  const auto result = node.Execute(text, {});
  EXPECT_TRUE(result.ok()) << text << "\n" << result.error().ToString();
  Rows rows;
  if (!result.ok() || !result->rows) return rows;
  for (const auto& chunk : result->rows->chunks) {
    for (size_t i = 0; i < chunk->size(); ++i) {
      std::vector<std::string>& row = rows.emplace_back();
      for (size_t j = 0; j < chunk->ColumnCount(); ++j) {
        row.push_back(chunk->GetValue(j, i).ToString());
      }
    }
  }
  return rows;
}

// Rows that a materialized view has too many or lacks against DuckDB's answer to its query over
// what it reads; none where they are equal.
inline Rows Difference(Node& node, const std::string& view) {
  const Rows query =
      Query(node, fmt::format("SELECT query FROM millrace.views WHERE name = '{}'", view));
  EXPECT_EQ(query.size(), 1u) << view;
  if (query.size() != 1) return {};
  return Query(node, fmt::format("SELECT '-', * FROM (FROM {0} EXCEPT ALL ({1})) UNION ALL BY NAME"
                                 " SELECT '+', * FROM (({1}) EXCEPT ALL FROM {0})",
                                 view, query[0][0]));
}

// From the environment variable MILLRACE_SEED, else `otherwise`; printed, so that a failure can be
// replayed.
inline uint64_t SeedOf(uint64_t otherwise) {
  const char* text = std::getenv("MILLRACE_SEED");
  const uint64_t seed = text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
  std::fprintf(stderr, "MILLRACE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace millrace::runtime
