// What of a record rows are made from. A value; borrows the record's bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "log/record_batch.h"

namespace millrace::ingest {

// Of what is yet to be appended: it may name every schema that there is.
inline constexpr log::FrameSequence kNextFrame{UINT64_MAX};

struct Record {
  // A row that is no record yet.
  explicit Record(std::string_view bytes) : value(bytes) {}
  Record(const log::RecordView& record, log::FrameSequence appended)
      : value(record.value),
        key(record.key),
        timestamp(record.timestamp),
        header_bytes(record.header_bytes),
        header_count(record.header_count),
        frame(appended) {}

  log::HeaderCursor headers() const { return {header_bytes, header_count}; }

  std::optional<std::string_view> value;
  std::optional<std::string_view> key;
  log::Millis timestamp;
  std::string_view header_bytes;
  int32_t header_count = 0;
  log::FrameSequence frame = kNextFrame;
};

}  // namespace millrace::ingest
