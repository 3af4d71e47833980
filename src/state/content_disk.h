// Where the rows of a content stand on disk: in groups, by the hash of the content's key, or of the
// whole row where it has no key. A look-up by key is one group, a scan is all of them in order. The
// groups of one part (PartOf) stand together, so that a content can be read part by part.
//
// Thread-safe. A cursor sees the disk as it was when it was made, whatever is flushed meanwhile.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rows/batch.h"
#include "state/disk.h"

namespace millrace::state {

// What is kept of a content beside its rows.
struct ContentMeta {
  std::vector<size_t> key;  // the columns whose hash names the groups; none: the whole row
  int64_t rows = 0;         // counting weights
  uint64_t entries = 0;     // different rows
};

// Groups fall into parts by the low bits of their hash, the same ones for ever.
inline constexpr int kContentPartBits = 10;
inline constexpr uint32_t kContentParts = 1 << kContentPartBits;
inline uint32_t PartOf(uint64_t group) {
  return static_cast<uint32_t>(group) & (kContentParts - 1);
}

std::string EncodeContentMeta(const ContentMeta& meta);
Result<ContentMeta> DecodeContentMeta(std::string_view bytes);

class ContentDisk {
 public:
  ContentDisk(std::shared_ptr<const Disk> disk, TableId id) : disk_(std::move(disk)), id_(id) {}

  // The key of a row's Mutation, which is `grouped`.
  static std::string KeyOf(uint64_t group, std::string_view row);

  // nullopt: nothing of the content was ever flushed, or by a release that kept rows without
  // groups (see ScanUngrouped).
  Result<std::optional<ContentMeta>> ReadMeta() const;
  using Visit = std::function<Status(std::string_view row, rows::Weight weight)>;
  Status ScanUngrouped(const Visit& visit) const;

  struct Place {
    uint64_t group;
    std::string_view row;
  };
  // Calls visit(i, weight) for each place, in no particular order; weight 0: it is not there.
  Status Weights(std::span<const Place> places,
                 const std::function<void(size_t at, rows::Weight weight)>& visit) const;

  // Goes over rows in the order of their keys (KeyOf).
  class Cursor {
   public:
    // Goes to the first row, or the first whose key is above `after`. Before, it stands nowhere.
    void Begin(std::string_view after = {});
    // Of a cursor over all rows: goes to the first row of the part, or of a later one.
    void BeginPart(uint32_t part);
    bool Valid() const { return cursor_->Valid(); }
    void Next() { cursor_->Next(); }
    // Of a cursor over all rows: KeyOf. Until Next, as the row.
    std::string_view key() const { return cursor_->key(); }
    std::string_view row() const { return cursor_->key().substr(group_bytes_); }
    uint32_t part() const;  // as key()
    // kCorruption where it is no weight.
    Result<rows::Weight> weight() const;
    // What ended it.
    Status status() const { return cursor_->status(); }

   private:
    friend class ContentDisk;
    std::unique_ptr<DiskCursor> cursor_;
    size_t group_bytes_ = 0;
  };
  Cursor All() const;
  Cursor Group(uint64_t group) const;

  // About what the rows take.
  Result<size_t> Bytes() const { return disk_->ApproximateBytes(id_); }

  // From now on the content is read as it is now: its table is about to be dropped.
  void Freeze() { snapshot_ = disk_->TakeSnapshot(); }

 private:
  const std::shared_ptr<const Disk> disk_;
  const TableId id_;
  std::shared_ptr<const DiskSnapshot> snapshot_;
};

}  // namespace millrace::state
