#include "catalog/definitions.h"

namespace millrace::catalog {

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kStream:
      return "stream";
    case Kind::kTable:
      return "table";
    case Kind::kView:
      return "view";
    case Kind::kIndex:
      return "index";
    case Kind::kSource:
      return "source";
    case Kind::kEndpoint:
      return "endpoint";
    case Kind::kType:
      return "type";
    case Kind::kMacro:
      return "macro";
    case Kind::kModel:
      return "model";
  }
  return "object";
}

std::chrono::milliseconds Durability::sync_delay_max() const {
  return kind == Kind::kOs ? kOsInterval : interval;
}

std::string Durability::text() const {
  switch (kind) {
    case Kind::kFsync:
      return "fsync";
    case Kind::kInterval:
      return "interval " + std::to_string(interval.count()) + "ms";
    case Kind::kOs:
      break;
  }
  return "os";
}

static_assert(std::variant_size_v<Definition> == static_cast<size_t>(kLastKind) + 1,
              "Kind names the alternatives of Definition in their order");

Kind Object::kind() const { return static_cast<Kind>(definition.index()); }

const std::string& Object::name() const {
  return std::visit([](const auto& d) -> const std::string& { return d.name; }, definition);
}

std::vector<std::string> Object::depends_on() const {
  if (const auto* view = std::get_if<ViewDefinition>(&definition)) return view->reads;
  if (const auto* endpoint = std::get_if<EndpointDefinition>(&definition)) return endpoint->reads;
  if (const auto* macro = std::get_if<MacroDefinition>(&definition)) return macro->reads;
  if (const auto* index = std::get_if<IndexDefinition>(&definition)) return {index->relation};
  if (const auto* source = std::get_if<SourceDefinition>(&definition)) return {source->into};
  if (const TableDefinition* table = TableOfTopic(*this)) return {table->topic};
  return {};
}

}  // namespace millrace::catalog
