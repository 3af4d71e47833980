// BoundedQueue hands items from many producers to one consumer. The sum of the items' weights is
// bounded: a queue that is full refuses, it never grows on and never drops. One item is always
// taken into an empty queue, whatever its weight, so that the bound cannot lock anything out for
// ever.
//
// Thread-safe. After Close pushes are refused and the consumer still gets what is queued.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>

namespace millrace {

template <typename T>
class BoundedQueue {
 public:
  enum class Push { kOk, kFull, kClosed };

  explicit BoundedQueue(uint64_t weight_max) : weight_max_(weight_max) {}

  // Takes the item only when it returns kOk.
  Push TryPush(T& item, uint64_t weight) {
    bool wake;
    {
      std::lock_guard lock(mutex_);
      if (closed_) return Push::kClosed;
      if (!items_.empty() && weight_ + weight > weight_max_) return Push::kFull;
      items_.push_back({std::move(item), weight});
      weight_ += weight;
      wake = waiting_;
    }
    if (wake) changed_.notify_one();
    return Push::kOk;
  }

  // Takes the item whatever is queued; for the few that must not be refused. False after Close.
  bool PushAlways(T&& item, uint64_t weight) {
    {
      std::lock_guard lock(mutex_);
      if (closed_) return false;
      items_.push_back({std::move(item), weight});
      weight_ += weight;
    }
    changed_.notify_one();
    return true;
  }

  // Moves items to the back of `out` until their weight reaches `weight_target` (at least one where
  // there is one). Does not wait.
  void Take(std::deque<T>& out, uint64_t weight_target) {
    std::lock_guard lock(mutex_);
    uint64_t taken = 0;
    while (!items_.empty() && (taken == 0 || taken + items_.front().weight <= weight_target)) {
      taken += std::max<uint64_t>(1, items_.front().weight);
      weight_ -= items_.front().weight;
      out.push_back(std::move(items_.front().item));
      items_.pop_front();
    }
  }

  // Waits until something is queued or the queue is closed. True: something is queued.
  bool Wait() {
    std::unique_lock lock(mutex_);
    waiting_ = true;
    changed_.wait(lock, [this] { return closed_ || !items_.empty(); });
    waiting_ = false;
    return !items_.empty();
  }

  void Close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    changed_.notify_all();
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
  struct Item {
    T item;
    uint64_t weight;
  };

  const uint64_t weight_max_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  uint64_t weight_ = 0;
  bool waiting_ = false;
  bool closed_ = false;
};

}  // namespace millrace
