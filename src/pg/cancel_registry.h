// The sessions that can be cancelled, by the process number and the secret that their clients were
// told. Thread-safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>

#include "pg/session.h"

namespace millrace::pg {

class CancelRegistry {
 public:
  struct Key {
    int32_t process = 0;
    int32_t secret = 0;
  };
  Key Add(std::shared_ptr<CancelState> state);
  void Remove(int32_t process);
  // Whether there was such a session: its client is not told.
  bool Cancel(Key key);

 private:
  struct Entry {
    int32_t secret;
    std::shared_ptr<CancelState> state;
  };
  std::mutex mutex_;
  std::map<int32_t, Entry> sessions_;  // guarded by mutex_
  int32_t next_ = 1;                   // guarded by mutex_
};

}  // namespace millrace::pg
