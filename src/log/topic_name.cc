#include "log/topic_name.h"

#include <algorithm>

namespace millrace::log {

namespace {
constexpr size_t kNameMax = 249;
}  // namespace

Status CheckTopicName(std::string_view name) {
  const bool letters = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  if (letters && !name.empty() && name.size() <= kNameMax && name != "." && name != "..")
    return Ok();
  return Error(Code::kInvalidArgument,
               "topic name {}: 1 to {} characters of [a-zA-Z0-9._-] are allowed, but not . or ..",
               Quoted(name.substr(0, kNameMax)), kNameMax);
}

}  // namespace millrace::log
