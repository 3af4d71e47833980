#include "rows/csv_decode.h"

#include <simdjson.h>

#include <algorithm>

#include "base/check.h"
#include "rows/encode.h"
#include "rows/json_text.h"
#include "rows/json_value.h"
#include "rows/parse_value.h"

namespace millrace::rows {
namespace {

using duckdb::LogicalTypeId;

// How a column's text becomes JSON.
enum class Shape {
  kText,     // a string; JsonDecoder casts it
  kInteger,  // bare where it is a plain integer
  kNumber,   // bare where it is a plain decimal
  kBool,     // bare where it is true or false
  kBlob,     // \x… to base64
  kJson,     // must be JSON, stands bare
  kNested,   // bare where it is JSON
};

Shape ShapeOf(const duckdb::LogicalType& type) {
  if (type.IsJSONType()) return Shape::kJson;
  switch (type.id()) {
    case LogicalTypeId::BOOLEAN:
      return Shape::kBool;
    case LogicalTypeId::BLOB:
      return Shape::kBlob;
    case LogicalTypeId::DECIMAL:
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
      return Shape::kNumber;
    case LogicalTypeId::LIST:
    case LogicalTypeId::ARRAY:
    case LogicalTypeId::STRUCT:
    case LogicalTypeId::MAP:
      return Shape::kNested;
    default:
      return type.IsIntegral() ? Shape::kInteger : Shape::kText;
  }
}

struct HeaderColumn {
  std::string name;
  std::string prefix;  // "name":
  Shape shape = Shape::kText;
  duckdb::LogicalType type = duckdb::LogicalType::VARCHAR;
};

}  // namespace

struct CsvToJson::Impl {
  Impl(const Schema& schema_in, CsvOptions options) : schema(schema_in), reader(options) {}

  Schema schema;
  CsvReader reader;
  std::vector<HeaderColumn> header;
  bool has_header = false;
  uint64_t records = 0;
  std::string scratch;

  Status Header(const CsvReader::Record& record);
  Status Take(const CsvReader::Record& record, Rows& rows);
  void AppendField(const HeaderColumn& column, const CsvReader::Field& field, Rows& rows);
  void Fail(Rows& rows, std::string kind, std::string column, std::string message) const {
    rows.errors.push_back(
        {static_cast<size_t>(records), std::move(kind), std::move(column), std::move(message)});
  }
};

Status CsvToJson::Impl::Header(const CsvReader::Record& record) {
  for (const CsvReader::Field& field : record.fields) {
    const std::string name(field.text);
    if (!simdjson::validate_utf8(name)) {
      return Error(Code::kInvalidArgument, "CSV header: a column name is not valid UTF-8");
    }
    if (name.empty()) {
      return Error(Code::kInvalidArgument, "CSV header: column {} has no name", header.size() + 1);
    }
    for (const HeaderColumn& other : header) {
      if (!EqualNames(other.name, name)) continue;
      return Error(Code::kInvalidArgument, "CSV header: column {} stands twice", Quoted(name));
    }
    HeaderColumn column;
    column.name = name;
    AppendJsonString(name, column.prefix);
    column.prefix.push_back(':');
    if (const auto index = schema.FindField(name)) {
      column.type = schema.columns[*index].type;
      column.shape = ShapeOf(column.type);
    }
    header.push_back(std::move(column));
  }
  has_header = true;
  return Ok();
}

void CsvToJson::Impl::AppendField(const HeaderColumn& column, const CsvReader::Field& field,
                                  Rows& rows) {
  const std::string_view text = field.text;
  std::string& out = rows.text;
  if (text.empty() && !field.quoted) {
    out += "null";
    return;
  }
  bool bare = false;
  switch (column.shape) {
    case Shape::kText:
      break;
    // Only where a JSON number means what the text means: CAST rounds a fraction, JSON's rules
    // refuse it.
    case Shape::kInteger:
      bare = IsJsonNumber(text) && text.find_first_of(".eE") == std::string_view::npos;
      break;
    case Shape::kNumber:
      bare = IsJsonNumber(text) && text.find_first_of("eE") == std::string_view::npos;
      break;
    case Shape::kBool:
      bare = text == "true" || text == "false";
      break;
    case Shape::kBlob: {
      const auto value = ParseValue(text, column.type);
      if (!value.ok()) {
        return Fail(rows, "type", column.name,
                    fmt::format("column {}: {}", Quoted(column.name), value.error().message()));
      }
      out += ValueToJson(*value);
      return;
    }
    case Shape::kJson:
    case Shape::kNested: {
      const size_t before = out.size();
      if (AppendJsonOnOneLine(text, out)) return;
      out.resize(before);
      if (column.shape == Shape::kNested) break;
      AppendJsonString(Shortened(text), scratch);
      Fail(rows, "type", column.name,
           fmt::format("column {}: {} is not a JSON", Quoted(column.name), scratch));
      scratch.clear();
      return;
    }
  }
  if (bare) {
    out += text;
  } else {
    AppendJsonString(text, out);
  }
}

Status CsvToJson::Impl::Take(const CsvReader::Record& record, Rows& rows) {
  const bool blank =
      record.fields.size() == 1 && record.fields[0].text.empty() && !record.fields[0].quoted;
  if (blank && (!has_header || header.size() != 1)) return Ok();
  if (!has_header) return Header(record);
  const size_t begin = rows.text.size();
  const size_t errors = rows.errors.size();
  if (record.malformed) {
    Fail(rows, "syntax", "",
         fmt::format("line {}: text stands behind a closing quote", record.line));
  } else if (record.fields.size() != header.size()) {
    Fail(rows, "syntax", "",
         fmt::format("line {}: {} fields, but the header has {}", record.line, record.fields.size(),
                     header.size()));
  } else {
    rows.text.push_back('{');
    for (size_t i = 0; i < header.size() && rows.errors.size() == errors; ++i) {
      if (i > 0) rows.text.push_back(',');
      rows.text += header[i].prefix;
      AppendField(header[i], record.fields[i], rows);
    }
    rows.text += "}\n";
    const std::string_view object = std::string_view(rows.text).substr(begin);
    if (rows.errors.size() == errors && !simdjson::validate_utf8(object.data(), object.size())) {
      Fail(rows, "encoding", "", fmt::format("line {}: not valid UTF-8", record.line));
    }
  }
  if (rows.errors.size() > errors) {
    rows.text.resize(begin);
  } else {
    rows.ends.push_back(rows.text.size());
    rows.records.push_back(records);
  }
  ++records;
  return Ok();
}

std::vector<std::string_view> CsvToJson::Rows::values() const {
  std::vector<std::string_view> values;
  values.reserve(ends.size());
  size_t begin = 0;
  for (const size_t end : ends) {
    values.push_back(std::string_view(text).substr(begin, end - begin - 1));
    begin = end;
  }
  return values;
}

CsvToJson::CsvToJson(const Schema& schema, CsvOptions options)
    : impl_(std::make_unique<Impl>(schema, options)) {}
CsvToJson::~CsvToJson() = default;
CsvToJson::CsvToJson(CsvToJson&&) noexcept = default;
CsvToJson& CsvToJson::operator=(CsvToJson&&) noexcept = default;

Result<CsvToJson::Rows> CsvToJson::Feed(std::string_view piece) {
  Rows rows;
  TRY(impl_->reader.Feed(piece, [&](const auto& record) { return impl_->Take(record, rows); }));
  return rows;
}

Result<CsvToJson::Rows> CsvToJson::Finish() {
  Rows rows;
  TRY(impl_->reader.Finish([&](const auto& record) { return impl_->Take(record, rows); }));
  if (!impl_->has_header) return Error(Code::kInvalidArgument, "CSV without a header");
  return rows;
}

struct CsvDecoder::Impl {
  Impl(const Schema& schema, CsvOptions options)
      : to_json(schema, options), decoder(schema, schema.all()) {}

  Decoded Decode(const CsvToJson::Rows& rows) {
    const auto values = rows.values();
    Decoded decoded = decoder.Decode(values);
    for (uint32_t& input : decoded.inputs) input = static_cast<uint32_t>(rows.records[input]);
    for (RowError& error : decoded.errors) error.row = static_cast<size_t>(rows.records[error.row]);
    decoded.errors.insert(decoded.errors.end(), rows.errors.begin(), rows.errors.end());
    std::stable_sort(decoded.errors.begin(), decoded.errors.end(),
                     [](const RowError& a, const RowError& b) { return a.row < b.row; });
    return decoded;
  }

  CsvToJson to_json;
  JsonDecoder decoder;
};

CsvDecoder::CsvDecoder(const Schema& schema, CsvOptions options)
    : impl_(std::make_unique<Impl>(schema, options)) {}
CsvDecoder::~CsvDecoder() = default;
CsvDecoder::CsvDecoder(CsvDecoder&&) noexcept = default;
CsvDecoder& CsvDecoder::operator=(CsvDecoder&&) noexcept = default;

Result<Decoded> CsvDecoder::Feed(std::string_view piece) {
  TRY(const CsvToJson::Rows rows, impl_->to_json.Feed(piece));
  return impl_->Decode(rows);
}

Result<Decoded> CsvDecoder::Finish() {
  TRY(const CsvToJson::Rows rows, impl_->to_json.Finish());
  return impl_->Decode(rows);
}

}  // namespace millrace::rows
