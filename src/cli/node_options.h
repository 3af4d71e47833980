// From settings to the options of a node.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"
#include "cli/settings.h"
#include "runtime/node.h"

namespace millrace::cli {

// For requests that are being answered when the node stops.
inline constexpr std::chrono::seconds kDrain{5};

// The error names the setting that is wrong and where it came from.
Result<runtime::NodeOptions> NodeOptionsOf(const std::string& project_folder,
                                           const Settings& settings);

}  // namespace millrace::cli
