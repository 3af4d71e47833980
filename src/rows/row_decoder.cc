// RowDecoder. Column by column with one cursor per row; every read is checked against the row's
// end.
#include <cstring>
#include <optional>

#include "base/check.h"
#include "rows/row_codec.h"
#include "rows/row_format.h"
#include "rows/scalar.h"

namespace millrace::rows {
namespace {

using duckdb::FlatVector;
using duckdb::idx_t;
using duckdb::PhysicalType;
using duckdb::string_t;
using duckdb::Vector;

struct Cursor {
  const char* at;
  const char* end;
  size_t left() const { return static_cast<size_t>(end - at); }
};

bool GetVarint(Cursor& cursor, uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (cursor.at == cursor.end) return false;
    const auto byte = static_cast<uint8_t>(*cursor.at++);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool GetString(Cursor& cursor, Vector& out, idx_t row) {
  uint64_t size;
  if (!GetVarint(cursor, size) || size > cursor.left() || size > string_t::MAX_STRING_SIZE) {
    return false;
  }
  auto* data = reinterpret_cast<string_t*>(out.GetData());
  data[row] = size <= string_t::INLINE_LENGTH
                  ? string_t(cursor.at, static_cast<uint32_t>(size))
                  : duckdb::StringVector::AddStringOrBlob(out, cursor.at, size);
  cursor.at += size;
  return true;
}

// True when a value of a fixed-width type is one that its type has: anything else would let a later
// reader look past the end of an ENUM's dictionary, or see a bool that is neither.
bool IsPlausible(const duckdb::LogicalType& type, const char* value) {
  if (type.id() == duckdb::LogicalTypeId::BOOLEAN) return static_cast<uint8_t>(*value) <= 1;
  if (type.id() != duckdb::LogicalTypeId::ENUM) return true;
  uint32_t position = 0;
  std::memcpy(&position, value, FixedWidth(type.InternalType()));
  return position < duckdb::EnumType::GetSize(type);
}

bool NeedsCheck(const duckdb::LogicalType& type) {
  return type.id() == duckdb::LogicalTypeId::BOOLEAN || type.id() == duckdb::LogicalTypeId::ENUM;
}

// One value of any type, the row's null bit having been seen.
bool GetValue(Cursor& cursor, Vector& out, idx_t row);

// `count` values with their null bitmap before them.
bool GetValues(Cursor& cursor, Vector& out, idx_t row, uint64_t count) {
  const size_t null_bytes = NullBytes(count);
  if (null_bytes > cursor.left()) return false;
  const char* nulls = cursor.at;
  cursor.at += null_bytes;
  for (uint64_t i = 0; i < count; ++i) {
    if (IsNull(nulls, i)) {
      PutNull(out, row + i);
      continue;
    }
    if (!GetValue(cursor, out, row + i)) return false;
  }
  return true;
}

bool GetValue(Cursor& cursor, Vector& out, idx_t row) {
  const auto& type = out.GetType();
  FlatVector::Validity(out).SetValid(row);
  switch (type.InternalType()) {
    case PhysicalType::VARCHAR:
      return GetString(cursor, out, row);
    case PhysicalType::STRUCT: {
      auto& fields = duckdb::StructVector::GetEntries(out);
      const size_t null_bytes = NullBytes(fields.size());
      if (null_bytes > cursor.left()) return false;
      const char* nulls = cursor.at;
      cursor.at += null_bytes;
      for (size_t i = 0; i < fields.size(); ++i) {
        if (IsNull(nulls, i)) {
          PutNull(*fields[i], row);
        } else if (!GetValue(cursor, *fields[i], row)) {
          return false;
        }
      }
      return true;
    }
    case PhysicalType::LIST: {
      uint64_t count;
      // Every element costs at least its bit, so a count that lies cannot make us reserve much.
      if (!GetVarint(cursor, count) || count / 8 > cursor.left()) return false;
      const idx_t begin = duckdb::ListVector::GetListSize(out);
      duckdb::ListVector::Reserve(out, begin + count);
      reinterpret_cast<duckdb::list_entry_t*>(out.GetData())[row] = {begin, count};
      duckdb::ListVector::SetListSize(out, begin + count);
      return GetValues(cursor, duckdb::ListVector::GetEntry(out), begin, count);
    }
    case PhysicalType::ARRAY: {
      const idx_t size = duckdb::ArrayType::GetSize(type);
      return GetValues(cursor, duckdb::ArrayVector::GetEntry(out), row * size, size);
    }
    default: {
      const size_t width = FixedWidth(type.InternalType());
      if (width > cursor.left()) return false;
      std::memcpy(out.GetData() + row * width, cursor.at, width);
      const bool plausible = !NeedsCheck(type) || IsPlausible(type, cursor.at);
      cursor.at += width;
      return plausible;
    }
  }
}

}  // namespace

struct RowDecoder::Impl {
  Types types;
  std::vector<Cursor> cursors;

  Error Corrupt(size_t row, size_t column, std::string_view bytes) const {
    return Error(Code::kCorruption,
                 "row {} of {} bytes is not a row of its types, at column {} ({})", row,
                 bytes.size(), column + 1, types[column].ToString());
  }
  template <typename T>
  std::optional<size_t> FixedColumn(std::span<const std::string_view> rows, size_t column,
                                    Vector& out, idx_t at);
};

// The inner loop of fixed-width columns. Returns the row that is malformed, if one is.
template <typename T>
std::optional<size_t> RowDecoder::Impl::FixedColumn(std::span<const std::string_view> rows,
                                                    size_t column, Vector& out, idx_t at) {
  T* data = reinterpret_cast<T*>(out.GetData());
  auto& validity = FlatVector::Validity(out);
  const bool check = NeedsCheck(types[column]);
  for (size_t r = 0; r < rows.size(); ++r) {
    if (IsNull(rows[r].data(), column)) {
      validity.SetInvalid(at + r);
      continue;
    }
    Cursor& cursor = cursors[r];
    if (cursor.left() < sizeof(T) || (check && !IsPlausible(types[column], cursor.at))) {
      return r;
    }
    std::memcpy(&data[at + r], cursor.at, sizeof(T));
    validity.SetValid(at + r);
    cursor.at += sizeof(T);
  }
  return std::nullopt;
}

RowDecoder::RowDecoder(Types types) : impl_(std::make_unique<Impl>()) {
  impl_->types = std::move(types);
}
RowDecoder::~RowDecoder() = default;
RowDecoder::RowDecoder(RowDecoder&&) noexcept = default;
RowDecoder& RowDecoder::operator=(RowDecoder&&) noexcept = default;

Status RowDecoder::Decode(std::span<const std::string_view> rows, duckdb::DataChunk& out, size_t at,
                          size_t first_column) {
  Impl& impl = *impl_;
  CHECK(out.ColumnCount() >= first_column + impl.types.size()) << "chunk has too few columns";
  CHECK(at + rows.size() <= out.GetCapacity()) << "chunk has too little room";
  const size_t null_bytes = NullBytes(impl.types.size());
  impl.cursors.resize(rows.size());
  for (size_t r = 0; r < rows.size(); ++r) {
    if (rows[r].size() < null_bytes) return impl.Corrupt(r, 0, rows[r]);
    impl.cursors[r] = {rows[r].data() + null_bytes, rows[r].data() + rows[r].size()};
  }
  for (size_t c = 0; c < impl.types.size(); ++c) {
    Vector& vector = out.data[first_column + c];
    std::optional<size_t> bad;
    switch (FixedWidth(impl.types[c].InternalType())) {
      case 1:
        bad = impl.FixedColumn<uint8_t>(rows, c, vector, at);
        break;
      case 2:
        bad = impl.FixedColumn<uint16_t>(rows, c, vector, at);
        break;
      case 4:
        bad = impl.FixedColumn<uint32_t>(rows, c, vector, at);
        break;
      case 8:
        bad = impl.FixedColumn<uint64_t>(rows, c, vector, at);
        break;
      case 16:
        bad = impl.FixedColumn<Bytes16>(rows, c, vector, at);
        break;
      default:
        for (size_t r = 0; r < rows.size() && !bad; ++r) {
          if (IsNull(rows[r].data(), c)) {
            PutNull(vector, at + r);
          } else if (!GetValue(impl.cursors[r], vector, at + r)) {
            bad = r;
          }
        }
    }
    if (bad) return impl.Corrupt(*bad, c, rows[*bad]);
  }
  for (size_t r = 0; r < rows.size(); ++r) {
    if (impl.cursors[r].left() == 0) continue;
    return Error(Code::kCorruption, "row {} of {} bytes is {} bytes longer than its types say", r,
                 rows[r].size(), impl.cursors[r].left());
  }
  return Ok();
}

}  // namespace millrace::rows
