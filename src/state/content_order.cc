#include "state/content_order.h"

#include "base/check.h"

namespace millrace::state {

// A node of the tree with what malloc adds, and the key where it does not fit into the string.
size_t ContentOrder::NodeBytes(const std::string& key) {
  constexpr size_t kNodeBytes = 88;
  constexpr size_t kMallocBytes = 16;
  static const size_t kInPlace = std::string().capacity();
  return kNodeBytes + (key.size() > kInPlace ? key.size() + kMallocBytes : 0);
}

void ContentOrder::Add(uint32_t slot, std::string_view key) {
  if (slot >= places_.size()) places_.resize(size_t{slot} + 1, slots_.end());
  CHECK(places_[slot] == slots_.end()) << "a slot stands twice in an order";
  places_[slot] = slots_.emplace(std::string(key), slot);
  bytes_ += NodeBytes(places_[slot]->first);
}

void ContentOrder::Remove(uint32_t slot) {
  if (slot >= places_.size() || places_[slot] == slots_.end()) return;
  bytes_ -= NodeBytes(places_[slot]->first);
  slots_.erase(places_[slot]);
  places_[slot] = slots_.end();
}

}  // namespace millrace::state
