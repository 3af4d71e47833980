#include "stream/deduplicate.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "base/coding.h"

namespace millrace::stream {
namespace {

// The cell with `within`. All zero bytes: no accepted row with a time.
struct Times {
  int64_t earliest;
  int64_t latest;
  uint64_t count;  // accepted times; those between the two are in the bag
};
// The cell without `within` says all by being there.
constexpr size_t kPresenceBytes = 1;

// |a - b|, which may be more than an int64_t holds.
uint64_t Distance(int64_t a, int64_t b) {
  return a > b ? static_cast<uint64_t>(a) - static_cast<uint64_t>(b)
               : static_cast<uint64_t>(b) - static_cast<uint64_t>(a);
}

constexpr uint64_t kSignBit = uint64_t{1} << 63;

// Bytes whose memcmp order is the order of times.
std::string EncodeTime(int64_t time) {
  std::string bytes;
  PutBig(bytes, static_cast<uint64_t>(time) ^ kSignBit);
  return bytes;
}
int64_t DecodeTime(std::string_view bytes) {
  return static_cast<int64_t>(GetBig<uint64_t>(bytes.data()) ^ kSignBit);
}

constexpr size_t kBlockRows = STANDARD_VECTOR_SIZE;

}  // namespace

DeduplicateOperator::DeduplicateOperator(const Deduplicate& deduplicate,
                                         const OperatorContext& context)
    : deduplicate_(deduplicate),
      types_(context.input_types[0]),
      key_reader_(deduplicate.keys, types_),
      cells_(
          context.state.Cells(context.table, deduplicate.within ? sizeof(Times) : kPresenceBytes)),
      times_(deduplicate.within
                 ? &context.state.Bags(state::TableId{context.table.value + 1}, /*ordered=*/true)
                 : nullptr) {
  CHECK(!deduplicate_.within || (deduplicate_.time && deduplicate_.within->count() >= 0))
      << "a horizon needs an event time and is not negative";
}

Result<rows::Batch> DeduplicateOperator::Step(StepContext& context,
                                              std::span<const rows::Batch* const> inputs) {
  CHECK(inputs.size() == 1);
  if (inputs[0] == nullptr || inputs[0]->empty()) return rows::Batch{};
  const rows::Batch& input = *inputs[0];
  Collect(input);
  const auto earlier = [](const Row& a, const Row& b) {
    return std::tie(a.order, a.offset, a.partition) < std::tie(b.order, b.offset, b.partition);
  };
  if (!std::is_sorted(rows_.begin(), rows_.end(), earlier)) {
    std::sort(rows_.begin(), rows_.end(), earlier);
  }
  duplicate_.assign(input.parts.size(), {});
  for (size_t begin = 0; begin < rows_.size(); begin += kBlockRows) {
    const size_t count = std::min(kBlockRows, rows_.size() - begin);
    TRY(Decide(std::span(rows_).subspan(begin, count), context));
  }
  rows::Batch out = Accepted(input);
  rows_.clear();
  keys_.Clear();
  return out;
}

void DeduplicateOperator::Collect(const rows::Batch& input) {
  rows_.reserve(input.row_count());
  for (size_t part = 0; part < input.parts.size(); ++part) {
    CHECK(input.parts[part].weights.empty() || input.insert_only());
    duckdb::DataChunk& rows = *input.parts[part].rows;
    const std::vector<state::Key>& keys = key_reader_.Read(rows);
    const Int64Column order(rows.data[deduplicate_.order], rows.size());
    const Int64Column partition(rows.data[deduplicate_.partition], rows.size());
    const Int64Column offset(rows.data[deduplicate_.offset], rows.size());
    // Without `within` times do not matter: any column will do.
    const Int64Column time(rows.data[deduplicate_.within ? *deduplicate_.time : deduplicate_.order],
                           rows.size());
    for (size_t row = 0; row < rows.size(); ++row) {
      rows_.push_back({.order = order[row],
                       .offset = offset[row],
                       .time = time[row],
                       .key = keys_.Copy(keys[row].bytes),
                       .hash = keys[row].hash,
                       .partition = static_cast<int32_t>(partition[row]),
                       .part = static_cast<uint32_t>(part),
                       .row = static_cast<uint32_t>(row),
                       .has_time = !time.is_null(row)});
    }
  }
}

// Decides rows in append order, which `rows` stand in.
Status DeduplicateOperator::Decide(std::span<const Row> rows, StepContext& context) {
  block_keys_.clear();
  for (const Row& row : rows) block_keys_.push_back({row.key, row.hash});
  TRY(cells_.FindOrCreate(block_keys_, block_cells_, block_created_));
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    bool accepted = block_created_[i];
    if (deduplicate_.within) {
      TRY(accepted, AcceptTime(row, block_cells_[i], block_created_[i]));
    }
    if (accepted) continue;
    std::vector<uint8_t>& duplicate = duplicate_[row.part];
    if (duplicate.size() <= row.row) duplicate.resize(STANDARD_VECTOR_SIZE);
    duplicate[row.row] = 1;
    context.exclusions.push_back({row.partition, row.offset});
  }
  return Ok();
}

// Says whether the row is no duplicate, and if so remembers its time.
Result<bool> DeduplicateOperator::AcceptTime(const Row& row, std::byte* cell, bool created) {
  if (!row.has_time) return true;
  const auto within = static_cast<uint64_t>(deduplicate_.within->count());
  Times times;
  std::memcpy(&times, cell, sizeof(times));
  if (times.count > 0 &&
      (Distance(row.time, times.earliest) < within || Distance(row.time, times.latest) < within)) {
    return false;
  }
  if (!created) cells_.Touch(cell);
  if (times.count == 0) {
    times = {.earliest = row.time, .latest = row.time, .count = 1};
  } else {
    if (row.time > times.latest) {
      if (times.count > 1) TRY(Remember(row, times.latest));
      times.latest = row.time;
    } else if (row.time < times.earliest) {
      if (times.count > 1) TRY(Remember(row, times.earliest));
      times.earliest = row.time;
    } else {
      TRY(const bool accepted, AcceptBetween(row, within));
      if (!accepted) return false;
    }
    ++times.count;
  }
  std::memcpy(cell, &times, sizeof(times));
  return true;
}

// The row's time lies between the earliest and the latest one, away from both.
Result<bool> DeduplicateOperator::AcceptBetween(const Row& row, uint64_t within) {
  const state::Key key{row.key, row.hash};
  std::vector<state::BagTable::Group*> group;
  TRY(times_->Find({&key, 1}, group));
  bool near = false;
  if (group[0] != nullptr) {
    // Times are at least `within` apart: the first one from row.time - within on, or the next one,
    // is near, or none is.
    const auto reach = static_cast<int64_t>(
        std::min(within, Distance(row.time, std::numeric_limits<int64_t>::min())));
    times_->Scan(group[0], EncodeTime(row.time - reach), [&](const state::BagTable::Entry& entry) {
      const int64_t time = DecodeTime(entry.row);
      near = Distance(time, row.time) < within;
      return !near && time < row.time;
    });
  }
  if (near) return false;
  TRY(Remember(row, row.time));
  return true;
}

Status DeduplicateOperator::Remember(const Row& row, int64_t time) {
  const state::Key key{row.key, row.hash};
  std::vector<state::BagTable::Group*> group;
  TRY(times_->FindOrCreate({&key, 1}, group));
  times_->Add(group[0], EncodeTime(time), +1);
  return Ok();
}

rows::Batch DeduplicateOperator::Accepted(const rows::Batch& input) {
  rows::Batch out;
  rows::BatchBuilder builder(types_);
  std::vector<duckdb::sel_t> selection;
  const std::vector<rows::Weight> ones(STANDARD_VECTOR_SIZE, 1);
  for (size_t part = 0; part < input.parts.size(); ++part) {
    if (duplicate_[part].empty()) {
      out.parts.push_back(input.parts[part]);
      continue;
    }
    selection.clear();
    for (size_t row = 0; row < input.parts[part].rows->size(); ++row) {
      if (!duplicate_[part][row]) selection.push_back(static_cast<duckdb::sel_t>(row));
    }
    if (selection.empty()) continue;
    builder.Append(*input.parts[part].rows, selection.data(), selection.size(), ones.data());
  }
  out.Append(builder.Finish());
  return out;
}

std::unique_ptr<Operator> MakeDeduplicate(const Node& node, OperatorContext context) {
  return std::make_unique<DeduplicateOperator>(std::get<Deduplicate>(node.op), context);
}

}  // namespace millrace::stream
