// RowEncoder. Two passes over the chunk, each column by column: sizes, then bytes. See
// docs/formats/keys_and_rows.md.
#include <bit>
#include <cstring>
#include <limits>

#include "base/check.h"
#include "rows/row_codec.h"
#include "rows/row_format.h"

namespace millrace::rows {
namespace {

using duckdb::idx_t;
using duckdb::PhysicalType;
using duckdb::RecursiveUnifiedVectorFormat;
using duckdb::string_t;
using duckdb::UnifiedVectorFormat;

// NaNs that compute alike may differ in bits that nobody can see; a row has one encoding.
template <typename T>
T Canonical(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (value != value) return std::numeric_limits<T>::quiet_NaN();
  }
  return value;
}

template <typename T>
char* Put(char* at, T value) {
  std::memcpy(at, &value, sizeof(value));
  return at + sizeof(value);
}

char* PutVarint(char* at, uint64_t value) {
  while (value >= 0x80) {
    *at++ = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<char>(value);
  return at;
}

size_t VarintSize(uint64_t value) {
  return value == 0 ? 1 : (static_cast<size_t>(std::bit_width(value)) + 6) / 7;
}

char* PutString(char* at, const string_t& value) {
  at = PutVarint(at, value.GetSize());
  std::memcpy(at, value.GetData(), value.GetSize());
  return at + value.GetSize();
}

// Calls write(T) with a value of the type that holds a fixed-width physical type.
template <typename F>
void WithFixed(PhysicalType type, F&& write) {
  switch (FixedWidth(type)) {
    case 1:
      return write(uint8_t{});
    case 2:
      return write(uint16_t{});
    case 4:
      return type == PhysicalType::FLOAT ? write(float{}) : write(uint32_t{});
    case 8:
      return type == PhysicalType::DOUBLE ? write(double{}) : write(uint64_t{});
    default:
      return write(Bytes16{});
  }
}

// Nested values, one at a time. `row` is an index before the format's selection.
size_t NestedSize(const RecursiveUnifiedVectorFormat& format, idx_t row);

bool IsValid(const RecursiveUnifiedVectorFormat& format, idx_t row) {
  return format.unified.validity.RowIsValid(format.unified.sel->get_index(row));
}

// The elements of a list or array value: where they begin in the child, and how many.
std::pair<idx_t, idx_t> Elements(const RecursiveUnifiedVectorFormat& format, idx_t index) {
  if (format.logical_type.InternalType() == PhysicalType::ARRAY) {
    const idx_t size = duckdb::ArrayType::GetSize(format.logical_type);
    return {index * size, size};
  }
  const auto& entry = UnifiedVectorFormat::GetData<duckdb::list_entry_t>(format.unified)[index];
  return {entry.offset, entry.length};
}

size_t NestedSize(const RecursiveUnifiedVectorFormat& format, idx_t row) {
  const PhysicalType type = format.logical_type.InternalType();
  const idx_t index = format.unified.sel->get_index(row);
  switch (type) {
    case PhysicalType::VARCHAR: {
      const size_t size = UnifiedVectorFormat::GetData<string_t>(format.unified)[index].GetSize();
      return VarintSize(size) + size;
    }
    case PhysicalType::STRUCT: {
      size_t size = NullBytes(format.children.size());
      for (const auto& child : format.children) {
        if (IsValid(child, index)) size += NestedSize(child, index);
      }
      return size;
    }
    case PhysicalType::LIST:
    case PhysicalType::ARRAY: {
      const auto [begin, count] = Elements(format, index);
      size_t size = NullBytes(count) + (type == PhysicalType::LIST ? VarintSize(count) : 0);
      for (idx_t i = begin; i < begin + count; ++i) {
        if (IsValid(format.children[0], i)) size += NestedSize(format.children[0], i);
      }
      return size;
    }
    default:
      return FixedWidth(type);
  }
}

char* NestedPut(const RecursiveUnifiedVectorFormat& format, idx_t row, char* at) {
  const PhysicalType type = format.logical_type.InternalType();
  const idx_t index = format.unified.sel->get_index(row);
  switch (type) {
    case PhysicalType::VARCHAR:
      return PutString(at, UnifiedVectorFormat::GetData<string_t>(format.unified)[index]);
    case PhysicalType::STRUCT: {
      char* nulls = at;
      at += NullBytes(format.children.size());
      std::memset(nulls, 0, static_cast<size_t>(at - nulls));
      for (size_t i = 0; i < format.children.size(); ++i) {
        if (IsValid(format.children[i], index)) {
          at = NestedPut(format.children[i], index, at);
        } else {
          SetNull(nulls, i);
        }
      }
      return at;
    }
    case PhysicalType::LIST:
    case PhysicalType::ARRAY: {
      const auto [begin, count] = Elements(format, index);
      if (type == PhysicalType::LIST) at = PutVarint(at, count);
      char* nulls = at;
      at += NullBytes(count);
      std::memset(nulls, 0, static_cast<size_t>(at - nulls));
      for (idx_t i = 0; i < count; ++i) {
        if (IsValid(format.children[0], begin + i)) {
          at = NestedPut(format.children[0], begin + i, at);
        } else {
          SetNull(nulls, i);
        }
      }
      return at;
    }
    default:
      WithFixed(type, [&](auto zero) {
        using T = decltype(zero);
        at = Put(at, Canonical(reinterpret_cast<const T*>(format.unified.data)[index]));
      });
      return at;
  }
}

}  // namespace

struct RowEncoder::Impl {
  explicit Impl(Types types_in) : types(std::move(types_in)), formats(types.size()) {}

  Types types;
  std::vector<RecursiveUnifiedVectorFormat> formats;
  std::vector<std::unique_ptr<duckdb::Vector>> flattened;  // of nested columns that were not flat
  std::vector<size_t> sizes;
  std::vector<char*> cursors;
  std::unique_ptr<char[]> bytes;
  size_t capacity = 0;
  std::vector<std::string_view> views;

  void Prepare(duckdb::DataChunk& rows);
  void AddSizes(const RecursiveUnifiedVectorFormat& format, size_t count);
  void Fill(const RecursiveUnifiedVectorFormat& format, size_t column, size_t count);
  template <typename T>
  void FillFixed(const UnifiedVectorFormat& format, size_t column, size_t count);
};

void RowEncoder::Impl::Prepare(duckdb::DataChunk& rows) {
  flattened.clear();
  for (size_t c = 0; c < types.size(); ++c) {
    duckdb::Vector& vector = rows.data[c];
    formats[c].children.clear();
    formats[c].logical_type = types[c];
    if (!IsNested(types[c].InternalType())) {
      vector.ToUnifiedFormat(rows.size(), formats[c].unified);
      continue;
    }
    duckdb::Vector* flat = &vector;
    if (vector.GetVectorType() != duckdb::VectorType::FLAT_VECTOR) {
      flattened.push_back(std::make_unique<duckdb::Vector>(vector));
      flat = flattened.back().get();
      flat->Flatten(rows.size());
    }
    duckdb::Vector::RecursiveToUnifiedFormat(*flat, rows.size(), formats[c]);
  }
}

void RowEncoder::Impl::AddSizes(const RecursiveUnifiedVectorFormat& format, size_t count) {
  const PhysicalType type = format.logical_type.InternalType();
  const auto& unified = format.unified;
  if (const size_t width = FixedWidth(type); width > 0) {
    // Without NULLs the width stands in the base size already.
    if (unified.validity.AllValid()) return;
    for (size_t r = 0; r < count; ++r) {
      if (!unified.validity.RowIsValid(unified.sel->get_index(r))) sizes[r] -= width;
    }
    return;
  }
  if (type == PhysicalType::VARCHAR) {
    const auto* data = UnifiedVectorFormat::GetData<string_t>(unified);
    const bool all_valid = unified.validity.AllValid();
    for (size_t r = 0; r < count; ++r) {
      const idx_t index = unified.sel->get_index(r);
      if (!all_valid && !unified.validity.RowIsValid(index)) continue;
      const size_t size = data[index].GetSize();
      sizes[r] += VarintSize(size) + size;
    }
    return;
  }
  for (size_t r = 0; r < count; ++r) {
    if (IsValid(format, r)) sizes[r] += NestedSize(format, r);
  }
}

template <typename T>
void RowEncoder::Impl::FillFixed(const UnifiedVectorFormat& format, size_t column, size_t count) {
  const T* data = reinterpret_cast<const T*>(format.data);
  if (format.validity.AllValid()) {
    if (!format.sel->IsSet()) {
      for (size_t r = 0; r < count; ++r) cursors[r] = Put(cursors[r], Canonical(data[r]));
    } else {
      for (size_t r = 0; r < count; ++r) {
        cursors[r] = Put(cursors[r], Canonical(data[format.sel->get_index(r)]));
      }
    }
    return;
  }
  for (size_t r = 0; r < count; ++r) {
    const idx_t index = format.sel->get_index(r);
    if (format.validity.RowIsValid(index)) {
      cursors[r] = Put(cursors[r], Canonical(data[index]));
    } else {
      SetNull(const_cast<char*>(views[r].data()), column);
    }
  }
}

void RowEncoder::Impl::Fill(const RecursiveUnifiedVectorFormat& format, size_t column,
                            size_t count) {
  const PhysicalType type = format.logical_type.InternalType();
  const auto& unified = format.unified;
  if (FixedWidth(type) > 0) {
    WithFixed(type, [&](auto zero) { FillFixed<decltype(zero)>(unified, column, count); });
    return;
  }
  const bool text = type == PhysicalType::VARCHAR;
  for (size_t r = 0; r < count; ++r) {
    const idx_t index = unified.sel->get_index(r);
    if (!unified.validity.RowIsValid(index)) {
      SetNull(const_cast<char*>(views[r].data()), column);
    } else if (text) {
      cursors[r] = PutString(cursors[r], UnifiedVectorFormat::GetData<string_t>(unified)[index]);
    } else {
      cursors[r] = NestedPut(format, r, cursors[r]);
    }
  }
}

RowEncoder::RowEncoder(Types types) : impl_(std::make_unique<Impl>(std::move(types))) {}
RowEncoder::~RowEncoder() = default;
RowEncoder::RowEncoder(RowEncoder&&) noexcept = default;
RowEncoder& RowEncoder::operator=(RowEncoder&&) noexcept = default;

const std::vector<std::string_view>& RowEncoder::Encode(duckdb::DataChunk& rows) {
  Impl& impl = *impl_;
  CHECK(rows.ColumnCount() >= impl.types.size()) << "chunk has fewer columns than the encoder";
  const size_t count = rows.size();
  impl.Prepare(rows);
  const size_t null_bytes = NullBytes(impl.types.size());
  size_t base = null_bytes;
  for (const auto& type : impl.types) base += FixedWidth(type.InternalType());
  impl.sizes.assign(count, base);
  for (const auto& format : impl.formats) impl.AddSizes(format, count);
  size_t total = 0;
  for (const size_t size : impl.sizes) total += size;
  // Rows of no bytes have a place too.
  if (impl.bytes == nullptr || total > impl.capacity) {
    impl.capacity = total + total / 2;
    impl.bytes.reset(new char[impl.capacity]);
  }
  impl.views.resize(count);
  impl.cursors.resize(count);
  char* at = impl.bytes.get();
  for (size_t r = 0; r < count; ++r) {
    impl.views[r] = std::string_view(at, impl.sizes[r]);
    std::memset(at, 0, null_bytes);
    impl.cursors[r] = at + null_bytes;
    at += impl.sizes[r];
  }
  for (size_t c = 0; c < impl.formats.size(); ++c) impl.Fill(impl.formats[c], c, count);
  return impl.views;
}

}  // namespace millrace::rows
