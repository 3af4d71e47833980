// What the tests of pg share.
#pragma once

#include <string>

#include "pg/message.h"

namespace millrace::pg {

// A message as it stands on the wire.
inline std::string Framed(char type, const std::string& body) {
  std::string out;
  MessageWriter message(out);
  message.Begin(type);
  message.Bytes(body);
  message.End();
  return out;
}

}  // namespace millrace::pg
