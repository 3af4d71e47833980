// The records of one append to a partition, in as many batches as its stream's max_message_bytes
// asks for. Not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "log/record_batch.h"

namespace millrace::ingest {

class BatchWriter {
 public:
  // `bytes_max`: of a batch; a record that is larger has one of its own.
  explicit BatchWriter(size_t bytes_max) : bytes_max_(bytes_max) {}

  void Add(std::optional<std::string_view> key, std::string_view value, log::Millis timestamp,
           const std::vector<log::Header>& headers = {}) {
    size_t size = key.value_or("").size() + value.size() + kRecordOverheadBytes;
    for (const log::Header& header : headers)
      size += header.key.size() + header.value.value_or("").size() + kRecordOverheadBytes;
    if (!builder_.empty() && builder_.size() + size > bytes_max_) builder_.FinishInto(batches_);
    builder_.Add(key, value, timestamp, headers);
    ++records_;
  }

  bool empty() const { return records_ == 0; }
  int32_t records() const { return records_; }
  // REQUIRES: !empty().
  std::string Finish() {
    if (batches_.empty()) return builder_.Finish();
    builder_.FinishInto(batches_);
    return std::move(batches_);
  }

 private:
  // Lengths, offset and timestamp of a record, at most.
  static constexpr size_t kRecordOverheadBytes = 40;

  size_t bytes_max_;
  log::RecordBatchBuilder builder_;
  std::string batches_;  // those that are full
  int32_t records_ = 0;
};

}  // namespace millrace::ingest
