// What a live answer shows at a step, and how one step's differs from an earlier one's. Values and
// pure functions.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/memory_budget.h"
#include "base/result.h"
#include "http/event_stream.h"
#include "runtime/node.h"

namespace millrace::http {

// Immutable. Its bytes count in a budget for as long as anybody holds it.
class LiveContent {
 public:
  // kTooLarge: more than `bytes_max`. kOverloaded: the budget has no room for it.
  static Result<std::shared_ptr<const LiveContent>> Make(const runtime::EndpointAnswer& answer,
                                                         bool numbers_as_strings, size_t bytes_max,
                                                         std::shared_ptr<MemoryBudget> budget);
  ~LiveContent();
  LiveContent(const LiveContent&) = delete;
  LiveContent& operator=(const LiveContent&) = delete;

  const EventId& id() const { return id_; }
  const std::vector<std::string>& rows() const { return rows_; }  // JSON objects
  // Names and types of the columns, and whether the rows are ordered, as a text: what a client that
  // has the rows of one content must know to take up the changes to another.
  const std::string& shape() const { return shape_; }
  bool ordered() const { return ordered_; }
  size_t bytes() const { return bytes_; }

 private:
  LiveContent(size_t bytes, std::shared_ptr<MemoryBudget> budget)
      : bytes_(bytes), budget_(std::move(budget)) {}

  EventId id_;
  std::vector<std::string> rows_;
  std::string shape_;
  bool ordered_ = false;
  const size_t bytes_;
  const std::shared_ptr<MemoryBudget> budget_;
};

// The rows' digest: of ordered ones in their order, else the same in whatever order they stand.
uint64_t DigestOf(const std::vector<std::string>& rows, bool ordered);

// Positions in rising order. Taking those of `removed` out of the rows before and putting those of
// `added` in, the first one first, gives the rows after: where they are ordered exactly, else as a
// bag.
struct LiveDifference {
  std::vector<size_t> removed;  // in the rows before
  std::vector<size_t> added;    // in the rows after
  bool empty() const { return removed.empty() && added.empty(); }
};
LiveDifference Difference(const std::vector<std::string>& before,
                          const std::vector<std::string>& after, bool ordered);

// The data of a `change` event: {"step", "removed": [rows], "added": [rows]}, and of ordered rows
// also the positions, "removed_at" and "added_at".
std::string ChangeJson(const LiveContent& before, const LiveContent& after,
                       const LiveDifference& difference);

// A `change` event. Immutable.
struct LiveChange {
  EventId before;
  EventId after;
  std::string data;  // ChangeJson
};

// The `snapshot` event of a content in pieces, so that a large one is never held as text as a
// whole: `head`, the array of objects that the ordinary answer has, with `between` its rows, and
// `tail`.
class SnapshotWriter {
 public:
  SnapshotWriter(std::shared_ptr<const LiveContent> content, std::string head,
                 std::string_view between, std::string_view tail)
      : content_(std::move(content)), head_(std::move(head)), between_(between), tail_(tail) {}
  // The next piece; empty: the end.
  std::string Next();
  // The piece that came last is the last one.
  bool ended() const { return ended_; }

 private:
  const std::shared_ptr<const LiveContent> content_;
  const std::string head_;
  const std::string between_;
  const std::string tail_;
  bool began_ = false;
  bool ended_ = false;
  size_t row_ = 0;
};
// The one of Server-Sent Events: each row is a line of its own.
SnapshotWriter SnapshotEvent(std::shared_ptr<const LiveContent> content);

}  // namespace millrace::http
