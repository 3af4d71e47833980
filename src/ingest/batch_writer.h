// The records of one append to a partition, in as many batches as its stream's max_message_bytes
// asks for. Not thread-safe.
#pragma once

#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "catalog/definitions.h"
#include "log/record_batch.h"

namespace millrace::ingest {

class BatchWriter {
 public:
  // A record that is larger than the storage allows has a batch of its own, which the log refuses.
  explicit BatchWriter(const catalog::Storage& storage)
      : bytes_max_(storage.max_message_bytes ? static_cast<size_t>(*storage.max_message_bytes)
                                             : std::numeric_limits<size_t>::max()) {}

  void Add(std::optional<std::string_view> key, std::optional<std::string_view> value,
           log::Millis timestamp, const std::vector<log::Header>& headers = {}) {
    size_t size = key.value_or("").size() + value.value_or("").size() + kRecordOverheadBytes;
    for (const log::Header& header : headers)
      size += header.key.size() + header.value.value_or("").size() + kRecordOverheadBytes;
    if (!builder_.empty() && builder_.size() + size > bytes_max_) builder_.FinishInto(batches_);
    builder_.Add(key, value, timestamp, headers);
    ++records_;
  }

  bool empty() const { return records_ == 0; }
  int32_t records() const { return records_; }
  size_t size() const { return batches_.size() + builder_.size(); }  // bytes, about
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
