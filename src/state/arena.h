// Arena gives out small pieces of memory, named by 32-bit references, for the tables of one worker.
//
// It is a slab allocator (Bonwick, "The Slab Allocator", USENIX 1994): pages of 64 KiB, each cut
// into pieces of one size class; a page whose last piece is freed goes back and may serve another
// class. Pieces above 8 KiB are runs of whole pages. All pages lie in one reserved range of
// addresses, so that a reference is 4 bytes (in units of 8 bytes) and its address one addition.
// Pieces never move.
//
// Running out of memory or of the range ends the process, as malloc's failure does elsewhere.
// Not thread-safe: owned by one worker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/result.h"

namespace millrace::state {

class Arena {
 public:
  // 0 names nothing.
  using Ref = uint32_t;

  static constexpr size_t kUnitBytes = 8;
  static constexpr size_t kPageBytes = 64 << 10;
  static constexpr size_t kRangeBytes = size_t{32} << 30;
  static constexpr size_t kSmallBytesMax = 8 << 10;

  static Result<std::unique_ptr<Arena>> Create();
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Uninitialised bytes, aligned to 8. REQUIRES: bytes > 0.
  Ref Allocate(size_t bytes);
  // REQUIRES: `ref` was given out for `bytes`.
  void Free(Ref ref, size_t bytes);

  template <typename T>
  T* At(Ref ref) const {
    return reinterpret_cast<T*>(base_ + size_t{ref} * kUnitBytes);
  }
  // REQUIRES: `pointer` is the start of a piece.
  Ref RefOf(const void* pointer) const {
    return static_cast<Ref>((static_cast<const std::byte*>(pointer) - base_) / kUnitBytes);
  }

  // What is given out, rounded up to size classes.
  size_t live_bytes() const { return live_bytes_; }
  // The pages that hold it.
  size_t page_bytes() const { return pages_in_use_ * kPageBytes; }

 private:
  static constexpr size_t kUnitsPerPage = kPageBytes / kUnitBytes;
  // Classes: every multiple of 8 up to 256 bytes, then four steps for each doubling up to 8 KiB.
  static constexpr size_t kFineClasses = 32;
  static constexpr size_t kClasses = kFineClasses + 4 * 5;

  struct Page {
    uint16_t size_class = 0;
    uint16_t live = 0;
    uint16_t capacity = 0;
    uint16_t bump = 0;        // pieces handed out so far from the untouched end
    uint16_t first_free = 0;  // unit in the page + 1
    uint32_t next = 0;        // the class's list of pages with room
    uint32_t previous = 0;
    bool listed = false;
  };

  explicit Arena(std::byte* base);
  static size_t ClassOf(size_t bytes);
  static size_t ClassBytes(size_t size_class);
  uint32_t TakePages(size_t count);
  void GiveBack(uint32_t page, size_t count);
  void Link(uint32_t page);
  void Unlink(uint32_t page);

  std::byte* base_;
  std::vector<Page> pages_;                 // by page number; page 0 is never used
  std::array<uint32_t, kClasses> open_{};   // first page with room
  std::map<uint32_t, uint32_t> free_runs_;  // first page → pages
  uint32_t end_page_ = 1;                   // pages below were used at some time
  uint32_t mapped_end_ = 1;
  size_t live_bytes_ = 0;
  size_t pages_in_use_ = 0;
};

}  // namespace millrace::state
