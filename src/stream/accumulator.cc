#include "stream/accumulator.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "rows/fixed_type.h"

namespace millrace::stream {
namespace {

using duckdb::PhysicalType;

template <typename T>
T Load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

template <typename T>
void Save(std::byte* at, const T& value) {
  std::memcpy(at, &value, sizeof(T));
}

constexpr size_t kCellBytesMax = 4096;        // of a CellTable
constexpr size_t kValueAt = sizeof(int64_t);  // behind the slot's count
constexpr size_t kOutsideAt = kValueAt + sizeof(Int256);

size_t SlotBytes(Slot::Kind kind) {
  switch (kind) {
    case Slot::Kind::kCount:
      return kValueAt;
    case Slot::Kind::kSum128:
    case Slot::Kind::kMin:
    case Slot::Kind::kMax:
      return kValueAt + sizeof(Int128);
    case Slot::Kind::kSum256:
      return kOutsideAt;
    case Slot::Kind::kFloat:
      return kOutsideAt + sizeof(int64_t);
  }
  return 0;
}

std::optional<Slot::Kind> SumKind(PhysicalType type) {
  switch (type) {
    case PhysicalType::BOOL:
    case PhysicalType::INT8:
    case PhysicalType::INT16:
    case PhysicalType::INT32:
    case PhysicalType::INT64:
    case PhysicalType::UINT8:
    case PhysicalType::UINT16:
    case PhysicalType::UINT32:
      return Slot::Kind::kSum128;
    case PhysicalType::INT128:
      return Slot::Kind::kSum256;
    case PhysicalType::DOUBLE:
      return Slot::Kind::kFloat;
    default:
      return std::nullopt;
  }
}

bool IsNumber(const duckdb::LogicalType& type) {
  return type.IsNumeric() || type.id() == duckdb::LogicalTypeId::BOOLEAN;
}

// Types of which avg is a rounded value of the type itself.
bool IsInstant(const duckdb::LogicalType& type) {
  return type.id() == duckdb::LogicalTypeId::TIMESTAMP ||
         type.id() == duckdb::LogicalTypeId::TIMESTAMP_TZ ||
         type.id() == duckdb::LogicalTypeId::TIME;
}

bool FitsSlot(PhysicalType type) {
  switch (type) {
    case PhysicalType::BOOL:
    case PhysicalType::INT8:
    case PhysicalType::INT16:
    case PhysicalType::INT32:
    case PhysicalType::INT64:
    case PhysicalType::UINT8:
    case PhysicalType::UINT16:
    case PhysicalType::UINT32:
    case PhysicalType::UINT64:
    case PhysicalType::INT128:
    case PhysicalType::UINT128:
    case PhysicalType::FLOAT:
    case PhysicalType::DOUBLE:
      return true;
    default:
      return false;
  }
}

duckdb::hugeint_t ToHugeint(Int128 value) {
  duckdb::hugeint_t huge;
  huge.lower = static_cast<uint64_t>(value);
  huge.upper = static_cast<int64_t>(value >> 64);
  return huge;
}

Int128 FromHugeint(duckdb::hugeint_t value) {
  return static_cast<Int128>(
      (static_cast<unsigned __int128>(static_cast<uint64_t>(value.upper)) << 64) | value.lower);
}

// SQL order; NaN is the greatest. Values that are equal and differ (0.0 and -0.0) are ordered by
// their bits, so that which one is shown does not depend on which came first.
template <typename T>
bool IsLess(const T& a, const T& b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) != std::isnan(b)) return std::isnan(b);
    if (a < b || b < a) return a < b;
    return std::memcmp(&a, &b, sizeof(T)) < 0;
  } else {
    return a < b;
  }
}

template <typename T>
void TakeExtreme(Slot::Kind kind, std::byte* at, const T& value, bool first) {
  const T held = first ? value : Load<T>(at);
  const bool better =
      first || (kind == Slot::Kind::kMin ? IsLess(value, held) : IsLess(held, value));
  if (better) Save(at, value);
}

// Adds `value`, `weight` times, to the slot at `at`. False: the value lies outside the slot's
// window.
template <typename T>
bool AddValue(Slot::Kind kind, std::byte* at, const T& value, int64_t weight) {
  const int64_t count = Load<int64_t>(at);
  Save(at, count + weight);
  switch (kind) {
    case Slot::Kind::kCount:
      return true;
    case Slot::Kind::kMin:
    case Slot::Kind::kMax:
      TakeExtreme(kind, at + kValueAt, value, count == 0);
      return true;
    case Slot::Kind::kSum128:
      if constexpr (std::is_integral_v<T>) {
        Save(at + kValueAt, Load<Int128>(at + kValueAt) + static_cast<Int128>(value) * weight);
      }
      return true;
    case Slot::Kind::kSum256:
      if constexpr (std::is_same_v<T, duckdb::hugeint_t>) {
        Int256 sum = Load<Int256>(at + kValueAt);
        sum.AddProduct(FromHugeint(value), weight);
        Save(at + kValueAt, sum);
      }
      return true;
    case Slot::Kind::kFloat:
      if constexpr (std::is_same_v<T, double>) {
        Int256 window = Load<Int256>(at + kValueAt);
        if (!AddToWindow(window, value, weight)) return false;
        Save(at + kValueAt, window);
      }
      return true;
  }
  return true;
}

class Mask {
 public:
  Mask(const rows::Batch::Part& part, const std::optional<ColumnIndex>& filter)
      : used_(filter.has_value()) {
    if (used_) part.rows->data[*filter].ToUnifiedFormat(part.rows->size(), format_);
  }
  bool Passes(size_t row) const {
    if (!used_) return true;
    const auto at = format_.sel->get_index(row);
    return format_.validity.RowIsValid(at) &&
           duckdb::UnifiedVectorFormat::GetData<bool>(format_)[at];
  }

 private:
  bool used_;
  duckdb::UnifiedVectorFormat format_;
};

}  // namespace

std::optional<SlotResult> CellLayout::Place(const AggregateCall& call, const rows::Types& input,
                                            bool insert_only) {
  if (bytes_ + SlotBytes(Slot::Kind::kFloat) > kCellBytesMax) return std::nullopt;
  const std::string& name = call.function->function.name;
  Slot slot{Slot::Kind::kCount, std::nullopt, call.filter, call.distinct, PhysicalType::INVALID, 0};
  if (name == "count_star" || (name == "count" && call.arguments.empty())) {
    if (call.distinct) return std::nullopt;
    return SlotResult{SlotResult::Kind::kCount, AddSlot(slot), duckdb::LogicalType::BIGINT,
                      "count(*)"};
  }
  if (call.arguments.size() != 1) return std::nullopt;
  const duckdb::LogicalType& argument = input[call.arguments[0]];
  const PhysicalType result = call.function->return_type.InternalType();
  const std::string text = name + "(" + argument.ToString() + ")";
  slot.argument = call.arguments[0];
  slot.type = argument.InternalType();
  if (name == "count") {
    return SlotResult{SlotResult::Kind::kCount, AddSlot(slot), argument, text};
  }
  if (name == "min" || name == "max") {
    if (!insert_only || !FitsSlot(slot.type) || call.function->return_type != argument)
      return std::nullopt;
    slot.kind = name == "min" ? Slot::Kind::kMin : Slot::Kind::kMax;
    slot.distinct = false;  // repeated values do not change an extreme
    return SlotResult{SlotResult::Kind::kExtreme, AddSlot(slot), argument, text};
  }
  const auto kind = SumKind(slot.type);
  if (!kind) return std::nullopt;
  slot.kind = *kind;
  const bool is_float = *kind == Slot::Kind::kFloat;
  if ((name == "sum" || name == "sum_no_overflow") && IsNumber(argument) &&
      result == (is_float ? PhysicalType::DOUBLE : PhysicalType::INT128)) {
    return SlotResult{SlotResult::Kind::kSum, AddSlot(slot), argument, text};
  }
  if ((name == "avg" || name == "mean") && IsNumber(argument) && result == PhysicalType::DOUBLE) {
    return SlotResult{SlotResult::Kind::kAverage, AddSlot(slot), argument, text};
  }
  if ((name == "avg" || name == "mean") && IsInstant(argument) &&
      call.function->return_type == argument) {
    return SlotResult{SlotResult::Kind::kRoundedAverage, AddSlot(slot), argument, text};
  }
  return std::nullopt;
}

size_t CellLayout::AddSlot(Slot slot) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Slot& other = slots_[i];
    if (other.kind == slot.kind && other.argument == slot.argument && other.filter == slot.filter &&
        other.distinct == slot.distinct) {
      return i;
    }
  }
  slot.offset = bytes_;
  bytes_ += SlotBytes(slot.kind);
  slots_.push_back(slot);
  return slots_.size() - 1;
}

void CellLayout::Accumulate(size_t index, const rows::Batch::Part& part, const uint32_t* groups,
                            std::byte* cells, std::vector<OutsideValue>& outside) const {
  const Slot& slot = slots_[index];
  const size_t count = part.rows->size();
  const Mask mask(part, slot.filter);
  std::byte* base = cells + slot.offset;
  if (!slot.argument) {
    for (size_t row = 0; row < count; ++row) {
      if (!mask.Passes(row)) continue;
      std::byte* at = base + groups[row] * bytes_;
      Save(at, Load<int64_t>(at) + part.weight(row));
    }
    return;
  }
  duckdb::UnifiedVectorFormat format;
  part.rows->data[*slot.argument].ToUnifiedFormat(count, format);
  if (slot.kind == Slot::Kind::kCount) {
    for (size_t row = 0; row < count; ++row) {
      if (!format.validity.RowIsValid(format.sel->get_index(row)) || !mask.Passes(row)) continue;
      std::byte* at = base + groups[row] * bytes_;
      Save(at, Load<int64_t>(at) + part.weight(row));
    }
    return;
  }
  rows::WithFixedType(slot.type, [&](auto example) {
    using T = decltype(example);
    const T* values = duckdb::UnifiedVectorFormat::GetData<T>(format);
    for (size_t row = 0; row < count; ++row) {
      const auto from = format.sel->get_index(row);
      if (!format.validity.RowIsValid(from) || !mask.Passes(row)) continue;
      const bool inside =
          AddValue(slot.kind, base + groups[row] * bytes_, values[from], part.weight(row));
      if constexpr (std::is_same_v<T, double>) {
        if (inside) continue;
        outside.push_back(
            {groups[row], static_cast<uint16_t>(index), values[from], part.weight(row)});
      }
    }
  });
}

void CellLayout::AccumulateRow(size_t index, const rows::Batch::Part& part, size_t row,
                               int64_t weight, uint32_t group, std::byte* cell,
                               std::vector<OutsideValue>& outside) const {
  const Slot& slot = slots_[index];
  std::byte* at = cell + slot.offset;
  if (slot.kind == Slot::Kind::kCount) return Save(at, Load<int64_t>(at) + weight);
  duckdb::UnifiedVectorFormat format;
  part.rows->data[*slot.argument].ToUnifiedFormat(part.rows->size(), format);
  const auto from = format.sel->get_index(row);
  rows::WithFixedType(slot.type, [&](auto example) {
    using T = decltype(example);
    const T value = duckdb::UnifiedVectorFormat::GetData<T>(format)[from];
    const bool inside = AddValue(slot.kind, at, value, weight);
    if constexpr (std::is_same_v<T, double>) {
      if (!inside) outside.push_back({group, static_cast<uint16_t>(index), value, weight});
    }
  });
}

void CellLayout::Merge(std::byte* cell, const std::byte* delta) const {
  AddRows(cell, Rows(delta));
  for (const Slot& slot : slots_) {
    std::byte* at = cell + slot.offset;
    const std::byte* from = delta + slot.offset;
    const int64_t count = Load<int64_t>(at);
    const int64_t more = Load<int64_t>(from);
    Save(at, count + more);
    switch (slot.kind) {
      case Slot::Kind::kCount:
        break;
      case Slot::Kind::kSum128:
        Save(at + kValueAt, Load<Int128>(at + kValueAt) + Load<Int128>(from + kValueAt));
        break;
      case Slot::Kind::kFloat:
        Save(at + kOutsideAt, Load<int64_t>(at + kOutsideAt) | Load<int64_t>(from + kOutsideAt));
        [[fallthrough]];
      case Slot::Kind::kSum256: {
        Int256 sum = Load<Int256>(at + kValueAt);
        sum.Add(Load<Int256>(from + kValueAt));
        Save(at + kValueAt, sum);
        break;
      }
      case Slot::Kind::kMin:
      case Slot::Kind::kMax:
        if (more == 0) break;
        rows::WithFixedType(slot.type, [&](auto example) {
          using T = decltype(example);
          TakeExtreme(slot.kind, at + kValueAt, Load<T>(from + kValueAt), count == 0);
        });
        break;
    }
  }
}

void CellLayout::MarkOutside(size_t slot, std::byte* cell) const {
  Save(cell + slots_[slot].offset + kOutsideAt, int64_t{1});
}

bool CellLayout::HasOutside(size_t slot, const std::byte* cell) const {
  return slots_[slot].kind == Slot::Kind::kFloat &&
         Load<int64_t>(cell + slots_[slot].offset + kOutsideAt) != 0;
}

namespace {

// What DuckDB divides an average of this type by: the count, times 10^scale for decimals
// (AverageDecimalBindData).
template <typename Float>
Float Divisor(int64_t count, const duckdb::LogicalType& argument) {
  Float divisor = static_cast<Float>(static_cast<uint64_t>(count));
  if (argument.id() == duckdb::LogicalTypeId::DECIMAL) {
    divisor *= duckdb::Hugeint::Cast<double>(
        duckdb::Hugeint::POWERS_OF_TEN[duckdb::DecimalType::GetScale(argument)]);
  }
  return divisor;
}

double Average(Int128 sum, int64_t count, const duckdb::LogicalType& argument) {
  // As DuckDB's avg: of SMALLINT in double, of wider integers in long double.
  if (argument.InternalType() == PhysicalType::INT16) {
    return static_cast<double>(sum) / Divisor<double>(count, argument);
  }
  return static_cast<double>(duckdb::Hugeint::Cast<long double>(ToHugeint(sum)) /
                             Divisor<long double>(count, argument));
}

int64_t RoundedAverage(Int128 sum, int64_t count) {
  // As DuckDB's DiscreteAverageOperation.
  duckdb::hugeint_t remainder;
  const auto quotient =
      duckdb::Hugeint::DivMod(ToHugeint(sum), duckdb::hugeint_t(count), remainder);
  return duckdb::Hugeint::Cast<int64_t>(quotient) +
         (remainder > duckdb::hugeint_t(count / 2) ? 1 : 0);
}

}  // namespace

std::optional<std::string> CellLayout::Finish(const SlotResult& result, const std::byte* cell,
                                              std::span<const Digit> digits, duckdb::Vector& out,
                                              size_t at) const {
  const Slot& slot = slots_[result.slot];
  const std::byte* from = cell + slot.offset;
  const int64_t count = Load<int64_t>(from);
  if (result.kind == SlotResult::Kind::kCount) {
    duckdb::FlatVector::GetData<int64_t>(out)[at] = count;
    return std::nullopt;
  }
  if (count <= 0) {
    duckdb::FlatVector::SetNull(out, at, true);
    return std::nullopt;
  }
  if (result.kind == SlotResult::Kind::kExtreme) {
    rows::WithFixedType(slot.type, [&](auto example) {
      using T = decltype(example);
      duckdb::FlatVector::GetData<T>(out)[at] = Load<T>(from + kValueAt);
    });
    return std::nullopt;
  }
  if (slot.kind == Slot::Kind::kFloat) {
    const double sum = RoundSum(Load<Int256>(from + kValueAt), digits);
    duckdb::FlatVector::GetData<double>(out)[at] =
        result.kind == SlotResult::Kind::kSum
            ? sum
            : sum / static_cast<double>(static_cast<uint64_t>(count));
    return std::nullopt;
  }
  const std::optional<Int128> sum = slot.kind == Slot::Kind::kSum128
                                        ? std::optional(Load<Int128>(from + kValueAt))
                                        : Load<Int256>(from + kValueAt).ToInt128();
  if (!sum) {
    duckdb::FlatVector::SetNull(out, at, true);
    return "overflow: " + result.name + " does not fit HUGEINT";
  }
  if (result.kind == SlotResult::Kind::kSum) {
    duckdb::FlatVector::GetData<duckdb::hugeint_t>(out)[at] = ToHugeint(*sum);
  } else if (result.kind == SlotResult::Kind::kAverage) {
    duckdb::FlatVector::GetData<double>(out)[at] = Average(*sum, count, result.argument);
  } else {
    duckdb::FlatVector::GetData<int64_t>(out)[at] = RoundedAverage(*sum, count);
  }
  return std::nullopt;
}

}  // namespace millrace::stream
