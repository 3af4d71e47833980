#include "rows/encode.h"

#include <simdjson.h>

#include <array>
#include <charconv>
#include <cmath>

#include "base/check.h"
#include "duckdb/common/types/bit.hpp"
#include "duckdb/common/types/uuid.hpp"
#include "rows/json_text.h"
#include "rows/json_value.h"
#include "rows/row_format.h"
#include "rows/temporal_text.h"
#include "rows/value_text.h"

namespace millrace::rows {
namespace {

using duckdb::idx_t;
using duckdb::LogicalTypeId;
using duckdb::PhysicalType;
using duckdb::string_t;
using duckdb::UnifiedVectorFormat;

// How the text of a value stands in JSON.
enum class Form {
  kBare,    // a number, a word, or JSON already
  kQuoted,  // a string that needs no escapes
  kText,    // a string of any bytes
};

constexpr UInt128 kJsonIntegerMax = (UInt128{1} << 63) - 1;

std::string_view View(const string_t& text) { return {text.GetData(), text.GetSize()}; }

template <typename T>
Form Float(T value, std::string& out) {
  return AppendFloat(value, out) ? Form::kBare : Form::kQuoted;
}

// A column, or a part of a nested one. `vector` is for the types that only DuckDB can write.
struct Source {
  const duckdb::LogicalType* type = nullptr;
  duckdb::Vector* vector = nullptr;
  UnifiedVectorFormat format;
  std::vector<Source> children;
  std::vector<std::string> fields;  // names of a STRUCT's fields, as JSON with the colon behind

  void Bind(duckdb::Vector& bound, idx_t count);
  bool IsNull(idx_t row) const { return !format.validity.RowIsValid(format.sel->get_index(row)); }
  template <typename T>
  const T& At(idx_t row) const {
    return reinterpret_cast<const T*>(format.data)[format.sel->get_index(row)];
  }
};

void Source::Bind(duckdb::Vector& bound, idx_t count) {
  vector = &bound;
  type = &bound.GetType();
  bound.ToUnifiedFormat(count, format);
  switch (type->InternalType()) {
    case PhysicalType::STRUCT: {
      auto& entries = duckdb::StructVector::GetEntries(bound);
      children.resize(entries.size());
      for (size_t i = 0; i < entries.size(); ++i) children[i].Bind(*entries[i], count);
      if (!fields.empty() || type->id() != LogicalTypeId::STRUCT) return;
      for (const auto& [name, ignored] : duckdb::StructType::GetChildTypes(*type)) {
        std::string field;
        AppendJsonString(name, field);
        fields.push_back(field + ":");
      }
      return;
    }
    case PhysicalType::LIST:
      children.resize(1);
      return children[0].Bind(duckdb::ListVector::GetEntry(bound),
                              duckdb::ListVector::GetListSize(bound));
    case PhysicalType::ARRAY:
      children.resize(1);
      return children[0].Bind(duckdb::ArrayVector::GetEntry(bound),
                              count * duckdb::ArrayType::GetSize(*type));
    default:
      return;
  }
}

idx_t EnumPosition(const Source& source, idx_t row) {
  switch (source.type->InternalType()) {
    case PhysicalType::UINT8:
      return source.At<uint8_t>(row);
    case PhysicalType::UINT16:
      return source.At<uint16_t>(row);
    default:
      return source.At<uint32_t>(row);
  }
}

// Types whose values never stand in quotes.
bool IsAlwaysBare(LogicalTypeId id) {
  switch (id) {
    case LogicalTypeId::BOOLEAN:
    case LogicalTypeId::TINYINT:
    case LogicalTypeId::SMALLINT:
    case LogicalTypeId::INTEGER:
    case LogicalTypeId::UTINYINT:
    case LogicalTypeId::USMALLINT:
    case LogicalTypeId::UINTEGER:
    case LogicalTypeId::LIST:
    case LogicalTypeId::ARRAY:
    case LogicalTypeId::STRUCT:
    case LogicalTypeId::MAP:
    case LogicalTypeId::UNION:
      return true;
    default:
      return false;
  }
}

class Writer {
 public:
  explicit Writer(TextOptions options) : options_(options) {}

  void Json(const Source& source, idx_t row, std::string& out) const {
    if (source.IsNull(row)) {
      out += "null";
      return;
    }
    const LogicalTypeId id = source.type->id();
    if (id == LogicalTypeId::VARCHAR) {
      const std::string_view text = View(source.At<string_t>(row));
      // JSON stands as it is, on one line; what claims to be JSON and is not is a string.
      const size_t before = out.size();
      if (source.type->IsJSONType() && AppendJsonOnOneLine(text, out)) return;
      out.resize(before);
      return AppendJsonString(text, out);
    }
    if (IsAlwaysBare(id)) {
      Scalar(source, row, BlobText::kBase64, out);
      return;
    }
    const size_t begin = out.size();
    out.push_back('"');  // a guess; taken back where the text stands bare
    const Form form = Scalar(source, row, BlobText::kBase64, out);
    switch (form) {
      case Form::kBare:
        out.erase(begin, 1);
        return;
      case Form::kQuoted:
        out.push_back('"');
        return;
      case Form::kText: {
        const std::string text = out.substr(begin + 1);
        out.resize(begin);
        return AppendJsonString(text, out);
      }
    }
  }

  // Appends the value's text. REQUIRES: it is not NULL.
  Form Scalar(const Source& source, idx_t row, BlobText blob, std::string& out) const;

 private:
  Form WideForm(bool fits) const {
    return fits && !options_.numbers_as_strings ? Form::kBare : Form::kQuoted;
  }
  Form Decimal(const Source& source, idx_t row, std::string& out) const;
  void Elements(const Source& element, idx_t begin, idx_t count, std::string& out) const;
  void Struct(const Source& source, idx_t row, std::string& out) const;
  void Map(const Source& source, idx_t row, std::string& out) const;
  void Union(const Source& source, idx_t row, std::string& out) const;
  // DuckDB's own text, for types that are no columns of ours.
  Form Foreign(const Source& source, idx_t row, std::string& out) const {
    out += source.vector->GetValue(row).ToString();
    return Form::kText;
  }

  TextOptions options_;
};

Form Writer::Decimal(const Source& source, idx_t row, std::string& out) const {
  const int scale = duckdb::DecimalType::GetScale(*source.type);
  Int128 value;
  switch (source.type->InternalType()) {
    case PhysicalType::INT16:
      value = source.At<int16_t>(row);
      break;
    case PhysicalType::INT32:
      value = source.At<int32_t>(row);
      break;
    case PhysicalType::INT64:
      value = source.At<int64_t>(row);
      break;
    default:
      value = Narrow(source.At<duckdb::hugeint_t>(row));
  }
  AppendDecimal(value, scale, out);
  return WideForm(true);
}

void Writer::Elements(const Source& element, idx_t begin, idx_t count, std::string& out) const {
  out.push_back('[');
  for (idx_t i = 0; i < count; ++i) {
    if (i > 0) out.push_back(',');
    Json(element, begin + i, out);
  }
  out.push_back(']');
}

void Writer::Struct(const Source& source, idx_t row, std::string& out) const {
  const idx_t index = source.format.sel->get_index(row);
  out.push_back('{');
  for (size_t i = 0; i < source.children.size(); ++i) {
    if (i > 0) out.push_back(',');
    out += source.fields[i];
    Json(source.children[i], index, out);
  }
  out.push_back('}');
}

void Writer::Map(const Source& source, idx_t row, std::string& out) const {
  const auto& entry = source.At<duckdb::list_entry_t>(row);
  const Source& pairs = source.children[0];
  const Source& keys = pairs.children[0];
  const Source& values = pairs.children[1];
  const bool text = keys.type->id() == LogicalTypeId::VARCHAR && !keys.type->IsJSONType();
  out.push_back(text ? '{' : '[');
  for (idx_t i = 0; i < entry.length; ++i) {
    if (i > 0) out.push_back(',');
    const idx_t at = pairs.format.sel->get_index(entry.offset + i);
    if (!text) out += "{\"key\":";
    Json(keys, at, out);
    out += text ? ":" : ",\"value\":";
    Json(values, at, out);
    if (!text) out.push_back('}');
  }
  out.push_back(text ? '}' : ']');
}

// {"tag": value}, the tag being the member's name.
void Writer::Union(const Source& source, idx_t row, std::string& out) const {
  const idx_t index = source.format.sel->get_index(row);
  const auto tag = source.children[0].At<duckdb::union_tag_t>(index);
  out.push_back('{');
  AppendJsonString(duckdb::UnionType::GetMemberName(*source.type, tag), out);
  out.push_back(':');
  Json(source.children[size_t{tag} + 1], index, out);
  out.push_back('}');
}

Form Writer::Scalar(const Source& source, idx_t row, BlobText blob, std::string& out) const {
  switch (source.type->id()) {
    case LogicalTypeId::BOOLEAN:
      out += source.At<bool>(row) ? "true" : "false";
      return Form::kBare;
    case LogicalTypeId::TINYINT:
      AppendInteger(source.At<int8_t>(row), out);
      return Form::kBare;
    case LogicalTypeId::SMALLINT:
      AppendInteger(source.At<int16_t>(row), out);
      return Form::kBare;
    case LogicalTypeId::INTEGER:
      AppendInteger(source.At<int32_t>(row), out);
      return Form::kBare;
    case LogicalTypeId::BIGINT:
      AppendInteger(source.At<int64_t>(row), out);
      return WideForm(true);
    case LogicalTypeId::UTINYINT:
      AppendInteger(source.At<uint8_t>(row), out);
      return Form::kBare;
    case LogicalTypeId::USMALLINT:
      AppendInteger(source.At<uint16_t>(row), out);
      return Form::kBare;
    case LogicalTypeId::UINTEGER:
      AppendInteger(source.At<uint32_t>(row), out);
      return Form::kBare;
    case LogicalTypeId::UBIGINT:
      AppendInteger(source.At<uint64_t>(row), out);
      return WideForm(source.At<uint64_t>(row) <= kJsonIntegerMax);
    case LogicalTypeId::HUGEINT: {
      const Int128 value = Narrow(source.At<duckdb::hugeint_t>(row));
      AppendSigned(value, out);
      return WideForm(Absolute(value) <= kJsonIntegerMax);
    }
    case LogicalTypeId::UHUGEINT: {
      const UInt128 value = Narrow(source.At<duckdb::uhugeint_t>(row));
      AppendUnsigned(value, out);
      return WideForm(value <= kJsonIntegerMax);
    }
    case LogicalTypeId::DECIMAL:
      return Decimal(source, row, out);
    case LogicalTypeId::FLOAT:
      return Float(source.At<float>(row), out);
    case LogicalTypeId::DOUBLE:
      return Float(source.At<double>(row), out);
    case LogicalTypeId::VARCHAR:
      out += View(source.At<string_t>(row));
      return Form::kText;
    case LogicalTypeId::ENUM:
      out += View(duckdb::EnumType::GetString(*source.type, EnumPosition(source, row)));
      return Form::kText;
    case LogicalTypeId::BLOB:
      if (blob == BlobText::kBase64) {
        AppendBase64(View(source.At<string_t>(row)), out);
      } else {
        out += "\\x";
        AppendHex(View(source.At<string_t>(row)), out);
      }
      return Form::kQuoted;
    case LogicalTypeId::UUID: {
      std::array<char, duckdb::BaseUUID::STRING_SIZE> text;
      duckdb::BaseUUID::ToString(source.At<duckdb::hugeint_t>(row), text.data());
      out.append(text.data(), text.size());
      return Form::kQuoted;
    }
    case LogicalTypeId::DATE:
      AppendDate(source.At<duckdb::date_t>(row), out);
      return Form::kQuoted;
    case LogicalTypeId::TIME:
      AppendTime(source.At<duckdb::dtime_t>(row), out);
      return Form::kQuoted;
    case LogicalTypeId::TIME_NS:
      AppendTimeNs(source.At<duckdb::dtime_ns_t>(row), out);
      return Form::kQuoted;
    case LogicalTypeId::TIME_TZ:
      AppendTimeTz(source.At<duckdb::dtime_tz_t>(row), out);
      return Form::kQuoted;
    case LogicalTypeId::TIMESTAMP_SEC:
      AppendTimestamp(source.At<int64_t>(row), 1, /*utc=*/false, out);
      return Form::kQuoted;
    case LogicalTypeId::TIMESTAMP_MS:
      AppendTimestamp(source.At<int64_t>(row), 1'000, /*utc=*/false, out);
      return Form::kQuoted;
    case LogicalTypeId::TIMESTAMP:
      AppendTimestamp(source.At<int64_t>(row), 1'000'000, /*utc=*/false, out);
      return Form::kQuoted;
    case LogicalTypeId::TIMESTAMP_NS:
      AppendTimestamp(source.At<int64_t>(row), 1'000'000'000, /*utc=*/false, out);
      return Form::kQuoted;
    case LogicalTypeId::TIMESTAMP_TZ:
      AppendTimestamp(source.At<int64_t>(row), 1'000'000, /*utc=*/true, out);
      return Form::kQuoted;
    case LogicalTypeId::INTERVAL:
      AppendInterval(source.At<duckdb::interval_t>(row), out);
      return Form::kQuoted;
    case LogicalTypeId::LIST: {
      const auto& entry = source.At<duckdb::list_entry_t>(row);
      Elements(source.children[0], entry.offset, entry.length, out);
      return Form::kBare;
    }
    case LogicalTypeId::ARRAY: {
      const idx_t size = duckdb::ArrayType::GetSize(*source.type);
      Elements(source.children[0], source.format.sel->get_index(row) * size, size, out);
      return Form::kBare;
    }
    case LogicalTypeId::STRUCT:
      Struct(source, row, out);
      return Form::kBare;
    case LogicalTypeId::MAP:
      Map(source, row, out);
      return Form::kBare;
    case LogicalTypeId::UNION:
      Union(source, row, out);
      return Form::kBare;
    default:
      return Foreign(source, row, out);
  }
}

}  // namespace

struct RowWriter::Impl {
  std::vector<std::string> names;
  Writer writer;
  std::vector<std::string> prefixes;  // "name": of each column
  std::vector<Source> sources;
  std::vector<std::unique_ptr<duckdb::Vector>> flattened;  // of nested columns that were not flat
};

RowWriter::RowWriter(std::vector<std::string> names, TextOptions options)
    : impl_(new Impl{std::move(names), Writer(options), {}, {}, {}}) {
  impl_->prefixes.reserve(impl_->names.size());
  for (const std::string& name : impl_->names) {
    std::string& prefix = impl_->prefixes.emplace_back();
    AppendJsonString(name, prefix);
    prefix.push_back(':');
  }
  impl_->sources.resize(impl_->names.size());
}
RowWriter::~RowWriter() = default;
RowWriter::RowWriter(RowWriter&&) noexcept = default;
RowWriter& RowWriter::operator=(RowWriter&&) noexcept = default;

void RowWriter::Bind(duckdb::DataChunk& rows) {
  Impl& impl = *impl_;
  CHECK(rows.ColumnCount() >= impl.names.size()) << "chunk has fewer columns than the writer";
  impl.flattened.clear();
  for (size_t c = 0; c < impl.names.size(); ++c) {
    duckdb::Vector* vector = &rows.data[c];
    if (IsNested(vector->GetType().InternalType()) &&
        vector->GetVectorType() != duckdb::VectorType::FLAT_VECTOR) {
      impl.flattened.push_back(std::make_unique<duckdb::Vector>(*vector));
      vector = impl.flattened.back().get();
      vector->Flatten(rows.size());
    }
    impl.sources[c].Bind(*vector, rows.size());
  }
}

void RowWriter::JsonValue(size_t row, size_t column, std::string& out) {
  impl_->writer.Json(impl_->sources[column], row, out);
}

void RowWriter::JsonFields(size_t row, std::string& out) {
  for (size_t c = 0; c < impl_->sources.size(); ++c) {
    if (c > 0) out.push_back(',');
    out += impl_->prefixes[c];
    impl_->writer.Json(impl_->sources[c], row, out);
  }
}

void RowWriter::JsonObject(size_t row, std::string& out) {
  out.push_back('{');
  JsonFields(row, out);
  out.push_back('}');
}

void RowWriter::JsonArray(size_t row, std::string& out) {
  out.push_back('[');
  for (size_t c = 0; c < impl_->sources.size(); ++c) {
    if (c > 0) out.push_back(',');
    impl_->writer.Json(impl_->sources[c], row, out);
  }
  out.push_back(']');
}

bool RowWriter::Text(size_t row, size_t column, std::string& out) {
  const Source& source = impl_->sources[column];
  if (source.IsNull(row)) return false;
  impl_->writer.Scalar(source, row, BlobText::kEscaped, out);
  return true;
}

void RowWriter::CsvRow(size_t row, std::string& out) {
  for (size_t c = 0; c < impl_->sources.size(); ++c) {
    if (c > 0) out.push_back(',');
    const Source& source = impl_->sources[c];
    if (source.IsNull(row)) continue;
    const size_t begin = out.size();
    const Form form = impl_->writer.Scalar(source, row, BlobText::kEscaped, out);
    if (form == Form::kText || source.type->IsNested()) QuoteCsvField(begin, out);
  }
  out.push_back('\n');
}

void RowWriter::CsvHeader(std::string& out) const {
  for (size_t c = 0; c < impl_->names.size(); ++c) {
    if (c > 0) out.push_back(',');
    AppendCsvField(impl_->names[c], out);
  }
  out.push_back('\n');
}

std::string ValueToJson(const duckdb::Value& value, TextOptions options) {
  duckdb::Vector vector(value);
  vector.Flatten(1);
  Source source;
  source.Bind(vector, 1);
  std::string out;
  Writer(options).Json(source, 0, out);
  return out;
}

}  // namespace millrace::rows
