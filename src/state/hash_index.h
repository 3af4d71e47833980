// HashIndex maps 32-bit tags (the low half of a key's hash) to arena references. Several entries
// may have one tag: the caller compares the keys.
//
// Open addressing with linear probing, 8 bytes a slot, at most 3/4 full; removal shifts the
// following slots back (Knuth, TAOCP vol. 3, 6.4, algorithm R), so that there are no tombstones. A
// slot's place follows from its tag alone, so growing reads and writes both arrays in order and
// never touches the entries.
//
// Not thread-safe: owned by a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "state/arena.h"

namespace millrace::state {

class HashIndex {
 public:
  struct Slot {
    uint32_t tag;
    Arena::Ref ref;  // 0: empty
  };

  HashIndex();

  size_t size() const { return size_; }
  size_t slot_count() const { return size_t{1} << bits_; }
  size_t memory_bytes() const { return slot_count() * sizeof(Slot); }
  const Slot& slot(size_t at) const { return slots_[at]; }

  void Prefetch(uint32_t tag) const { __builtin_prefetch(&slots_[Home(tag)]); }
  // The first entry with that tag, 0 where there is none: most likely the one that is looked for.
  Arena::Ref Candidate(uint32_t tag) const {
    for (size_t at = Home(tag); slots_[at].ref != 0; at = Next(at)) {
      if (slots_[at].tag == tag) return slots_[at].ref;
    }
    return 0;
  }
  template <typename Matches>
  Arena::Ref Find(uint32_t tag, const Matches& matches) const {
    for (size_t at = Home(tag); slots_[at].ref != 0; at = Next(at)) {
      if (slots_[at].tag == tag && matches(slots_[at].ref)) return slots_[at].ref;
    }
    return 0;
  }
  void Insert(uint32_t tag, Arena::Ref ref);
  // REQUIRES: present.
  void Remove(uint32_t tag, Arena::Ref ref);
  // Removes the entry of a slot; another one may take its place.
  void RemoveAt(size_t at);
  // Gives memory back where few entries are left.
  void ShrinkIfSparse();

 private:
  struct FreeSlots {
    void operator()(Slot* slots) const { std::free(slots); }
  };

  size_t Home(uint32_t tag) const {
    return static_cast<size_t>((tag * uint64_t{0x9e3779b97f4a7c15}) >> (64 - bits_));
  }
  size_t Next(size_t at) const { return (at + 1) & (slot_count() - 1); }
  void Resize(int bits);

  int bits_;
  size_t size_ = 0;
  std::unique_ptr<Slot[], FreeSlots> slots_;
};

}  // namespace millrace::state
