// HOST:PORT as flags and configuration give it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::net {

struct Address {
  std::string host;   // an IP address, or a name such as localhost
  uint16_t port = 0;  // 0: the system picks a free one
  bool operator==(const Address&) const = default;
};

// "127.0.0.1:8080", "[::1]:8080", "localhost:0". kInvalidArgument says what is wrong.
Result<Address> ParseAddress(std::string_view text);
// The inverse; an IPv6 address gets its brackets.
std::string ToString(const Address& address);
// Only programs of this machine can reach it: 127.0.0.0/8, ::1, localhost. Other names count as
// open to all, wherever they lead.
bool IsLoopback(const Address& address);

}  // namespace millrace::net
