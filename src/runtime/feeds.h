// Feeds keep the changes of the views and tables that somebody follows, step by step: what
// subscriptions (subscription.h) read, and with them sinks and live pages.
//
// A feed begins with the step whose journal record says so, is written by each step from then on,
// and is part of the flushed state: so who comes back after a crash goes on where it was. When a
// view is replaced, its feed gets the exact difference of the two contents at the step of the swap.
// It keeps what is young and little enough (FeedLimits); who comes for more has to begin anew.
//
// Thread rule: writer methods from the driver of the pipeline; reader methods from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "rows/batch.h"
#include "state/store.h"

namespace millrace::runtime {

struct FeedLimits {
  std::chrono::microseconds age_max = std::chrono::hours(1);
  size_t bytes_max = size_t{1} << 30;  // of each feed, in memory
};

class Feed {
 public:
  struct Entry {
    state::Step step;
    Micros clock;
    std::string rows;  // EncodeFeedRows
  };
  using EntryPtr = std::shared_ptr<const Entry>;

  Feed(uint64_t id, std::string name, state::Step begin);

  // ---- Readers ----

  // The relation's internal name; a replaced view has another than before.
  std::string name() const;
  // Changes of later steps are here.
  state::Step begin() const;
  // The relation is gone: nothing comes any more.
  bool ended() const;
  // The changes of the first step after `after` that has any, up to `until`: all of its entries.
  // kNotFound: changes after `after` are not kept any more.
  Result<std::vector<EntryPtr>> Next(state::Step after, state::Step until) const;
  // As long as one of these lives, the feed is kept.
  std::shared_ptr<void> Use();

 private:
  friend class Feeds;

  const uint64_t id_;
  mutable std::mutex mutex_;
  std::string name_;
  state::Step begin_;  // changes after it are here
  std::deque<EntryPtr> entries_;
  size_t bytes_ = 0;
  bool ended_ = false;
  std::weak_ptr<void> use_;
  std::chrono::steady_clock::time_point last_used_;

  // The writer's.
  bool header_dirty_ = true;
  size_t clean_ = 0;               // entries that the Store has, from the first on
  std::vector<std::string> gone_;  // keys that the Store is to forget
};

class Feeds {
 public:
  explicit Feeds(FeedLimits limits) : limits_(limits) {}

  // ---- Writer ----

  Status Load(const state::Store& store);
  // Does nothing where the relation is followed already.
  void Follow(const std::string& name, state::Step step);
  bool follows(const std::string& name) const;
  void Add(const std::string& name, state::Step step, Micros clock, const rows::Batch& change,
           const rows::Types& types);
  // The relation `before` is `after` from `step` on. `same_columns`: false: what was before says
  // nothing any more, and who follows begins anew.
  void Replace(const std::string& before, const std::string& after, state::Step step,
               bool same_columns);
  void Drop(const std::string& name);
  // Forgets what is too old or too much, and feeds that nobody has used for that long; then what
  // changed since the last call, for Store::BeginFlush.
  void TakeDirty(Micros now, std::vector<state::Mutation>& out);

  // ---- Readers ----

  std::shared_ptr<Feed> Find(const std::string& name) const;
  struct Info {
    std::string name;
    state::Step begin;
    size_t entries;
    size_t bytes;
    bool used;
  };
  std::vector<Info> List() const;

 private:
  void Forget(Feed& feed);

  const FeedLimits limits_;
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Feed>> feeds_;  // by name
  std::vector<std::shared_ptr<Feed>> dropped_;          // whose keys the Store still has
};

std::string EncodeFeedRows(const rows::Batch& change, const rows::Types& types);
// kCorruption: it is not one of these types.
Result<rows::Batch> DecodeFeedRows(std::string_view bytes, const rows::Types& types);

}  // namespace millrace::runtime
