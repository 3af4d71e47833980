// Which node a command talks to: --url, else MILLRACE_URL, else the address noted in ./.millrace,
// else http://127.0.0.1:8080.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http_client.h"

namespace millrace::cli {

// `url` empty: not given. The client connects when it is used.
Result<net::HttpClient> FindNode(const std::string& url);
// The same for a URL that is known. Both send the token of MILLRACE_TOKEN, where it is set.
Result<net::HttpClient> NodeAt(const std::string& url);
inline constexpr char kTokenVariable[] = "MILLRACE_TOKEN";
// What a node notes in its data directory for commands to find it.
inline constexpr char kAddressFile[] = "address";

// The error of an answer whose status is not 2xx: code, message and hint of its body, or the
// status.
Error ErrorOfAnswer(const net::ClientAnswer& answer);

// One segment of a path: every byte that is not plain as %XX (RFC 3986).
std::string PercentEncoded(std::string_view text);

}  // namespace millrace::cli
