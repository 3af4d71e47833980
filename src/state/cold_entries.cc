#include "state/cold_entries.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/coding.h"
#include "base/logging.h"

namespace millrace::state {
namespace {

struct Slot {
  uint16_t tag;
  uint16_t offset;
};

// A round of splits doubles the pages. It goes on while those that wait for their split are filled
// from the first share to the second, in percent: the halves begin the next round with half of the
// second. Keys fall unevenly, so the second leaves room.
constexpr size_t kFillAtRoundBegin = 55;
constexpr size_t kFillAtRoundEnd = 75;
static_assert(kFillAtRoundEnd / 2 < kFillAtRoundBegin);
constexpr size_t kGrowPagesMin = 64;

// Spreads a hash whose low bits are the same for all keys of a worker. The upper half chooses the
// page, the bits below are the tag.
uint64_t Mix(uint32_t hash) { return hash * uint64_t{0x9e3779b97f4a7c15}; }
uint16_t TagOf(uint32_t hash) { return static_cast<uint16_t>(Mix(hash) >> 16); }

}  // namespace

// Entries lie at multiples of their head's alignment.
struct ColdEntries::Entry {
  uint32_t check;
  uint32_t hash;
  uint16_t key_bytes;
  uint16_t value_bytes;

  static size_t Bytes(size_t content_bytes) {
    constexpr size_t kAlign = alignof(Entry);
    return (sizeof(Entry) + content_bytes + kAlign - 1) / kAlign * kAlign;
  }
  size_t bytes() const { return Bytes(size_t{key_bytes} + value_bytes); }
  char* data() { return reinterpret_cast<char*>(this + 1); }
  const char* data() const { return reinterpret_cast<const char*>(this + 1); }
  std::string_view key() const { return {data(), key_bytes}; }
  std::string_view value() const { return {data() + key_bytes, value_bytes}; }
  uint32_t Check() const {
    return Crc32c({reinterpret_cast<const char*>(&hash),
                   sizeof(Entry) - sizeof(check) + key_bytes + value_bytes});
  }
};

struct ColdEntries::Page {
  static constexpr size_t kNone = SIZE_MAX;
  static constexpr size_t kDamaged = SIZE_MAX - 1;

  uint32_t check;
  uint16_t count;
  uint16_t data_begin;
  uint8_t incomplete;
  uint8_t unused[3];

  Slot* slots() { return reinterpret_cast<Slot*>(this + 1); }
  const Slot* slots() const { return reinterpret_cast<const Slot*>(this + 1); }
  Entry* at(size_t offset) {
    return reinterpret_cast<Entry*>(reinterpret_cast<char*>(this) + offset);
  }
  const Entry* at(size_t offset) const { return const_cast<Page*>(this)->at(offset); }

  size_t HeadBytes() const { return sizeof(Page) + count * sizeof(Slot); }
  size_t FreeBytes() const { return data_begin - HeadBytes(); }
  void Clear() {
    count = 0;
    data_begin = kPageBytes;
  }
  uint32_t Check() const {
    return Crc32c({reinterpret_cast<const char*>(&count), HeadBytes() - sizeof(check)});
  }
  void Sign() { check = Check(); }
  bool IsSound() const {
    return data_begin <= kPageBytes && HeadBytes() <= data_begin && check == Check();
  }
  bool IsSoundEntry(size_t offset) const {
    const Entry* const entry = at(offset);
    return offset + sizeof(Entry) + entry->key_bytes + entry->value_bytes <= kPageBytes &&
           entry->check == entry->Check();
  }
  // The slot of a key, kNone, or kDamaged.
  size_t Find(uint32_t hash, std::string_view key) const {
    if (!IsSound()) return kDamaged;
    const uint16_t tag = TagOf(hash);
    for (size_t i = 0; i < count; ++i) {
      if (slots()[i].tag != tag) continue;
      if (!IsSoundEntry(slots()[i].offset)) return kDamaged;
      if (at(slots()[i].offset)->key() == key) return i;
    }
    return kNone;
  }
  // Room for `content_bytes` more, as an entry whose bytes are still to be filled in; nullptr:
  // full.
  Entry* Add(uint32_t hash, size_t content_bytes) {
    const size_t bytes = Entry::Bytes(content_bytes);
    if (FreeBytes() < bytes + sizeof(Slot)) return nullptr;
    data_begin = static_cast<uint16_t>(data_begin - bytes);
    slots()[count++] = Slot{TagOf(hash), data_begin};
    return at(data_begin);
  }
  void Remove(size_t slot) {
    const uint16_t offset = slots()[slot].offset;
    const size_t bytes = at(offset)->bytes();
    char* const begin = reinterpret_cast<char*>(at(data_begin));
    std::memmove(begin + bytes, begin, size_t{offset} - data_begin);
    for (size_t i = 0; i < count; ++i) {
      if (slots()[i].offset < offset) {
        slots()[i].offset = static_cast<uint16_t>(slots()[i].offset + bytes);
      }
    }
    data_begin = static_cast<uint16_t>(data_begin + bytes);
    slots()[slot] = slots()[--count];
  }
};

Result<std::unique_ptr<ColdEntries>> ColdEntries::Create(const std::string& directory,
                                                         bool complete) {
  const int file = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) {
    return Error(Code::kIo, "make a file for evicted state in {}: {}", directory,
                 std::strerror(errno));
  }
  std::unique_ptr<ColdEntries> cold(new ColdEntries(file));
  TRY(cold->Grow(kGrowPagesMin));
  for (size_t page = 0; page < cold->page_count(); ++page) {
    cold->At(page)->Clear();
    cold->At(page)->incomplete = complete ? 0 : 1;
    cold->At(page)->Sign();
  }
  return cold;
}

ColdEntries::~ColdEntries() {
  if (base_ != nullptr) munmap(base_, file_bytes());
  close(file_);
}

// The room is reserved before it is mapped: a write to a mapped page that finds the disk full would
// end the process.
Status ColdEntries::Grow(size_t pages) {
  const size_t bytes = pages * kPageBytes;
  if (const int error = posix_fallocate(file_, 0, static_cast<off_t>(bytes)); error != 0) {
    return Error(Code::kIo, "grow the file of evicted state to {} bytes: {}", bytes,
                 std::strerror(error));
  }
  void* const base = base_ == nullptr
                         ? mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file_, 0)
                         : mremap(base_, file_bytes(), bytes, MREMAP_MAYMOVE);
  if (base == MAP_FAILED) {
    return Error(Code::kIo, "map {} bytes of evicted state: {}", bytes, std::strerror(errno));
  }
  base_ = static_cast<std::byte*>(base);
  capacity_pages_ = pages;
  // Advice only: keys come at random, what lies beside them is not worth reading.
  (void)madvise(base, bytes, MADV_RANDOM);
  return Ok();
}

ColdEntries::Page* ColdEntries::PageOf(uint32_t hash) const {
  const size_t place = Mix(hash) >> 32;
  const size_t page = place & ((size_t{2} << level_) - 1);
  return At(page < page_count() ? page : place & ((size_t{1} << level_) - 1));
}

void ColdEntries::Prefetch(uint32_t hash) const {
  // The head and the slots of a page that is about half full.
  constexpr size_t kLineBytes = 64;
  constexpr size_t kLines = 4;
  const auto* page = reinterpret_cast<const std::byte*>(PageOf(hash));
  for (size_t line = 0; line < kLines; ++line) __builtin_prefetch(page + line * kLineBytes);
}

Error ColdEntries::Damaged(const Page* page) const {
  return Error(Code::kCorruption, "the file of evicted state is damaged near byte {}",
               reinterpret_cast<const std::byte*>(page) - base_)
      .Hint("start the node again: it reads the state that was flushed");
}

Result<ColdEntries::Found> ColdEntries::Find(uint32_t hash, std::string_view key) const {
  const Page* const page = PageOf(hash);
  const size_t slot = page->Find(hash, key);
  if (slot == Page::kDamaged) return Damaged(page);
  if (slot == Page::kNone) {
    return Found{page->incomplete != 0 ? Found::Where::kUnknown : Found::Where::kNowhere, {}};
  }
  return Found{Found::Where::kHere, page->at(page->slots()[slot].offset)->value()};
}

Status ColdEntries::Put(uint32_t hash, std::string_view key, std::string_view value) {
  Page* const page = PageOf(hash);
  const size_t slot = page->Find(hash, key);
  if (slot == Page::kDamaged) return Damaged(page);
  Entry* entry = nullptr;
  if (slot != Page::kNone) {
    entry = page->at(page->slots()[slot].offset);
    if (entry->value_bytes != value.size()) {
      used_bytes_ -= entry->bytes() + sizeof(Slot);
      page->Remove(slot);
      entry = nullptr;
    }
  }
  if (entry == nullptr) {
    if (value.size() <= kValueBytesMax) entry = page->Add(hash, key.size() + value.size());
    if (entry == nullptr) {
      page->incomplete = 1;
    } else {
      entry->hash = hash;
      entry->key_bytes = static_cast<uint16_t>(key.size());
      entry->value_bytes = static_cast<uint16_t>(value.size());
      std::memcpy(entry->data(), key.data(), key.size());
      used_bytes_ += entry->bytes() + sizeof(Slot);
    }
    page->Sign();
  }
  if (entry == nullptr) return Ok();
  std::memcpy(entry->data() + key.size(), value.data(), value.size());
  entry->check = entry->Check();
  while (WantsSplit()) TRY(Split());
  return Ok();
}

Status ColdEntries::Erase(uint32_t hash, std::string_view key) {
  Page* const page = PageOf(hash);
  const size_t slot = page->Find(hash, key);
  if (slot == Page::kDamaged) return Damaged(page);
  if (slot == Page::kNone) return Ok();
  used_bytes_ -= page->at(page->slots()[slot].offset)->bytes() + sizeof(Slot);
  page->Remove(slot);
  page->Sign();
  return Ok();
}

bool ColdEntries::WantsSplit() const {
  if (!grows_) return false;
  const size_t half = size_t{1} << level_;
  const size_t room = kPageBytes - sizeof(Page);
  return used_bytes_ * 100 >
         room * (kFillAtRoundBegin * half + (kFillAtRoundEnd - kFillAtRoundBegin) * split_);
}

Status ColdEntries::Split() {
  const size_t added = page_count();
  if (added == capacity_pages_) {
    Status grown = Grow(capacity_pages_ + std::max(kGrowPagesMin, capacity_pages_ / 4));
    if (!grown.ok()) {
      // What finds no room from now on is read from RocksDB.
      LOG_WARNING("evicted state finds no more room", "error={}", grown.error().message());
      grows_ = false;
      return Ok();
    }
  }
  Page* const low = At(split_);
  Page* const high = At(added);
  if (!low->IsSound()) return Damaged(low);
  alignas(Entry) std::byte copy[kPageBytes];
  std::memcpy(copy, low, kPageBytes);
  const auto* const old = reinterpret_cast<const Page*>(copy);
  low->Clear();
  high->Clear();
  high->incomplete = old->incomplete;
  for (size_t i = 0; i < old->count; ++i) {
    if (!old->IsSoundEntry(old->slots()[i].offset)) return Damaged(low);
    const Entry* const entry = old->at(old->slots()[i].offset);
    Page* const half = ((Mix(entry->hash) >> (32 + level_)) & 1) != 0 ? high : low;
    std::memcpy(static_cast<void*>(half->Add(entry->hash, entry->key_bytes + entry->value_bytes)),
                entry, entry->bytes());
  }
  low->Sign();
  high->Sign();
  if (++split_ == size_t{1} << level_) {
    ++level_;
    split_ = 0;
  }
  return Ok();
}

}  // namespace millrace::state
