#include "schemas/avro_json.h"

#include <simdjson.h>

#include <algorithm>

#include "base/coding.h"
#include "duckdb.hpp"
#include "rows/json_text.h"
#include "rows/temporal_text.h"
#include "rows/value_text.h"
#include "schemas/json_limit.h"
#include "schemas/wire_format.h"

namespace millrace::schemas {

namespace {

// Values may nest this deep: a type that refers to itself may go on for ever.
constexpr int kDepthMax = rows::kJsonDepthMax;
// What DuckDB's widest decimal holds.
constexpr int kDecimalDigitsMax = 38;
constexpr rows::UInt128 kDecimalEnd =
    rows::UInt128{10'000'000'000'000'000'000u} * 10'000'000'000'000'000'000u;

class Writer {
 public:
  Writer(std::string_view bytes, std::string& out)
      : reader_(bytes), out_(out), out_bytes_max_(out.size() + JsonBytesMax(bytes.size())) {}

  size_t remaining() const { return reader_.remaining(); }

  Status Value(const AvroType& type, int depth) {
    if (depth > kDepthMax) return Error(Code::kTooLarge, "nested deeper than {}", kDepthMax);
    if (out_.size() > out_bytes_max_)
      return Error(Code::kTooLarge, "the value is too long as JSON for its size");
    switch (type.kind) {
      case AvroKind::kNull:
        out_ += "null";
        return Ok();
      case AvroKind::kBoolean:
        return Boolean();
      case AvroKind::kInt:
        return Int(type);
      case AvroKind::kLong:
        return Long(type);
      case AvroKind::kFloat:
        return Float<float>();
      case AvroKind::kDouble:
        return Float<double>();
      case AvroKind::kBytes: {
        TRY(const std::string_view bytes, LengthAndBytes());
        return Bytes(type, bytes);
      }
      case AvroKind::kString:
        return String();
      case AvroKind::kRecord:
        return Record(type, depth);
      case AvroKind::kEnum:
        return Enum(type);
      case AvroKind::kArray:
        return Array(type, depth);
      case AvroKind::kMap:
        return Map(type, depth);
      case AvroKind::kFixed: {
        TRY(const std::string_view bytes, reader_.Raw(type.size));
        return Bytes(type, bytes);
      }
      case AvroKind::kUnion: {
        TRY(const int64_t branch, reader_.Zigzag());
        if (branch < 0 || static_cast<uint64_t>(branch) >= type.branches.size())
          return Error(Code::kCorruption, "a union has no branch {}", branch);
        return Value(*type.branches[static_cast<size_t>(branch)], depth + 1);
      }
    }
    return Error(Code::kInternal, "an Avro type of no kind");
  }

 private:
  Status Boolean() {
    TRY(const auto byte, reader_.Fixed<uint8_t>());
    if (byte > 1) return Error(Code::kCorruption, "{} is no boolean", byte);
    out_ += byte == 1 ? "true" : "false";
    return Ok();
  }

  Status Int(const AvroType& type) {
    TRY(const int64_t value, reader_.Zigzag());
    if (value < INT32_MIN || value > INT32_MAX)
      return Error(Code::kCorruption, "{} is no int", value);
    if (type.logical == AvroLogical::kDate) {
      out_ += '"';
      rows::AppendDate(duckdb::date_t(static_cast<int32_t>(value)), out_);
      out_ += '"';
    } else if (type.logical == AvroLogical::kTimeMillis) {
      return Time(value, 1000);
    } else {
      fmt::format_to(std::back_inserter(out_), "{}", value);
    }
    return Ok();
  }

  Status Long(const AvroType& type) {
    TRY(const int64_t value, reader_.Zigzag());
    switch (type.logical) {
      case AvroLogical::kTimeMicros:
        return Time(value, 1);
      case AvroLogical::kTimestampMillis:
        return Timestamp(value, 1'000, true);
      case AvroLogical::kTimestampMicros:
        return Timestamp(value, 1'000'000, true);
      case AvroLogical::kTimestampNanos:
        return Timestamp(value, 1'000'000'000, true);
      case AvroLogical::kLocalTimestampMillis:
        return Timestamp(value, 1'000, false);
      case AvroLogical::kLocalTimestampMicros:
        return Timestamp(value, 1'000'000, false);
      case AvroLogical::kLocalTimestampNanos:
        return Timestamp(value, 1'000'000'000, false);
      default:
        fmt::format_to(std::back_inserter(out_), "{}", value);
        return Ok();
    }
  }

  Status Time(int64_t value, int64_t micros_per_unit) {
    constexpr int64_t kDay = int64_t{24} * 3600 * 1'000'000;
    if (value < 0 || value > kDay / micros_per_unit)
      return Error(Code::kCorruption, "{} is no time of day", value);
    out_ += '"';
    rows::AppendTime(duckdb::dtime_t(value * micros_per_unit), out_);
    out_ += '"';
    return Ok();
  }

  Status Timestamp(int64_t value, int64_t units_per_second, bool utc) {
    out_ += '"';
    rows::AppendTimestamp(value, units_per_second, utc, out_);
    out_ += '"';
    return Ok();
  }

  template <typename T>
  Status Float() {
    TRY(const auto value, reader_.Fixed<T>());
    rows::AppendJsonFloat(value, out_);
    return Ok();
  }

  Result<std::string_view> LengthAndBytes() {
    TRY(const int64_t size, reader_.Zigzag());
    if (size < 0) return Error(Code::kCorruption, "a length of {}", size);
    return reader_.Raw(static_cast<size_t>(size));
  }

  Status String() {
    TRY(const std::string_view text, LengthAndBytes());
    if (!simdjson::validate_utf8(text.data(), text.size()))
      return Error(Code::kCorruption, "a string is not UTF-8");
    rows::AppendJsonString(text, out_);
    return Ok();
  }

  Status Bytes(const AvroType& type, std::string_view bytes) {
    if (type.logical == AvroLogical::kDecimal) return Decimal(type, bytes);
    out_ += '"';
    if (type.logical == AvroLogical::kUuid) {
      Guid guid;
      std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(guid.data()));
      out_ += GuidText(guid);
    } else if (type.logical == AvroLogical::kDuration) {
      fmt::format_to(std::back_inserter(out_), "{} months {} days {} milliseconds",
                     GetFixed<uint32_t>(bytes.data()), GetFixed<uint32_t>(bytes.data() + 4),
                     GetFixed<uint32_t>(bytes.data() + 8));
    } else {
      rows::AppendBase64(bytes, out_);
    }
    out_ += '"';
    return Ok();
  }

  // Big-endian two's complement, as many bytes as there are.
  Status Decimal(const AvroType& type, std::string_view bytes) {
    const bool negative = !bytes.empty() && (bytes.front() & 0x80) != 0;
    const char fill = negative ? '\xff' : '\0';
    while (bytes.size() > sizeof(rows::Int128) && bytes.front() == fill) bytes.remove_prefix(1);
    auto bits = negative ? ~rows::UInt128{0} : rows::UInt128{0};
    for (const char byte : bytes) bits = bits << 8 | static_cast<uint8_t>(byte);
    const auto value = static_cast<rows::Int128>(bits);
    if (bytes.size() > sizeof(value) || (value < 0) != negative ||
        rows::Absolute(value) >= kDecimalEnd)
      return Error(Code::kTooLarge, "a decimal of more than {} digits", kDecimalDigitsMax);
    rows::AppendDecimal(value, type.scale, out_);
    return Ok();
  }

  Status Enum(const AvroType& type) {
    TRY(const int64_t index, reader_.Zigzag());
    if (index < 0 || static_cast<uint64_t>(index) >= type.symbols.size())
      return Error(Code::kCorruption, "{} has no symbol {}", type.Describe(), index);
    rows::AppendJsonString(type.symbols[static_cast<size_t>(index)], out_);
    return Ok();
  }

  Status Record(const AvroType& type, int depth) {
    out_ += '{';
    bool first = true;
    for (const AvroType::Field& field : type.fields) {
      if (!first) out_ += ',';
      first = false;
      rows::AppendJsonString(field.name, out_);
      out_ += ':';
      TRY(Value(*field.type, depth + 1).With(field.name));
    }
    out_ += '}';
    return Ok();
  }

  // Arrays and maps come in blocks; a negative count is followed by the block's size in bytes.
  template <typename Item>
  Status Blocks(const Item& item) {
    bool first = true;
    while (true) {
      TRY(int64_t count, reader_.Zigzag());
      if (count == 0) return Ok();
      if (count < 0) {
        if (count == INT64_MIN) return Error(Code::kCorruption, "a block of {} items", count);
        count = -count;
        TRY([[maybe_unused]] const int64_t bytes, reader_.Zigzag());
      }
      for (int64_t i = 0; i < count; ++i) {
        if (!first) out_ += ',';
        first = false;
        TRY(item());
      }
    }
  }

  Status Array(const AvroType& type, int depth) {
    out_ += '[';
    TRY(Blocks([&] { return Value(*type.element, depth + 1); }));
    out_ += ']';
    return Ok();
  }

  Status Map(const AvroType& type, int depth) {
    out_ += '{';
    TRY(Blocks([&]() -> Status {
      TRY(String());
      out_ += ':';
      return Value(*type.element, depth + 1);
    }));
    out_ += '}';
    return Ok();
  }

  Reader reader_;
  std::string& out_;
  const size_t out_bytes_max_;
};

}  // namespace

Status AvroToJson(const AvroSchema& schema, std::string_view bytes, std::string& out) {
  Writer writer(bytes, out);
  TRY(writer.Value(schema.root(), 0));
  if (writer.remaining() > 0)
    return Error(Code::kCorruption, "{} bytes are left behind the value", writer.remaining());
  return Ok();
}

}  // namespace millrace::schemas
