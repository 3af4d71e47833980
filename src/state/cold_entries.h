// ColdEntries holds what one table has evicted: bytes by key, in a file that nobody else sees and
// that ends with the process. RocksDB holds the same values and is the truth; this is the short way
// to them, one page's look-up instead of a search through levels of files.
//
// The file is a hash table of pages of 4 KiB that grows page by page (Litwin, "Linear hashing",
// VLDB 1980), mapped into memory: what is used lately lies in the operating system's page cache,
// outside the process's own memory and given back under pressure. In memory it costs nothing by
// the key.
//
// A page:  check (4) | count (2) | data begin (2) | incomplete (1) | 3 unused
//          | count × (tag (2), offset (2)) | … free … | entries
// An entry: check (4) | hash (4) | key bytes (2) | value bytes (2) | key | value
//
// The page's check is the CRC of what stands before the free part, an entry's that of what comes
// after it: a file that the disk has damaged is noticed before anything is believed.
//
// A page is incomplete when the disk may hold entries of it that are not here: because it was full
// once, or because the table had entries on disk before. There, "not here" says nothing.
//
// Invariant: of a key that is not in the table's memory, what is here equals what RocksDB holds.
//
// Not thread-safe: owned by a table.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::state {

class ColdEntries {
 public:
  // `complete`: the disk holds nothing of the table yet. kIo where the directory's file system has
  // no files without a name, or no room.
  static Result<std::unique_ptr<ColdEntries>> Create(const std::string& directory, bool complete);
  ~ColdEntries();
  ColdEntries(const ColdEntries&) = delete;
  ColdEntries& operator=(const ColdEntries&) = delete;

  struct Found {
    enum class Where {
      kHere,
      kNowhere,  // the disk does not hold it either
      kUnknown,  // ask the disk
    };
    Where where;
    std::string_view value;  // until the next Put or Erase
  };
  // kCorruption: the page is damaged.
  Result<Found> Find(uint32_t hash, std::string_view key) const;
  void Prefetch(uint32_t hash) const;
  // A longer value is left out, however much room there is.
  static constexpr size_t kValueBytesMax = 1024;
  // Adds or replaces. An entry that is left out makes its page incomplete.
  Status Put(uint32_t hash, std::string_view key, std::string_view value);
  Status Erase(uint32_t hash, std::string_view key);

  size_t file_bytes() const { return capacity_pages_ * kPageBytes; }

 private:
  static constexpr size_t kPageBytes = 4096;
  struct Page;
  struct Entry;

  explicit ColdEntries(int file) : file_(file) {}
  Page* At(size_t page) const { return reinterpret_cast<Page*>(base_ + page * kPageBytes); }
  size_t page_count() const { return (size_t{1} << level_) + split_; }
  Page* PageOf(uint32_t hash) const;
  Status Grow(size_t pages);
  bool WantsSplit() const;
  Status Split();
  Error Damaged(const Page* page) const;

  const int file_;
  std::byte* base_ = nullptr;
  size_t capacity_pages_ = 0;
  // 2^level_ pages, of which the first split_ have a second half above.
  int level_ = 4;
  size_t split_ = 0;
  size_t used_bytes_ = 0;  // of all entries with their slots
  bool grows_ = true;      // until the disk has no room
};

}  // namespace millrace::state
