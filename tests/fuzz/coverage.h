// Which constructs of the grammar stood in views that were compared, as the generator says itself.
// Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace millrace::fuzz {

class Coverage {
 public:
  Coverage();  // every construct of the grammar, never hit
  // Of one view or relation. CHECKs that each is a construct of the grammar.
  void Add(const std::set<std::string>& constructs);
  std::vector<std::string> NeverHit() const;
  void Print() const;

 private:
  std::map<std::string, uint64_t> views_;
};

}  // namespace millrace::fuzz
