// The head of an HTTP/1.1 request (RFC 9112), parsed in place: all fields are views into the buffer
// it came in, nothing is allocated.
//
// Stricter than the RFC allows one to be, where leniency is how requests are smuggled past a proxy:
// lines end in CRLF, no folded lines, no space before the colon, Content-Length at most once, and
// never beside Transfer-Encoding. Pure functions, thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace millrace::http {

inline constexpr size_t kHeadBytesMax = 16 * 1024;
inline constexpr size_t kTargetBytesMax = 8 * 1024;
inline constexpr size_t kFieldsMax = 100;
static_assert(kTargetBytesMax < kHeadBytesMax);

struct RequestHead {
  struct Field {
    std::string_view name;   // as it was sent
    std::string_view value;  // without white space around it
  };

  std::string_view method;
  std::string_view path;   // begins with '/', percent-encoded as it came; "*" with OPTIONS
  std::string_view query;  // after the '?', without it
  int minor_version = 1;   // HTTP/1.minor_version
  bool keep_alive = true;
  bool chunked = false;
  bool expects_continue = false;
  std::optional<uint64_t> content_length;
  size_t field_count = 0;
  std::array<Field, kFieldsMax> fields;

  bool has_body() const { return chunked || content_length.value_or(0) > 0; }
  // The value of the first field of this name (compared without case); nullopt where there is none.
  std::optional<std::string_view> Get(std::string_view name) const;
};

struct ParsedHead {
  enum class State { kIncomplete, kComplete, kRefused };
  State state = State::kIncomplete;
  size_t bytes = 0;         // kComplete: length of the head, with the empty line
  int status = 0;           // kRefused: the status to answer; the connection cannot go on
  std::string_view reason;  // kRefused: what is wrong, a constant
};

// Parses the head at the front of `bytes`. `head` is complete only when the state says so.
ParsedHead ParseHead(std::string_view bytes, RequestHead& head);

}  // namespace millrace::http
