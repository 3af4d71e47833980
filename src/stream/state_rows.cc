#include "stream/state_rows.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace millrace::stream {
namespace {

rows::Types WithNumbers(rows::Types types, size_t numbers, const duckdb::LogicalType& type) {
  types.insert(types.end(), numbers, type);
  return types;
}

}  // namespace

ColumnView::ColumnView(std::vector<ColumnIndex> columns, const rows::Types& input_types)
    : columns_(std::move(columns)) {
  view_.InitializeEmpty(TypesOf(columns_, input_types));
}

duckdb::DataChunk& ColumnView::Of(duckdb::DataChunk& rows) {
  for (size_t i = 0; i < columns_.size(); ++i) view_.data[i].Reference(rows.data[columns_[i]]);
  view_.SetCardinality(rows.size());
  return view_;
}

KeyReader::KeyReader(std::vector<ColumnIndex> columns, const rows::Types& input_types)
    : columns_(std::move(columns), input_types) {}

const std::vector<state::Key>& KeyReader::Read(duckdb::DataChunk& rows) {
  const std::vector<std::string_view>& encoded = encoder_.Encode(columns_.Of(rows));
  CHECK(encoded.size() >= rows.size());
  keys_.resize(rows.size());
  for (size_t i = 0; i < keys_.size(); ++i) keys_[i] = {encoded[i], rows::KeyHash(encoded[i])};
  return keys_;
}

std::string_view ByteArena::Copy(std::string_view bytes) {
  char* at = Allocate(bytes.size());
  if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
  return {at, bytes.size()};
}

char* ByteArena::Allocate(size_t size) {
  while (block_ < blocks_.size() && used_ + size > blocks_[block_].size) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size()) {
    const size_t block_size = std::max(size, kBlockBytes);
    blocks_.push_back({std::make_unique_for_overwrite<char[]>(block_size), block_size});
    used_ = 0;
  }
  char* at = blocks_[block_].bytes.get() + used_;
  used_ += size;
  return at;
}

void ByteArena::Clear() {
  // One block is kept: steps are small and many, and a large one must not hold its memory for ever.
  if (blocks_.size() > 1) blocks_.resize(1);
  block_ = 0;
  used_ = 0;
}

StoredRows::StoredRows(rows::Types types, size_t numbers, const duckdb::LogicalType& number_type)
    : output_types_(WithNumbers(types, numbers, number_type)),
      row_columns_(types.size()),
      decoder_(std::move(types)),
      builder_(output_types_) {}

Status StoredRows::Add(std::string_view row, rows::Weight weight,
                       std::initializer_list<int64_t> numbers) {
  rows_.push_back(row);
  weights_.push_back(weight);
  numbers_.insert(numbers_.end(), numbers);
  if (rows_.size() == STANDARD_VECTOR_SIZE) return Flush();
  return Ok();
}

Status StoredRows::Flush() {
  if (rows_.empty()) return Ok();
  duckdb::DataChunk& chunk = builder_.Room(rows_.size());
  const size_t at = chunk.size();
  TRY(decoder_.Decode(rows_, chunk, at));
  const size_t columns = output_types_.size() - row_columns_;
  for (size_t column = 0; column < columns; ++column) {
    auto* numbers = duckdb::FlatVector::GetData<int64_t>(chunk.data[row_columns_ + column]) + at;
    for (size_t i = 0; i < rows_.size(); ++i) numbers[i] = numbers_[i * columns + column];
  }
  builder_.Commit(rows_.size(), weights_.data());
  rows_.clear();
  weights_.clear();
  numbers_.clear();
  return Ok();
}

rows::Batch StoredRows::Take() {
  CHECK(rows_.empty());
  return builder_.Finish();
}

Int64Column::Int64Column(duckdb::Vector& column, size_t rows)
    : wide_(column.GetType().InternalType() == duckdb::PhysicalType::INT64) {
  CHECK(wide_ || column.GetType().InternalType() == duckdb::PhysicalType::INT32)
      << column.GetType().ToString();
  column.ToUnifiedFormat(rows, format_);
}

}  // namespace millrace::stream
