// Kafka's rule for the names of topics. Pure function.
#pragma once

#include <string_view>

#include "base/result.h"

namespace millrace::log {

// 1 to 249 of [a-zA-Z0-9._-], not "." or "..": kInvalidArgument.
Status CheckTopicName(std::string_view name);

}  // namespace millrace::log
