#include "rows/key.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "base/check.h"
#include "base/coding.h"

namespace millrace::rows {
namespace {

using duckdb::idx_t;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::PhysicalType;
using duckdb::UnifiedVectorFormat;

// The bytes of DuckDB's sort key before a value.
constexpr uint8_t kFirst = 1;
constexpr uint8_t kSecond = 2;

// Bytes of an integer-like value, 0 for types of the general path.
size_t IntegerWidth(const LogicalType& type) {
  if (type.id() == LogicalTypeId::TIME_TZ) return 0;  // its bits are not its order
  switch (type.InternalType()) {
    case PhysicalType::BOOL:
    case PhysicalType::INT8:
    case PhysicalType::UINT8:
    case PhysicalType::INT16:
    case PhysicalType::UINT16:
    case PhysicalType::INT32:
    case PhysicalType::UINT32:
    case PhysicalType::INT64:
    case PhysicalType::UINT64:
      return duckdb::GetTypeIdSize(type.InternalType());
    default:
      return 0;
  }
}

// True for types whose sort key is not SQL's order: DuckDB's binder rewrites INTERVAL ('30 days' =
// '1 month') and TIMETZ before it sorts them, but only where they are not nested; here they are
// rewritten wherever they stand.
bool NeedsRewrite(const LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::INTERVAL:
    case LogicalTypeId::TIME_TZ:
      return true;
    case LogicalTypeId::LIST:
    case LogicalTypeId::MAP:
      return NeedsRewrite(duckdb::ListType::GetChildType(type));
    case LogicalTypeId::ARRAY:
      return NeedsRewrite(duckdb::ArrayType::GetChildType(type));
    case LogicalTypeId::STRUCT:
    case LogicalTypeId::UNION:
      for (const auto& child : duckdb::StructType::GetChildTypes(type)) {
        if (NeedsRewrite(child.second)) return true;
      }
      return false;
    default:
      return false;
  }
}

// REQUIRES: `vector` is flat, all the way down, and nobody else's.
void Rewrite(duckdb::Vector& vector, idx_t count) {
  const LogicalType& type = vector.GetType();
  if (!NeedsRewrite(type)) return;
  if (type.id() == LogicalTypeId::INTERVAL || type.id() == LogicalTypeId::TIME_TZ) {
    const auto& validity = duckdb::FlatVector::Validity(vector);
    auto* intervals = reinterpret_cast<duckdb::interval_t*>(vector.GetData());
    auto* times = reinterpret_cast<duckdb::dtime_tz_t*>(vector.GetData());
    for (idx_t i = 0; i < count; ++i) {
      if (!validity.RowIsValid(i)) continue;
      if (type.id() == LogicalTypeId::INTERVAL) {
        intervals[i] = intervals[i].Normalize();
      } else {
        times[i].bits = times[i].sort_key();
      }
    }
    return;
  }
  switch (type.InternalType()) {
    case PhysicalType::STRUCT:
      for (auto& child : duckdb::StructVector::GetEntries(vector)) Rewrite(*child, count);
      return;
    case PhysicalType::LIST:
      return Rewrite(duckdb::ListVector::GetEntry(vector), duckdb::ListVector::GetListSize(vector));
    default:
      return Rewrite(duckdb::ArrayVector::GetEntry(vector),
                     count * duckdb::ArrayType::GetSize(type));
  }
}

template <typename T>
std::make_unsigned_t<T> BigEndian(T value) {
  using U = std::make_unsigned_t<T>;
  // Flipping the sign makes the order of two's complement that of unsigned numbers.
  constexpr U kSign = std::is_signed_v<T> ? U{1} << (sizeof(T) * 8 - 1) : U{0};
  const U bits = static_cast<U>(static_cast<U>(value) ^ kSign);
  if constexpr (sizeof(T) == 1) {
    return bits;
  } else {
    return ByteSwap(bits);
  }
}

}  // namespace

struct KeyEncoder::Impl {
  std::vector<KeyOrder> orders;
  std::vector<std::string_view> views;
  std::vector<uint8_t> has_null;
  // General path: owns the bytes of the last keys.
  std::unique_ptr<duckdb::Vector> keys;
  // Fast path.
  std::vector<char> bytes;
  std::vector<char*> cursors;
  std::vector<duckdb::Vector*> sources;  // the key columns

  KeyOrder order(size_t column) const { return orders.empty() ? KeyOrder{} : orders[column]; }
  void MarkNulls(const UnifiedVectorFormat& format, size_t count);
  const std::vector<std::string_view>& Keys(size_t count);
  void General(size_t count);
  // Bytes of a row where all columns are integers; 0: General has to.
  size_t Stride() const;
  void Integers(size_t count, size_t stride);
  template <typename T>
  void PutColumn(const UnifiedVectorFormat& format, KeyOrder order, size_t count);
};

void KeyEncoder::Impl::MarkNulls(const UnifiedVectorFormat& format, size_t count) {
  if (format.validity.AllValid()) return;
  for (size_t r = 0; r < count; ++r) {
    has_null[r] |= !format.validity.RowIsValid(format.sel->get_index(r));
  }
}

void KeyEncoder::Impl::General(size_t count) {
  duckdb::vector<duckdb::OrderModifiers> modifiers;
  Types types;
  for (size_t c = 0; c < sources.size(); ++c) {
    types.push_back(sources[c]->GetType());
    modifiers.emplace_back(
        order(c).descending ? duckdb::OrderType::DESCENDING : duckdb::OrderType::ASCENDING,
        order(c).nulls_first ? duckdb::OrderByNullType::NULLS_FIRST
                             : duckdb::OrderByNullType::NULLS_LAST);
  }
  duckdb::DataChunk inputs;
  inputs.InitializeEmpty(types);
  inputs.SetCardinality(count);
  for (size_t c = 0; c < sources.size(); ++c) {
    if (!NeedsRewrite(types[c])) {
      inputs.data[c].Reference(*sources[c]);
      continue;
    }
    duckdb::Vector copy(types[c], count);
    duckdb::VectorOperations::Copy(*sources[c], copy, count, 0, 0);
    Rewrite(copy, count);
    inputs.data[c].Reference(copy);
  }
  keys = std::make_unique<duckdb::Vector>(LogicalType::BLOB);
  duckdb::CreateSortKeyHelpers::CreateSortKey(inputs, modifiers, *keys);
  UnifiedVectorFormat format;
  keys->ToUnifiedFormat(count, format);
  const auto* data = UnifiedVectorFormat::GetData<duckdb::string_t>(format);
  for (size_t r = 0; r < count; ++r) {
    const duckdb::string_t& key = data[format.sel->get_index(r)];
    views[r] = std::string_view(key.GetData(), key.GetSize());
  }
  for (duckdb::Vector* source : sources) {
    UnifiedVectorFormat column;
    source->ToUnifiedFormat(count, column);
    MarkNulls(column, count);
  }
}

// Writes one column behind what each row has already: a byte for "valid" or NULL, then the value,
// big-endian.
template <typename T>
void KeyEncoder::Impl::PutColumn(const UnifiedVectorFormat& format, KeyOrder order, size_t count) {
  const T* data = reinterpret_cast<const T*>(format.data);
  const auto valid = static_cast<char>(order.nulls_first ? kSecond : kFirst);
  const auto null = static_cast<char>(order.nulls_first ? kFirst : kSecond);
  const auto flip = static_cast<std::make_unsigned_t<T>>(order.descending ? ~uint64_t{0} : 0);
  const bool all_valid = format.validity.AllValid();
  for (size_t r = 0; r < count; ++r) {
    const idx_t index = format.sel->get_index(r);
    char*& at = cursors[r];
    if (!all_valid && !format.validity.RowIsValid(index)) {
      *at++ = null;
      continue;
    }
    *at++ = valid;
    const auto value =
        static_cast<std::make_unsigned_t<T>>(BigEndian(static_cast<T>(data[index])) ^ flip);
    std::memcpy(at, &value, sizeof(value));
    at += sizeof(value);
  }
}

size_t KeyEncoder::Impl::Stride() const {
  size_t stride = 0;
  for (const duckdb::Vector* source : sources) {
    const size_t width = IntegerWidth(source->GetType());
    if (width == 0) return 0;
    stride += 1 + width;
  }
  return stride;
}

void KeyEncoder::Impl::Integers(size_t count, size_t stride) {
  bytes.resize(count * stride);
  cursors.resize(count);
  for (size_t r = 0; r < count; ++r) cursors[r] = bytes.data() + r * stride;
  for (size_t c = 0; c < sources.size(); ++c) {
    UnifiedVectorFormat format;
    sources[c]->ToUnifiedFormat(count, format);
    MarkNulls(format, count);
    switch (sources[c]->GetType().InternalType()) {
      case PhysicalType::BOOL:
      case PhysicalType::UINT8:
        PutColumn<uint8_t>(format, order(c), count);
        break;
      case PhysicalType::INT8:
        PutColumn<int8_t>(format, order(c), count);
        break;
      case PhysicalType::INT16:
        PutColumn<int16_t>(format, order(c), count);
        break;
      case PhysicalType::UINT16:
        PutColumn<uint16_t>(format, order(c), count);
        break;
      case PhysicalType::INT32:
        PutColumn<int32_t>(format, order(c), count);
        break;
      case PhysicalType::UINT32:
        PutColumn<uint32_t>(format, order(c), count);
        break;
      case PhysicalType::INT64:
        PutColumn<int64_t>(format, order(c), count);
        break;
      default:
        PutColumn<uint64_t>(format, order(c), count);
        break;
    }
  }
  for (size_t r = 0; r < count; ++r) {
    const char* begin = bytes.data() + r * stride;
    views[r] = std::string_view(begin, static_cast<size_t>(cursors[r] - begin));
  }
}

KeyEncoder::KeyEncoder(std::vector<KeyOrder> orders) : impl_(std::make_unique<Impl>()) {
  impl_->orders = std::move(orders);
}
KeyEncoder::~KeyEncoder() = default;
KeyEncoder::KeyEncoder(KeyEncoder&&) noexcept = default;
KeyEncoder& KeyEncoder::operator=(KeyEncoder&&) noexcept = default;

const std::vector<std::string_view>& KeyEncoder::Impl::Keys(size_t count) {
  CHECK(orders.empty() || orders.size() == sources.size()) << "one order for each key column";
  views.assign(count, std::string_view());
  has_null.assign(count, 0);
  if (sources.empty() || count == 0) return views;
  if (const size_t stride = Stride(); stride > 0) {
    Integers(count, stride);
  } else {
    General(count);
  }
  return views;
}

const std::vector<std::string_view>& KeyEncoder::Encode(duckdb::DataChunk& columns) {
  impl_->sources.clear();
  for (duckdb::Vector& column : columns.data) impl_->sources.push_back(&column);
  return impl_->Keys(columns.size());
}

const std::vector<std::string_view>& KeyEncoder::Encode(duckdb::DataChunk& rows,
                                                        const std::vector<size_t>& columns) {
  impl_->sources.clear();
  for (const size_t column : columns) impl_->sources.push_back(&rows.data[column]);
  return impl_->Keys(rows.size());
}

const std::vector<uint8_t>& KeyEncoder::has_null() const { return impl_->has_null; }

KeyEncoder& ThreadKeyEncoder() {
  static thread_local KeyEncoder encoder;
  return encoder;
}

bool IsKeyType(const duckdb::LogicalType& type) {
  try {
    duckdb::Vector values(type, /*capacity=*/1);
    duckdb::Vector key(duckdb::LogicalType::BLOB);
    duckdb::CreateSortKeyHelpers::CreateSortKey(
        values, 0, {duckdb::OrderType::ASCENDING, duckdb::OrderByNullType::NULLS_LAST}, key);
    return true;
  } catch (const std::exception&) {  // DuckDB's way to say that the type has no order
    return false;
  }
}

uint64_t KeyHash(std::string_view key) { return StableHash(key); }

}  // namespace millrace::rows
