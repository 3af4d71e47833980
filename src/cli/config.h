// `millrace config [PROJECT]`: each setting, its value, and where that came from.
#pragma once

#include <map>
#include <string>

#include "base/result.h"
#include "cli/settings.h"

namespace millrace::cli {

struct ConfigOptions {
  std::string project = ".";
  std::map<std::string, std::string> flags;  // of the settings
};
// Prints them, then says what is wrong with them where something is.
Status Config(const ConfigOptions& options);

// The table that Config prints.
std::string SettingsText(const Settings& settings);

}  // namespace millrace::cli
