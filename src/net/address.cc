#include "net/address.h"

#include <charconv>

#include "net/asio.h"

namespace millrace::net {

Result<Address> ParseAddress(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return Error(Code::kInvalidArgument, "address {}: the port is missing", Quoted(text))
        .Hint("write HOST:PORT, for instance 127.0.0.1:8080");
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return Error(Code::kInvalidArgument, "address {}: an IPv6 address needs brackets", Quoted(text))
        .Hint("write [::1]:8080");
  }
  if (host.empty()) {
    return Error(Code::kInvalidArgument, "address {}: the host is missing", Quoted(text))
        .Hint("write 127.0.0.1:PORT for this machine only, 0.0.0.0:PORT for every interface");
  }
  Address address{std::string(host), 0};
  const char* end = port_text.data() + port_text.size();
  const auto parsed = std::from_chars(port_text.data(), end, address.port);
  if (port_text.empty() || parsed.ec != std::errc() || parsed.ptr != end) {
    return Error(Code::kInvalidArgument, "address {}: {} is not a port from 0 to 65535",
                 Quoted(text), Quoted(port_text));
  }
  return address;
}

std::string ToString(const Address& address) {
  if (address.host.find(':') != std::string::npos) {
    return fmt::format("[{}]:{}", address.host, address.port);
  }
  return fmt::format("{}:{}", address.host, address.port);
}

bool IsLoopback(const Address& address) {
  ErrorCode error;
  const auto parsed = asio::ip::make_address(address.host, error);
  return error ? address.host == "localhost" : parsed.is_loopback();
}

}  // namespace millrace::net
