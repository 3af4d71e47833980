// Records of a stream → rows, whatever their values are written in: JSON; what names a schema of
// the registry (schemas/wire_format.h), which becomes JSON first, so that the rules of types,
// defaults and errors are the same; or, in a raw stream, the records themselves.
//
// A record's rows depend on its bytes and its frame alone: a schema is known to the records of
// later frames than its own. Not thread-safe: one per thread.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/definitions.h"
#include "log/record_batch.h"
#include "rows/decode.h"
#include "schemas/registry.h"

namespace millrace::ingest {

// Of what is yet to be appended: it may name every schema that there is.
inline constexpr log::FrameSequence kNextFrame{UINT64_MAX};

// What of a record rows are made from. Borrowed.
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

  std::optional<std::string_view> value;
  std::optional<std::string_view> key;
  log::Millis timestamp;
  std::string_view header_bytes;
  int32_t header_count = 0;
  log::FrameSequence frame = kNextFrame;
};

struct RecordFormat {
  catalog::StreamDefinition::Format format = catalog::StreamDefinition::Format::kRows;
  const schemas::Registry* registry = nullptr;  // null: values name no schemas
};

class RecordDecoder {
 public:
  // As JsonDecoder: `wanted` are indexes of schema columns, ascending.
  RecordDecoder(RecordFormat format, const rows::Schema& schema, std::vector<size_t> wanted);
  rows::Decoded Decode(std::span<const Record> records);
  // The same for values that are no records yet.
  rows::Decoded Decode(std::span<const std::string_view> values);

 private:
  rows::Decoded DecodeRaw(std::span<const Record> records);
  // Decodes records from the first on, until what they become is large; adds to `decoded`, and
  // gives how many it were. `first`: the number of the first.
  size_t DecodeSome(std::span<const Record> records, size_t first, rows::Decoded& decoded);
  // The JSON of the value of record `row`. An error is noted in problems_.
  std::string_view TextOf(const Record& record, size_t row);

  const RecordFormat format_;
  const rows::Schema& schema_;
  const std::vector<size_t> wanted_;
  rows::JsonDecoder json_;
  std::deque<std::string> texts_;  // that values have become
  std::vector<rows::RowError> problems_;
  std::shared_ptr<const schemas::RegistryState> registry_;  // while a call runs
};

}  // namespace millrace::ingest
