#include "state/row_tree.h"

#include <bit>
#include <cstring>

#include "base/check.h"
#include "base/coding.h"

namespace millrace::state {
namespace {

// Each fills a size class of the arena.
constexpr int kLeafCapacities[] = {4, 9, 20, 42, RowTree::kLeafEntries};
static_assert(sizeof(RowTree::Inner) <= 1024);
static_assert(sizeof(RowTree::Leaf) + RowTree::kLeafEntries * 12 <= 1024);

int CapacityFor(int count) {
  for (const int capacity : kLeafCapacities) {
    if (count <= capacity) return capacity;
  }
  return RowTree::kLeafEntries;
}

// Up to 8 bytes from `at` on, big-endian, padded with zeros: compares as the bytes do, as far as
// they go.
uint64_t LoadBig(std::string_view bytes, size_t at) {
  if (bytes.size() >= at + 8) return GetBig<uint64_t>(bytes.data() + at);
  if (bytes.size() <= at) return 0;
  char padded[8] = {};
  std::memcpy(padded, bytes.data() + at, bytes.size() - at);
  return GetBig<uint64_t>(padded);
}

template <typename T>
void MoveUp(T* array, int from, int count) {
  std::memmove(array + from + 1, array + from, static_cast<size_t>(count - from) * sizeof(T));
}
template <typename T>
void MoveDown(T* array, int to, int count) {
  std::memmove(array + to, array + to + 1, static_cast<size_t>(count - to - 1) * sizeof(T));
}

}  // namespace

uint64_t RowTree::PrefixOf(std::string_view row) const { return LoadBig(row, skip); }

bool RowTree::SharesHead(std::string_view row) const {
  return skip == 0 || ((LoadBig(row, 0) ^ head) >> (64 - 8 * skip)) == 0;
}

int RowTree::LowerBound(const Arena& arena, const uint64_t* prefixes, const Arena::Ref* rows,
                        int begin, int end, uint64_t prefix, std::string_view row, bool& found) {
  found = false;
  while (begin < end) {
    const int middle = (begin + end) / 2;
    int order = prefixes[middle] < prefix ? -1 : prefixes[middle] > prefix ? 1 : 0;
    if (order == 0) order = arena.At<RowRecord>(rows[middle])->row().compare(row);
    if (order == 0) {
      found = true;
      return middle;
    }
    if (order < 0) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

void RowTree::RebuildPrefixes(const Arena& arena, Arena::Ref node, int level) {
  if (level == 1) {
    auto* leaf = arena.At<Leaf>(node);
    for (int i = 0; i < leaf->count; ++i) {
      leaf->prefixes()[i] = PrefixOf(arena.At<RowRecord>(leaf->rows()[i])->row());
    }
    return;
  }
  auto* inner = arena.At<Inner>(node);
  for (int i = 0; i < inner->count; ++i) {
    if (i > 0) inner->prefixes[i] = PrefixOf(arena.At<RowRecord>(inner->rows[i])->row());
    RebuildPrefixes(arena, inner->children[i], level - 1);
  }
}

void RowTree::Reskip(const Arena& arena, std::string_view row) {
  // A tree of several nodes gives up skipping at once, so that it is rebuilt only once in its life.
  skip = height > 1 ? 0 : static_cast<uint8_t>(std::countl_zero((LoadBig(row, 0) ^ head) | 1) / 8);
  RebuildPrefixes(arena, root, height);
}

Arena::Ref RowTree::Locate(const Arena& arena, std::string_view row, Path& path) {
  path.depth = height;
  if (height == 0) {
    if (entries == 0) return 0;
    return arena.At<RowRecord>(root)->row() == row ? root : 0;
  }
  if (!SharesHead(row)) Reskip(arena, row);
  const uint64_t prefix = PrefixOf(row);
  Arena::Ref node = root;
  bool found = false;
  for (int level = 0; level < height - 1; ++level) {
    auto* inner = arena.At<Inner>(node);
    int i = LowerBound(arena, inner->prefixes, inner->rows, 1, inner->count, prefix, row, found);
    if (!found) --i;
    path.node[level] = node;
    path.index[level] = i;
    node = inner->children[i];
  }
  auto* leaf = arena.At<Leaf>(node);
  const int i =
      LowerBound(arena, leaf->prefixes(), leaf->rows(), 0, leaf->count, prefix, row, found);
  path.node[height - 1] = node;
  path.index[height - 1] = i;
  return found ? leaf->rows()[i] : 0;
}

Arena::Ref RowTree::NewLeaf(Arena& arena, int capacity) const {
  const Arena::Ref ref = arena.Allocate(Leaf::Bytes(capacity));
  auto* leaf = arena.At<Leaf>(ref);
  leaf->count = 0;
  leaf->capacity = capacity;
  return ref;
}

void RowTree::ResizeLeaf(Arena& arena, int capacity) {
  const Arena::Ref ref = NewLeaf(arena, capacity);
  auto* leaf = arena.At<Leaf>(ref);
  auto* old = arena.At<Leaf>(root);
  leaf->count = old->count;
  std::copy_n(old->prefixes(), old->count, leaf->prefixes());
  std::copy_n(old->rows(), old->count, leaf->rows());
  arena.Free(root, Leaf::Bytes(old->capacity));
  root = ref;
}

void RowTree::Insert(Arena& arena, const Path& path, Arena::Ref row) {
  const std::string_view bytes = arena.At<RowRecord>(row)->row();
  ++entries;
  if (height == 0) {
    if (entries == 1) {
      root = row;
      return;
    }
    const Arena::Ref other = root;
    const std::string_view other_bytes = arena.At<RowRecord>(other)->row();
    head = LoadBig(bytes, 0);
    skip = static_cast<uint8_t>(std::countl_zero((LoadBig(other_bytes, 0) ^ head) | 1) / 8);
    root = NewLeaf(arena, kLeafCapacities[0]);
    height = 1;
    auto* leaf = arena.At<Leaf>(root);
    const bool first = bytes < other_bytes;
    leaf->rows()[0] = first ? row : other;
    leaf->rows()[1] = first ? other : row;
    leaf->count = 2;
    RebuildPrefixes(arena, root, 1);
    return;
  }
  const int level = height - 1;
  int at = path.index[level];
  Arena::Ref node = path.node[level];
  auto* leaf = arena.At<Leaf>(node);
  if (leaf->count == leaf->capacity && leaf->capacity < kLeafEntries) {
    ResizeLeaf(arena, CapacityFor(leaf->count + 1));
    leaf = arena.At<Leaf>(root);
  } else if (leaf->count == leaf->capacity) {
    // At the end of a leaf rows probably come in order: the old leaf stays full.
    const int keep = at == leaf->count ? leaf->count : leaf->count / 2;
    const Arena::Ref right_ref = NewLeaf(arena, kLeafEntries);
    auto* right = arena.At<Leaf>(right_ref);
    right->count = leaf->count - keep;
    std::copy_n(leaf->prefixes() + keep, right->count, right->prefixes());
    std::copy_n(leaf->rows() + keep, right->count, right->rows());
    leaf->count = keep;
    if (right->count == 0) {
      right->prefixes()[0] = PrefixOf(bytes);
      right->rows()[0] = row;
      right->count = 1;
      InsertChild(arena, path, level - 1, right->prefixes()[0], row, right_ref);
      return;
    }
    const bool into_right = at > keep;
    InsertChild(arena, path, level - 1, right->prefixes()[0], right->rows()[0], right_ref);
    if (into_right) {
      leaf = right;
      at -= keep;
    }
  }
  MoveUp(leaf->prefixes(), at, leaf->count);
  MoveUp(leaf->rows(), at, leaf->count);
  leaf->prefixes()[at] = PrefixOf(bytes);
  leaf->rows()[at] = row;
  ++leaf->count;
}

void RowTree::InsertChild(Arena& arena, const Path& path, int level, uint64_t prefix,
                          Arena::Ref row, Arena::Ref child) {
  if (level < 0) {
    const Arena::Ref ref = arena.Allocate(sizeof(Inner));
    auto* inner = arena.At<Inner>(ref);
    inner->count = 2;
    inner->children[0] = root;
    inner->prefixes[1] = prefix;
    inner->rows[1] = row;
    inner->children[1] = child;
    root = ref;
    ++height;
    CHECK(height <= kHeightMax) << "a group with " << entries << " rows";
    return;
  }
  auto* inner = arena.At<Inner>(path.node[level]);
  int at = path.index[level] + 1;
  if (inner->count == kInnerEntries) {
    const int keep = at == inner->count ? inner->count - 1 : inner->count / 2;
    const Arena::Ref right_ref = arena.Allocate(sizeof(Inner));
    auto* right = arena.At<Inner>(right_ref);
    right->count = inner->count - keep;
    std::copy_n(inner->prefixes + keep, right->count, right->prefixes);
    std::copy_n(inner->rows + keep, right->count, right->rows);
    std::copy_n(inner->children + keep, right->count, right->children);
    inner->count = keep;
    InsertChild(arena, path, level - 1, right->prefixes[0], right->rows[0], right_ref);
    if (at > keep) {
      inner = right;
      at -= keep;
    }
  }
  MoveUp(inner->prefixes, at, inner->count);
  MoveUp(inner->rows, at, inner->count);
  MoveUp(inner->children, at, inner->count);
  inner->prefixes[at] = prefix;
  inner->rows[at] = row;
  inner->children[at] = child;
  ++inner->count;
}

void RowTree::FixSeparator(const Arena& arena, const Path& path, int level, uint64_t prefix,
                           Arena::Ref row) {
  for (--level; level >= 0; --level) {
    if (path.index[level] == 0) continue;
    auto* inner = arena.At<Inner>(path.node[level]);
    inner->prefixes[path.index[level]] = prefix;
    inner->rows[path.index[level]] = row;
    return;
  }
}

void RowTree::Remove(Arena& arena, const Path& path) {
  --entries;
  if (height == 0) {
    root = 0;
    return;
  }
  int level = height - 1;
  auto* leaf = arena.At<Leaf>(path.node[level]);
  const int at = path.index[level];
  MoveDown(leaf->prefixes(), at, leaf->count);
  MoveDown(leaf->rows(), at, leaf->count);
  if (--leaf->count > 0) {
    if (at == 0) FixSeparator(arena, path, level, leaf->prefixes()[0], leaf->rows()[0]);
    if (height == 1 && leaf->capacity > kLeafCapacities[0] && leaf->count * 4 <= leaf->capacity) {
      ResizeLeaf(arena, CapacityFor(leaf->count));
    }
    return;
  }
  arena.Free(path.node[level], Leaf::Bytes(leaf->capacity));
  for (--level; level >= 0; --level) {
    auto* inner = arena.At<Inner>(path.node[level]);
    const int child = path.index[level];
    MoveDown(inner->prefixes, child, inner->count);
    MoveDown(inner->rows, child, inner->count);
    MoveDown(inner->children, child, inner->count);
    if (--inner->count > 0) {
      if (child == 0) FixSeparator(arena, path, level, inner->prefixes[0], inner->rows[0]);
      break;
    }
    arena.Free(path.node[level], sizeof(Inner));
  }
  if (entries == 0) {
    *this = RowTree{};
    return;
  }
  while (height > 1 && arena.At<Inner>(root)->count == 1) {
    const Arena::Ref child = arena.At<Inner>(root)->children[0];
    arena.Free(root, sizeof(Inner));
    root = child;
    --height;
  }
}

void RowTree::ClearNode(Arena& arena, Arena::Ref node, int level) {
  if (level == 1) {
    arena.Free(node, Leaf::Bytes(arena.At<Leaf>(node)->capacity));
    return;
  }
  auto* inner = arena.At<Inner>(node);
  for (int i = 0; i < inner->count; ++i) ClearNode(arena, inner->children[i], level - 1);
  arena.Free(node, sizeof(Inner));
}

void RowTree::Clear(Arena& arena) {
  if (height > 0) ClearNode(arena, root, height);
  *this = RowTree{};
}

}  // namespace millrace::state
