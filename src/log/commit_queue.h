// CommitQueue holds the requests that wait for a frame, and says who writes the next one: the
// *leader*, one at a time. A producer that waits for its answer and finds nothing queued and
// nobody leading leads itself, so that a lone producer pays for no hand-over between threads.
// Everything else is led by the flusher, which goes on as long as something is queued: while it
// writes one frame, the next gathers.
//
// A producer that leads takes requests of waiting producers only: callbacks run on the flusher.
//
// A leader may leave work behind that falls due later, such as a sync: the flusher leads then, also
// when nothing is queued.
//
//   who leads   | becomes, by
//   kNobody     | kProducer: Push of a waiting producer's request into an empty queue
//               | kFlusher: AwaitLead, when something is queued or due
//   kProducer   | kNobody: StepDown, which wakes the flusher when something was queued meanwhile
//   kFlusher    | kNobody: AwaitLead, when nothing is queued
//
// The sum of the requests' weights is bounded: a queue that is full refuses, it never grows on and
// never drops. One request is always taken into an empty queue, whatever its weight, so that the
// bound cannot lock anything out for ever.
//
// Thread-safe. What a leader did happens before what the next leader does. After Close pushes are
// refused and the flusher still gets what is queued.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "base/clock.h"

namespace millrace::log {

template <typename T>
class CommitQueue {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  enum class Push {
    kQueued,  // somebody else leads it
    kLead,    // queued, and the caller leads: it must Take, answer, and StepDown
    kFull,
    kClosed,
  };
  struct How {
    bool waits = false;   // the caller waits for the answer, and may be made the leader
    bool always = false;  // whatever is queued; for the few that must not be refused
  };

  explicit CommitQueue(uint64_t weight_max) : weight_max_(weight_max) {}

  // Takes the item only when it returns kQueued or kLead.
  Push TryPush(T& item, uint64_t weight, How how) {
    Push pushed = Push::kQueued;
    bool wake;
    {
      std::lock_guard lock(mutex_);
      if (closed_) return Push::kClosed;
      if (!how.always && !items_.empty() && weight_ + weight > weight_max_) return Push::kFull;
      if (how.waits && items_.empty() && leader_ == Leader::kNobody) {
        leader_ = Leader::kProducer;
        pushed = Push::kLead;
      }
      items_.push_back({std::move(item), weight, how.waits});
      weight_ += weight;
      wake = leader_ == Leader::kNobody;
    }
    if (wake) flusher_wakes_.notify_one();
    return pushed;
  }

  // Moves items to the back of `out` until their weight reaches `weight_target` (at least one where
  // there is one). Does not wait. REQUIRES: the caller leads, or is alone.
  void Take(std::deque<T>& out, uint64_t weight_target) {
    std::lock_guard lock(mutex_);
    uint64_t taken = 0;
    while (!items_.empty() && (taken == 0 || taken + items_.front().weight <= weight_target)) {
      if (leader_ == Leader::kProducer && !items_.front().waits) break;
      taken += std::max<uint64_t>(1, items_.front().weight);
      weight_ -= items_.front().weight;
      out.push_back(std::move(items_.front().item));
      items_.pop_front();
    }
  }

  // For a producer that led.
  void StepDown() {
    bool wake;
    {
      std::lock_guard lock(mutex_);
      leader_ = Leader::kNobody;
      wake = !items_.empty() || closed_ || due_is_news_;
    }
    if (wake) flusher_wakes_.notify_one();
  }

  // For the flusher: true: it leads, as something is queued or due. False: closed, all is taken,
  // and no producer leads any more.
  bool AwaitLead() {
    std::unique_lock lock(mutex_);
    if (leader_ == Leader::kFlusher) leader_ = Leader::kNobody;
    while (leader_ != Leader::kNobody || !(closed_ || !items_.empty() || DueWithLock())) {
      due_is_news_ = false;
      if (due_ && leader_ == Leader::kNobody) {
        flusher_wakes_.wait_until(lock, *due_);
      } else {
        flusher_wakes_.wait(lock);
      }
    }
    if (items_.empty() && closed_) return false;
    leader_ = Leader::kFlusher;
    return true;
  }

  // ---- What falls due. The earliest counts. ----

  // REQUIRES: the caller leads, or is alone.
  void SetDue(TimePoint at) {
    std::lock_guard lock(mutex_);
    if (due_ && *due_ <= at) return;
    due_ = at;
    due_is_news_ = true;
  }
  // REQUIRES: as SetDue. It is done.
  void ClearDue() {
    std::lock_guard lock(mutex_);
    due_.reset();
    due_is_news_ = false;
  }
  bool IsDue() const {
    std::lock_guard lock(mutex_);
    return DueWithLock();
  }
  // By anybody: what falls due later does so now.
  void Hasten() {
    {
      std::lock_guard lock(mutex_);
      if (!due_) return;
      due_ = TimePoint::min();
      due_is_news_ = true;
    }
    flusher_wakes_.notify_one();
  }

  void Close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    flusher_wakes_.notify_all();
  }

  uint64_t weight() const {
    std::lock_guard lock(mutex_);
    return weight_;
  }
  size_t size() const {
    std::lock_guard lock(mutex_);
    return items_.size();
  }

 private:
  enum class Leader { kNobody, kProducer, kFlusher };
  bool DueWithLock() const { return due_ && *due_ <= Tick(); }
  struct Item {
    T item;
    uint64_t weight;
    bool waits;
  };

  const uint64_t weight_max_;
  mutable std::mutex mutex_;
  std::condition_variable flusher_wakes_;
  std::deque<Item> items_;           // guarded by mutex_
  uint64_t weight_ = 0;              // guarded by mutex_
  Leader leader_ = Leader::kNobody;  // guarded by mutex_
  bool closed_ = false;              // guarded by mutex_
  std::optional<TimePoint> due_;     // guarded by mutex_
  bool due_is_news_ = false;         // to the flusher; guarded by mutex_
};

}  // namespace millrace::log
