#include "stream/key_dispatch.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"
#include "duckdb/planner/expression/bound_comparison_expression.hpp"
#include "duckdb/planner/expression/bound_conjunction_expression.hpp"
#include "duckdb/planner/expression/bound_constant_expression.hpp"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "rows/fixed_type.h"
#include "stream/pre_aggregate.h"

namespace millrace::stream {
namespace {

using duckdb::ExpressionClass;
using duckdb::ExpressionType;
using duckdb::PhysicalType;

std::optional<KeyEquality> EqualityOf(const duckdb::Expression& reference,
                                      const duckdb::Expression& constant) {
  if (reference.GetExpressionClass() != ExpressionClass::BOUND_REF ||
      constant.GetExpressionClass() != ExpressionClass::BOUND_CONSTANT) {
    return std::nullopt;
  }
  const duckdb::Value& value = constant.Cast<duckdb::BoundConstantExpression>().value;
  if (value.IsNull() || value.type() != reference.return_type) return std::nullopt;
  if (!rows::IsKeyType(value.type()) || !ArePlainKeys({value.type()})) return std::nullopt;
  return KeyEquality{reference.Cast<duckdb::BoundReferenceExpression>().index, value};
}

std::optional<KeyEquality> Search(const duckdb::Expression& predicate) {
  if (predicate.GetExpressionType() == ExpressionType::CONJUNCTION_AND) {
    for (const auto& child : predicate.Cast<duckdb::BoundConjunctionExpression>().children) {
      if (auto found = Search(*child)) return found;
    }
    return std::nullopt;
  }
  if (predicate.GetExpressionType() != ExpressionType::COMPARE_EQUAL) return std::nullopt;
  const auto& comparison = predicate.Cast<duckdb::BoundComparisonExpression>();
  auto found = EqualityOf(*comparison.left, *comparison.right);
  return found ? found : EqualityOf(*comparison.right, *comparison.left);
}

bool IsNumber(PhysicalType type) {
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
      return true;
    default:
      return false;
  }
}

// Where the search for a number begins.
size_t PlaceOf(int64_t value, size_t table_size) {
  return static_cast<size_t>((static_cast<uint64_t>(value) * 0x9E3779B97F4A7C15u) >>
                             (64 - std::countr_zero(table_size)));
}

constexpr size_t kTableMin = 16;

}  // namespace

std::optional<KeyEquality> KeyEqualityOf(const Filter& filter) {
  if (filter.predicate->CanThrow() || filter.predicate->IsVolatile()) return std::nullopt;
  return Search(*filter.predicate);
}

KeyDispatch::KeyDispatch(ColumnIndex column, const rows::Types& types)
    : column_(column),
      types_(types),
      is_number_(IsNumber(types[column].InternalType())),
      numbers_(kTableMin),
      view_({column}, types) {}

size_t KeyDispatch::AddSlot(const duckdb::Value& constant) {
  duckdb::DataChunk row;
  row.Initialize(duckdb::Allocator::DefaultAllocator(), {types_[column_]}, 1);
  row.SetValue(0, 0, constant);
  row.SetCardinality(1);
  const auto fresh = static_cast<uint32_t>(batches_.size());
  if (!is_number_) {
    const auto [at, added] = keys_.try_emplace(std::string(encoder_.Encode(row)[0]), fresh);
    if (added) batches_.emplace_back();
    return at->second;
  }
  slots_.assign(1, kNone);
  FindNumbers(row.data[0], 1);
  if (slots_[0] != kNone) return slots_[0];
  batches_.emplace_back();
  if (batches_.size() * 4 > numbers_.size()) GrowNumbers();
  rows::WithFixedType(types_[column_].InternalType(), [&](auto example) {
    const auto value =
        static_cast<int64_t>(duckdb::FlatVector::GetData<decltype(example)>(row.data[0])[0]);
    size_t place = PlaceOf(value, numbers_.size());
    while (numbers_[place].slot != kNone) place = (place + 1) & (numbers_.size() - 1);
    numbers_[place] = {value, fresh};
  });
  return fresh;
}

void KeyDispatch::GrowNumbers() {
  std::vector<Number> grown(numbers_.size() * 4);
  for (const Number& number : numbers_) {
    if (number.slot == kNone) continue;
    size_t place = PlaceOf(number.value, grown.size());
    while (grown[place].slot != kNone) place = (place + 1) & (grown.size() - 1);
    grown[place] = number;
  }
  numbers_ = std::move(grown);
}

uint32_t KeyDispatch::SlotOfNumber(int64_t value) const {
  size_t place = PlaceOf(value, numbers_.size());
  for (; numbers_[place].slot != kNone; place = (place + 1) & (numbers_.size() - 1)) {
    if (numbers_[place].value == value) return numbers_[place].slot;
  }
  return kNone;
}

void KeyDispatch::FindNumbers(duckdb::Vector& column, size_t count) {
  duckdb::UnifiedVectorFormat format;
  column.ToUnifiedFormat(count, format);
  rows::WithFixedType(types_[column_].InternalType(), [&](auto example) {
    const auto* values = duckdb::UnifiedVectorFormat::GetData<decltype(example)>(format);
    const bool all_valid = format.validity.AllValid();
    for (size_t row = 0; row < count; ++row) {
      const auto from = format.sel->get_index(row);
      if (!all_valid && !format.validity.RowIsValid(from)) continue;
      slots_[row] = SlotOfNumber(static_cast<int64_t>(values[from]));
    }
  });
}

void KeyDispatch::FindKeys(duckdb::DataChunk& rows) {
  const auto& encoded = encoder_.Encode(view_.Of(rows));
  for (size_t row = 0; row < encoded.size(); ++row) {
    key_.assign(encoded[row]);
    if (const auto found = keys_.find(key_); found != keys_.end()) slots_[row] = found->second;
  }
}

void KeyDispatch::Find(duckdb::DataChunk& rows) {
  slots_.assign(rows.size(), kNone);
  if (is_number_) {
    FindNumbers(rows.data[column_], rows.size());
  } else {
    FindKeys(rows);
  }
}

const rows::Batch& KeyDispatch::RowsOf(size_t slot, uint32_t ticket, const rows::Batch& batch) {
  if (ticket_ != ticket) {
    ticket_ = ticket;
    Divide(batch);
  }
  return batches_[slot];
}

void KeyDispatch::Divide(const rows::Batch& batch) {
  for (const uint32_t slot : filled_) batches_[slot] = rows::Batch();
  filled_.clear();
  matches_.clear();
  for (size_t part = 0; part < batch.parts.size(); ++part) {
    Find(*batch.parts[part].rows);
    for (size_t row = 0; row < slots_.size(); ++row) {
      if (slots_[row] == kNone) continue;
      matches_.push_back(
          {slots_[row], static_cast<uint32_t>(part), static_cast<duckdb::sel_t>(row)});
    }
  }
  std::stable_sort(matches_.begin(), matches_.end(),
                   [](const Match& a, const Match& b) { return a.slot < b.slot; });
  for (size_t begin = 0; begin < matches_.size();) {
    const uint32_t slot = matches_[begin].slot;
    size_t end = begin;
    while (end < matches_.size() && matches_[end].slot == slot) ++end;
    batches_[slot] = Gather(batch, matches_.data() + begin, matches_.data() + end);
    filled_.push_back(slot);
    begin = end;
  }
}

// In chunks just as large as they have to be: most filters get few rows.
rows::Batch KeyDispatch::Gather(const rows::Batch& batch, const Match* begin,
                                const Match* end) const {
  rows::Batch out;
  while (begin < end) {
    const auto count = std::min<size_t>(static_cast<size_t>(end - begin), STANDARD_VECTOR_SIZE);
    const Match* chunk_end = begin + count;
    rows::Batch::Part made{std::make_shared<duckdb::DataChunk>(), {}};
    made.rows->Initialize(duckdb::Allocator::DefaultAllocator(), types_, count);
    bool inserts = true;
    for (size_t at = 0; begin < chunk_end;) {
      const rows::Batch::Part& part = batch.parts[begin->part];
      const uint32_t number = begin->part;
      duckdb::SelectionVector selection(count);
      size_t run = 0;
      for (; begin < chunk_end && begin->part == number; ++begin, ++run) {
        selection.set_index(run, begin->row);
        made.weights.push_back(part.weight(begin->row));
        inserts = inserts && made.weights.back() == 1;
      }
      for (size_t column = 0; column < types_.size(); ++column) {
        duckdb::VectorOperations::Copy(part.rows->data[column], made.rows->data[column], selection,
                                       run, 0, at);
      }
      at += run;
    }
    made.rows->SetCardinality(count);
    if (inserts) made.weights.clear();
    out.parts.push_back(std::move(made));
  }
  return out;
}

}  // namespace millrace::stream
