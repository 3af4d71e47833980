// UTF-8 (RFC 3629) in bytes of unknown origin. Pure functions, thread-safe.
#pragma once

#include <string>
#include <string_view>

namespace millrace {

// The length of the sequence at the front of `text`, 0 where there is none.
size_t Utf8Length(std::string_view text);

// The text with U+FFFD for each byte that belongs to no sequence.
std::string ValidUtf8(std::string_view text);

}  // namespace millrace
