#include "stream/top_k.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"
#include "base/coding.h"

namespace millrace::stream {
namespace {

using rows::Weight;

// The boundary cell: byte 0 is 0 while the partition does not fill its places, else 1 + the number
// of bytes that follow: the first ones of the last shown row. It needs to reach behind the order
// key's first columns only.
constexpr size_t kBoundaryBytes = 40;

// `last` empty: the places are not filled.
void SetBoundary(std::byte* boundary, std::string_view last) {
  const size_t head = std::min(last.size(), kBoundaryBytes - 1);
  boundary[0] = static_cast<std::byte>(last.empty() ? 0 : head + 1);
  std::copy_n(reinterpret_cast<const std::byte*>(last.data()), head, boundary + 1);
}

bool IsBehind(std::string_view row, const std::byte* boundary) {
  const auto head = std::to_integer<size_t>(boundary[0]);
  if (head == 0) return false;
  return std::memcmp(row.data(), boundary + 1, std::min(row.size(), head - 1)) > 0;
}

// With no more places than this the shown rows are looked at in less time than a boundary.
constexpr int64_t kPlacesWithoutBoundary = 4;

// With more places than this, keeping the least order keys of each touched partition costs more
// than it saves.
constexpr int64_t kBestPlacesMax = 64;

constexpr size_t kAhead = 8;

bool NeedsBoundary(const TopK& top_k) {
  return top_k.limit > kPlacesWithoutBoundary ||
         top_k.offset > kPlacesWithoutBoundary - top_k.limit;
}

size_t SlotHash(const state::BagTable::Group* group) {
  return reinterpret_cast<uintptr_t>(group) * 0x9e3779b97f4a7c15ull >> 20;
}

// Stored rows end with the length of their order key, in one byte when it is small. Equal order
// keys have equal lengths, and no row encoding is a prefix of another, so the length never decides
// the order.
constexpr size_t kSmallLengthMax = 0xfe;

void AppendLength(std::string& out, size_t length) {
  if (length <= kSmallLengthMax) {
    out.push_back(static_cast<char>(length));
    return;
  }
  PutFixed(out, static_cast<uint32_t>(length));
  out.push_back(static_cast<char>(0xff));
}

// Stored bytes without their length.
struct Stored {
  std::string_view order_key;
  std::string_view row;
};

// Empty where the bytes are damaged.
Stored Parse(std::string_view stored) {
  if (stored.empty()) return {};
  size_t length = static_cast<uint8_t>(stored.back());
  stored.remove_suffix(1);
  if (length > kSmallLengthMax) {
    if (stored.size() < sizeof(uint32_t)) return {};
    length = GetFixed<uint32_t>(stored.data() + stored.size() - sizeof(uint32_t));
    stored.remove_suffix(sizeof(uint32_t));
  }
  if (length > stored.size()) return {};
  return {stored.substr(0, length), stored.substr(length)};
}

std::string_view RowOf(std::string_view stored) { return Parse(stored).row; }

size_t BestPlaces(const TopK& top_k, bool insert_only) {
  // Rows of one order key share a dense rank, so that a number of rows says nothing of it.
  if (top_k.ranking == TopK::Ranking::kDenseRank) return 0;
  const bool few = top_k.limit <= kBestPlacesMax && top_k.offset <= kBestPlacesMax - top_k.limit;
  return insert_only && few ? static_cast<size_t>(top_k.offset + top_k.limit) : 0;
}

std::vector<ColumnIndex> OrderColumns(const TopK& top_k) {
  std::vector<ColumnIndex> columns;
  for (const TopK::Order& order : top_k.orders) columns.push_back(order.column);
  return columns;
}

std::vector<rows::KeyOrder> KeyOrders(const TopK& top_k) {
  std::vector<rows::KeyOrder> orders;
  for (const TopK::Order& order : top_k.orders) orders.push_back(order.order);
  return orders;
}

}  // namespace

TopKOperator::TopKOperator(const Node& node, const OperatorContext& context)
    : top_k_(std::get<TopK>(node.op)),
      ranks_(top_k_.ranking != TopK::Ranking::kRowNumber),
      partition_reader_(top_k_.partition, context.input_types[0]),
      order_columns_(OrderColumns(top_k_), context.input_types[0]),
      order_encoder_(KeyOrders(top_k_)),
      row_encoder_(context.input_types[0]),
      table_(context.state.Bags(context.table, /*ordered=*/true)),
      boundaries_(
          NeedsBoundary(top_k_)
              ? &context.state.Cells(state::TableId{context.table.value + 1}, kBoundaryBytes)
              : nullptr),
      insert_only_(!context.insert_only.empty() && context.insert_only[0]),
      best_places_(BestPlaces(top_k_, insert_only_)),
      latest_first_(best_places_ > 0 && !top_k_.orders.empty() &&
                    top_k_.orders[0].order.descending),
      out_(context.input_types[0], top_k_.with_number ? 1 : 0) {
  CHECK(top_k_.limit >= 0 && top_k_.offset >= 0);
  chosen_.InitializeEmpty(context.input_types[0]);
  if (!node.closing) return;
  closing_column_ = top_k_.partition[node.closing->key];
  closing_.emplace(node, context.input_types[0][closing_column_], context);
}

Result<rows::Batch> TopKOperator::Step(StepContext& context,
                                       std::span<const rows::Batch* const> inputs) {
  CHECK(inputs.size() == 1);
  if (top_k_.limit == 0) return rows::Batch{};
  slots_.assign(1024, 0);
  // Rows mostly come in order of time: where the latest are wanted, they are looked at first.
  if (inputs[0] != nullptr) {
    const auto& parts = inputs[0]->parts;
    for (size_t i = 0; i < parts.size(); ++i)
      TRY(Change(parts[latest_first_ ? parts.size() - 1 - i : i]));
  }

  for (size_t i = 0; i < touched_.size(); ++i) {
    // The groups lie anywhere in memory: the next ones are fetched while this one is scanned.
    if (i + kAhead < touched_.size()) __builtin_prefetch(touched_[i + kAhead].group);
    const Touched& touched = touched_[i];
    if (!touched.changed) continue;
    const size_t before_end = i + 1 < touched_.size() ? touched_[i + 1].before : before_.size();
    after_.clear();
    const bool full = Scan(touched.group, after_, /*trims=*/insert_only_);
    if (touched.boundary != nullptr) {
      boundaries_->Touch(touched.boundary);
      SetBoundary(touched.boundary, full ? LastOf(after_.back()) : std::string_view());
    }
    TRY(EmitDifference(std::span(before_).subspan(touched.before, before_end - touched.before),
                       after_));
  }
  TRY(out_.Flush());
  // No retraction will ever bring these back.
  for (const Excess& row : excess_) table_.Add(row.group, row.bytes, -row.weight);
  excess_.clear();
  touched_.clear();
  before_.clear();
  best_.clear();
  bytes_.Clear();
  if (closing_) TRY(DropClosed(context));
  return out_.Take();
}

Status TopKOperator::DropClosed(StepContext& context) {
  TRY(const auto closed, closing_->Take(context));
  TRY(EraseGroups(table_, closed));
  return boundaries_ == nullptr ? Ok() : EraseCells(*boundaries_, closed);
}

// Adds the rows of one chunk to their partitions, having taken down what these show where that may
// change.
Status TopKOperator::Change(const rows::Batch::Part& part) {
  duckdb::DataChunk& rows = *part.rows;
  const std::vector<state::Key>& partitions = partition_reader_.Read(rows);
  TRY(table_.FindOrCreate(partitions, groups_));
  cells_.assign(rows.size(), nullptr);
  if (boundaries_ != nullptr) TRY(boundaries_->FindOrCreate(partitions, cells_, created_));
  if (closing_) {
    opened_.clear();
    for (size_t i = 0; i < rows.size(); ++i) {
      if (table_.Size(groups_[i]) == 0)
        opened_.push_back({static_cast<duckdb::sel_t>(i), partitions[i], {}});
    }
    TRY(closing_->Note(rows.data[closing_column_], rows.size(), opened_));
  }
  const std::vector<std::string_view>& order_keys = order_encoder_.Encode(order_columns_.Of(rows));
  Choose(part, order_keys);
  const std::vector<std::string_view>& encoded = EncodeCandidates(rows);
  for (size_t c = 0; c < candidates_.size(); ++c) {
    const size_t i = candidates_[c];
    row_.assign(order_keys[i]);
    row_.append(encoded[c]);
    AppendLength(row_, order_keys[i].size());
    bool behind = cells_[i] != nullptr && IsBehind(row_, cells_[i]);
    if (!behind) {
      Touched& touched = Touch(groups_[i], cells_[i]);
      behind = IsBehindLast(touched, order_keys[i]);
      touched.changed |= !behind;
    }
    if (behind && insert_only_) continue;
    table_.Add(groups_[i], row_, part.weight(i));
  }
  return Ok();
}

void TopKOperator::Choose(const rows::Batch::Part& part,
                          const std::vector<std::string_view>& order_keys) {
  candidates_.clear();
  const size_t count = part.rows->size();
  for (size_t n = 0; n < count; ++n) {
    const size_t i = latest_first_ ? count - 1 - n : n;
    if (part.weight(i) == 0) continue;
    CHECK(!insert_only_ || part.weight(i) > 0) << "a retraction from an insert-only input";
    if (best_places_ > 0) {
      if (cells_[i] != nullptr && IsBehind(order_keys[i], cells_[i])) continue;
      const Touched& touched = Touch(groups_[i], cells_[i]);
      const auto partition = static_cast<size_t>(&touched - touched_.data());
      if (!MayGetAPlace(partition, order_keys[i])) continue;
      NoteBest(partition, bytes_.Copy(order_keys[i]));
    }
    candidates_.push_back(static_cast<duckdb::sel_t>(i));
  }
}

// Rows of one order key are told apart by the whole row, later.
bool TopKOperator::MayGetAPlace(size_t partition, std::string_view order_key) {
  if (touched_[partition].best < best_places_) return true;
  return order_key <= best_[partition * best_places_ + best_places_ - 1];
}

// REQUIRES: MayGetAPlace.
void TopKOperator::NoteBest(size_t partition, std::string_view order_key) {
  size_t& count = touched_[partition].best;
  std::string_view* const keys = best_.data() + partition * best_places_;
  size_t at = count < best_places_ ? count++ : best_places_ - 1;
  for (; at > 0 && order_key < keys[at - 1]; --at) keys[at] = keys[at - 1];
  keys[at] = order_key;
}

const std::vector<std::string_view>& TopKOperator::EncodeCandidates(duckdb::DataChunk& rows) {
  if (candidates_.size() == rows.size() && !latest_first_) return row_encoder_.Encode(rows);
  duckdb::SelectionVector selection(candidates_.data());
  chosen_.Slice(rows, selection, candidates_.size());
  return row_encoder_.Encode(chosen_);
}

// Takes down what the partition shows, once in a step.
// REQUIRES: of the step's changes to the partition, only such behind its last shown row were made
// before.
TopKOperator::Touched& TopKOperator::Touch(state::BagTable::Group* group, std::byte* boundary) {
  if (2 * (touched_.size() + 1) > slots_.size()) GrowSlots();
  const size_t mask = slots_.size() - 1;
  size_t slot = SlotHash(group) & mask;
  for (; slots_[slot] != 0; slot = (slot + 1) & mask) {
    Touched& known = touched_[slots_[slot] - 1];
    if (known.group == group) return known;
  }
  touched_.push_back({group, boundary, before_.size(), {}, false, 0});
  best_.resize(touched_.size() * best_places_);
  slots_[slot] = static_cast<uint32_t>(touched_.size());
  Touched& touched = touched_.back();
  if (table_.Size(group) == 0) return touched;
  const bool full = Scan(group, before_, /*trims=*/false);
  for (size_t i = touched.before; i < before_.size(); ++i) {
    before_[i].bytes = bytes_.Copy(before_[i].bytes);
  }
  if (full) touched.last = LastOf(before_.back());
  if (best_places_ == 0) return touched;
  for (size_t i = touched.before; i < before_.size(); ++i)
    NoteBest(touched_.size() - 1, Parse(before_[i].bytes).order_key);
  return touched;
}

void TopKOperator::GrowSlots() {
  slots_.assign(slots_.size() * 4, 0);
  const size_t mask = slots_.size() - 1;
  for (size_t i = 0; i < touched_.size(); ++i) {
    size_t slot = SlotHash(touched_[i].group) & mask;
    while (slots_[slot] != 0) slot = (slot + 1) & mask;
    slots_[slot] = static_cast<uint32_t>(i + 1);
  }
}

// What a row must not lie behind to be shown. Of ranks it is the order key: a row that shares it
// shares the rank.
std::string_view TopKOperator::LastOf(const Shown& shown) const {
  return ranks_ ? Parse(shown.bytes).order_key : shown.bytes;
}

// The row in row_.
bool TopKOperator::IsBehindLast(const Touched& touched, std::string_view order_key) const {
  if (touched.last.empty()) return false;
  return (ranks_ ? order_key : std::string_view(row_)) > touched.last;
}

// Appends the rows that the partition shows to `shown`; true when they fill all places. `trims`:
// puts what lies behind them into excess_.
bool TopKOperator::Scan(state::BagTable::Group* group, std::vector<Shown>& shown, bool trims) {
  return ranks_ ? ScanRanks(group, shown, trims) : ScanPlaces(group, shown, trims);
}

bool TopKOperator::ScanRanks(state::BagTable::Group* group, std::vector<Shown>& shown, bool trims) {
  const int64_t last = top_k_.offset + top_k_.limit;
  const bool dense = top_k_.ranking == TopK::Ranking::kDenseRank;
  const size_t begin = shown.size();
  std::string order_key;
  int64_t rank = 0;    // of that key
  int64_t passed = 0;  // places, or where ranks are dense, keys
  table_.Scan(group, {}, [&](const state::BagTable::Entry& entry) {
    if (entry.weight <= 0)
      return true;  // a row taken away before it came: upstream's passing state
    const std::string_view key = Parse(entry.row).order_key;
    if (rank == 0 || key != order_key) {
      rank = passed + 1;
      order_key = key;
      if (dense) ++passed;
    }
    if (!dense) passed += entry.weight;
    if (rank > last) {
      if (trims) excess_.push_back({group, bytes_.Copy(entry.row), entry.weight});
      return trims;
    }
    if (rank > top_k_.offset) shown.push_back({entry.row, entry.weight, rank});
    return true;
  });
  return passed >= last && shown.size() > begin;
}

bool TopKOperator::ScanPlaces(state::BagTable::Group* group, std::vector<Shown>& shown,
                              bool trims) {
  int64_t hidden = top_k_.offset;  // places to pass by
  int64_t left = top_k_.limit;
  table_.Scan(group, {}, [&](const state::BagTable::Entry& entry) {
    if (entry.weight <= 0)
      return true;  // a row taken away before it came: upstream's passing state
    const Weight passed = std::min(entry.weight, hidden);
    hidden -= passed;
    if (entry.weight == passed) return true;
    const Weight taken = std::min(entry.weight - passed, left);
    left -= taken;
    if (taken > 0) shown.push_back({entry.row, taken});
    const Weight excess = entry.weight - passed - taken;
    if (trims && excess > 0) excess_.push_back({group, bytes_.Copy(entry.row), excess});
    return left > 0 || trims;
  });
  return left == 0;
}

Status TopKOperator::EmitDifference(std::span<const Shown> before, std::span<const Shown> after) {
  return top_k_.with_number && !ranks_ ? EmitPlaceDifference(before, after)
                                       : EmitRowDifference(before, after);
}

Status TopKOperator::EmitRow(const Shown& shown, Weight weight) {
  if (top_k_.with_number) return out_.Add(RowOf(shown.bytes), weight, {shown.rank});
  return out_.Add(RowOf(shown.bytes), weight);
}

// Both are sorted: a merge finds the rows that came and went.
Status TopKOperator::EmitRowDifference(std::span<const Shown> before,
                                       std::span<const Shown> after) {
  size_t b = 0;
  size_t a = 0;
  while (b < before.size() || a < after.size()) {
    int order = 0;
    if (b == before.size()) {
      order = 1;
    } else if (a == after.size()) {
      order = -1;
    } else {
      order = before[b].bytes.compare(after[a].bytes);
    }
    if (order < 0) {
      TRY(EmitRow(before[b], -before[b].weight));
      ++b;
    } else if (order > 0) {
      TRY(EmitRow(after[a], after[a].weight));
      ++a;
    } else if (top_k_.with_number && before[b].rank != after[a].rank) {
      TRY(EmitRow(before[b], -before[b].weight));
      TRY(EmitRow(after[a], after[a].weight));
      ++b;
      ++a;
    } else {
      const Weight change = after[a].weight - before[b].weight;
      if (change != 0) TRY(EmitRow(after[a], change));
      ++b;
      ++a;
    }
  }
  return Ok();
}

// Compares place by place, in runs in which both sides stay on one row.
Status TopKOperator::EmitPlaceDifference(std::span<const Shown> before,
                                         std::span<const Shown> after) {
  size_t b = 0;
  size_t a = 0;
  Weight before_left = before.empty() ? 0 : before[0].weight;
  Weight after_left = after.empty() ? 0 : after[0].weight;
  int64_t place = top_k_.offset;  // the last one done
  while (b < before.size() || a < after.size()) {
    const bool has_before = b < before.size();
    const bool has_after = a < after.size();
    const Weight run =
        std::min(has_before ? before_left : after_left, has_after ? after_left : before_left);
    if (!has_before || !has_after || before[b].bytes != after[a].bytes) {
      for (Weight n = 1; n <= run; ++n) {
        if (has_before) TRY(out_.Add(RowOf(before[b].bytes), -1, {place + n}));
        if (has_after) TRY(out_.Add(RowOf(after[a].bytes), +1, {place + n}));
      }
    }
    place += run;
    if (has_before && (before_left -= run) == 0 && ++b < before.size()) {
      before_left = before[b].weight;
    }
    if (has_after && (after_left -= run) == 0 && ++a < after.size()) after_left = after[a].weight;
  }
  return Ok();
}

std::unique_ptr<Operator> MakeTopK(const Node& node, OperatorContext context) {
  return std::make_unique<TopKOperator>(node, context);
}

}  // namespace millrace::stream
