// CHECK is for bugs: it is always on, and ends the process with file, line and message. What comes
// from disk, network or a user is never CHECKed: that is an Error.
#pragma once

#include <sstream>

namespace millrace::internal {

class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition);
  [[noreturn]] ~CheckFailure();
  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

struct Voidify {
  void operator&(std::ostream&) const {}
};

}  // namespace millrace::internal

#define CHECK(condition)                          \
  (condition) ? (void)0                           \
              : ::millrace::internal::Voidify() & \
                    ::millrace::internal::CheckFailure(__FILE__, __LINE__, #condition).stream()
