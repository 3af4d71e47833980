// A Subscription follows one view or table: its content at a step, if it was asked for, then each
// later step's changes. What it gives adds up to the content at every step. It costs the engine
// nothing but the feed (feeds.h): a slow reader holds nobody up.
//
// Not thread-safe: one thread at a time. Must not outlive the Node.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "rows/batch.h"
#include "runtime/feeds.h"
#include "runtime/published.h"

namespace millrace::runtime {

struct FeedEvent {
  enum class Kind {
    kRows,      // rows of the content (while it is being given) or the changes of one step
    kProgress,  // everything up to `step` has been given; about once a second, and after a content
    kReset,     // the changes since the resume point are not kept, or the view has other columns
                // now: what was given is void, and a new content follows
  };
  Kind kind;
  state::Step step;
  rows::Batch rows;  // kRows: a weight each, negative for rows that went
};

class Subscription {
 public:
  // `after`: changes of later steps are given; none: the content first. REQUIRES: the feed's begin
  // is visible.
  Subscription(Publisher& publisher, std::shared_ptr<Feed> feed, std::optional<state::Step> after);

  // The next event; none: nothing within that time. kNotFound: the relation was dropped.
  // kUnavailable: the node stops.
  Result<std::optional<FeedEvent>> Next(std::chrono::milliseconds timeout);
  // Calls `done` once, on any thread, maybe at once, when there may be more than Next has found, or
  // after that time: it must be quick.
  void WhenMore(std::chrono::milliseconds timeout, std::function<void()> done) const;
  // Of the rows given last.
  const rows::Schema& schema() const { return schema_; }

 private:
  struct Content;  // being given
  Result<std::optional<FeedEvent>> NextOfContent();
  Result<std::optional<FeedEvent>> NextChange(std::chrono::milliseconds timeout);
  FeedEvent Progress(state::Step step);
  // Pins the newest step; false: the relation is not in it, yet.
  bool BeginContent();

  Publisher& publisher_;
  const std::shared_ptr<Feed> feed_;
  const std::shared_ptr<void> use_;
  std::optional<state::Step> after_;  // none: a content has to be given first
  std::shared_ptr<Content> content_;
  void NoteColumns(const Relation& relation);

  rows::Schema schema_;
  rows::Types types_;  // of schema_
  std::chrono::steady_clock::time_point last_progress_;
};

}  // namespace millrace::runtime
