#include "net/io_threads.h"

#include <pthread.h>

#include "base/check.h"

namespace millrace::net {

IoThreads::IoThreads(int count) {
  CHECK(count > 0);
  for (int i = 0; i < count; ++i) {
    loops_.push_back(std::make_unique<Loop>());
    loops_.back()->thread = std::thread([loop = loops_.back().get()] { loop->context.run(); });
    pthread_setname_np(loops_.back()->thread.native_handle(), "millrace-io");
  }
}

IoThreads::~IoThreads() { Stop(); }

void IoThreads::Stop() {
  for (auto& loop : loops_) {
    loop->work.reset();
    loop->context.stop();
  }
  for (auto& loop : loops_) {
    if (loop->thread.joinable()) loop->thread.join();
  }
}

}  // namespace millrace::net
