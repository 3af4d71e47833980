// What a running node has in it for a catalog: the objects in force, then those of each build,
// which run beside them before anything can name them. A value.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"

namespace millrace::runtime {

struct Standing {
  catalog::CatalogPtr catalog;  // by which it is planned
  const catalog::Object* object;
  uint64_t build;  // 0: in force
};
// Each after what it needs.
Result<std::vector<Standing>> AllStanding(const catalog::CatalogPtr& catalog);
// The internal names of those that hold rows.
std::set<std::string> InternalNames(const std::vector<Standing>& standing);

}  // namespace millrace::runtime
