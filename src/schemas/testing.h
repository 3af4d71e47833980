// What several tests here need.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace millrace::schemas {

// The seed of a random test: MILLRACE_SEED where it is set. Printed, so that a failure can be seen
// again.
inline uint64_t TestSeed() {
  const char* given = std::getenv("MILLRACE_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("MILLRACE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace millrace::schemas
