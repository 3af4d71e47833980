// What readers may see: the newest step whose journal record is durable, with everything as of it.
// And the pins that keep old versions.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "catalog/catalog.h"
#include "ingest/token.h"
#include "runtime/node_state.h"
#include "runtime/relation.h"

namespace millrace::runtime {

// Immutable.
struct Published {
  NodeState state;
  catalog::CatalogPtr catalog;
  RelationsPtr relations;
};
using PublishedPtr = std::shared_ptr<const Published>;

// Thread-safe. A thread of its own looks at the waiters' deadlines: who waits is told in time,
// whatever the step loop is at.
class Publisher {
 public:
  Publisher();
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // Keeps the versions of its step from being dropped as long as it lives. Movable.
  class Pin {
   public:
    Pin(Publisher& publisher, PublishedPtr published)
        : publisher_(&publisher), published_(std::move(published)) {}
    Pin(Pin&& other) noexcept
        : publisher_(other.publisher_), published_(std::move(other.published_)) {}
    Pin& operator=(Pin&&) = delete;
    ~Pin() {
      if (published_ != nullptr) publisher_->Unpin(published_->state.step);
    }
    const Published& published() const { return *published_; }

   private:
    Publisher* publisher_;
    PublishedPtr published_;
  };

  // Steps come in rising order.
  void Publish(PublishedPtr published);
  PublishedPtr newest() const;
  Pin PinNewest();
  // No reader is pinned, or will pin, before it.
  state::Step OldestNeeded() const;

  // Calls `done` once, on any thread, when everything that the token stands for is visible, or with
  // kTimeout, which says what holds it back, or with kUnavailable after Close.
  void WhenVisible(const ingest::Token& token, std::chrono::milliseconds timeout,
                   std::function<void(Status)> done);
  // The same, when a step after `step` is shown.
  void WhenNewer(state::Step step, std::chrono::milliseconds timeout,
                 std::function<void(Status)> done);
  // Waits until a step after `step` is shown, at most that long. The error: Close was called.
  Status WaitNewer(state::Step step, std::chrono::milliseconds timeout) const;
  // Calls `told` after each step that is shown, on the thread that shows it: it must be quick.
  // `catalog_changed`: objects are others than before. One listener; nullptr: nobody any more, and
  // no call is under way once it returns.
  using Listener = std::function<void(bool catalog_changed)>;
  void Listen(Listener told);
  void Tell(bool catalog_changed);
  void Close(const Error& reason);

 private:
  void Unpin(state::Step step);
  void ExpireLoop();
  using TimePoint = std::chrono::steady_clock::time_point;
  struct Waiter {
    TimePoint deadline;
    std::vector<ingest::Token::End> held;
    std::function<void(Status)> done;
    std::optional<state::Step> after = {};  // of WhenNewer, which no frame is for
  };

  mutable std::mutex mutex_;
  PublishedPtr newest_;
  std::multiset<state::Step> pins_;
  std::multimap<log::FrameSequence, Waiter> waiters_;
  std::optional<Error> closed_;
  bool stop_ = false;
  TimePoint next_look_ = TimePoint::max();  // when the thread wakes by itself
  mutable std::condition_variable published_;
  std::condition_variable deadlines_changed_;
  std::thread expire_thread_;
  std::mutex listener_mutex_;  // held while the listener is called
  Listener listener_;
};

}  // namespace millrace::runtime
