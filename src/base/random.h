// Random numbers from a seed (splitmix64, Steele et al. 2014): the same sequence on every machine.
#pragma once

#include <cstdint>

namespace millrace {

// Not thread-safe.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  // REQUIRES: bound > 0. In [0, bound).
  uint64_t Below(uint64_t bound) { return Next() % bound; }
  // True once in `n` times on average.
  bool OneIn(uint64_t n) { return Below(n) == 0; }

 private:
  uint64_t state_;
};

}  // namespace millrace
