// Which node a command talks to: --url, else MILLRACE_URL, else the one noted in ./.millrace, else
// http://127.0.0.1:8080.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_client.h"

namespace millrace::cli {

// Empty: not given.
struct NodeFlags {
  std::string url;
  std::string authorities;  // of its certificate; else MILLRACE_CA, else the system's
};
// The client connects when it is used. It sends the token of MILLRACE_TOKEN, where it is set.
Result<net::HttpClient> FindNode(const NodeFlags& flags);
inline constexpr char kTokenVariable[] = "MILLRACE_TOKEN";

// What a node notes in its data directory for commands to find it: "HOST:PORT", or where it speaks
// TLS "https://HOST:PORT FINGERPRINT". Whoever may write there has authority over the node, so its
// certificate needs no other proof, whatever name it is for.
inline constexpr char kAddressFile[] = "address";
std::string AddressNote(const net::Address& address, const std::string& fingerprint);
// The same as FindNode, for a note.
Result<net::HttpClient> NodeOfNote(const std::string& note);

// The error of an answer whose status is not 2xx: code, message and hint of its body, or the
// status.
Error ErrorOfAnswer(const net::ClientAnswer& answer);

// One segment of a path: every byte that is not plain as %XX (RFC 3986).
std::string PercentEncoded(std::string_view text);

}  // namespace millrace::cli
