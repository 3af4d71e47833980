// One request of a connection, and its reply.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/principals.h"
#include "kafka/apis.h"
#include "kafka/codec.h"

namespace millrace::kafka {

class SaslSession;

// Borrows from its bytes.
struct Request {
  const Api* api = nullptr;
  int16_t version = 0;
  int32_t correlation_id = 0;
  std::string client_id;    // as the client calls itself; may be empty
  std::string client_host;  // its address
  std::string_view body;
  SaslSession* session = nullptr;  // of its connection
  auth::PrincipalPtr principal;    // who asks; nullptr where nobody has to sign in

  bool May(auth::Permission permission, std::string_view object) const {
    return principal == nullptr || principal->scopes.Allow(permission, object);
  }
  bool MaySome(auth::Permission permission) const {
    return principal == nullptr || principal->scopes.AllowSome(permission);
  }
};

// What goes back, in the order of the requests. Filled in once, by whoever answers; handed to the
// connection's loop, which alone touches `done`.
struct Reply {
  std::string bytes;  // size, header and body; empty where the request wants no answer
  bool done = false;
  // How long the connection is not read after the request: set while it is being handled.
  std::chrono::milliseconds throttle{0};
};

// The header, and the body behind it. kCorruption: too short or malformed. kNotSupported: an API or
// version that is not served; ApiVersions is passed in any version, for its own answer to that.
Result<Request> ParseRequest(std::string_view bytes);

// Puts size, header and the encoded message into the reply.
template <typename M>
void Answer(const Request& request, Reply& reply, const M& message);

// For Answer: opens the reply's bytes, and closes them.
void BeginReply(const Request& request, Reply& reply);
void EndReply(Reply& reply);

template <typename M>
void Answer(const Request& request, Reply& reply, const M& message) {
  BeginReply(request, reply);
  EncodeInto(reply.bytes, message, request.version);
  EndReply(reply);
}

}  // namespace millrace::kafka
