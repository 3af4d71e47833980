#include "state/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define MILLRACE_POISON(at, bytes) ASAN_POISON_MEMORY_REGION(at, bytes)
#define MILLRACE_UNPOISON(at, bytes) ASAN_UNPOISON_MEMORY_REGION(at, bytes)
#else
#define MILLRACE_POISON(at, bytes) ((void)0)
#define MILLRACE_UNPOISON(at, bytes) ((void)0)
#endif

namespace millrace::state {
namespace {

// Small arenas stay on small pages; beyond this, huge pages save most of the TLB misses of random
// access.
constexpr size_t kHugePagesFromBytes = size_t{16} << 20;
// Address space is made usable in pieces of this many pages, to save system calls.
constexpr uint32_t kGrowPages = 32;

static_assert(Arena::kRangeBytes / Arena::kUnitBytes <= size_t{1} << 32);
static_assert(Arena::kPageBytes / Arena::kUnitBytes < size_t{1} << 16);

}  // namespace

Result<std::unique_ptr<Arena>> Arena::Create() {
  void* base =
      mmap(nullptr, kRangeBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) {
    return Error(Code::kIo, "reserve {} GiB of address space for state: {}", kRangeBytes >> 30,
                 std::strerror(errno))
        .Hint("raise the limit on virtual memory (ulimit -v)");
  }
  // Advice only: a kernel without huge pages refuses it, and nothing changes but speed.
  (void)madvise(static_cast<std::byte*>(base) + kHugePagesFromBytes,
                kRangeBytes - kHugePagesFromBytes, MADV_HUGEPAGE);
  return std::unique_ptr<Arena>(new Arena(static_cast<std::byte*>(base)));
}

Arena::Arena(std::byte* base) : base_(base), pages_(1) {}

Arena::~Arena() {
  MILLRACE_UNPOISON(base_, size_t{end_page_} * kPageBytes);
  munmap(base_, kRangeBytes);
}

size_t Arena::ClassOf(size_t bytes) {
  const size_t units = (bytes + kUnitBytes - 1) / kUnitBytes;
  if (units <= kFineClasses) return units - 1;
  // 2^k < units <= 2^(k+1), cut into four steps of 2^(k-2).
  const int k = std::bit_width(units - 1) - 1;
  const size_t step = (units - 1 - (size_t{1} << k)) >> (k - 2);
  return kFineClasses + 4 * (k - 5) + step;
}

size_t Arena::ClassBytes(size_t size_class) {
  if (size_class < kFineClasses) return (size_class + 1) * kUnitBytes;
  const size_t k = 5 + (size_class - kFineClasses) / 4;
  const size_t step = (size_class - kFineClasses) % 4;
  return ((size_t{1} << k) + ((step + 1) << (k - 2))) * kUnitBytes;
}

void Arena::Link(uint32_t page) {
  Page& p = pages_[page];
  uint32_t& head = open_[p.size_class];
  p.next = head;
  p.previous = 0;
  if (head != 0) pages_[head].previous = page;
  head = page;
  p.listed = true;
}

void Arena::Unlink(uint32_t page) {
  Page& p = pages_[page];
  if (p.previous != 0) {
    pages_[p.previous].next = p.next;
  } else {
    open_[p.size_class] = p.next;
  }
  if (p.next != 0) pages_[p.next].previous = p.previous;
  p.listed = false;
}

uint32_t Arena::TakePages(size_t count) {
  pages_in_use_ += count;
  for (auto run = free_runs_.begin(); run != free_runs_.end(); ++run) {
    if (run->second < count) continue;
    const uint32_t page = run->first;
    const uint32_t rest = run->second - static_cast<uint32_t>(count);
    free_runs_.erase(run);
    if (rest > 0) free_runs_.emplace(page + count, rest);
    return page;
  }
  CHECK((end_page_ + count) * kPageBytes <= kRangeBytes)
      << "the state of one worker needs more than " << (kRangeBytes >> 30) << " GiB of memory";
  const uint32_t page = end_page_;
  end_page_ += static_cast<uint32_t>(count);
  if (end_page_ > mapped_end_) {
    const uint32_t end = std::min<uint32_t>((end_page_ + kGrowPages - 1) / kGrowPages * kGrowPages,
                                            kRangeBytes / kPageBytes);
    CHECK(mprotect(base_ + size_t{mapped_end_} * kPageBytes, size_t{end - mapped_end_} * kPageBytes,
                   PROT_READ | PROT_WRITE) == 0)
        << "out of memory for state: " << std::strerror(errno);
    mapped_end_ = end;
  }
  pages_.resize(end_page_);
  return page;
}

void Arena::GiveBack(uint32_t page, size_t count) {
  pages_in_use_ -= count;
  MILLRACE_UNPOISON(base_ + size_t{page} * kPageBytes, count * kPageBytes);
  (void)madvise(base_ + size_t{page} * kPageBytes, count * kPageBytes, MADV_DONTNEED);
  auto [run, inserted] = free_runs_.emplace(page, static_cast<uint32_t>(count));
  if (const auto next = std::next(run);
      next != free_runs_.end() && run->first + run->second == next->first) {
    run->second += next->second;
    free_runs_.erase(next);
  }
  if (run == free_runs_.begin()) return;
  if (const auto before = std::prev(run); before->first + before->second == run->first) {
    before->second += run->second;
    free_runs_.erase(run);
  }
}

Arena::Ref Arena::Allocate(size_t bytes) {
  if (bytes > kSmallBytesMax) {
    const size_t count = (bytes + kPageBytes - 1) / kPageBytes;
    live_bytes_ += count * kPageBytes;
    return static_cast<Ref>(TakePages(count) * kUnitsPerPage);
  }
  const size_t size_class = ClassOf(bytes);
  const size_t piece = ClassBytes(size_class);
  live_bytes_ += piece;
  uint32_t page = open_[size_class];
  if (page == 0) {
    page = TakePages(1);
    pages_[page] = Page{.size_class = static_cast<uint16_t>(size_class),
                        .capacity = static_cast<uint16_t>(kPageBytes / piece)};
    Link(page);
  }
  Page& p = pages_[page];
  size_t unit;
  if (p.first_free != 0) {
    unit = p.first_free - 1;
    // A free piece holds the next free one in its first two bytes.
    p.first_free = *At<uint16_t>(static_cast<Ref>(page * kUnitsPerPage + unit));
  } else {
    unit = p.bump++ * (piece / kUnitBytes);
  }
  if (++p.live == p.capacity) Unlink(page);
  const Ref ref = static_cast<Ref>(page * kUnitsPerPage + unit);
  MILLRACE_UNPOISON(At<std::byte>(ref), piece);
  return ref;
}

void Arena::Free(Ref ref, size_t bytes) {
  const uint32_t page = ref / kUnitsPerPage;
  if (bytes > kSmallBytesMax) {
    const size_t count = (bytes + kPageBytes - 1) / kPageBytes;
    live_bytes_ -= count * kPageBytes;
    GiveBack(page, count);
    return;
  }
  Page& p = pages_[page];
  const size_t piece = ClassBytes(p.size_class);
  CHECK(p.size_class == ClassOf(bytes)) << "freed with another size than it was allocated with";
  live_bytes_ -= piece;
  *At<uint16_t>(ref) = p.first_free;
  p.first_free = static_cast<uint16_t>(ref % kUnitsPerPage + 1);
  MILLRACE_POISON(At<std::byte>(ref) + kUnitBytes, piece - kUnitBytes);
  --p.live;
  if (!p.listed) Link(page);
  // The last page of a class stays, so that one entry that comes and goes does not map and unmap
  // pages.
  if (p.live == 0 && (p.next != 0 || p.previous != 0)) {
    Unlink(page);
    GiveBack(page, 1);
  }
}

}  // namespace millrace::state
