#include "cli/config.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "cli/project.h"

namespace millrace::cli {

std::string SettingsText(const Settings& settings) {
  size_t names = 0;
  size_t width = 0;
  for (const auto& [name, setting] : settings) {
    names = std::max(names, name.size());
    width = std::max(width, setting.value.size());
  }
  std::string out;
  for (const auto& [name, setting] : settings) {
    out += fmt::format("{:{}}  {:{}}  {}\n", name, names, setting.value, width, setting.origin);
  }
  return out;
}

Status Config(const ConfigOptions& options) {
  std::error_code code;
  if (!std::filesystem::is_directory(options.project, code)) {
    return Error(Code::kNotFound, "{} is no folder", Quoted(options.project))
        .Hint("a project is a folder with *.sql files, as examples/shop");
  }
  TRY(const auto toml, ReadSettings(options.project));
  const Settings settings = ResolveSettings(options.flags, toml, options.project);
  std::fputs(SettingsText(settings).c_str(), stdout);
  return CheckSettings(settings);
}

}  // namespace millrace::cli
