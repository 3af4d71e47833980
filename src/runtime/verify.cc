#include "runtime/verify.h"

#include <map>
#include <memory>

#include "base/overlay_files.h"
#include "base/shared_lock.h"
#include "log/verify.h"
#include "runtime/journal.h"
#include "runtime/model_catalog.h"
#include "runtime/node_state.h"
#include "runtime/recovery.h"
#include "runtime/tables.h"
#include "state/store.h"
#include "state/verify.h"

namespace millrace::runtime {

namespace {

constexpr size_t kVerifyReadBytes = 4 << 20;
constexpr size_t kVerifyMemoryBytes = 64 << 20;

class Verification {
 public:
  Verification(std::string directory, const VerifyWatcher& watcher)
      : directory_(std::move(directory)), watcher_(watcher) {}

  Result<Verified> Run() {
    TRY(Lock());
    TRY(const bool has_log, Files::System().Exists(directory_ + "/wal/checkpoint"));
    if (!has_log)
      return Error(Code::kNotFound, "{} is no data directory: it has no wal/checkpoint",
                   directory_);
    const auto file_damaged = [this](const std::string& path, const std::string& problem) {
      watcher_.damaged(path + ": " + problem);
    };
    TRY(log::VerifySmallFiles(Files::System(), directory_, file_damaged));
    TRY(VerifyLog());
    TRY(const bool has_state, Files::System().Exists(directory_ + "/state"));
    if (has_state) {
      TRY(state::VerifyFiles(directory_ + "/state", {file_damaged, [this](uint64_t bytes) {
                                                       verified_.bytes += bytes;
                                                       watcher_.read(bytes);
                                                     }}));
      TRY(VerifyNodeState());
    }
    return verified_;
  }

 private:
  Status Lock() {
    auto lock = LockShared(directory_ + "/lock");
    if (lock.ok()) {
      lock_ = *std::move(lock);
    } else if (lock.error().code() != Code::kNotFound) {  // a backup has none
      return std::move(lock).error().With("verify " + directory_);
    }
    return Ok();
  }

  // Opened with all changes kept in memory, so that what recovery would replay is looked at too.
  Status VerifyLog() {
    log::LogOptions options;
    options.files = &overlay_;
    options.directory = directory_;
    options.manual = true;
    auto opened = log::Log::Open(options);
    if (!opened.ok()) {
      watcher_.damaged("the log cannot be opened: " + opened.error().ToString());
      return Ok();
    }
    log_ = *std::move(opened);
    std::map<log::TopicId, std::string> names;
    for (const log::TopicInfo& topic : log_->Topics()) names[topic.id] = topic.name;
    for (const log::Cut::End& end : log_->DurableCut()->ends)
      TRY(VerifyPartition(names[end.partition.topic], end));
    const auto catalog = ReadCatalog(*log_);
    if (!catalog.ok()) {
      watcher_.damaged(catalog.error().ToString());
    } else {
      VerifyModels(models::ModelStore({nullptr, directory_ + "/models", "", {}}), **catalog,
                   watcher_.damaged);
    }
    VerifyJournal();
    return Ok();
  }

  Status VerifyPartition(const std::string& topic, const log::Cut::End& end) {
    for (log::Offset at = end.start; at < end.end;) {
      TRY(const log::ReadResult read,
          log_->Read(end.partition, {.from = at, .bytes_max = kVerifyReadBytes}));
      for (const log::DamagedRange& range : read.damaged) {
        watcher_.damaged(fmt::format("topic {} partition {}: offsets {} to {} are lost: {}", topic,
                                     end.partition.partition, range.first.value, range.last.value,
                                     range.reason));
      }
      uint64_t bytes = 0;
      for (const log::ReadBatch& batch : read.batches) {
        bytes += batch.bytes.size();
        ++verified_.batches;
        verified_.records += batch.view().record_count();
      }
      verified_.bytes += bytes;
      watcher_.read(bytes);
      if (read.next <= at) break;
      at = read.next;
    }
    return Ok();
  }

  void VerifyJournal() {
    const auto journal = log_->FindTopic(kJournalTopic);
    if (!journal) return;
    const auto cut = log_->DurableCut();
    const log::Cut::End* end = cut->Find({journal->id, 0});
    const Status read = ReadJournal(
        *log_, journal->id, end->start, [&](log::Offset offset, StepRecord record) -> Status {
          ++verified_.steps;
          if (offset == JournalOffset(record.step)) return Ok();
          return Error(Code::kCorruption, "journal: step {} stands at offset {}", record.step.value,
                       offset.value);
        });
    if (!read.ok()) watcher_.damaged(read.error().ToString());
  }

  // Damage that keeps the store from opening was told before.
  Status VerifyNodeState() {
    TRY(const bool there, Files::System().Exists(directory_ + "/state/CURRENT"));
    if (!there) return Ok();
    state::StoreOptions options;
    options.directory = directory_ + "/state";
    options.memory_bytes = kVerifyMemoryBytes;
    options.read_only = true;
    const auto store = state::Store::Open(options);
    if (!store.ok()) return Ok();
    const auto saved = (*store)->Get(kNodeStateTable, kNodeStateKey);
    if (!saved.ok()) {
      watcher_.damaged(saved.error().ToString());
      return Ok();
    }
    if (!saved->has_value()) return Ok();
    const auto state = DecodeNodeState(**saved);
    if (!state.ok()) {
      watcher_.damaged("state: " + state.error().ToString());
    } else if (state->step != (*store)->flushed_step()) {
      watcher_.damaged(fmt::format("the state is of step {}, the node's part of it of step {}",
                                   (*store)->flushed_step().value, state->step.value));
    }
    return Ok();
  }

  const std::string directory_;
  const VerifyWatcher& watcher_;
  std::unique_ptr<FileLock> lock_;
  OverlayFiles overlay_{Files::System()};
  std::unique_ptr<log::Log> log_;
  Verified verified_;
};

}  // namespace

Result<Verified> VerifyData(const std::string& directory, const VerifyWatcher& watcher) {
  return Verification(directory, watcher).Run();
}

}  // namespace millrace::runtime
