#include "state/view_table.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <optional>

#include "base/coding.h"

namespace millrace::state {

namespace {
constexpr size_t kChangeStepsKept = 1024;
struct Version {
  Step step;
  rows::Weight weight;
  Version* older;
};
}  // namespace

// A row with its versions, newest first. The row's bytes follow the struct.
struct ViewTable::Entry {
  Entry* next;  // in the hash chain
  Version newest;
  uint64_t hash;
  size_t slot;
  uint32_t size;
  bool dirty;  // since the last TakeDirty
  bool in_garbage;
  std::string_view row() const { return {reinterpret_cast<const char*>(this + 1), size}; }
};

struct ViewTable::Index {
  std::vector<size_t> columns;
  std::unordered_multimap<uint64_t, Entry*> entries;  // by hash of the key
};

ViewTable::ViewTable(TableId id, rows::Types types)
    : id_(id), types_(types), buckets_(64, nullptr), encoder_(std::move(types)) {}

ViewTable::~ViewTable() {
  for (Entry* entry : slots_) {
    if (entry == nullptr) continue;
    for (Version* version = entry->newest.older; version != nullptr;) {
      delete std::exchange(version, version->older);
    }
    std::free(entry);
  }
}

Status ViewTable::Load(const Store& store) {
  CHECK(entries_ == 0);
  std::vector<Entry*> created;
  TRY(store.Scan(id_, {}, [&](std::string_view key, std::string_view value) -> Status {
    Reader reader(value);
    TRY(const int64_t weight, reader.Zigzag());
    Entry* entry = FindOrCreate(key, StableHash(key));
    entry->newest.weight = weight;
    row_count_ += weight;
    created.push_back(entry);
    return Ok();
  }));
  AddToIndexes(created);
  // When it changed last is not kept; what is certain is that it has not changed since this step.
  change_steps_.assign(1, store.flushed_step());
  return Ok();
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
                                   .in_garbage = false};
  std::memcpy(entry + 1, row.data(), row.size());
  bucket = entry;
  if (free_slots_.empty()) {
    entry->slot = slots_.size();
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

rows::Weight ViewTable::WeightAt(const Entry& entry, Step step) {
  for (const Version* version = &entry.newest; version != nullptr; version = version->older) {
    if (version->step <= step) return version->weight;
  }
  return 0;
}

Status ViewTable::Apply(Step step, const rows::Batch& change, Step oldest_needed) {
  const std::unique_lock lock(mutex_);
  std::vector<Entry*> created;
  std::vector<const Entry*> negative;
  for (const rows::Batch::Part& part : change.parts) {
    const std::vector<std::string_view>& encoded = encoder_.Encode(*part.rows);
    for (size_t i = 0; i < encoded.size(); ++i) {
      const size_t before = entries_;
      Entry* entry = FindOrCreate(encoded[i], StableHash(encoded[i]));
      const bool is_new = entries_ != before;
      if (is_new) created.push_back(entry);
      const rows::Weight weight = entry->newest.weight + part.weight(i);
      if (weight < 0) negative.push_back(entry);
      row_count_ += part.weight(i);
      if (entry->newest.step == step) {
        entry->newest.weight = weight;
      } else if (is_new) {
        // No version is older than the first. Should it be gone again by the end of the step,
        // TakeDirty sees to it.
        entry->newest = Version{step, weight, nullptr};
      } else {
        // A weight of 0 in the newest version is history as any other: an older reader still sees
        // the row.
        entry->newest = Version{step, weight, new Version(entry->newest)};
        memory_bytes_ += sizeof(Version);
        if (!entry->in_garbage) {
          entry->in_garbage = true;
          garbage_.emplace_back(step, entry);
        }
      }
      if (!entry->dirty) {
        entry->dirty = true;
        dirty_.push_back(entry);
      }
    }
  }
  // Weights may pass through negative values within one unconsolidated batch, so they are judged at
  // the end.
  for (const Entry* entry : negative) {
    if (entry->newest.weight < 0) {
      return Error(Code::kInternal, "a row was taken away that is not there (weight {})",
                   entry->newest.weight);
    }
  }
  AddToIndexes(created);
  if (!change.empty()) {
    change_steps_.push_back(step);
    if (change_steps_.size() > 2 * kChangeStepsKept) {
      change_steps_.erase(change_steps_.begin(), change_steps_.end() - kChangeStepsKept);
    }
  }
  Collect(oldest_needed);
  return Ok();
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
  Version* last_needed = &entry->newest;
  while (last_needed->step > oldest_needed && last_needed->older != nullptr)
    last_needed = last_needed->older;
  for (Version* version = std::exchange(last_needed->older, nullptr); version != nullptr;) {
    memory_bytes_ -= sizeof(Version);
    delete std::exchange(version, version->older);
  }
  if (entry->newest.step > oldest_needed) {  // changed again since: come back later
    entry->in_garbage = true;
    garbage_.emplace_back(entry->newest.step, entry);
  } else if (entry->newest.weight == 0 && !entry->dirty) {
    Remove(entry);
  }
}

void ViewTable::Remove(Entry* entry) {
  Entry** link = &buckets_[entry->hash & (buckets_.size() - 1)];
  while (*link != entry) link = &(*link)->next;
  *link = entry->next;
  slots_[entry->slot] = nullptr;
  free_slots_.push_back(entry->slot);
  if (!indexes_.empty()) {
    duckdb::DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types_, 1);
    rows::RowDecoder decoder(types_);
    const std::string_view row = entry->row();
    CHECK(decoder.Decode(std::span(&row, 1), chunk, 0).ok())
        << "a row of our own memory does not decode";
    chunk.SetCardinality(1);
    for (const auto& index : indexes_) {
      duckdb::DataChunk columns;
      rows::Types types;
      for (size_t column : index->columns) types.push_back(types_[column]);
      columns.InitializeEmpty(types);
      for (size_t i = 0; i < index->columns.size(); ++i)
        columns.data[i].Reference(chunk.data[index->columns[i]]);
      columns.SetCardinality(1);
      rows::KeyEncoder keys;
      const auto [begin, end] = index->entries.equal_range(rows::KeyHash(keys.Encode(columns)[0]));
      const auto found =
          std::find_if(begin, end, [&](const auto& item) { return item.second == entry; });
      CHECK(found != end) << "an entry is missing from its index";
      index->entries.erase(found);
    }
  }
  memory_bytes_ -= sizeof(Entry) + entry->size + 2 * sizeof(Entry*);
  --entries_;
  std::free(entry);
}

namespace {
// Decodes up to STANDARD_VECTOR_SIZE entries at a time and hands chunk by chunk to `visit`.
template <typename Entries, typename Visit>
void DecodeInChunks(const rows::Types& types, const Entries& entries, const Visit& visit) {
  rows::RowDecoder decoder(types);
  std::vector<std::string_view> encoded;
  for (size_t begin = 0; begin < entries.size(); begin += STANDARD_VECTOR_SIZE) {
    const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, entries.size() - begin);
    encoded.clear();
    for (size_t i = 0; i < count; ++i) encoded.push_back(entries[begin + i]->row());
    duckdb::DataChunk chunk;
    chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types);
    CHECK(decoder.Decode(encoded, chunk, 0).ok()) << "a row of our own memory does not decode";
    chunk.SetCardinality(count);
    visit(chunk, begin, count);
  }
}

// The key columns of a chunk, by reference.
void SelectColumns(duckdb::DataChunk& rows, const std::vector<size_t>& columns,
                   duckdb::DataChunk& out) {
  rows::Types types;
  for (size_t column : columns) types.push_back(rows.data[column].GetType());
  out.InitializeEmpty(types);
  for (size_t i = 0; i < columns.size(); ++i) out.data[i].Reference(rows.data[columns[i]]);
  out.SetCardinality(rows.size());
}
}  // namespace

void ViewTable::AddToIndexes(const std::vector<Entry*>& created) {
  if (indexes_.empty() || created.empty()) return;
  rows::KeyEncoder keys;
  DecodeInChunks(types_, created, [&](duckdb::DataChunk& chunk, size_t begin, size_t count) {
    for (const auto& index : indexes_) {
      duckdb::DataChunk columns;
      SelectColumns(chunk, index->columns, columns);
      const std::vector<std::string_view>& encoded = keys.Encode(columns);
      for (size_t i = 0; i < count; ++i) {
        index->entries.emplace(rows::KeyHash(encoded[i]), created[begin + i]);
      }
    }
  });
}

void ViewTable::AddIndex(std::vector<size_t> columns) {
  const std::unique_lock lock(mutex_);
  for (const auto& index : indexes_) {
    if (index->columns == columns) return;
  }
  std::vector<std::unique_ptr<Index>> others = std::exchange(indexes_, {});
  indexes_.push_back(std::make_unique<Index>());
  indexes_.back()->columns = std::move(columns);
  std::vector<Entry*> all;
  for (Entry* entry : slots_) {
    if (entry != nullptr) all.push_back(entry);
  }
  AddToIndexes(all);
  for (auto& other : others) indexes_.push_back(std::move(other));
}

bool ViewTable::HasIndex(const std::vector<size_t>& columns) const {
  const std::shared_lock lock(mutex_);
  return std::any_of(indexes_.begin(), indexes_.end(),
                     [&](const auto& index) { return index->columns == columns; });
}

void ViewTable::Lookup(const std::vector<size_t>& columns, std::string_view key, Step step,
                       rows::BatchBuilder& out) const {
  const std::shared_lock lock(mutex_);
  const auto index = std::find_if(indexes_.begin(), indexes_.end(),
                                  [&](const auto& i) { return i->columns == columns; });
  CHECK(index != indexes_.end()) << "Lookup without index";
  std::vector<const Entry*> found;
  const auto [begin, end] = (*index)->entries.equal_range(rows::KeyHash(key));
  for (auto it = begin; it != end; ++it) {
    if (WeightAt(*it->second, step) > 0) found.push_back(it->second);
  }
  // The same rows in the same order at every look-up, whatever the hash table does.
  std::sort(found.begin(), found.end(),
            [](const Entry* a, const Entry* b) { return a->row() < b->row(); });
  rows::KeyEncoder keys;
  DecodeInChunks(types_, found, [&](duckdb::DataChunk& chunk, size_t begin_entry, size_t count) {
    duckdb::DataChunk key_columns;
    SelectColumns(chunk, columns, key_columns);
    const std::vector<std::string_view>& encoded = keys.Encode(key_columns);
    for (size_t i = 0; i < count; ++i) {
      if (encoded[i] != key) continue;  // another key of the same hash
      out.AppendRow(chunk, i, WeightAt(*found[begin_entry + i], step));
    }
  });
}

size_t ViewTable::Scan(
    Step step, size_t position, size_t rows_max,
    const std::function<void(std::string_view row, rows::Weight weight)>& visit) const {
  const std::shared_lock lock(mutex_);
  size_t visited = 0;
  for (; position < slots_.size() && visited < rows_max; ++position) {
    const Entry* entry = slots_[position];
    if (entry == nullptr) continue;
    const rows::Weight weight = WeightAt(*entry, step);
    if (weight <= 0) continue;
    visit(entry->row(), weight);
    ++visited;
  }
  return position >= slots_.size() ? kEnd : position;
}

uint32_t ViewTable::PartOf(std::string_view row) {
  return static_cast<uint32_t>(StableHash(row)) & (kParts - 1);
}

// A bucket's number is its rows' hash below a power of two: the rows of a part stand in every
// kParts-th bucket, or, in a table of fewer, among others in one.
void ViewTable::ScanParts(
    uint32_t first, uint32_t last,
    const std::function<void(std::string_view row, rows::Weight weight)>& visit) const {
  const auto in_range = [&](const Entry& entry) {
    const auto part = static_cast<uint32_t>(entry.hash) & (kParts - 1);
    return first <= part && part < last;
  };
  const auto visit_bucket = [&](size_t bucket) {
    for (const Entry* entry = buckets_[bucket]; entry != nullptr; entry = entry->next) {
      if (entry->newest.weight != 0 && in_range(*entry)) visit(entry->row(), entry->newest.weight);
    }
  };
  if (buckets_.size() < kParts) {
    for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) visit_bucket(bucket);
    return;
  }
  for (size_t part = first; part < last; ++part) {
    for (size_t bucket = part; bucket < buckets_.size(); bucket += kParts) visit_bucket(bucket);
  }
}

rows::Weight ViewTable::NewestWeight(std::string_view row) const {
  const Entry* entry = Find(row, StableHash(row));
  return entry == nullptr ? 0 : entry->newest.weight;
}

rows::Weight ViewTable::NewestWeightShared(std::string_view row) const {
  const std::shared_lock lock(mutex_);
  return NewestWeight(row);
}

void ViewTable::TakeDirty(std::vector<Mutation>& out) {
  const std::unique_lock lock(mutex_);
  out.reserve(out.size() + dirty_.size());
  for (Entry* entry : dirty_) {
    entry->dirty = false;
    std::optional<std::string> value;
    if (entry->newest.weight != 0) {
      value.emplace();
      PutZigzag(*value, entry->newest.weight);
    } else if (!entry->in_garbage) {  // its turn came while it was dirty: try again at the next
                                      // Apply
      entry->in_garbage = true;
      garbage_.emplace_back(entry->newest.step, entry);
    }
    out.push_back(Mutation{id_, std::string(entry->row()), std::move(value)});
  }
  dirty_.clear();
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

size_t ViewTable::memory_bytes() const {
  const std::shared_lock lock(mutex_);
  return memory_bytes_;
}

}  // namespace millrace::state
