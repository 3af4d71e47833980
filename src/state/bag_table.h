// The implementation of BagTable. A group is a record of the hash index, followed by its key; its
// rows are records of their own in a RowTree, each with its own place in the flush. Rows come in
// memcmp order in every table, so that no order depends on what was evicted or restarted in
// between.
//
// A row whose weight gets to 0 leaves the tree at once, so that scans do not stumble over it; if it
// was dirty or on disk, its record lives on ("dead") in the dirty list. When the same row comes
// back before the flush it gets a second record: of both, the one that is alive counts, see
// TableBuffer::SortShard.
//
// A group in memory always holds all of its rows; it is read from disk and evicted as a whole. An
// evicted group goes to ColdEntries, where it is looked for first, unless it is too large for it.
#pragma once

#include <string>
#include <vector>

#include "state/row_tree.h"
#include "state/table.h"

namespace millrace::state {

class BagTable::Group {
 public:
  RecordHeader header;
  uint32_t dirty_rows;  // dirty or frozen, dead ones included
  uint32_t unused;
  RowTree tree;
};

class BagTableImpl final : public BagTable, public Table {
 public:
  BagTableImpl(TableId id, bool ordered, WorkerContext& worker, bool has_disk);

  bool ordered() const { return ordered_; }

  Status Find(std::span<const Key> keys, std::vector<Group*>& groups) override;
  Status FindOrCreate(std::span<const Key> keys, std::vector<Group*>& groups) override;
  int64_t Add(Group* group, std::string_view row, int64_t weight) override;
  void Rows(const Group* group, std::vector<Entry>& out) const override;
  void Scan(const Group* group, std::string_view from,
            const std::function<bool(const Entry&)>& visit) const override;
  size_t Size(const Group* group) const override { return group->tree.entries; }
  Status ForEach(
      const std::function<void(std::string_view key, const Group* group)>& visit) override;

  void OnIngested() override;
  void EndStep() override;
  void FreeAll() override;

 private:
  void WriteListed(Arena::Ref ref) override;
  bool TryEvict(Arena::Ref ref) override;
  void Leave(Arena::Ref ref) override;

  Group* AsGroup(RecordHeader* record) const { return reinterpret_cast<Group*>(record); }
  Group* MakeEmpty(RecordHeader* record) const;
  // Brings the groups named by `missing_` into memory; one that is not on disk becomes an empty
  // group.
  Status Load(std::span<const Key> keys);
  Status LoadDisk(std::span<const Key> keys);
  Status LoadCold(Group* group, std::string_view rows);
  // Hands a group that leaves memory to `cold_`, as pieces of row bytes and weight.
  Status MoveOut(const Group* group);
  Status LoadRow(Group* group, std::string_view row, std::string_view value);
  RowRecord* NewRow(Group* group, std::string_view row, int64_t weight, uint32_t flags);
  void MarkDirty(RowRecord* row, Arena::Ref ref);
  // Writes a frozen row.
  void Write(RowRecord* row);
  void ListEmpty(Group* group);
  // Frees a group with its rows. The index does not know it any more.
  void Release(Group* group);

  const bool ordered_;
  std::string moved_;                // what MoveOut writes, kept for its memory
  std::vector<Arena::Ref> empty_;    // groups that may be empty at the end of the step
  std::vector<Arena::Ref> waiting_;  // groups that may be freed when the next flush is through
};

}  // namespace millrace::state
