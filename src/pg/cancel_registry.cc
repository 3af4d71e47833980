#include "pg/cancel_registry.h"

#include "auth/crypto.h"
#include "pg/message.h"

namespace millrace::pg {

CancelRegistry::Key CancelRegistry::Add(std::shared_ptr<CancelState> state) {
  const std::string random = auth::RandomBytes(sizeof(int32_t));
  const std::lock_guard lock(mutex_);
  while (next_ <= 0 || sessions_.contains(next_)) next_ = next_ <= 0 ? 1 : next_ + 1;
  const Key key{next_, GetInt32(random.data())};
  next_ = next_ == INT32_MAX ? 1 : next_ + 1;
  sessions_[key.process] = {key.secret, std::move(state)};
  return key;
}

void CancelRegistry::Remove(int32_t process) {
  const std::lock_guard lock(mutex_);
  sessions_.erase(process);
}

bool CancelRegistry::Cancel(Key key) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(key.process);
  if (found == sessions_.end() || found->second.secret != key.secret) return false;
  found->second.state->Cancel();
  return true;
}

}  // namespace millrace::pg
