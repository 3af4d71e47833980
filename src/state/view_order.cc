// Rows of a ViewTable in the order of some columns.
#include <mutex>

#include "base/check.h"
#include "state/view_entry.h"
#include "state/view_rows.h"
#include "state/view_table.h"

namespace millrace::state {
namespace {

// How many entries are put in order before readers and the writer have a turn.
constexpr uint32_t kSlotsAtOnce = 4096;

}  // namespace

ContentOrder* ViewTable::OrderBy(const std::vector<size_t>& columns) const {
  for (const auto& order : orders_) {
    if (order->columns() == columns) return order.get();
  }
  return nullptr;
}

Status ViewTable::AddOrder(std::vector<size_t> columns) {
  // Who needs an order that is being made waits for it: were they to scan meanwhile, all at once,
  // it would hardly be made.
  const std::lock_guard making(making_order_);
  ContentOrder* order = nullptr;
  {
    const std::unique_lock lock(mutex_);
    order = OrderBy(columns);
    if (order == nullptr) {
      orders_.push_back(std::make_unique<ContentOrder>(std::move(columns)));
      order = orders_.back().get();
    }
  }
  while (true) {
    const std::unique_lock lock(mutex_);
    if (order->whole()) return Ok();
    TRY(GrowOrder(*order));
  }
}

// REQUIRES: mutex_ is held exclusively.
Status ViewTable::GrowOrder(ContentOrder& order) {
  const uint32_t begin = order.covered();
  const auto end =
      static_cast<uint32_t>(std::min<size_t>(size_t{begin} + kSlotsAtOnce, slots_.size()));
  std::vector<Entry*> entries;
  for (uint32_t slot = begin; slot < end; ++slot) {
    if (slots_[slot] != nullptr) entries.push_back(slots_[slot]);
  }
  order.Cover(end);
  rows::KeyEncoder keys;
  TRY(DecodeInChunks(
      types_, entries, [](const Entry* entry) { return entry->row(); },
      [&](duckdb::DataChunk& chunk, size_t first) {
        PutInOrder(order, chunk, std::span(entries).subspan(first, chunk.size()), keys);
      }));
  if (end == slots_.size()) order.CoverAll();
  return Ok();
}

void ViewTable::PutInOrder(ContentOrder& order, duckdb::DataChunk& rows,
                           std::span<Entry* const> entries, rows::KeyEncoder& keys) {
  const std::vector<std::string_view>& encoded = keys.Encode(rows, order.columns());
  for (size_t i = 0; i < encoded.size(); ++i) {
    if (order.Covers(entries[i]->slot)) order.Add(entries[i]->slot, encoded[i]);
  }
}

bool ViewTable::HasOrder(const std::vector<size_t>& columns) const {
  const std::shared_lock lock(mutex_);
  const ContentOrder* order = OrderBy(columns);
  return order != nullptr && order->whole();
}

Result<std::optional<ViewTable::RangeRows>> ViewTable::ReadRange(const std::vector<size_t>& columns,
                                                                 const KeyRange& range, Step step,
                                                                 size_t rows_max,
                                                                 rows::BatchBuilder& out) const {
  struct Row {
    size_t begin;
    size_t size;
    rows::Weight weight;
  };
  std::string bytes;
  std::vector<Row> found;
  RangeRows read{0, false};
  {
    const std::shared_lock lock(mutex_);
    const ContentOrder* order = OrderBy(columns);
    if (order == nullptr || !order->whole() || !complete()) return std::optional<RangeRows>();
    order->ForEach(range.low, range.high, range.backwards, [&](uint32_t slot) {
      const Entry& entry = *slots_[slot];
      const rows::Weight weight = WeightAt(entry, step);
      if (weight <= 0) return true;
      read.more = read.rows >= rows_max;
      if (read.more) return false;
      found.push_back({bytes.size(), entry.size, weight});
      bytes.append(entry.row());
      read.rows += static_cast<size_t>(weight);
      if (!entry.used.load(std::memory_order_relaxed))
        entry.used.store(true, std::memory_order_relaxed);
      return true;
    });
  }
  TRY(DecodeInChunks(
      types_, found,
      [&](const Row& row) { return std::string_view(bytes).substr(row.begin, row.size); },
      [&](duckdb::DataChunk& chunk, size_t first) {
        for (size_t i = 0; i < chunk.size(); ++i) out.AppendRow(chunk, i, found[first + i].weight);
      }));
  return std::optional(read);
}

}  // namespace millrace::state
