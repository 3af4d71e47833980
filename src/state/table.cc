#include "state/table.h"

#include "base/check.h"
#include "base/logging.h"
#include "rows/key.h"
#include "state/disk_key.h"

namespace millrace::state {

void Table::Freeze(TableBuffer& out) {
  CHECK(frozen_next_ == frozen_.size());
  frozen_.clear();
  frozen_next_ = 0;
  frozen_.swap(dirty_);
  out.set_entries_change(entries_change_);
  out_ = &out;
}

bool Table::WriteFrozen(size_t count) {
  constexpr size_t kAhead = 8;
  const Metered metered(*this);
  for (; count > 0 && frozen_next_ < frozen_.size(); --count) {
    if (frozen_next_ + kAhead < frozen_.size()) {
      __builtin_prefetch(worker_.arena.At<std::byte>(frozen_[frozen_next_ + kAhead]));
    }
    WriteListed(frozen_[frozen_next_++]);
  }
  if (frozen_next_ < frozen_.size()) return false;
  std::vector<Arena::Ref>().swap(frozen_);
  frozen_next_ = 0;
  return true;
}

void Table::Evict(size_t slots) {
  constexpr size_t kAhead = 8;
  const Metered metered(*this);
  for (; slots > 0; --slots) {
    const size_t mask = index_.slot_count() - 1;
    const Arena::Ref ahead = index_.slot((hand_ + kAhead) & mask).ref;
    if (ahead != 0) __builtin_prefetch(worker_.arena.At<std::byte>(ahead));
    hand_ &= mask;
    const Arena::Ref ref = index_.slot(hand_).ref;
    if (ref != 0 && TryEvict(ref)) {
      // Another entry may have moved into the slot: it is looked at next.
      index_.RemoveAt(hand_);
      evicted_.push_back(ref);
    } else {
      ++hand_;
    }
  }
  worker_.evicted += evicted_.size();
  if (!evicted_.empty()) LeaveEvicted();
}

void Table::MakeCold() {
  if (cold_tried_ || worker_.cold_directory.empty()) return;
  cold_tried_ = true;
  auto cold = ColdEntries::Create(worker_.cold_directory, /*complete=*/!has_disk_);
  if (cold.ok()) {
    cold_ = std::move(*cold);
  } else {
    LOG_WARNING("evicted state is read from RocksDB only", "error={}", cold.error().message());
  }
}

void Table::LeaveEvicted() {
  MakeCold();
  has_disk_ = true;
  for (size_t begin = 0; begin < evicted_.size(); begin += kColdLanes) {
    const auto lane =
        std::span(evicted_).subspan(begin, std::min(kColdLanes, evicted_.size() - begin));
    if (cold_ != nullptr) {
      for (const Arena::Ref ref : lane) cold_->Prefetch(worker_.arena.At<RecordHeader>(ref)->tag);
    }
    for (const Arena::Ref ref : lane) Leave(ref);
  }
  evicted_.clear();
}

RecordHeader* Table::FindInMemory(const Key& key) const {
  const Arena::Ref ref = index_.Find(static_cast<uint32_t>(key.hash), [&](Arena::Ref candidate) {
    return KeyOf(worker_.arena.At<RecordHeader>(candidate)) == key.bytes;
  });
  return ref == 0 ? nullptr : worker_.arena.At<RecordHeader>(ref);
}

RecordHeader* Table::NewRecord(const Key& key, uint32_t flags) {
  auto* record =
      worker_.arena.At<RecordHeader>(worker_.arena.Allocate(RecordBytes(key.bytes.size())));
  record->tag = static_cast<uint32_t>(key.hash);
  record->flags = static_cast<uint8_t>(flags);
  record->key_bytes = static_cast<uint32_t>(key.bytes.size()) & kNoLength;
  std::copy_n(key.bytes.data(), key.bytes.size(), reinterpret_cast<char*>(record) + key_offset_);
  return record;
}

RecordHeader* Table::Create(const Key& key, uint32_t flags) {
  RecordHeader* record = NewRecord(key, flags);
  index_.Insert(record->tag, worker_.arena.RefOf(record));
  return record;
}

Status Table::CheckKeys(std::span<const Key> keys) const {
  for (const Key& key : keys) {
    if (key.bytes.size() > kKeyBytesMax) {
      return Error(Code::kTooLarge, "a key of {} bytes; the limit is {}", key.bytes.size(),
                   kKeyBytesMax);
    }
    CHECK(rows::WorkerOfShard(rows::VirtualShard(key.hash), worker_.workers) == worker_.index)
        << "a key of virtual shard " << rows::VirtualShard(key.hash) << " on worker "
        << worker_.index << " of " << worker_.workers;
  }
  return Ok();
}

}  // namespace millrace::state
