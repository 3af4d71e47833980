// SCRAM-SHA-256 (RFC 5802, RFC 7677): proof of a password that neither side sends, against a
// verifier from which the password does not follow. Channel binding is not offered.
//
//   client                          server
//   n,,n=user,r=cnonce      →
//                           ←       r=cnoncesnonce,s=salt,i=iterations       ServerFirst
//   c=biws,r=…,p=proof      →
//                           ←       v=signature                              ServerFinal
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::auth {

// As RFC 7677 recommends; clients of Kafka take no fewer than 4096.
inline constexpr int kScramIterations = 15'000;
inline constexpr size_t kSaltBytes = 16;

struct ScramVerifier {
  std::string salt;
  int iterations = kScramIterations;
  std::string stored_key;
  std::string server_key;
};

// Computes for milliseconds: not for an I/O thread.
ScramVerifier MakeVerifier(std::string_view password, std::string salt, int iterations);
// The same; for mechanisms that send the password.
bool IsPasswordOf(const ScramVerifier& verifier, std::string_view password);

// One authentication, on the server's side. Not thread-safe.
class ScramExchange {
 public:
  // The user that the client's first message names. kInvalidArgument: malformed, or it asks for
  // what is not offered.
  Result<std::string> ReadClientFirst(std::string_view message);
  // The answer to it. REQUIRES: ReadClientFirst was fine. `nonce` is printable, without commas.
  std::string ServerFirst(ScramVerifier verifier, std::string_view nonce);
  // The answer to the client's second message. kInvalidArgument: malformed, or the password is
  // wrong. REQUIRES: after ServerFirst, once.
  Result<std::string> ReadClientFinal(std::string_view message);

 private:
  std::string gs2_header_;
  std::string client_first_bare_;
  std::string client_nonce_;
  std::string nonce_;  // both
  std::string server_first_;
  ScramVerifier verifier_;
};

}  // namespace millrace::auth
