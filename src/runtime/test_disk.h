// What a node in a test keeps its data on: the log in memory, the state in a temporary folder. Both
// lose what was not synced when the power fails.
//
//   TestDisk disk;
//   … Node::Start(disk.Options(2)) … disk.CutOff(); node.reset(); disk.ProcessDied(); … start again
#pragma once

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>

#include "base/faulty_files.h"
#include "runtime/node.h"
#include "state/faulty_rocks_files.h"

namespace millrace::runtime {

class TestDisk {
 public:
  TestDisk()
      : directory_(Root() / fmt::format("millrace_{}_{}", getpid(), ++count_)),
        log_files_(std::make_unique<FaultyFiles>()),
        state_files_(std::make_shared<state::FaultyRocksFiles>()),
        state_env_(rocksdb::NewCompositeEnv(state_files_)) {
    std::filesystem::remove_all(directory_);
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
  // The same content on a disk of its own. REQUIRES: no node is on it, no power was lost.
  Result<std::unique_ptr<TestDisk>> Copy() const {
    auto copy = std::make_unique<TestDisk>();
    std::filesystem::copy(directory_, copy->directory_,
                          std::filesystem::copy_options::recursive |
                              std::filesystem::copy_options::overwrite_existing);
    copy->log_files_ = log_files_->AfterCrash();
    TRY(copy->log_files_->Rename(directory_.string(), copy->directory_.string()));
    return copy;
  }

 private:
  // In memory where there is such a place: the faults are ours, and nothing waits for a real disk.
  static std::filesystem::path Root() {
    const std::filesystem::path memory = "/dev/shm";
    return access(memory.c_str(), W_OK) == 0 ? memory : std::filesystem::temp_directory_path();
  }

  static inline std::atomic<int> count_ = 0;
  std::filesystem::path directory_;
  std::unique_ptr<FaultyFiles> log_files_;
  std::shared_ptr<state::FaultyRocksFiles> state_files_;
  std::unique_ptr<rocksdb::Env> state_env_;
};

}  // namespace millrace::runtime
