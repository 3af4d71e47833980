// A ContentIndex finds the entries of a content that are in memory by the hash of some columns:
// chains through the places ("slots") of the entries, so that an entry is taken out without its
// columns being looked at.
//
// Not thread-safe: guarded by the content's lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace millrace::state {

class ContentIndex {
 public:
  explicit ContentIndex(std::vector<size_t> columns)
      : columns_(std::move(columns)), heads_(kHeadsMin, kNone) {}

  const std::vector<size_t>& columns() const { return columns_; }
  // REQUIRES: the slot is not in the index.
  void Add(uint32_t slot, uint64_t hash);
  // REQUIRES: it is.
  void Remove(uint32_t slot);
  uint64_t HashOf(uint32_t slot) const { return links_[slot].hash; }
  // Calls visit(slot) for the slots of that hash, in no particular order.
  template <typename Visit>
  void ForEach(uint64_t hash, const Visit& visit) const {
    for (uint32_t slot = heads_[hash & (heads_.size() - 1)]; slot != kNone;
         slot = links_[slot].next) {
      if (links_[slot].hash == hash) visit(slot);
    }
  }

  // Calls visit(slot) for the slots whose hash is `rest` modulo `modulus`, a power of two. A head's
  // number is its slots' hash below a power of two: they stand in every modulus-th chain, or, where
  // there are fewer, among others in one.
  template <typename Visit>
  void ForEachModulo(uint64_t rest, uint64_t modulus, const Visit& visit) const {
    for (size_t head = rest & (heads_.size() - 1); head < heads_.size(); head += modulus) {
      for (uint32_t slot = heads_[head]; slot != kNone; slot = links_[slot].next) {
        if ((links_[slot].hash & (modulus - 1)) == rest) visit(slot);
      }
    }
  }

  // What each entry takes in memory, about.
  static constexpr size_t kEntryBytes = 24;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr size_t kHeadsMin = 64;
  struct Link {
    uint64_t hash = 0;
    uint32_t next = kNone;
    uint32_t before = kNone;  // kNone: the head of its chain
  };

  void Push(uint32_t slot);
  void Grow();

  const std::vector<size_t> columns_;
  std::vector<uint32_t> heads_;
  std::vector<Link> links_;  // by slot
  size_t size_ = 0;
};

}  // namespace millrace::state
