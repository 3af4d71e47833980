// Records of a stream → rows, whatever their values are written in: JSON; what names a schema of
// the registry (schema_values.h), which becomes JSON first, so that the rules of types, defaults
// and errors are the same; or, in a raw stream, the records themselves.
//
// A record's rows depend on its bytes and its frame alone. Not thread-safe: one per thread.
#pragma once

#include <deque>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/definitions.h"
#include "ingest/record.h"
#include "ingest/schema_values.h"
#include "rows/decode.h"

namespace millrace::ingest {

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
  rows::JsonDecoder& Json();
  // What record `row` has to be read as: JSON. What cannot become that is noted in problems_.
  std::string_view TextOf(const Record& record, size_t row);

  const RecordFormat format_;
  const rows::Schema& schema_;
  const std::vector<size_t> wanted_;
  std::optional<rows::JsonDecoder> json_;  // made with the first record: many streams have none
  SchemaValues by_schema_;
  std::deque<std::string> texts_;  // that values have become
  std::vector<rows::RowError> problems_;
};

}  // namespace millrace::ingest
