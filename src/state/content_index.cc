#include "state/content_index.h"

namespace millrace::state {

void ContentIndex::Add(uint32_t slot, uint64_t hash) {
  if (slot >= links_.size()) links_.resize(size_t{slot} + 1);
  links_[slot].hash = hash;
  if (size_ >= heads_.size()) Grow();
  ++size_;
  Push(slot);
}

void ContentIndex::Push(uint32_t slot) {
  Link& link = links_[slot];
  uint32_t& head = heads_[link.hash & (heads_.size() - 1)];
  link.before = kNone;
  link.next = head;
  if (head != kNone) links_[head].before = slot;
  head = slot;
}

void ContentIndex::Remove(uint32_t slot) {
  const Link& link = links_[slot];
  if (link.next != kNone) links_[link.next].before = link.before;
  if (link.before != kNone) {
    links_[link.before].next = link.next;
  } else {
    heads_[link.hash & (heads_.size() - 1)] = link.next;
  }
  --size_;
}

void ContentIndex::Grow() {
  std::vector<uint32_t> before(heads_.size() * 2, kNone);
  before.swap(heads_);
  for (uint32_t head : before) {
    for (uint32_t slot = head; slot != kNone;) {
      const uint32_t next = links_[slot].next;
      Push(slot);
      slot = next;
    }
  }
}

}  // namespace millrace::state
