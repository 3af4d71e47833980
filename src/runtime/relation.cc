#include "runtime/relation.h"

#include <algorithm>

#include "base/coding.h"
#include "runtime/tables.h"

namespace millrace::runtime {

std::shared_ptr<const Relation> Relations::Find(std::string_view name) const {
  const auto it = by_name.find(rows::LowerName(name));
  return it == by_name.end() ? nullptr : it->second;
}

std::vector<size_t> KeyColumns(const catalog::TableDefinition& table) {
  std::vector<size_t> columns;
  for (const std::string& name : table.primary_key) columns.push_back(*table.schema.Find(name));
  std::sort(columns.begin(), columns.end());
  return columns;
}

std::string InternalName(const catalog::Object& object) {
  return fmt::format("{}#{}", rows::LowerName(object.kept_as()), object.generation);
}

std::map<std::string, std::string> UserNames(const catalog::Catalog& catalog) {
  std::map<std::string, std::string> names;
  for (const catalog::Object* object : catalog.InOrder()) {
    if (HoldsRows(*object)) names[InternalName(*object)] = object->name();
  }
  return names;
}

std::string UserName(const std::map<std::string, std::string>& names, const std::string& internal) {
  const auto found = names.find(internal);
  return found == names.end() ? internal.substr(0, internal.rfind('#')) : found->second;
}

std::string UserNameOf(const catalog::Catalog& catalog, catalog::Kind kind,
                       const std::string& identity) {
  for (const catalog::Object* object : catalog.OfKind(kind)) {
    if (object->kept_as() == identity) return object->name();
  }
  return identity;
}

state::TableId ContentTable(const catalog::Object& object) {
  return {std::max(kFirstFreeTableId, StableHash(InternalName(object), /*seed=*/1))};
}

}  // namespace millrace::runtime
