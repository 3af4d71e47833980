// Where the next page of an answer is: its cursor as text, and the link to it (RFC 8288). Pure
// functions, thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "http/head_parser.h"

namespace millrace::http {

// Base64 with the letters that stand in a URL as they are (RFC 4648, section 5), without padding.
std::string CursorText(std::string_view bytes);
// kInvalidArgument: it is no such text.
Result<std::string> CursorBytes(std::string_view text);

// The value of the header Link: the same target with another cursor.
std::string NextLink(const RequestHead& head, std::string_view cursor_text);

}  // namespace millrace::http
