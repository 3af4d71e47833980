#include "stream/distinct_values.h"

#include <algorithm>
#include <cstring>

namespace millrace::stream {
namespace {

// The number of an argument in its keys.
constexpr size_t kNumberBytes = 2;
constexpr size_t kGroupBytes = sizeof(uint32_t);

// The rows for which a FILTER is true.
class Passing {
 public:
  Passing(const std::optional<ColumnIndex>& filter, duckdb::DataChunk& rows)
      : filters_(filter.has_value()) {
    if (filters_) rows.data[*filter].ToUnifiedFormat(rows.size(), format_);
  }
  bool operator[](size_t row) const {
    if (!filters_) return true;
    const auto at = format_.sel->get_index(row);
    return format_.validity.RowIsValid(at) &&
           duckdb::UnifiedVectorFormat::GetData<bool>(format_)[at];
  }

 private:
  bool filters_;
  duckdb::UnifiedVectorFormat format_;
};

// By the low bits of the group's hash its virtual shard is chosen, and so the worker.
constexpr uint64_t kShardMask = rows::kVirtualShards - 1;
static_assert((rows::kVirtualShards & kShardMask) == 0);

int64_t Load(const std::byte* at) {
  int64_t value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

}  // namespace

DistinctValues::Argument::Argument(ColumnIndex argument, const rows::Types& input)
    : column(argument),
      view({argument}, input),
      is_key_type(rows::IsKeyType(input[argument])),
      encoding({input[argument]}) {}

DistinctValues::DistinctValues(const CellLayout& layout, const rows::Types& input,
                               state::WorkerState& state, state::TableId table) {
  for (size_t i = 0; i < layout.slots().size(); ++i) {
    const Slot& slot = layout.slots()[i];
    if (!slot.distinct) continue;
    const auto known =
        std::find_if(arguments_.begin(), arguments_.end(),
                     [&](const auto& argument) { return argument->column == *slot.argument; });
    const auto number = static_cast<size_t>(known - arguments_.begin());
    if (known == arguments_.end())
      arguments_.push_back(std::make_unique<Argument>(*slot.argument, input));
    Argument& argument = *arguments_[number];
    argument.slots.push_back(i);
    argument.filters.push_back(slot.filter);
    width_ = std::max(width_, argument.slots.size());
  }
  cells_ = &state.Cells(table, width_ * sizeof(int64_t));
}

Status DistinctValues::Apply(size_t argument, const rows::Batch& input,
                             const std::vector<uint32_t>& group_of_row,
                             std::span<const state::Key> groups,
                             const std::function<void(const Change&)>& visit,
                             const std::function<Status(std::span<const New>)>& note) {
  values_.Reset(group_of_row.size());
  firsts_.clear();
  deltas_.clear();
  Gather(*arguments_[argument], input, group_of_row);
  TRY(Merge(argument, input, groups, visit));
  if (note) TRY(NoteNew(note));
  bytes_.Clear();
  return Ok();
}

Status DistinctValues::NoteNew(const std::function<Status(std::span<const New>)>& note) const {
  std::vector<New> news;
  for (size_t i = 0; i < firsts_.size(); ++i) {
    if (created_[i]) news.push_back({keys_[i], firsts_[i].group});
  }
  return note(news);
}

void DistinctValues::Gather(Argument& argument, const rows::Batch& input,
                            const std::vector<uint32_t>& group_of_row) {
  const uint32_t* groups = group_of_row.data();
  for (size_t p = 0; p < input.parts.size(); ++p) {
    const rows::Batch::Part& part = input.parts[p];
    duckdb::DataChunk& column = argument.view.Of(*part.rows);
    duckdb::UnifiedVectorFormat format;
    column.data[0].ToUnifiedFormat(column.size(), format);
    const auto& encoded =
        argument.is_key_type ? argument.key.Encode(column) : argument.encoding.Encode(column);
    std::vector<Passing> passing;
    for (const auto& filter : argument.filters) passing.emplace_back(filter, *part.rows);
    for (size_t row = 0; row < part.rows->size(); ++row) {
      if (!format.validity.RowIsValid(format.sel->get_index(row))) continue;
      in_step_.resize(kGroupBytes);
      std::memcpy(in_step_.data(), &groups[row], kGroupBytes);
      in_step_.append(encoded[row]);
      const uint32_t value = values_.FindOrAdd(in_step_, rows::KeyHash(in_step_));
      if (value == firsts_.size()) {
        firsts_.push_back({static_cast<uint32_t>(p), static_cast<uint32_t>(row), groups[row]});
        deltas_.resize(deltas_.size() + width_);
      }
      int64_t* deltas = deltas_.data() + value * width_;
      for (size_t i = 0; i < passing.size(); ++i) {
        if (passing[i][row]) deltas[i] += part.weight(row);
      }
    }
    groups += part.rows->size();
  }
}

Status DistinctValues::Merge(size_t number, const rows::Batch& input,
                             std::span<const state::Key> groups,
                             const std::function<void(const Change&)>& visit) {
  const Argument& argument = *arguments_[number];
  keys_.clear();
  for (size_t i = 0; i < firsts_.size(); ++i) {
    const state::Key& in_step = values_.keys()[i];
    const std::string_view value = in_step.bytes.substr(kGroupBytes);
    const state::Key& group = groups[firsts_[i].group];
    const size_t size = group.bytes.size() + kNumberBytes + value.size();
    char* bytes = bytes_.Allocate(size);
    const auto big = static_cast<uint16_t>(number);
    if (!group.bytes.empty()) std::memcpy(bytes, group.bytes.data(), group.bytes.size());
    bytes[group.bytes.size()] = static_cast<char>(big >> 8);
    bytes[group.bytes.size() + 1] = static_cast<char>(big);
    std::memcpy(bytes + group.bytes.size() + kNumberBytes, value.data(), value.size());
    const uint64_t hash = rows::KeyHash({bytes, size});
    keys_.push_back({{bytes, size}, (hash & ~kShardMask) | (group.hash & kShardMask)});
  }
  TRY(cells_->FindOrCreate(keys_, found_, created_));
  for (size_t i = 0; i < firsts_.size(); ++i) {
    const int64_t* deltas = deltas_.data() + i * width_;
    const bool nothing = std::all_of(deltas, deltas + width_, [](int64_t d) { return d == 0; });
    if (!nothing) cells_->Touch(found_[i]);
    bool is_empty = true;
    for (size_t s = 0; s < width_; ++s) {
      std::byte* at = found_[i] + s * sizeof(int64_t);
      const int64_t before = Load(at);
      const int64_t after = before + deltas[s];
      is_empty = is_empty && after == 0;
      if (deltas[s] == 0) continue;
      std::memcpy(at, &after, sizeof(after));
      const int64_t change = (after > 0) - (before > 0);
      if (change == 0) continue;
      const Value& first = firsts_[i];
      visit({argument.slots[s], input.parts[first.part], first.row, first.group, change});
    }
    if (is_empty) cells_->Erase(found_[i]);
  }
  return Ok();
}

}  // namespace millrace::stream
