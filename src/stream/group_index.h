// Numbers the different keys of one step in the order of their first appearance, so that a step's
// change is summed per group before any state is touched. An open-addressing table of numbers; key
// bytes lie in blocks that do not move. Not thread-safe. Keys stay valid until the next Reset.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "state/tables.h"

namespace millrace::stream {

class GroupIndex {
 public:
  // For up to `rows` keys.
  void Reset(size_t rows) {
    slots_.assign(std::bit_ceil(std::max<size_t>(rows * 2, 16)), kNone);
    keys_.clear();
    block_ = 0;
    used_ = 0;
  }

  uint32_t FindOrAdd(std::string_view key, uint64_t hash) {
    const size_t mask = slots_.size() - 1;
    // The low bits of the hash choose the worker, so that they are the same for many keys here.
    size_t slot = (hash >> 16) & mask;
    for (; slots_[slot] != kNone; slot = (slot + 1) & mask) {
      const state::Key& known = keys_[slots_[slot]];
      if (known.hash == hash && known.bytes == key) return slots_[slot];
    }
    slots_[slot] = static_cast<uint32_t>(keys_.size());
    keys_.push_back({Keep(key), hash});
    return slots_[slot];
  }

  std::span<const state::Key> keys() const { return keys_; }
  size_t size() const { return keys_.size(); }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr size_t kBlockBytes = 64 << 10;

  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t size;
  };

  std::string_view Keep(std::string_view key) {
    if (key.empty()) return {};
    while (block_ < blocks_.size() && blocks_[block_].size - used_ < key.size()) {
      ++block_;
      used_ = 0;
    }
    if (block_ == blocks_.size()) {
      const size_t size = std::max(key.size(), kBlockBytes);
      blocks_.push_back({std::make_unique_for_overwrite<char[]>(size), size});
    }
    char* at = blocks_[block_].bytes.get() + used_;
    std::memcpy(at, key.data(), key.size());
    used_ += key.size();
    return {at, key.size()};
  }

  std::vector<uint32_t> slots_;
  std::vector<state::Key> keys_;
  std::vector<Block> blocks_;  // kept from step to step
  size_t block_ = 0;
  size_t used_ = 0;
};

}  // namespace millrace::stream
