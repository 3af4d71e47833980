// JSON put together from parts that are JSON already. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/text.h"

namespace millrace::http {

inline std::string JsonText(std::string_view text) {
  std::string out;
  AppendJsonString(out, text);
  return out;
}

// Members in their order; those whose value is empty are left out.
using JsonMembers = std::vector<std::pair<std::string, std::string>>;
inline std::string JsonObject(const JsonMembers& members) {
  std::string out = "{";
  for (const auto& [name, value] : members) {
    if (value.empty()) continue;
    if (out.size() > 1) out += ',';
    AppendJsonString(out, name);
    out += ':' + value;
  }
  return out + "}";
}

inline std::string JsonArray(const std::vector<std::string>& elements) {
  std::string out = "[";
  for (const std::string& element : elements) {
    if (out.size() > 1) out += ',';
    out += element;
  }
  return out + "]";
}

}  // namespace millrace::http
