// A ContentOrder keeps the entries of a content that are in memory in the order of some columns, so
// that a reader finds those between two keys. It goes by the places ("slots") of the entries, as a
// ContentIndex does, and holds the bytes of each key (rows::KeyEncoder: memcmp order is SQL order).
//
// Not thread-safe: guarded by the content's lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::state {

class ContentOrder {
 public:
  explicit ContentOrder(std::vector<size_t> columns) : columns_(std::move(columns)) {}

  const std::vector<size_t>& columns() const { return columns_; }

  // It is made while the content goes on: the slots below this number belong into it already.
  uint32_t covered() const { return covered_; }
  bool Covers(uint32_t slot) const { return slot < covered_; }
  bool whole() const { return covered_ == kAll; }
  void Cover(uint32_t slots) { covered_ = slots; }
  void CoverAll() { covered_ = kAll; }

  // REQUIRES: the slot is not in the order.
  void Add(uint32_t slot, std::string_view key);
  // Does nothing where it is not.
  void Remove(uint32_t slot);

  // Calls visit(slot) in order for the slots whose key is at or above `low` and below `high`,
  // backwards on demand, until it returns false.
  template <typename Visit>
  void ForEach(std::string_view low, std::string_view high, bool backwards,
               const Visit& visit) const {
    if (low >= high) return;
    const auto begin = slots_.lower_bound(low);
    const auto end = slots_.lower_bound(high);
    if (!backwards) {
      for (auto at = begin; at != end; ++at) {
        if (!visit(at->second)) return;
      }
      return;
    }
    for (auto at = end; at != begin;) {
      --at;
      if (!visit(at->second)) return;
    }
  }

  // What it takes in memory, about.
  size_t bytes() const { return bytes_ + places_.size() * sizeof(Place); }

 private:
  static constexpr uint32_t kAll = UINT32_MAX;
  using Slots = std::multimap<std::string, uint32_t, std::less<>>;
  using Place = Slots::iterator;
  static size_t NodeBytes(const std::string& key);

  const std::vector<size_t> columns_;
  uint32_t covered_ = 0;
  Slots slots_;
  std::vector<Place> places_;  // by slot; end(): not in the order
  size_t bytes_ = 0;
};

}  // namespace millrace::state
