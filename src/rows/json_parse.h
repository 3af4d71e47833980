// Any JSON as simdjson's DOM, which itself refuses integers of more than 64 bits and numbers that
// are no double, though JSON has them, DECIMALs are written so, and JavaScript writes a large
// double so. Thread-safe, as long as each thread has its own parser.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace simdjson::dom {
class element;
class parser;
}  // namespace simdjson::dom

namespace millrace::rows {

// Numbers of both kinds become strings of their text, so that no digit is lost. `root` is
// valid until `parser` reads the next text or ends; `text` may go. Errors: INVALID_ARGUMENT, with
// what simdjson says.
Status ParseJson(std::string_view text, simdjson::dom::parser& parser,
                 simdjson::dom::element& root);

}  // namespace millrace::rows
