// Between RocksDB's types and ours.
#pragma once

#include <rocksdb/slice.h>
#include <rocksdb/status.h>

#include <string_view>
#include <utility>

#include "base/error.h"

namespace millrace::state {

inline Error FromRocks(const rocksdb::Status& status, std::string_view action) {
  const Code code = status.IsCorruption()                      ? Code::kCorruption
                    : status.IsIOError() || status.IsNoSpace() ? Code::kIo
                                                               : Code::kInternal;
  Error error(code, "{}: {}", action, status.ToString());
  if (!status.IsNoSpace()) return error;
  return std::move(error).Hint("free space on the disk, then start the node again");
}
inline rocksdb::Slice ToSlice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
inline std::string_view FromSlice(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

}  // namespace millrace::state
