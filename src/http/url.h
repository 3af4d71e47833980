// Percent-encoding and query strings (RFC 3986, and + for a space as forms send it).
// Pure functions, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace millrace::http {

// kInvalidArgument for a % without two hexadecimal digits, and for a byte 0.
Result<std::string> PercentDecode(std::string_view text, bool plus_is_space);

// As one segment of a path: all but letters, digits and . - _ ~ is encoded.
std::string PercentEncode(std::string_view segment);

// The parameters in their order; of repeated names all are kept.
using QueryParameters = std::vector<std::pair<std::string, std::string>>;
Result<QueryParameters> ParseQuery(std::string_view query);

}  // namespace millrace::http
