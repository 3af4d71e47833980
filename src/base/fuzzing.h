// For tests that give damaged bytes to what reads them: nothing may crash, read beyond its bytes
// (the sanitizers watch) or take memory that the bytes do not justify.
#pragma once

#include <chrono>
#include <cstdlib>
#include <string>

#include "base/random.h"

namespace millrace {

// Until when to go on: MILLRACE_FUZZ_SECONDS from now, 10 where it says nothing.
inline std::chrono::steady_clock::time_point FuzzUntil() {
  const char* text = std::getenv("MILLRACE_FUZZ_SECONDS");
  const double seconds = text == nullptr ? 10 : std::strtod(text, nullptr);
  return std::chrono::steady_clock::now() +
         std::chrono::duration_cast<std::chrono::steady_clock::duration>(
             std::chrono::duration<double>(seconds));
}

// Changes, cuts, adds or doubles some of the bytes.
inline void Mutate(std::string& bytes, Random& random) {
  constexpr uint8_t kInteresting[] = {0, 1, 0x7f, 0x80, 0xff};
  for (uint64_t n = 1 + random.Below(4); n > 0 && !bytes.empty(); --n) {
    const size_t at = random.Below(bytes.size());
    switch (random.Below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.Below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(kInteresting[random.Below(std::size(kInteresting))]);
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.insert(at, random.Below(20), static_cast<char>(random.Next()));
        break;
      case 4:
        bytes.erase(at, 1 + random.Below(8));
        break;
      default:
        bytes.insert(at, bytes.substr(random.Below(bytes.size()), random.Below(40)));
    }
  }
}

}  // namespace millrace
