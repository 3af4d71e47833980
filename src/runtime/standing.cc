#include "runtime/standing.h"

#include <algorithm>

#include "runtime/relation.h"

namespace millrace::runtime {

Result<std::vector<Standing>> AllStanding(const catalog::CatalogPtr& catalog) {
  std::vector<Standing> all;
  for (const catalog::Object* object : catalog->InOrder()) all.push_back({catalog, object, 0});
  for (const auto& [number, build] : catalog->builds()) {
    TRY(const catalog::CatalogPtr then, catalog->With(build));
    std::set<std::string> made;
    for (const catalog::Object* object : build.created())
      made.insert(catalog::NameKey(object->kind(), object->name()));
    for (const catalog::Object* object : then->InOrder()) {
      if (made.contains(catalog::NameKey(object->kind(), object->name())))
        all.push_back({then, object, number});
    }
  }
  return all;
}

std::set<std::string> InternalNames(const std::vector<Standing>& standing) {
  std::set<std::string> names;
  for (const Standing& item : standing) {
    if (HoldsRows(*item.object)) names.insert(InternalName(*item.object));
  }
  return names;
}

}  // namespace millrace::runtime
