// The writer's part of a ViewTable: changes, versions and their end.
#include "state/view_table.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>

#include "base/check.h"
#include "base/coding.h"
#include "state/view_entry.h"
#include "state/view_rows.h"

namespace millrace::state {

namespace {
constexpr size_t kChangeStepsKept = 1024;
}  // namespace

ViewTable::ViewTable(const Store& store, TableId id, rows::Types types, std::vector<size_t> key,
                     bool key_is_unique)
    : id_(id),
      types_(types),
      disk_(store.disk(), id),
      buckets_(64, nullptr),
      key_index_(std::move(key)),
      key_is_unique_(key_is_unique),
      encoder_(std::move(types)) {}

ViewTable::~ViewTable() {
  for (Entry* entry : slots_) {
    if (entry == nullptr) continue;
    for (ViewVersion* version = entry->newest.older; version != nullptr;) {
      delete std::exchange(version, version->older);
    }
    std::free(entry);
  }
}

ViewTable::Entry* ViewTable::Find(std::string_view row, uint64_t hash) const {
  for (Entry* entry = buckets_[hash & (buckets_.size() - 1)]; entry != nullptr;
       entry = entry->next) {
    if (entry->hash == hash && entry->row() == row) return entry;
  }
  return nullptr;
}

ViewTable::Entry* ViewTable::FindOrCreate(std::string_view row, uint64_t hash) {
  if (Entry* entry = Find(row, hash)) return entry;
  if (entries_ >= buckets_.size()) GrowTable();
  void* memory = std::malloc(sizeof(Entry) + row.size());
  if (memory == nullptr) throw std::bad_alloc();
  Entry*& bucket = buckets_[hash & (buckets_.size() - 1)];
  auto* entry = new (memory) Entry{.next = bucket,
                                   .newest = {Step{0}, 0, nullptr},
                                   .hash = hash,
                                   .slot = 0,
                                   .size = static_cast<uint32_t>(row.size()),
                                   .dirty = false,
                                   .in_flight = false,
                                   .on_disk = false,
                                   .in_garbage = false,
                                   .used = true};
  std::memcpy(static_cast<void*>(entry + 1), row.data(), row.size());
  bucket = entry;
  if (free_slots_.empty()) {
    CHECK(slots_.size() < UINT32_MAX) << "a content of more rows in memory than have numbers";
    entry->slot = static_cast<uint32_t>(slots_.size());
    slots_.push_back(entry);
  } else {
    entry->slot = free_slots_.back();
    free_slots_.pop_back();
    slots_[entry->slot] = entry;
  }
  ++entries_;
  memory_bytes_ += sizeof(Entry) + row.size() + 2 * sizeof(Entry*);
  return entry;
}

void ViewTable::GrowTable() {
  std::vector<Entry*> grown(buckets_.size() * 2, nullptr);
  for (Entry* entry : slots_) {
    if (entry == nullptr) continue;
    Entry*& bucket = grown[entry->hash & (grown.size() - 1)];
    entry->next = bucket;
    bucket = entry;
  }
  buckets_ = std::move(grown);
}

uint64_t ViewTable::GroupOf(const Entry& entry) const {
  return key_index_.columns().empty() ? entry.hash : key_index_.HashOf(entry.slot);
}

std::vector<uint64_t> ViewTable::GroupsOf(duckdb::DataChunk& rows,
                                          const std::vector<std::string_view>& encoded) const {
  if (!key_index_.columns().empty()) {
    rows::KeyEncoder keys;
    return KeyHashes(rows, key_index_.columns(), keys);
  }
  std::vector<uint64_t> groups;
  groups.reserve(encoded.size());
  for (const std::string_view row : encoded) groups.push_back(StableHash(row));
  return groups;
}

// Nobody else changes what is in memory, so what is not there can be read without the lock.
Result<ViewTable::Before> ViewTable::ReadBefore(const rows::Batch& change) {
  Before before;
  if (complete()) return before;
  for (const rows::Batch::Part& part : change.parts) {
    TRY(auto of_part, NewestWeights(*part.rows, encoder_.Encode(*part.rows)));
    before.push_back(std::move(of_part));
  }
  return before;
}

void ViewTable::MarkDirty(Entry* entry) {
  if (entry->dirty) return;
  entry->dirty = true;
  dirty_.push_back(entry);
}

Status ViewTable::Apply(Step step, const rows::Batch& change, const Before& before,
                        Step oldest_needed) {
  const std::unique_lock lock(mutex_);
  std::vector<Entry*> created;
  std::vector<const Entry*> negative;
  for (size_t p = 0; p < change.parts.size(); ++p) {
    const rows::Batch::Part& part = change.parts[p];
    const std::vector<std::string_view>& encoded = encoder_.Encode(*part.rows);
    for (size_t i = 0; i < encoded.size(); ++i) {
      const size_t entries = entries_;
      Entry* entry = FindOrCreate(encoded[i], StableHash(encoded[i]));
      bool is_new = entries_ != entries;
      if (is_new) {
        created.push_back(entry);
        if (!before.empty() && before[p][i] != 0) {
          entry->newest.weight = before[p][i];
          entry->on_disk = true;
          ++resident_entries_;
          is_new = false;
        }
      } else if (!entry->used.load(std::memory_order_relaxed)) {
        entry->used.store(true, std::memory_order_relaxed);
      }
      const rows::Weight weight = entry->newest.weight + part.weight(i);
      if (weight < 0) negative.push_back(entry);
      row_count_ += part.weight(i);
      if (entry->newest.step == step) {
        entry->newest.weight = weight;
      } else if (is_new) {
        // No version is older than the first. Should it be gone again by the end of the step,
        // NoteFlushed sees to it.
        entry->newest = ViewVersion{step, weight, nullptr};
      } else {
        // A weight of 0 in the newest version is history as any other: an older reader still sees
        // the row.
        entry->newest = ViewVersion{step, weight, new ViewVersion(entry->newest)};
        memory_bytes_ += sizeof(ViewVersion);
        if (!entry->in_garbage) {
          entry->in_garbage = true;
          garbage_.emplace_back(step, entry);
        }
      }
      MarkDirty(entry);
    }
  }
  // Also where an error follows: readers go on, and a scan asks for the group of a changed row.
  AddToIndexes(created);
  // Weights may pass through negative values within one unconsolidated batch, so they are judged at
  // the end.
  for (const Entry* entry : negative) {
    const rows::Weight weight = entry->newest.weight;
    if (weight >= 0) continue;
    TakeBack(step, change);
    return Error(Code::kInternal, "a row was taken away that is not there (weight {})", weight);
  }
  if (!change.empty()) {
    change_steps_.push_back(step);
    if (change_steps_.size() > 2 * kChangeStepsKept) {
      change_steps_.erase(change_steps_.begin(), change_steps_.end() - kChangeStepsKept);
    }
  }
  Collect(oldest_needed);
  return Ok();
}

void ViewTable::Revert(Step step, const rows::Batch& change) {
  const std::unique_lock lock(mutex_);
  TakeBack(step, change);
}

// The versions of the step stay, with the weights that were before.
void ViewTable::TakeBack(Step step, const rows::Batch& change) {
  for (const rows::Batch::Part& part : change.parts) {
    const std::vector<std::string_view>& encoded = encoder_.Encode(*part.rows);
    for (size_t i = 0; i < encoded.size(); ++i) {
      Entry* entry = Find(encoded[i], StableHash(encoded[i]));
      CHECK(entry != nullptr && entry->newest.step == step) << "nothing to take back";
      entry->newest.weight -= part.weight(i);
      row_count_ -= part.weight(i);
    }
  }
}

void ViewTable::Collect(Step oldest_needed) {
  while (garbage_begin_ < garbage_.size() && garbage_[garbage_begin_].first <= oldest_needed) {
    Prune(garbage_[garbage_begin_++].second, oldest_needed);
  }
  if (garbage_begin_ > 4096 && garbage_begin_ * 2 > garbage_.size()) {
    garbage_.erase(garbage_.begin(), garbage_.begin() + static_cast<long>(garbage_begin_));
    garbage_begin_ = 0;
  }
}

// Drops the versions that nobody can see: all that are older than the newest one at or before
// `oldest_needed`.
void ViewTable::Prune(Entry* entry, Step oldest_needed) {
  entry->in_garbage = false;
  ViewVersion* last_needed = &entry->newest;
  while (last_needed->step > oldest_needed && last_needed->older != nullptr)
    last_needed = last_needed->older;
  for (ViewVersion* version = std::exchange(last_needed->older, nullptr); version != nullptr;) {
    memory_bytes_ -= sizeof(ViewVersion);
    delete std::exchange(version, version->older);
  }
  if (entry->newest.step > oldest_needed) {  // changed again since: come back later
    entry->in_garbage = true;
    garbage_.emplace_back(entry->newest.step, entry);
  } else if (entry->newest.weight == 0 && !entry->dirty && !entry->in_flight) {
    Remove(entry);
  }
}

void ViewTable::Remove(Entry* entry) {
  Entry** link = &buckets_[entry->hash & (buckets_.size() - 1)];
  while (*link != entry) link = &(*link)->next;
  *link = entry->next;
  if (!key_index_.columns().empty()) key_index_.Remove(entry->slot);
  for (const auto& index : indexes_) index->Remove(entry->slot);
  for (const auto& order : orders_) order->Remove(entry->slot);
  slots_[entry->slot] = nullptr;
  free_slots_.push_back(entry->slot);
  if (entry->on_disk) --resident_entries_;
  memory_bytes_ -= sizeof(Entry) + entry->size + 2 * sizeof(Entry*);
  --entries_;
  std::free(entry);
}

void ViewTable::AddToIndexes(const std::vector<Entry*>& created) {
  std::vector<ContentIndex*> all;
  if (!key_index_.columns().empty()) all.push_back(&key_index_);
  for (const auto& index : indexes_) all.push_back(index.get());
  if ((all.empty() && orders_.empty()) || created.empty()) return;
  rows::KeyEncoder keys;
  const Status decoded = DecodeInChunks(
      types_, created, [](const Entry* entry) { return entry->row(); },
      [&](duckdb::DataChunk& chunk, size_t first) {
        for (ContentIndex* index : all) {
          const std::vector<uint64_t> hashes = KeyHashes(chunk, index->columns(), keys);
          for (size_t i = 0; i < hashes.size(); ++i)
            index->Add(created[first + i]->slot, hashes[i]);
        }
        for (const auto& order : orders_)
          PutInOrder(*order, chunk, std::span(created).subspan(first, chunk.size()), keys);
      });
  CHECK(decoded.ok()) << "a row of our own memory does not decode";
}

Status ViewTable::AddIndex(std::vector<size_t> columns) {
  const std::unique_lock lock(mutex_);
  if (IndexBy(columns) != nullptr) return Ok();
  auto index = std::make_unique<ContentIndex>(std::move(columns));
  std::vector<Entry*> all;
  all.reserve(entries_);
  for (Entry* entry : slots_) {
    if (entry != nullptr) all.push_back(entry);
  }
  rows::KeyEncoder keys;
  TRY(DecodeInChunks(
      types_, all, [](const Entry* entry) { return entry->row(); },
      [&](duckdb::DataChunk& chunk, size_t first) {
        const std::vector<uint64_t> hashes = KeyHashes(chunk, index->columns(), keys);
        for (size_t i = 0; i < hashes.size(); ++i) index->Add(all[first + i]->slot, hashes[i]);
      }));
  indexes_.push_back(std::move(index));
  return Ok();
}

void ViewTable::TakeDirty(Step step, std::vector<Mutation>& out) {
  const std::unique_lock lock(mutex_);
  CHECK(in_flight_.empty()) << "a flush is under way";
  flushing_ = step;
  if (dirty_.empty() && relaid_.empty()) return;
  out.reserve(out.size() + dirty_.size() + relaid_.size() + 1);
  std::move(relaid_.begin(), relaid_.end(), std::back_inserter(out));
  relaid_ = {};
  for (Entry* entry : dirty_) {
    entry->dirty = false;
    entry->in_flight = true;
    const bool there = entry->newest.weight != 0;
    if (!there && !entry->on_disk) continue;
    std::optional<std::string> value;
    if (there) {
      value.emplace();
      PutZigzag(*value, entry->newest.weight);
    }
    if (there != entry->on_disk) {
      entry->on_disk = there;
      disk_entries_ += there ? 1 : -1;
      resident_entries_ += there ? 1 : -1;
    }
    out.push_back(Mutation{id_, ContentDisk::KeyOf(GroupOf(*entry), entry->row()), std::move(value),
                           /*grouped=*/true});
  }
  in_flight_.swap(dirty_);
  out.push_back(Mutation{
      id_, "", EncodeContentMeta({key_index_.columns(), row_count_, disk_entries_}), false});
}

void ViewTable::NoteFlushed() {
  const std::unique_lock lock(mutex_);
  for (Entry* entry : in_flight_) {
    entry->in_flight = false;
    // It could not be removed before.
    if (entry->newest.weight == 0 && !entry->dirty && !entry->in_garbage) {
      entry->in_garbage = true;
      garbage_.emplace_back(entry->newest.step, entry);
    }
  }
  in_flight_ = {};
  flushed_ = flushing_;
}

}  // namespace millrace::state
