#include "runtime/relation.h"

#include "base/coding.h"
#include "runtime/tables.h"

namespace millrace::runtime {

std::shared_ptr<const Relation> Relations::Find(std::string_view name) const {
  const auto it = by_name.find(rows::LowerName(name));
  return it == by_name.end() ? nullptr : it->second;
}

std::string InternalName(const catalog::Object& object) {
  return fmt::format("{}#{}", rows::LowerName(object.name()), object.generation);
}

state::TableId ContentTable(const catalog::Object& object) {
  return {std::max(kFirstFreeTableId, StableHash(InternalName(object), /*seed=*/1))};
}

}  // namespace millrace::runtime
