// Entity tags in conditional requests (RFC 9110, section 8.8.3). Pure functions.
#pragma once

#include <string_view>

namespace millrace::http {

// Whether a list of tags names this one ("…", with its quotes), or is *. Weak comparison takes W/
// tags for what they name, strong comparison never matches them.
enum class TagComparison { kWeak, kStrong };
bool NamesTag(std::string_view list, std::string_view opaque, TagComparison comparison);

}  // namespace millrace::http
