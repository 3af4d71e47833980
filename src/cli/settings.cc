#include "cli/settings.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

namespace millrace::cli {

std::map<std::string, Setting> ResolveSettings(const std::map<std::string, std::string>& flags,
                                               const std::map<std::string, std::string>& toml, const std::string& project_folder) {
  const std::map<std::string, std::string> defaults = {
      {"http", "127.0.0.1:8080"}, {"data", project_folder + "/.millrace"}, {"workers", "0"}, {"memory", "0"}};
  std::map<std::string, Setting> settings;
  for (const auto& [name, value] : defaults) {
    std::string variable = "MILLRACE_" + name;
    std::transform(variable.begin(), variable.end(), variable.begin(), [](unsigned char c) { return std::toupper(c); });
    const char* environment = std::getenv(variable.c_str());
    if (flags.contains(name)) {
      settings[name] = {flags.at(name), "flag --" + name};
    } else if (environment != nullptr && *environment != '\0') {
      settings[name] = {environment, "environment " + variable};
    } else if (toml.contains(name)) {
      settings[name] = {toml.at(name), "millrace.toml"};
    } else {
      settings[name] = {value, "default"};
    }
  }
  return settings;
}

Result<uint64_t> ParseSize(const std::string& text) {
  size_t digits = 0;
  while (digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits]))) ++digits;
  std::string unit;
  for (char c : text.substr(digits)) {
    if (c != ' ') unit += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  static const std::map<std::string, uint64_t> units = {
      {"", 1},           {"B", 1},          {"K", 1ull << 10},   {"KB", 1000},        {"KIB", 1ull << 10}, {"M", 1ull << 20},
      {"MB", 1'000'000}, {"MIB", 1ull << 20}, {"G", 1ull << 30}, {"GB", 1'000'000'000}, {"GIB", 1ull << 30}};
  const auto found = units.find(unit);
  if (digits == 0 || digits > 12 || found == units.end()) {
    return Error(Code::kInvalidArgument, "{} is no size", Quoted(text)).Hint("as 512MB, 2GiB or a number of bytes");
  }
  return std::stoull(text.substr(0, digits)) * found->second;
}

}  // namespace millrace::cli
