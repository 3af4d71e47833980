#include "state/careful_files.h"

#include <cstdint>
#include <utility>

namespace millrace::state {
namespace {

// Of the sorted file that this thread writes.
thread_local int64_t entries_written = 0;

class EntryCollector final : public rocksdb::TablePropertiesCollector {
 public:
  EntryCollector() { entries_written = 0; }
  const char* Name() const override { return "millrace.entries"; }
  rocksdb::Status AddUserKey(const rocksdb::Slice&, const rocksdb::Slice&, rocksdb::EntryType,
                             rocksdb::SequenceNumber, uint64_t) override {
    ++entries_written;
    return rocksdb::Status::OK();
  }
  rocksdb::Status Finish(rocksdb::UserCollectedProperties*) override {
    return rocksdb::Status::OK();
  }
  rocksdb::UserCollectedProperties GetReadableProperties() const override { return {}; }
};

class EntryCollectorFactory final : public rocksdb::TablePropertiesCollectorFactory {
 public:
  const char* Name() const override { return "millrace.entries"; }
  rocksdb::TablePropertiesCollector* CreateTablePropertiesCollector(Context) override {
    return new EntryCollector();
  }
};

// Hides the failures of calls on a sorted file without entries.
class SortedFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  explicit SortedFile(std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileOwnerWrapper(std::move(file)) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* debug) override {
    return Unless(FSWritableFileOwnerWrapper::Append(data, options, debug));
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& info,
                           rocksdb::IODebugContext* debug) override {
    return Unless(FSWritableFileOwnerWrapper::Append(data, options, info, debug));
  }
  rocksdb::IOStatus Flush(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return Unless(FSWritableFileOwnerWrapper::Flush(options, debug));
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options,
                         rocksdb::IODebugContext* debug) override {
    return Unless(FSWritableFileOwnerWrapper::Sync(options, debug));
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return Unless(FSWritableFileOwnerWrapper::Fsync(options, debug));
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* debug) override {
    return Unless(FSWritableFileOwnerWrapper::Close(options, debug));
  }

 private:
  static rocksdb::IOStatus Unless(rocksdb::IOStatus status) {
    return entries_written == 0 ? rocksdb::IOStatus::OK() : std::move(status);
  }
};

bool IsSorted(const std::string& path) { return path.ends_with(".sst"); }

}  // namespace

std::shared_ptr<rocksdb::TablePropertiesCollectorFactory> CarefulFiles::EntryCounter() {
  return std::make_shared<EntryCollectorFactory>();
}

rocksdb::IOStatus CarefulFiles::NewWritableFile(const std::string& path,
                                                const rocksdb::FileOptions& options,
                                                std::unique_ptr<rocksdb::FSWritableFile>* result,
                                                rocksdb::IODebugContext* debug) {
  auto status = FileSystemWrapper::NewWritableFile(path, options, result, debug);
  if (status.ok() && IsSorted(path)) *result = std::make_unique<SortedFile>(std::move(*result));
  return status;
}

void CarefulFiles::BeginIngestion() {
  const std::lock_guard lock(mutex_);
  ingesting_ = true;
}

void CarefulFiles::EndIngestion() {
  std::vector<std::string> paths;
  {
    const std::lock_guard lock(mutex_);
    ingesting_ = false;
    paths = std::exchange(put_off_, {});
  }
  // A file that cannot be deleted now is deleted when the store is opened next.
  for (const std::string& path : paths) {
    FileSystemWrapper::DeleteFile(path, {}, nullptr).PermitUncheckedError();
  }
}

rocksdb::IOStatus CarefulFiles::DeleteFile(const std::string& path,
                                           const rocksdb::IOOptions& options,
                                           rocksdb::IODebugContext* debug) {
  if (IsSorted(path)) {
    const std::lock_guard lock(mutex_);
    if (ingesting_) {
      put_off_.push_back(path);
      return rocksdb::IOStatus::OK();
    }
  }
  return FileSystemWrapper::DeleteFile(path, options, debug);
}

}  // namespace millrace::state
