// RowTree holds the rows of one group in memcmp order: nothing for one row, one small sorted leaf
// for a few, and a B+-tree (Bayer and McCreight 1972; empty nodes are freed, half-empty ones stay:
// Johnson and Shasha, "B-trees with inserts and deletes: why free-at-empty is better than
// merge-at-half", 1993) for many.
//
// Nodes hold 8 bytes of each row beside its reference, so that most comparisons touch no row. These
// begin `skip` bytes into the row: all rows of the tree begin with the same `skip` bytes, which are
// kept once, in `head`.
//
// Invariant: a separator (index above 0 of an inner node) is the least row of its child; the one at
// index 0 is never read.
//
// The functions work on a RowTree that lives in a group's record. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "state/arena.h"

namespace millrace::state {

// One row of a bag and its weight; its bytes follow.
struct RowRecord {
  int64_t weight;
  Arena::Ref group;
  uint32_t flags : 4;
  uint32_t row_bytes : 28;

  static constexpr size_t kRowBytesMax = (size_t{1} << 28) - 1;
  static constexpr uint32_t kDirty = 1;
  static constexpr uint32_t kDirtyParity = 2;
  static constexpr uint32_t kOnDisk = 4;
  static constexpr uint32_t kDead = 8;  // not in the tree any more, kept for a dirty or frozen list

  std::string_view row() const { return {reinterpret_cast<const char*>(this + 1), row_bytes}; }
  static size_t Bytes(size_t row_bytes) { return sizeof(RowRecord) + row_bytes; }
};
static_assert(sizeof(RowRecord) == 16);

struct RowTree {
  static constexpr int kHeightMax = 10;

  // Where a row is or would be: the way from the root to a place in a leaf.
  struct Path {
    Arena::Ref node[kHeightMax];
    int index[kHeightMax];
    int depth = 0;  // nodes on the way; 0 for a tree without nodes
  };

  uint64_t head = 0;
  Arena::Ref root = 0;  // height 0: the only row, or 0
  uint32_t entries = 0;
  uint8_t height = 0;  // levels of nodes
  uint8_t skip = 0;

  // Finds `row`, or the place where Insert is to put it. It may rebuild the prefixes, so that the
  // row could be inserted.
  Arena::Ref Locate(const Arena& arena, std::string_view row, Path& path);
  // REQUIRES: Locate has just found the place, and nothing there.
  void Insert(Arena& arena, const Path& path, Arena::Ref row);
  // REQUIRES: Locate has just found the row at the place. The record itself stays.
  void Remove(Arena& arena, const Path& path);
  // Frees the nodes, not the rows.
  void Clear(Arena& arena);
  // Calls visit(ref) in order, from the first row >= `from`, until it returns false.
  template <typename Visit>
  void Scan(const Arena& arena, std::string_view from, const Visit& visit) const;

  static constexpr int kLeafEntries = 84;
  static constexpr int kInnerEntries = 63;
  struct Leaf {
    int32_t count;
    int32_t capacity;
    uint64_t* prefixes() { return reinterpret_cast<uint64_t*>(this + 1); }
    Arena::Ref* rows() { return reinterpret_cast<Arena::Ref*>(prefixes() + capacity); }
    static size_t Bytes(int capacity) { return sizeof(Leaf) + static_cast<size_t>(capacity) * 12; }
  };
  struct Inner {
    int32_t count;
    int32_t unused;
    uint64_t prefixes[kInnerEntries];
    Arena::Ref rows[kInnerEntries];
    Arena::Ref children[kInnerEntries];
  };

 private:
  uint64_t PrefixOf(std::string_view row) const;
  bool SharesHead(std::string_view row) const;
  // Chooses how many bytes to skip so that `row` fits in, and rebuilds the prefixes.
  void Reskip(const Arena& arena, std::string_view row);
  void RebuildPrefixes(const Arena& arena, Arena::Ref node, int level);
  // The first index in [begin, end) whose row is not less than `row`; `found` says whether it is
  // equal.
  static int LowerBound(const Arena& arena, const uint64_t* prefixes, const Arena::Ref* rows,
                        int begin, int end, uint64_t prefix, std::string_view row, bool& found);
  Arena::Ref NewLeaf(Arena& arena, int capacity) const;
  void ResizeLeaf(Arena& arena, int capacity);
  void InsertChild(Arena& arena, const Path& path, int level, uint64_t prefix, Arena::Ref row,
                   Arena::Ref child);
  // The subtree at `level` of the path has a new least row.
  void FixSeparator(const Arena& arena, const Path& path, int level, uint64_t prefix,
                    Arena::Ref row);
  void ClearNode(Arena& arena, Arena::Ref node, int level);
  template <typename Visit>
  bool ScanNode(const Arena& arena, Arena::Ref node, int level, const std::string_view* from,
                const Visit& visit) const;
};
static_assert(sizeof(RowTree) == 24);

template <typename Visit>
void RowTree::Scan(const Arena& arena, std::string_view from, const Visit& visit) const {
  if (entries == 0) return;
  if (height == 0) {
    if (arena.At<RowRecord>(root)->row() >= from) visit(root);
    return;
  }
  if (!from.empty() && !SharesHead(from)) {
    // All rows lie on one side of `from`.
    Arena::Ref first = root;
    for (int level = height; level > 1; --level) first = arena.At<Inner>(first)->children[0];
    const Arena::Ref any = arena.At<Leaf>(first)->rows()[0];
    if (arena.At<RowRecord>(any)->row() < from) return;
    ScanNode(arena, root, height, nullptr, visit);
    return;
  }
  ScanNode(arena, root, height, from.empty() ? nullptr : &from, visit);
}

template <typename Visit>
bool RowTree::ScanNode(const Arena& arena, Arena::Ref node, int level, const std::string_view* from,
                       const Visit& visit) const {
  bool found = false;
  if (level == 1) {
    auto* leaf = arena.At<Leaf>(node);
    const Arena::Ref* rows = leaf->rows();
    int i = 0;
    if (from != nullptr) {
      i = LowerBound(arena, leaf->prefixes(), rows, 0, leaf->count, PrefixOf(*from), *from, found);
    }
    constexpr int kAhead = 6;
    for (int ahead = i; ahead < std::min(i + kAhead, leaf->count); ++ahead) {
      __builtin_prefetch(arena.At<std::byte>(rows[ahead]));
    }
    for (; i < leaf->count; ++i) {
      if (i + kAhead < leaf->count) __builtin_prefetch(arena.At<std::byte>(rows[i + kAhead]));
      if (!visit(rows[i])) return false;
    }
    return true;
  }
  auto* inner = arena.At<Inner>(node);
  int i = 0;
  if (from != nullptr) {
    i = LowerBound(arena, inner->prefixes, inner->rows, 1, inner->count, PrefixOf(*from), *from,
                   found);
    if (!found) --i;
  }
  for (; i < inner->count; ++i, from = nullptr) {
    if (!ScanNode(arena, inner->children[i], level - 1, from, visit)) return false;
  }
  return true;
}

}  // namespace millrace::state
