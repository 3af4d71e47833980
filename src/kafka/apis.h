// The APIs that the listener serves, with the versions that it advertises.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kafka/message.h"

namespace millrace::kafka {

struct Api {
  ApiKey key;
  std::string_view name;
  int16_t version_min;
  int16_t version_max;
  int16_t flexible_from;  // of request and response
};

// Ordered by key.
std::span<const Api> Apis();
// nullptr: not served.
const Api* FindApi(int16_t key);

}  // namespace millrace::kafka
