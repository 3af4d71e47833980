// The implementation of CellTable. A record is
//
//   RecordHeader (8) | cell, padded to 8 | key
//
// and stays where it is until it is erased and flushed, or evicted. An erased key stays as an
// absent record until its deletion is on disk; a key that was looked for on disk in vain is
// remembered as an absent, clean record. An evicted cell goes to ColdEntries, where it is looked
// for first; what is there of a key in memory may be old, and is replaced or taken out when the
// key leaves memory.
#pragma once

#include <string>
#include <vector>

#include "state/table.h"

namespace millrace::state {

class CellTableImpl final : public CellTable, public Table {
 public:
  CellTableImpl(TableId id, size_t cell_bytes, WorkerContext& worker, bool has_disk);

  size_t cell_bytes() const { return cell_bytes_; }

  Status FindOrCreate(std::span<const Key> keys, std::vector<std::byte*>& cells,
                      std::vector<uint8_t>& created) override;
  Status Find(std::span<const Key> keys, std::vector<std::byte*>& cells) override;
  void Touch(std::byte* cell) override;
  void Erase(std::byte* cell) override;
  Status ForEach(
      const std::function<void(std::string_view key, const std::byte* cell)>& visit) override;

  void OnIngested() override;
  void FreeAll() override;

 private:
  void WriteListed(Arena::Ref ref) override;
  bool TryEvict(Arena::Ref ref) override;
  void Leave(Arena::Ref ref) override { Release(ref); }

  std::byte* CellOf(RecordHeader* record) const { return reinterpret_cast<std::byte*>(record + 1); }
  RecordHeader* RecordOf(std::byte* cell) const {
    return reinterpret_cast<RecordHeader*>(cell) - 1;
  }
  // Brings the keys named by `missing_` into memory, as cells or as absent records.
  Status Load(std::span<const Key> keys);
  Status LoadCell(const Key& key, std::string_view cell);
  // Hands a record that leaves memory to `cold_`.
  Status MoveOut(RecordHeader* record);
  void MarkDirty(RecordHeader* record);
  // Writes a frozen record.
  void Write(RecordHeader* record);
  void Release(Arena::Ref ref);

  const size_t cell_bytes_;
  const size_t padded_bytes_;
  std::vector<Arena::Ref> dying_;  // absent records, whose deletion is part of the flush under way
};

}  // namespace millrace::state
