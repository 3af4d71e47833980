// The readers' part of a ViewTable.
#include <algorithm>
#include <map>
#include <mutex>

#include "base/check.h"
#include "base/coding.h"
#include "state/disk_key.h"
#include "state/view_entry.h"
#include "state/view_rows.h"
#include "state/view_table.h"

namespace millrace::state {

const ContentIndex* ViewTable::IndexBy(const std::vector<size_t>& columns) const {
  if (columns == key_index_.columns()) return &key_index_;
  for (const auto& index : indexes_) {
    if (index->columns() == columns) return index.get();
  }
  return nullptr;
}

namespace {

// Appends the rows whose `columns` equal the key; returns how many. `rows`: pairs of encoding and
// weight.
template <typename Rows>
Result<size_t> AppendEqual(const rows::Types& types, const Rows& rows,
                           const std::vector<size_t>& columns, std::string_view key,
                           rows::BatchBuilder& out) {
  rows::KeyEncoder& keys = rows::ThreadKeyEncoder();
  size_t appended = 0;
  TRY(DecodeInChunks(
      types, rows, [](const auto& row) { return std::string_view(row.first); },
      [&](duckdb::DataChunk& chunk, size_t first) {
        const std::vector<std::string_view>& encoded = keys.Encode(chunk, columns);
        std::vector<duckdb::sel_t> equal;
        std::vector<rows::Weight> weights;
        for (size_t i = 0; i < encoded.size(); ++i) {
          if (encoded[i] != key) continue;  // another key of the same hash
          equal.push_back(static_cast<duckdb::sel_t>(i));
          weights.push_back(rows[first + i].second);
        }
        appended += equal.size();
        if (equal.size() == encoded.size()) {
          out.Take(chunk, std::move(weights));
        } else {
          out.Append(chunk, equal.data(), equal.size(), weights.data());
        }
      }));
  return appended;
}

}  // namespace

Result<bool> ViewTable::Lookup(const std::vector<size_t>& columns, std::string_view key, Step step,
                               rows::BatchBuilder& out) const {
  {
    const std::shared_lock lock(mutex_);
    const ContentIndex* index = columns.empty() ? nullptr : IndexBy(columns);
    const bool whole = complete();
    if (index == nullptr || (!whole && index != &key_index_)) return false;
    if (whole || key_is_unique_) {
      TRY(const size_t found, LookupInMemory(*index, key, step, out));
      if (whole || found > 0) return true;
    }
  }
  TRY(const std::vector<RowAndWeight> found, ReadGroup(key, step));
  TRY(AppendEqual(types_, found, columns, key, out));
  return true;
}

// REQUIRES: mutex_ is held.
Result<size_t> ViewTable::LookupInMemory(const ContentIndex& index, std::string_view key, Step step,
                                         rows::BatchBuilder& out) const {
  std::vector<std::pair<std::string_view, rows::Weight>> found;
  index.ForEach(rows::KeyHash(key), [&](uint32_t slot) {
    const Entry& entry = *slots_[slot];
    const rows::Weight weight = WeightAt(entry, step);
    if (weight > 0) found.emplace_back(entry.row(), weight);
    if (!entry.used.load(std::memory_order_relaxed))
      entry.used.store(true, std::memory_order_relaxed);
  });
  // The same rows in the same order at every look-up, whatever the hash table does.
  std::sort(found.begin(), found.end());
  return AppendEqual(types_, found, index.columns(), key, out);
}

// The rows of the key's group as of `step`, in order.
Result<std::vector<ViewTable::RowAndWeight>> ViewTable::ReadGroup(std::string_view key,
                                                                  Step step) const {
  const uint64_t group = rows::KeyHash(key);
  std::map<std::string, rows::Weight, std::less<>> found;
  std::shared_lock lock(mutex_);
  key_index_.ForEach(group, [&](uint32_t slot) {
    const Entry& entry = *slots_[slot];
    found.emplace(entry.row(), WeightAt(entry, step));
    entry.used.store(true, std::memory_order_relaxed);
  });
  ContentDisk::Cursor cursor = disk_.Group(group);
  lock.unlock();
  for (cursor.Begin(); cursor.Valid(); cursor.Next()) {
    TRY(const rows::Weight weight, cursor.weight());
    if (found.find(cursor.row()) == found.end()) found.emplace(cursor.row(), weight);
  }
  TRY(cursor.status());
  std::vector<RowAndWeight> rows;
  for (auto& [row, weight] : found) {
    if (weight > 0) rows.emplace_back(row, weight);
  }
  return rows;
}

Status ViewTable::LookupByScan(const std::vector<size_t>& columns, std::string_view key, Step step,
                               const std::function<Status()>& go_on,
                               rows::BatchBuilder& out) const {
  const std::unique_ptr<ViewScan> scan = Scan(step);
  std::vector<RowAndWeight> found;
  rows::RowEncoder encoder(types_);
  for (bool more = true; more;) {
    TRY(go_on());
    std::vector<std::pair<std::string_view, rows::Weight>> rows;
    TRY(more, scan->Next(STANDARD_VECTOR_SIZE, [&](std::string_view row, rows::Weight weight) {
      rows.emplace_back(row, weight);
    }));
    rows::BatchBuilder equal(types_);
    TRY(AppendEqual(types_, rows, columns, key, equal));
    for (const rows::Batch::Part& part : equal.Finish().parts) {
      const std::vector<std::string_view>& encoded = encoder.Encode(*part.rows);
      for (size_t i = 0; i < encoded.size(); ++i) found.emplace_back(encoded[i], part.weight(i));
    }
  }
  // In the order in which Lookup gives them.
  std::sort(found.begin(), found.end());
  TRY(AppendEqual(types_, found, columns, key, out));
  return Ok();
}

std::vector<uint32_t> ViewTable::PartsOf(duckdb::DataChunk& rows,
                                         const std::vector<size_t>& columns,
                                         rows::RowEncoder& encoder) {
  std::vector<uint32_t> parts;
  parts.reserve(rows.size());
  if (columns.empty()) {
    for (const std::string_view row : encoder.Encode(rows))
      parts.push_back(PartOf(StableHash(row)));
    return parts;
  }
  rows::KeyEncoder keys;
  for (const uint64_t hash : KeyHashes(rows, columns, keys)) parts.push_back(PartOf(hash));
  return parts;
}

// Visits the entries in memory of one part. As in ContentIndex, a bucket's number is its rows' hash
// below a power of two.
template <typename Visit>
void ViewTable::ForEachInPart(uint32_t part, const std::vector<size_t>& by,
                              const Visit& visit) const {
  if (!by.empty()) {
    key_index_.ForEachModulo(part, kParts, [&](uint32_t slot) { visit(*slots_[slot]); });
    return;
  }
  for (size_t bucket = part & (buckets_.size() - 1); bucket < buckets_.size(); bucket += kParts) {
    for (const Entry* entry = buckets_[bucket]; entry != nullptr; entry = entry->next) {
      if (PartOf(entry->hash) == part) visit(*entry);
    }
  }
}

Status ViewTable::ScanParts(
    const Parts& parts,
    const std::function<void(std::string_view row, rows::Weight weight)>& visit) const {
  if (!parts.by.empty() && parts.by != key()) {
    return Error(Code::kConflict, "the content stands by another key than it is read by");
  }
  for (uint32_t part = parts.first; part < parts.last; part += parts.stride) {
    ForEachInPart(part, parts.by, [&](const Entry& entry) {
      if (entry.newest.weight != 0) visit(entry.row(), entry.newest.weight);
    });
  }
  if (complete() || parts.first >= parts.last) return Ok();
  ContentDisk::Cursor cursor = disk_.All();
  const auto visit_cold = [&](uint64_t hash) -> Status {
    if (Find(cursor.row(), hash) != nullptr) return Ok();
    TRY(const rows::Weight weight, cursor.weight());
    visit(cursor.row(), weight);
    return Ok();
  };
  if (parts.by == key()) {
    for (uint32_t part = parts.first; part < parts.last; part += parts.stride) {
      for (cursor.BeginPart(part); cursor.Valid() && cursor.part() == part; cursor.Next())
        TRY(visit_cold(StableHash(cursor.row())));
      TRY(cursor.status());
    }
    return Ok();
  }
  for (cursor.Begin(); cursor.Valid(); cursor.Next()) {
    const uint64_t hash = StableHash(cursor.row());
    const uint32_t part = PartOf(hash);
    if (part >= parts.first && part < parts.last && (part - parts.first) % parts.stride == 0)
      TRY(visit_cold(hash));
  }
  return cursor.status();
}

Result<std::vector<rows::Weight>> ViewTable::NewestWeights(
    duckdb::DataChunk& rows, const std::vector<std::string_view>& encoded) const {
  std::vector<rows::Weight> weights(encoded.size(), 0);
  std::vector<size_t> missing;
  for (size_t i = 0; i < encoded.size(); ++i) {
    const Entry* entry = Find(encoded[i], StableHash(encoded[i]));
    if (entry != nullptr) {
      weights[i] = entry->newest.weight;
    } else if (!complete()) {
      missing.push_back(i);
    }
  }
  if (missing.empty()) return weights;
  const std::vector<uint64_t> groups = GroupsOf(rows, encoded);
  std::vector<ContentDisk::Place> places;
  for (const size_t i : missing) places.push_back({groups[i], encoded[i]});
  TRY(disk_.Weights(places,
                    [&](size_t at, rows::Weight weight) { weights[missing[at]] = weight; }));
  return weights;
}

Result<std::vector<rows::Weight>> ViewTable::NewestWeightsShared(
    duckdb::DataChunk& rows, const std::vector<std::string_view>& encoded) const {
  const std::shared_lock lock(mutex_);
  return NewestWeights(rows, encoded);
}

Step ViewTable::LastChange(Step step) const {
  const std::shared_lock lock(mutex_);
  const auto after = std::upper_bound(change_steps_.begin(), change_steps_.end(), step);
  return after == change_steps_.begin() ? Step{0} : *std::prev(after);
}

size_t ViewTable::row_count() const {
  const std::shared_lock lock(mutex_);
  return static_cast<size_t>(row_count_);
}

size_t ViewTable::entry_count() const {
  const std::shared_lock lock(mutex_);
  return entries_ + (disk_entries_ - resident_entries_);
}

size_t ViewTable::cold_entry_count() const {
  const std::shared_lock lock(mutex_);
  return disk_entries_ - resident_entries_;
}

size_t ViewTable::memory_bytes() const {
  const std::shared_lock lock(mutex_);
  const size_t indexes = indexes_.size() + (key_index_.columns().empty() ? 0 : 1);
  size_t bytes = memory_bytes_ + entries_ * indexes * ContentIndex::kEntryBytes;
  for (const auto& order : orders_) bytes += order->bytes();
  return bytes;
}

size_t ViewTable::unflushed_count() const {
  const std::shared_lock lock(mutex_);
  return dirty_.size();
}

size_t ViewTable::memory_entry_count() const {
  const std::shared_lock lock(mutex_);
  return entries_;
}

size_t ViewTable::bytes() const {
  const size_t in_memory = memory_bytes();
  if (cold_entry_count() == 0) return in_memory;
  const auto on_disk = disk_.Bytes();
  return in_memory + (on_disk.ok() ? *on_disk : 0);
}

std::unique_ptr<ViewScan> ViewTable::Scan(Step step) const {
  std::unique_ptr<ViewScan> scan(new ViewScan(*this, step));
  const std::shared_lock lock(mutex_);
  if (complete()) {
    scan->by_slots_ = true;
    const std::lock_guard scans_lock(scans_mutex_);
    slot_scans_.push_back(scan.get());
  } else {
    scan->TakeOverrides();
  }
  return scan;
}

ViewScan::~ViewScan() { LeaveSlots(); }

void ViewScan::LeaveSlots() {
  if (!by_slots_) return;
  by_slots_ = false;
  const std::lock_guard lock(table_.scans_mutex_);
  std::erase(table_.slot_scans_, this);
}

ViewScan::RowHash ViewScan::HashOf(std::string_view row) {
  return {StableHash(row), StableHash(row, /*seed=*/1)};
}

// Of the rows in memory, the disk may have another version than that of the step where they were
// changed after it, or after the last flush.
void ViewScan::TakeOverrides() {
  cursor_ = table_.disk_.All();
  const auto take = [&](const ViewTable::Entry& entry) {
    overrides_.push_back({ContentDisk::KeyOf(table_.GroupOf(entry), entry.row()),
                          ViewTable::WeightAt(entry, step_)});
  };
  if (step_ >= table_.flushed_) {
    for (const ViewTable::Entry* entry : table_.dirty_) take(*entry);
    for (const ViewTable::Entry* entry : table_.in_flight_) {
      if (!entry->dirty) take(*entry);
    }
    return;
  }
  for (const ViewTable::Entry* entry : table_.slots_) {
    if (entry != nullptr && (entry->dirty || entry->in_flight || entry->newest.step > step_))
      take(*entry);
  }
}

Result<bool> ViewScan::Next(
    size_t rows_max, const std::function<void(std::string_view row, rows::Weight weight)>& visit) {
  bytes_.clear();
  ends_.clear();
  TRY(const bool more, by_slots_ ? NextInMemory(rows_max) : NextMerged(rows_max));
  size_t begin = 0;
  for (const auto& [end, weight] : ends_) {
    visit(std::string_view(bytes_).substr(begin, end - begin), weight);
    begin = end;
  }
  return more;
}

bool ViewScan::NextInMemory(size_t rows_max) {
  const std::shared_lock lock(table_.mutex_);
  const auto& slots = table_.slots_;
  for (; position_ < slots.size() && ends_.size() < rows_max; ++position_) {
    const ViewTable::Entry* entry = slots[position_];
    if (entry == nullptr || (!left_.empty() && left_.contains(HashOf(entry->row())))) continue;
    Keep(entry->row(), ViewTable::WeightAt(*entry, step_));
  }
  return position_ < slots.size() || GoOnWithLeft();
}

// What the scan has not come to before it was evicted. False: nothing. REQUIRES: the table's mutex_
// is held.
bool ViewScan::GoOnWithLeft() {
  LeaveSlots();
  if (std::none_of(left_.begin(), left_.end(), [](const auto& item) { return item.second; }))
    return false;
  reads_left_ = true;
  TakeOverrides();
  return true;
}

Result<bool> ViewScan::NextMerged(size_t rows_max) {
  if (!begun_) {
    begun_ = true;
    std::sort(overrides_.begin(), overrides_.end(),
              [](const Override& a, const Override& b) { return a.key < b.key; });
    cursor_.Begin();
  }
  while (ends_.size() < rows_max) {
    const Override* override =
        next_override_ < overrides_.size() ? &overrides_[next_override_] : nullptr;
    if (override == nullptr && !cursor_.Valid()) break;
    const int order = override == nullptr ? 1
                      : !cursor_.Valid()  ? -1
                                          : std::string_view(override->key).compare(cursor_.key());
    if (order <= 0) {
      KeepMerged(std::string_view(override->key).substr(kGroupBytes), override->weight);
      ++next_override_;
    } else {
      TRY(const rows::Weight weight, cursor_.weight());
      KeepMerged(cursor_.row(), weight);
    }
    if (order >= 0) cursor_.Next();
  }
  TRY(cursor_.status());
  return cursor_.Valid() || next_override_ < overrides_.size();
}

void ViewScan::KeepMerged(std::string_view row, rows::Weight weight) {
  if (reads_left_) {
    const auto left = left_.find(HashOf(row));
    if (left == left_.end() || !left->second) return;
  }
  Keep(row, weight);
}

void ViewScan::Keep(std::string_view row, rows::Weight weight) {
  if (weight <= 0) return;
  bytes_.append(row);
  ends_.emplace_back(bytes_.size(), weight);
}

}  // namespace millrace::state
