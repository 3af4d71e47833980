// Server-Sent Events (WHATWG HTML, section 9.2): what an event looks like on the wire. Pure
// functions, thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace millrace::http {

// What an event of a live answer leaves its client with: the step, and a digest of the rows. The
// digest makes an id mean the same rows also after a restart, a restored backup, or another
// definition of the endpoint.
struct EventId {
  int64_t step = 0;
  uint64_t digest = 0;
  bool operator==(const EventId&) const = default;
};

// "57-00c0ffee00c0ffee": the step, and the digest in 16 hexadecimal digits.
std::string ToString(const EventId& id);
// nullopt: it is none of ours, so it says nothing.
std::optional<EventId> ParseEventId(std::string_view text);

// The lines of an event up to its data. An empty id leaves the client's as it is.
std::string EventHead(std::string_view name, std::string_view id);
// A whole event; each line of `data` is a line of its own, which the client joins again. REQUIRES:
// no carriage return in it.
std::string EventText(std::string_view name, std::string_view id, std::string_view data);
// How long the client waits before it comes again.
std::string RetryText(std::chrono::milliseconds wait);
// What keeps proxies from taking the connection for dead: a comment, which clients skip.
inline constexpr std::string_view kHeartbeat = ":\n\n";

}  // namespace millrace::http
