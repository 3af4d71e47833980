#include "state/verify.h"

#include <rocksdb/db.h>
#include <rocksdb/sst_file_reader.h>

#include <filesystem>

#include "state/store.h"

namespace millrace::state {

Status VerifyFiles(const std::string& directory, const VerifyWatcher& watcher) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() != ".sst") continue;
    rocksdb::Options options;
    rocksdb::SstFileReader reader(options);
    rocksdb::Status status = reader.Open(entry.path().string());
    if (status.ok()) status = reader.VerifyChecksum();
    if (!status.ok()) watcher.damaged(entry.path().string(), status.ToString());
    std::error_code ignored;  // a size for the progress only
    const uint64_t bytes = entry.file_size(ignored);
    if (!ignored) watcher.read(bytes);
  }
  if (error) return Error(Code::kIo, "list {}: {}", directory, error.message());
  // The list of files, with its own checksums, and that all of it is there.
  StoreOptions options;
  options.directory = directory;
  options.memory_bytes = 64 << 20;
  options.read_only = true;
  const auto store = Store::Open(options);
  if (!store.ok()) watcher.damaged(directory, store.error().ToString());
  return Ok();
}

}  // namespace millrace::state
