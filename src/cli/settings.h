// The settings of a node, and where each came from: flag over environment (MILLRACE_HTTP, …) over millrace.toml over default.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace millrace::cli {

struct Setting {
  std::string value;
  std::string origin;  // "flag", "environment MILLRACE_HTTP", "millrace.toml", "default"
};

// By name: "http", "data", "workers", "memory". `flags` holds those that were given.
std::map<std::string, Setting> ResolveSettings(const std::map<std::string, std::string>& flags,
                                               const std::map<std::string, std::string>& toml, const std::string& project_folder);

// "512 MB", "2GiB", "1073741824" → bytes. kInvalidArgument.
Result<uint64_t> ParseSize(const std::string& text);

}  // namespace millrace::cli
