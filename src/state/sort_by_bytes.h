// SortByBytes sorts by the memcmp order of byte strings that lie anywhere in memory and have much
// in common at their beginnings, as keys of one table do: the eight bytes after the common prefix
// are fetched once and compared as a number; the strings themselves are looked at only where those
// are equal.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

#include "base/coding.h"

namespace millrace::state {

template <typename T>
class SortByBytes {
 public:
  // Sorts `items` by bytes(item), then by tie(item), an integer.
  template <typename Bytes, typename Tie>
  void operator()(std::span<T> items, const Bytes& bytes, const Tie& tie) {
    if (items.size() < 2) return;
    const size_t common = CommonPrefix(items, bytes);
    heads_.clear();
    heads_.reserve(items.size());
    for (const T& item : items) heads_.push_back({HeadOf(bytes(item).substr(common)), item});
    std::sort(heads_.begin(), heads_.end(), [&](const Headed& a, const Headed& b) {
      if (a.head != b.head) return a.head < b.head;
      const int order = bytes(a.item).compare(bytes(b.item));
      return order != 0 ? order < 0 : tie(a.item) < tie(b.item);
    });
    for (size_t i = 0; i < items.size(); ++i) items[i] = heads_[i].item;
  }

 private:
  struct Headed {
    uint64_t head;
    T item;
  };

  // Zeros after a short string put it where memcmp does, or equal to one that goes on with zeros.
  static uint64_t HeadOf(std::string_view bytes) {
    char head[sizeof(uint64_t)] = {};
    std::memcpy(head, bytes.data(), std::min(bytes.size(), sizeof(head)));
    return GetBig<uint64_t>(head);
  }
  template <typename Bytes>
  static size_t CommonPrefix(std::span<const T> items, const Bytes& bytes) {
    const std::string_view first = bytes(items.front());
    size_t common = first.size();
    for (const T& item : items) {
      const std::string_view other = bytes(item);
      common = std::min(common, other.size());
      if (std::memcmp(first.data(), other.data(), common) == 0) continue;
      common = static_cast<size_t>(std::mismatch(first.begin(),
                                                 first.begin() + static_cast<ptrdiff_t>(common),
                                                 other.begin())
                                       .first -
                                   first.begin());
    }
    return common;
  }

  std::vector<Headed> heads_;  // kept for its memory
};

}  // namespace millrace::state
