// Who a client is: which method it is asked for, and the steps of that method. SCRAM-SHA-256 for
// users; a token's text as the password of the user "token", in clear, so only under TLS or on
// loopback. Which users there are is not told: an unknown one is asked by SCRAM too.
//
// Belongs to one connection; not thread-safe. CheckToken is quick, SCRAM computes little on the
// server's side: all of it may run on an I/O thread.
#pragma once

#include <string>
#include <string_view>

#include "auth/access.h"
#include "auth/scram.h"
#include "base/result.h"

namespace millrace::pg {

// The user whose password is a token.
inline constexpr std::string_view kTokenUser = "token";

class Authenticator {
 public:
  // `access` outlives it; null: nobody has to sign in. `confidential`: nobody else can read what
  // the client sends.
  Authenticator(const auth::Access* access, std::string user, bool confidential);

  // The first thing to send; empty: nothing is asked of the client.
  Result<std::string> Begin();
  // Takes the body of a message 'p', appends what to send. True: the client has signed in.
  Result<bool> Step(std::string_view body, std::string& out);
  // nullptr: nobody had to sign in.
  const auth::PrincipalPtr& principal() const { return principal_; }

 private:
  enum class State {
    kNothing,     // the client is let in as it is
    kPassword,    // it sends a password
    kScramFirst,  // it chooses a mechanism and sends its first message
    kScramFinal,  // it sends its proof
    kDone,
  };
  Result<bool> SignIn(auth::PrincipalPtr principal);
  Error Refused() const;

  const auth::Access* const access_;
  const std::string user_;
  const bool confidential_;
  State state_ = State::kNothing;
  auth::ScramExchange scram_;
  auth::PrincipalPtr principal_;
};

}  // namespace millrace::pg
