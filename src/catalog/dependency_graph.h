// Who of a list of objects needs whom: the streams, tables and views that a definition reads, and
// the types and macros that it names. Values; thread-safe as such.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"

namespace millrace::catalog {

// "stream \"clicks\"", for messages.
std::string Describe(const Object& object);
// Of a name in lower case: "public." and "main." are what is meant without.
std::string_view WithoutSchema(std::string_view lower_name);
// By the names in lower case, then by the names.
void SortByName(std::vector<const Object*>& objects);

class DependencyGraph {
 public:
  // The objects outlive it.
  explicit DependencyGraph(const std::vector<const Object*>& objects);

  // Each after what it needs; of those that could come next the first by name (Kahn, "Topological
  // sorting of large networks", CACM 1962). kConflict: a cycle, with its members.
  Result<std::vector<const Object*>> Order() const;
  // What of the list `object` depends on directly.
  const std::vector<const Object*>& Needs(const Object& object) const { return needs_.at(&object); }

 private:
  std::vector<const Object*> Resolve(const Object& object) const;
  // REQUIRES: every object outside `done` needs another one outside `done`.
  Error Cycle(const std::set<const Object*>& done) const;

  std::vector<const Object*> objects_;
  std::map<std::string, const Object*, std::less<>> relations_;  // by lower-case name
  std::map<std::string, const Object*> words_;                   // types and macros, by NameKey
  std::map<const Object*, std::vector<const Object*>> needs_;
};

}  // namespace millrace::catalog
