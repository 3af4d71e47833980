// Who is at the other end of a connection: SASL with PLAIN and SCRAM-SHA-256 (RFC 4616, RFC 7677),
// in Kafka's messages (KIP-152) or, after a handshake of version 0, bare; again on a living
// connection before a session ends (KIP-368).
//
// PLAIN takes a user with its password, or a token's id with the token; SCRAM takes users.
//
// Belongs to one connection, on its loop; not thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "auth/access.h"
#include "auth/scram.h"
#include "kafka/request.h"
#include "kafka/sasl_messages.h"
#include "net/asio.h"
#include "net/work_pool.h"

namespace millrace::kafka {

class SaslSession {
 public:
  // Null: nobody can sign in, and nobody has to. `access` and `pool` outlive it.
  SaslSession(const auth::Access* access, net::WorkPool& pool) : access_(access), pool_(pool) {}

  // Before each request: says in it who asks. An error: whoever it is may not, the connection ends.
  Status Admit(Request& request);

  SaslHandshakeResponse Handshake(const Request& request, const SaslHandshakeRequest& message);
  asio::awaitable<SaslAuthenticateResponse> Authenticate(std::string token);

  // Somebody who has to sign in, and has not.
  bool is_stranger() const {
    return access_ != nullptr && access_->required() && principal_ == nullptr;
  }
  // What comes next is no request but a bare token.
  bool expects_bare_token() const { return bare_ && state_ != State::kIdle; }
  // The connection ends once the client has been told.
  bool failed() const { return failed_; }

 private:
  enum class State {
    kIdle,        // no authentication is on its way: the client begins one with a handshake
    kPlain,       // the client sends user and password
    kScramFirst,  // the client sends its first message
    kScramFinal,  // the client sends its proof
  };

  asio::awaitable<Result<std::string>> Step(const std::string& token);
  asio::awaitable<Result<std::string>> CheckPlain(const std::string& token);
  Result<std::string> CheckScramFirst(const std::string& token);
  Result<std::string> CheckScramFinal(const std::string& token);
  Status SignIn(auth::PrincipalPtr principal);

  const auth::Access* const access_;
  net::WorkPool& pool_;
  State state_ = State::kIdle;
  bool bare_ = false;
  bool failed_ = false;
  auth::ScramExchange scram_;
  std::string scram_user_;
  auth::PrincipalPtr principal_;  // nullptr: not signed in
};

}  // namespace millrace::kafka
