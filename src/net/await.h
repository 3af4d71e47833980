// Await turns a callback from another thread into something that a coroutine of an I/O thread waits
// for.
//
//   Waiting<Answer> answer;
//   ingest.Append(request, answer.Callback());      // called once, from any thread, maybe at once
//   Result<Answer> result = co_await answer.Get();
//
// Abandon's callback (from any thread) ends the wait with an error at once; the callback may still
// come later and is then ignored, even after the coroutine's event loop is gone.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "base/result.h"
#include "net/asio.h"

namespace millrace::net {

// Not thread-safe but for its callbacks: it belongs to one coroutine. T is not void: use Done for
// "nothing".
struct Done {};

template <typename T>
class Waiting {
 public:
  Waiting() = default;
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() {
    std::lock_guard lock(state_->mutex);
    state_->timer.reset();
  }

  std::function<void(Result<T>)> Callback() const {
    return [state = state_](Result<T> result) { Complete(state, std::move(result)); };
  }
  std::function<void(Error)> Abandon() const {
    return [state = state_](Error error) { Complete(state, std::move(error)); };
  }

  bool ready() const {
    std::lock_guard lock(state_->mutex);
    return state_->result.has_value();
  }

  // The callback came already, with an error of this code.
  bool RefusedWith(Code code) const {
    std::lock_guard lock(state_->mutex);
    return state_->result && !state_->result->ok() && state_->result->error().code() == code;
  }

  // REQUIRES: called once.
  asio::awaitable<Result<T>> Get() {
    auto executor = co_await asio::this_coro::executor;
    for (;;) {
      {
        std::lock_guard lock(state_->mutex);
        if (state_->result) {
          state_->timer.reset();
          co_return std::move(*state_->result);
        }
        if (!state_->timer) state_->timer.emplace(executor, asio::steady_timer::time_point::max());
      }
      ErrorCode cancelled;  // the timer never fires: it is cancelled when the result is there
      co_await state_->timer->async_wait(WithError(cancelled));
    }
  }

 private:
  struct State {
    std::mutex mutex;
    std::optional<Result<T>> result;
    std::optional<asio::steady_timer> timer;  // there while the coroutine waits
  };

  static void Complete(const std::shared_ptr<State>& state, Result<T> result) {
    std::lock_guard lock(state->mutex);
    if (state->result) return;
    state->result.emplace(std::move(result));
    if (!state->timer) return;
    // Through the loop: the coroutine may be just about to begin its wait, on its own thread.
    asio::post(state->timer->get_executor(), [state] {
      std::lock_guard relock(state->mutex);
      if (state->timer) state->timer->cancel();
    });
  }

  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// For whoever calls back with a value that is no Result.
template <typename T>
std::function<void(T)> TellTo(const Waiting<T>& waiting) {
  return [answer = waiting.Callback()](T value) { answer(std::move(value)); };
}

}  // namespace millrace::net
