#include "stream/bag_row.h"

#include <algorithm>

#include "base/coding.h"
#include "stream/state_rows.h"

namespace millrace::stream {
namespace {

constexpr size_t kTrailerBytes = 2 * sizeof(uint32_t);

std::vector<rows::KeyOrder> OrdersOf(const AggregateCall& spec) {
  std::vector<rows::KeyOrder> orders;
  for (const auto& order : spec.orders) orders.push_back(order.order);
  return orders;
}

void Reference(duckdb::DataChunk& chunk, const std::vector<ColumnIndex>& columns,
               duckdb::DataChunk& columns_chunk) {
  for (size_t i = 0; i < columns.size(); ++i)
    columns_chunk.data[i].Reference(chunk.data[columns[i]]);
  columns_chunk.SetCardinality(chunk.size());
}

}  // namespace

BagRowEncoder::BagRowEncoder(uint16_t call, const AggregateCall& spec, const rows::Types& input,
                             rows::KeyOrder argument_order)
    : arguments_(spec.arguments),
      filter_(spec.filter),
      argument_types_(TypesOf(spec.arguments, input)),
      has_argument_key_(
          !spec.arguments.empty() &&
          std::all_of(argument_types_.begin(), argument_types_.end(), rows::IsKeyType)),
      order_key_(OrdersOf(spec)),
      argument_key_(std::vector<rows::KeyOrder>(spec.arguments.size(), argument_order)),
      encoder_(argument_types_) {
  PutBig<uint16_t>(prefix_, call);
  for (const auto& order : spec.orders) order_columns_.push_back(order.column);
  if (!arguments_.empty()) argument_columns_.InitializeEmpty(argument_types_);
  if (!order_columns_.empty()) order_chunk_.InitializeEmpty(TypesOf(order_columns_, input));
}

const std::vector<std::string_view>& BagRowEncoder::Encode(duckdb::DataChunk& chunk) {
  const size_t count = chunk.size();
  if (filter_) chunk.data[*filter_].ToUnifiedFormat(count, filter_format_);
  argument_formats_.clear();
  argument_formats_.resize(arguments_.size());
  for (size_t i = 0; i < arguments_.size(); ++i)
    chunk.data[arguments_[i]].ToUnifiedFormat(count, argument_formats_[i]);
  const std::vector<std::string_view>* order_keys = nullptr;
  const std::vector<std::string_view>* argument_keys = nullptr;
  const std::vector<std::string_view>* encodings = nullptr;
  if (!order_columns_.empty()) {
    Reference(chunk, order_columns_, order_chunk_);
    order_keys = &order_key_.Encode(order_chunk_);
  }
  if (!arguments_.empty()) {
    Reference(chunk, arguments_, argument_columns_);
    if (has_argument_key_) argument_keys = &argument_key_.Encode(argument_columns_);
    encodings = &encoder_.Encode(argument_columns_);
  }
  const auto part = [](const std::vector<std::string_view>* from, size_t row) {
    return from == nullptr ? std::string_view() : (*from)[row];
  };
  bytes_.clear();
  ends_.clear();
  for (size_t row = 0; row < count; ++row) {
    const std::string_view key = part(argument_keys, row);
    const std::string_view encoding = part(encodings, row);
    bytes_.append(prefix_).append(part(order_keys, row)).append(key).append(encoding);
    PutFixed(bytes_, static_cast<uint32_t>(key.size()));
    PutFixed(bytes_, static_cast<uint32_t>(encoding.size()));
    ends_.push_back(bytes_.size());
  }
  rows_.clear();
  size_t begin = 0;
  for (const size_t end : ends_) {
    rows_.push_back(std::string_view(bytes_).substr(begin, end - begin));
    begin = end;
  }
  return rows_;
}

bool BagRowEncoder::Passes(size_t row) const {
  if (!filter_) return true;
  const auto at = filter_format_.sel->get_index(row);
  return filter_format_.validity.RowIsValid(at) &&
         duckdb::UnifiedVectorFormat::GetData<bool>(filter_format_)[at];
}

bool BagRowEncoder::HasNull(size_t row) const {
  return std::any_of(argument_formats_.begin(), argument_formats_.end(), [row](const auto& format) {
    return !format.validity.RowIsValid(format.sel->get_index(row));
  });
}

std::string_view BagRowEncoder::ArgumentsOf(std::string_view row) {
  const auto size = GetFixed<uint32_t>(row.data() + row.size() - sizeof(uint32_t));
  return row.substr(row.size() - kTrailerBytes - size, size);
}

std::string_view BagRowEncoder::ArgumentsKeyOf(std::string_view row) {
  const auto key = GetFixed<uint32_t>(row.data() + row.size() - kTrailerBytes);
  const auto encoding = GetFixed<uint32_t>(row.data() + row.size() - sizeof(uint32_t));
  const size_t begin = row.size() - kTrailerBytes - encoding - key;
  return row.substr(begin, key > 0 ? key : encoding);
}

}  // namespace millrace::stream
