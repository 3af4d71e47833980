#include "stream/closing.h"

#include "base/check.h"
#include "duckdb/execution/expression_executor.hpp"
#include "stream/expressions.h"

namespace millrace::stream {

BoundReader::BoundReader(duckdb::ClientContext& client, const TimeBound& bound,
                         duckdb::LogicalType type)
    : client_(client), bound_(bound), type_(std::move(type)), seen_(bound.terms.size()) {
  CHECK(!bound.terms.empty()) << "a bound of nothing";
  for (const TimeBound::Term& term : bound.terms)
    CHECK(term.value->return_type == type_) << term.value->ToString();
}

bool BoundReader::Moved(const std::map<std::string, Micros>& watermarks) {
  bool moved = false;
  for (size_t i = 0; i < seen_.size(); ++i) {
    const auto found = watermarks.find(bound_.terms[i].stream);
    if (found == watermarks.end() || seen_[i] == found->second) continue;
    seen_[i] = found->second;
    moved = true;
  }
  if (!moved) return false;
  std::string least;
  bool inclusive = false;
  for (size_t i = 0; i < seen_.size(); ++i) {
    if (!seen_[i]) return false;  // a stream that has no watermark yet
    const TimeBound::Term& term = bound_.terms[i];
    const std::string bytes = Evaluate(term, *seen_[i]);
    if (bytes.empty()) return false;
    if (i == 0 || bytes < least) {
      least = bytes;
      inclusive = term.strict;
    } else if (bytes == least) {
      inclusive = inclusive && term.strict;
    }
  }
  if (least == bytes_ && inclusive == inclusive_) return false;
  bytes_ = std::move(least);
  inclusive_ = inclusive;
  return true;
}

// Empty where the expression has no value for this watermark (the end of the calendar).
std::string BoundReader::Evaluate(const TimeBound::Term& term, Micros watermark) {
  try {
    duckdb::DataChunk input;
    input.Initialize(duckdb::Allocator::DefaultAllocator(), {duckdb::LogicalType::TIMESTAMP}, 1);
    duckdb::FlatVector::GetData<int64_t>(input.data[0])[0] = watermark.value;
    input.SetCardinality(1);
    duckdb::DataChunk out;
    out.Initialize(duckdb::Allocator::DefaultAllocator(), {type_}, 1);
    duckdb::ExpressionExecutor executor(client_, *term.value);
    executor.Execute(input, out);
    out.Flatten();
    if (duckdb::FlatVector::IsNull(out.data[0], 0)) return {};
    return std::string(encoder_.Encode(out)[0]);
  } catch (const std::exception& exception) {
    if (EndsTheStep(exception)) throw;
    return {};
  }
}

bool BoundReader::IsClosed(std::string_view value) const {
  if (bytes_.empty()) return false;
  const int order = value.compare(bytes_);
  return order < 0 || (order == 0 && inclusive_);
}

ClosingKeys::ClosingKeys(const Node& node, duckdb::LogicalType type, const OperatorContext& context)
    : bound_(context.client, node.closing->bound, type),
      index_(context.state, context.table, context.worker, context.workers) {
  times_.InitializeEmpty({type});
}

Status ClosingKeys::Note(duckdb::Vector& times, size_t count, const std::vector<Opened>& opened) {
  if (opened.empty()) return Ok();
  CHECK(count <= STANDARD_VECTOR_SIZE && opened.size() <= STANDARD_VECTOR_SIZE);
  duckdb::SelectionVector selection(opened.size());
  for (size_t i = 0; i < opened.size(); ++i) selection.set_index(i, opened[i].row);
  times_.data[0].Slice(times, selection, opened.size());
  times_.SetCardinality(opened.size());
  const std::vector<std::string_view>& encoded = encoder_.Encode(times_);
  new_.clear();
  for (size_t i = 0; i < opened.size(); ++i) {
    if (encoder_.has_null()[i]) continue;
    new_.push_back({encoded[i], opened[i].key, opened[i].payload});
  }
  has_new_ = has_new_ || !new_.empty();
  return index_.Add(new_);
}

Result<std::span<const TimeIndex::Entry>> ClosingKeys::Take(const StepContext& context) {
  const bool moved = bound_.Moved(context.watermarks);
  // Where the bound stands still something may be closed all the same: an input that gives its rows
  // out when they close gives them below it.
  if (bound_.bytes().empty() || (!moved && !has_new_)) return std::span<const TimeIndex::Entry>();
  has_new_ = false;
  return index_.Take(bound_.bytes(), bound_.inclusive());
}

namespace {
std::vector<state::Key> KeysOf(std::span<const TimeIndex::Entry> entries) {
  std::vector<state::Key> keys;
  for (const TimeIndex::Entry& entry : entries) keys.push_back(entry.key);
  return keys;
}
}  // namespace

Status EraseCells(state::CellTable& table, std::span<const TimeIndex::Entry> keys) {
  std::vector<std::byte*> cells;
  TRY(table.Find(KeysOf(keys), cells));
  for (std::byte* cell : cells) {
    if (cell != nullptr) table.Erase(cell);
  }
  return Ok();
}

Status EraseGroups(state::BagTable& table, std::span<const TimeIndex::Entry> keys) {
  std::vector<state::BagTable::Group*> groups;
  TRY(table.Find(KeysOf(keys), groups));
  std::vector<state::BagTable::Entry> entries;
  std::string bytes;
  for (state::BagTable::Group* group : groups) {
    if (group == nullptr) continue;
    // Views of rows do not outlive a change of the group.
    bytes.clear();
    table.Rows(group, entries);
    for (const state::BagTable::Entry& entry : entries) bytes.append(entry.row);
    size_t begin = 0;
    for (const state::BagTable::Entry& entry : entries) {
      table.Add(group, std::string_view(bytes).substr(begin, entry.row.size()), -entry.weight);
      begin += entry.row.size();
    }
  }
  return Ok();
}

}  // namespace millrace::stream
