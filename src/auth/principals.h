// Who may use a node: its users and tokens, as its data directory keeps them
// (docs/formats/access.md). Secrets are not among it: of a password there is a SCRAM verifier, of a
// token's secret its SHA-256. A value; thread-safe as such.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "auth/rate.h"
#include "auth/scope.h"
#include "auth/scram.h"
#include "base/clock.h"
#include "base/result.h"

namespace millrace::auth {

// A user or a token, as it may act. Immutable.
struct Principal {
  enum class Kind { kUser, kToken };
  Kind kind = Kind::kUser;
  std::string name;  // of the user; id of the token
  Scopes scopes;
  Micros created;
  Micros expires;  // 0: never
  Rate rate = {};  // of its requests, over all listeners
  std::shared_ptr<RateMeter> meter = std::make_shared<RateMeter>();
  // "user alice", "token 4fk2…": for messages and logs.
  std::string ToString() const;
  // 0: it may make a request now. Else after which time.
  std::chrono::microseconds TakeTurn(RateMeter::TimePoint now) const;
  Error OverRate(std::chrono::microseconds wait) const;
};
using PrincipalPtr = std::shared_ptr<const Principal>;

struct User {
  PrincipalPtr principal;
  ScramVerifier verifier;
};

struct Token {
  PrincipalPtr principal;
  std::string secret_sha256;
  std::string note;  // what its maker wrote of it; may be empty
};

struct Principals {
  std::map<std::string, User, std::less<>> users;    // by name
  std::map<std::string, Token, std::less<>> tokens;  // by id

  bool empty() const { return users.empty() && tokens.empty(); }
};

// The file's text, and back. kCorruption says in which line.
std::string EncodePrincipals(const Principals& principals);
Result<Principals> DecodePrincipals(std::string_view text);

// Letters, digits, '.', '_' and '-', 1 to 64 of them: kInvalidArgument.
Status CheckUserName(std::string_view name);

}  // namespace millrace::auth
