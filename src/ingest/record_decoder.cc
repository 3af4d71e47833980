#include "ingest/record_decoder.h"

#include <algorithm>

#include "catalog/raw_stream.h"

namespace millrace::ingest {

namespace {

using duckdb::LogicalType;
using duckdb::Value;

// Values become JSON in portions of about this size.
constexpr size_t kTextBytesMax = size_t{8} << 20;

Value BlobOrNull(const std::optional<std::string_view>& bytes) {
  if (!bytes) return Value(LogicalType::BLOB);
  return Value::BLOB(duckdb::const_data_ptr_cast(bytes->data()), bytes->size());
}

// nullopt: the name of one is not UTF-8.
std::optional<Value> HeadersOf(log::HeaderCursor headers, const LogicalType& list_type) {
  duckdb::vector<Value> list;
  while (headers.Next()) {
    const std::string name(headers.header().key);
    if (!Value::StringIsValid(name)) return std::nullopt;
    list.push_back(
        Value::STRUCT({{"key", Value(name)}, {"value", BlobOrNull(headers.header().value)}}));
  }
  return Value::LIST(duckdb::ListType::GetChildType(list_type), std::move(list));
}

Value RawValue(size_t column, const Record& record, const Value& headers) {
  switch (column) {
    case catalog::kRawKey:
      return BlobOrNull(record.key);
    case catalog::kRawValue:
      return BlobOrNull(record.value);
    case catalog::kRawHeaders:
      return headers;
    default:
      return Value::TIMESTAMP(duckdb::timestamp_t(record.timestamp.value * 1000));
  }
}

}  // namespace

RecordDecoder::RecordDecoder(RecordFormat format, const rows::Schema& schema,
                             std::vector<size_t> wanted)
    : format_(format), schema_(schema), wanted_(std::move(wanted)), by_schema_(format.registry) {}

rows::JsonDecoder& RecordDecoder::Json() {
  if (!json_) json_.emplace(schema_, wanted_);
  return *json_;
}

rows::Decoded RecordDecoder::Decode(std::span<const std::string_view> values) {
  const bool rows = format_.format != catalog::StreamDefinition::Format::kRaw;
  if (rows && std::none_of(values.begin(), values.end(), SchemaValues::Begins))
    return Json().Decode(values);
  const std::vector<Record> records(values.begin(), values.end());
  return Decode(records);
}

rows::Decoded RecordDecoder::Decode(std::span<const Record> records) {
  if (format_.format == catalog::StreamDefinition::Format::kRaw) return DecodeRaw(records);
  rows::Decoded decoded;
  for (size_t first = 0; first < records.size();)
    first += DecodeSome(records.subspan(first), first, decoded);
  by_schema_.Rest();
  return decoded;
}

size_t RecordDecoder::DecodeSome(std::span<const Record> records, size_t first,
                                 rows::Decoded& decoded) {
  texts_.clear();
  problems_.clear();
  std::vector<std::string_view> values;
  values.reserve(records.size());
  size_t text_bytes = 0;
  for (size_t i = 0; i < records.size() && text_bytes < kTextBytesMax; ++i) {
    const size_t texts = texts_.size();
    values.push_back(TextOf(records[i], i));
    if (texts_.size() > texts) text_bytes += values.back().size();
  }
  rows::Decoded part = Json().Decode(values);
  // What became no JSON has failed as such; the reason is another.
  for (rows::RowError& error : part.errors) {
    const auto problem =
        std::lower_bound(problems_.begin(), problems_.end(), error.row,
                         [](const rows::RowError& known, size_t row) { return known.row < row; });
    if (problem != problems_.end() && problem->row == error.row) error = *problem;
  }
  if (first == 0) {
    decoded = std::move(part);
    return values.size();
  }
  for (uint32_t& input : part.inputs) input += static_cast<uint32_t>(first);
  for (rows::RowError& error : part.errors) error.row += first;
  std::move(part.chunks.begin(), part.chunks.end(), std::back_inserter(decoded.chunks));
  decoded.inputs.insert(decoded.inputs.end(), part.inputs.begin(), part.inputs.end());
  std::move(part.errors.begin(), part.errors.end(), std::back_inserter(decoded.errors));
  decoded.unknown_fields += part.unknown_fields;
  if (decoded.first_unknown_field.empty())
    decoded.first_unknown_field = std::move(part.first_unknown_field);
  return values.size();
}

std::string_view RecordDecoder::TextOf(const Record& record, size_t row) {
  std::optional<Result<std::string>> json = by_schema_.JsonOf(SchemaValues::Part::kValue, record);
  if (!json) return record.value.value_or(std::string_view());
  if (json->ok()) return texts_.emplace_back(std::move(*json).value());
  problems_.push_back({row, "schema", "", json->error().message()});
  return {};
}

rows::Decoded RecordDecoder::DecodeRaw(std::span<const Record> records) {
  rows::Decoded decoded;
  rows::Types types;
  for (const size_t column : wanted_) types.push_back(schema_.columns[column].type);
  const bool wants_headers =
      std::find(wanted_.begin(), wanted_.end(), catalog::kRawHeaders) != wanted_.end();
  const LogicalType& headers_type = schema_.columns[catalog::kRawHeaders].type;
  for (size_t i = 0; i < records.size(); ++i) {
    std::optional<Value> headers =
        wants_headers ? HeadersOf(records[i].headers(), headers_type) : Value();
    if (!headers) {
      decoded.errors.push_back({i, "encoding", schema_.columns[catalog::kRawHeaders].name,
                                "the name of a header is not UTF-8"});
      continue;
    }
    if (decoded.chunks.empty() || decoded.chunks.back()->size() == STANDARD_VECTOR_SIZE) {
      decoded.chunks.push_back(std::make_unique<duckdb::DataChunk>());
      if (types.empty()) {
        decoded.chunks.back()->InitializeEmpty(types);
      } else {
        decoded.chunks.back()->Initialize(duckdb::Allocator::DefaultAllocator(), types);
      }
    }
    duckdb::DataChunk& chunk = *decoded.chunks.back();
    for (size_t c = 0; c < wanted_.size(); ++c)
      chunk.SetValue(c, chunk.size(), RawValue(wanted_[c], records[i], *headers));
    chunk.SetCardinality(chunk.size() + 1);
    decoded.inputs.push_back(static_cast<uint32_t>(i));
  }
  return decoded;
}

}  // namespace millrace::ingest
