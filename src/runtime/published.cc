#include "runtime/published.h"

#include <algorithm>

namespace millrace::runtime {
namespace {

constexpr std::chrono::seconds kLookInterval{10};

// Whether steps have passed what an open transaction held back, or what a table had yet to read of
// its topic. What has been dropped shows nothing any more, so nobody waits for it.
bool Passed(const Published& newest, const std::vector<ingest::Token::End>& held) {
  return std::all_of(held.begin(), held.end(), [&](const ingest::Token::End& end) {
    const auto position = newest.state.positions.find(end.partition);
    if (position != newest.state.positions.end()) return position->second.next >= end.end;
    return newest.relations != nullptr &&
           std::none_of(
               newest.relations->by_name.begin(), newest.relations->by_name.end(),
               [&](const auto& item) { return item.second->topic() == end.partition.topic; });
  });
}

Error NotVisible(bool held_back) {
  if (!held_back) {
    return Error(Code::kTimeout, "what was written is stored, and not visible yet")
        .Hint("wait longer: ?timeout=30s");
  }
  return Error(Code::kTimeout,
               "what was written is stored, and not visible yet: it stands behind an open Kafka "
               "transaction")
      .Hint("it shows when that is committed or aborted, which its timeout does at the latest");
}

}  // namespace

Publisher::Publisher() : expire_thread_([this] { ExpireLoop(); }) {}

Publisher::~Publisher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  deadlines_changed_.notify_one();
  expire_thread_.join();
}

void Publisher::Publish(PublishedPtr published) {
  std::vector<Waiter> ready;
  bool catalog_changed = false;
  {
    const std::lock_guard lock(mutex_);
    catalog_changed = newest_ == nullptr || newest_->catalog != published->catalog;
    newest_ = std::move(published);
    const auto end = waiters_.upper_bound(newest_->state.frame);
    for (auto it = waiters_.begin(); it != end;) {
      const bool waits = it->second.after && newest_->state.step <= *it->second.after;
      if (waits || !Passed(*newest_, it->second.held)) {
        ++it;
        continue;
      }
      ready.push_back(std::move(it->second));
      it = waiters_.erase(it);
    }
    published_.notify_all();
  }
  for (Waiter& waiter : ready) waiter.done(Ok());
  Tell(catalog_changed);
}

void Publisher::Listen(Listener told) {
  const std::lock_guard lock(listener_mutex_);
  listener_ = std::move(told);
}

void Publisher::Tell(bool catalog_changed) {
  const std::lock_guard lock(listener_mutex_);
  if (listener_) listener_(catalog_changed);
}

Status Publisher::WaitNewer(state::Step step, std::chrono::milliseconds timeout) const {
  std::unique_lock lock(mutex_);
  published_.wait_for(
      lock, timeout, [&] { return closed_ || (newest_ != nullptr && newest_->state.step > step); });
  return closed_ ? Status(*closed_) : Ok();
}

PublishedPtr Publisher::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

Publisher::Pin Publisher::PinNewest() {
  const std::lock_guard lock(mutex_);
  pins_.insert(newest_->state.step);
  return Pin(*this, newest_);
}

void Publisher::Unpin(state::Step step) {
  const std::lock_guard lock(mutex_);
  pins_.erase(pins_.find(step));
}

state::Step Publisher::OldestNeeded() const {
  const std::lock_guard lock(mutex_);
  state::Step oldest = newest_ == nullptr ? state::Step{0} : newest_->state.step;
  if (!pins_.empty()) oldest = std::min(oldest, *pins_.begin());
  return oldest;
}

void Publisher::WhenVisible(const ingest::Token& token, std::chrono::milliseconds timeout,
                            std::function<void(Status)> done) {
  std::optional<Error> error;
  {
    const std::lock_guard lock(mutex_);
    if (newest_ == nullptr || newest_->state.frame < token.frame || !Passed(*newest_, token.held)) {
      if (!closed_) {
        const TimePoint deadline = std::chrono::steady_clock::now() + timeout;
        waiters_.emplace(token.frame, Waiter{deadline, token.held, std::move(done)});
        if (deadline < next_look_) deadlines_changed_.notify_one();
        return;
      }
      error = closed_;
    }
  }
  done(error ? Status(*error) : Ok());
}

void Publisher::WhenNewer(state::Step step, std::chrono::milliseconds timeout,
                          std::function<void(Status)> done) {
  std::optional<Error> error;
  {
    const std::lock_guard lock(mutex_);
    if (!closed_ && (newest_ == nullptr || newest_->state.step <= step)) {
      const TimePoint deadline = std::chrono::steady_clock::now() + timeout;
      waiters_.emplace(log::FrameSequence{}, Waiter{deadline, {}, std::move(done), step});
      if (deadline < next_look_) deadlines_changed_.notify_one();
      return;
    }
    error = closed_;
  }
  done(error ? Status(*error) : Ok());
}

// Fails the waiters whose time is over, and sleeps until the next one's is.
void Publisher::ExpireLoop() {
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const TimePoint now = std::chrono::steady_clock::now();
    TimePoint next = TimePoint::max();
    std::vector<std::pair<Waiter, bool>> expired;  // and whether it was held back
    for (auto it = waiters_.begin(); it != waiters_.end();) {
      if (it->second.deadline > now) {
        next = std::min(next, it->second.deadline);
        ++it;
        continue;
      }
      const bool held_back =
          newest_ != nullptr && !it->second.held.empty() && !Passed(*newest_, it->second.held);
      expired.emplace_back(std::move(it->second), held_back);
      it = waiters_.erase(it);
    }
    if (!expired.empty()) {
      lock.unlock();
      for (auto& [waiter, held_back] : expired)
        waiter.done(waiter.after ? Error(Code::kTimeout, "no step has come")
                                 : NotVisible(held_back));
      lock.lock();
      continue;
    }
    next_look_ = std::min(next, now + kLookInterval);
    deadlines_changed_.wait_until(lock, next_look_);
  }
}

void Publisher::Close(const Error& reason) {
  std::multimap<log::FrameSequence, Waiter> waiters;
  {
    const std::lock_guard lock(mutex_);
    closed_ = reason;
    published_.notify_all();
    waiters.swap(waiters_);
  }
  for (auto& [frame, waiter] : waiters) waiter.done(reason);
}

}  // namespace millrace::runtime
