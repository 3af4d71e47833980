// JSON as text: the grammar check of parts that nothing else looks at, and the shortening of values
// for messages. Internal to rows.
#pragma once

#include <string>
#include <string_view>

namespace millrace::rows {

// Values may nest this deep.
inline constexpr int kJsonDepthMax = 128;

inline bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// True when `text` is one JSON value (RFC 8259) with whitespace around it. REQUIRES: the bytes are
// valid UTF-8 and no control character stands bare in a string (simdjson's first stage has seen to
// both).
bool IsJsonValue(std::string_view text);

// Without whitespace at both ends.
std::string_view TrimJson(std::string_view text);

// At most 64 bytes of `text`, cut between characters, for a message.
std::string Shortened(std::string_view text);

// Appends `text` as a JSON string with its quotes. REQUIRES: `text` is valid UTF-8.
void AppendJsonString(std::string_view text, std::string& out);

// Appends the JSON value `text` with its line breaks and tabs between tokens made spaces. False
// where `text` is not JSON; `out` then holds a part of it. REQUIRES: `text` is valid UTF-8.
bool AppendJsonOnOneLine(std::string_view text, std::string& out);

}  // namespace millrace::rows
