#include "state/hash_index.h"

#include <sys/mman.h>

#include <cstring>

#include "base/check.h"

namespace millrace::state {
namespace {

constexpr int kBitsMin = 4;
constexpr size_t kHugePageBytes = 2 << 20;

}  // namespace

HashIndex::HashIndex() : bits_(kBitsMin) { Resize(kBitsMin); }

void HashIndex::Resize(int bits) {
  const size_t bytes = sizeof(Slot) << bits;
  const bool huge = bytes >= kHugePageBytes;
  auto* slots = static_cast<Slot*>(std::aligned_alloc(huge ? kHugePageBytes : 64, bytes));
  CHECK(slots != nullptr) << "out of memory for a hash table of " << bytes << " bytes";
  if (huge) (void)madvise(slots, bytes, MADV_HUGEPAGE);
  std::memset(slots, 0, bytes);
  std::unique_ptr<Slot[], FreeSlots> old(slots);
  old.swap(slots_);
  const size_t old_count = old == nullptr ? 0 : slot_count();
  bits_ = bits;
  for (size_t i = 0; i < old_count; ++i) {
    if (old[i].ref == 0) continue;
    size_t at = Home(old[i].tag);
    while (slots_[at].ref != 0) at = Next(at);
    slots_[at] = old[i];
  }
}

void HashIndex::Insert(uint32_t tag, Arena::Ref ref) {
  if ((size_ + 1) * 4 > slot_count() * 3) Resize(bits_ + 1);
  size_t at = Home(tag);
  while (slots_[at].ref != 0) at = Next(at);
  slots_[at] = Slot{tag, ref};
  ++size_;
}

void HashIndex::Remove(uint32_t tag, Arena::Ref ref) {
  size_t at = Home(tag);
  while (slots_[at].ref != ref) {
    CHECK(slots_[at].ref != 0) << "removed an entry that is not in the index";
    at = Next(at);
  }
  RemoveAt(at);
}

void HashIndex::RemoveAt(size_t at) {
  --size_;
  const size_t mask = slot_count() - 1;
  size_t hole = at;
  for (size_t i = Next(at); slots_[i].ref != 0; i = Next(i)) {
    // An entry may move into the hole unless its home lies (cyclically) after the hole.
    const size_t home = Home(slots_[i].tag);
    if (((i - home) & mask) >= ((i - hole) & mask)) {
      slots_[hole] = slots_[i];
      hole = i;
    }
  }
  slots_[hole] = Slot{0, 0};
}

void HashIndex::ShrinkIfSparse() {
  int bits = bits_;
  while (bits > kBitsMin && size_ * 8 < size_t{1} << bits) --bits;
  if (bits != bits_) Resize(bits);
}

}  // namespace millrace::state
