// IoThreads are the threads that run connections: each has an event loop of its own, and whatever
// belongs to one connection runs on one of them, so that connections need no locks. Nothing on them
// may block or compute for long.
//
// Thread-safe. Stop (or the destructor) ends the loops and joins the threads; coroutines that are
// still suspended are destroyed with the loops.
#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "net/asio.h"

namespace millrace::net {

class IoThreads {
 public:
  // REQUIRES: count > 0.
  explicit IoThreads(int count);
  ~IoThreads();
  IoThreads(const IoThreads&) = delete;
  IoThreads& operator=(const IoThreads&) = delete;

  size_t size() const { return loops_.size(); }
  asio::io_context& context(size_t index) { return loops_[index]->context; }
  void Stop();

 private:
  struct Loop {
    asio::io_context context{1};  // one thread runs it
    asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
    std::thread thread;
  };
  std::vector<std::unique_ptr<Loop>> loops_;
};

}  // namespace millrace::net
