#include "pg/enum_rows.h"

#include "base/error.h"
#include "pg/catalog_cells.h"
#include "rows/schema.h"

namespace millrace::pg {

namespace {

using duckdb::LogicalType;
using duckdb::LogicalTypeId;

std::vector<std::string> LabelsOf(const LogicalType& type) {
  std::vector<std::string> labels;
  const auto& names = duckdb::EnumType::GetValuesInsertOrder(type);
  for (size_t i = 0; i < duckdb::EnumType::GetSize(type); ++i)
    labels.push_back(names.GetValue(i).ToString());
  return labels;
}

// Of a type that has none: "enum_4f3a210c".
std::string NameOf(const std::vector<std::string>& labels) {
  std::string text;
  for (const std::string& label : labels) text += Quoted(label) + ",";
  return fmt::format("enum_{:08x}", OidOf("labels", text));
}

}  // namespace

EnumRows::EnumRows(const catalog::Catalog& catalog, TableRows& rows, Unique unique)
    : rows_(rows), unique_(std::move(unique)) {
  std::map<std::string, const catalog::Object*> named;
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kType))
    named[rows::LowerName(object->name())] = object;
  for (const auto& [name, object] : named) {
    const auto& type = std::get<catalog::TypeDefinition>(object->definition);
    by_labels_.emplace(type.values, Add(type.name, type.values, object->comments.object));
  }
}

std::optional<ColumnType> EnumRows::OfColumn(const LogicalType& type) {
  const bool list = type.id() == LogicalTypeId::LIST || type.id() == LogicalTypeId::ARRAY;
  if (list) {
    const LogicalType& element = type.id() == LogicalTypeId::LIST
                                     ? duckdb::ListType::GetChildType(type)
                                     : duckdb::ArrayType::GetChildType(type);
    if (element.id() != LogicalTypeId::ENUM) return std::nullopt;
    OfColumn(element);  // so that it is there
    return ColumnType{by_labels_.at(LabelsOf(element)).array, -1, -1};
  }
  if (type.id() != LogicalTypeId::ENUM) return std::nullopt;
  const Labels labels = LabelsOf(type);
  auto found = by_labels_.find(labels);
  if (found == by_labels_.end())
    found = by_labels_.emplace(labels, Add(NameOf(labels), labels, "")).first;
  return ColumnType{found->second.type, kEnumBytes, -1};
}

EnumRows::Oids EnumRows::Add(const std::string& name, const Labels& labels,
                             const std::string& comment) {
  const Oids oids{unique_("type", name), unique_("array type", name)};
  AppendEnumType(oids.type, oids.array, name, rows_);
  const uint32_t first = LabelOids(name, labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    rows_["pg_enum"].push_back({Oid(first + static_cast<uint32_t>(i)), Oid(oids.type),
                                duckdb::Value::FLOAT(static_cast<float>(i + 1)), Text(labels[i])});
  }
  if (!comment.empty())
    rows_["pg_description"].push_back({Oid(oids.type), Oid(kPgType), Int(0), Text(comment)});
  return oids;
}

uint32_t EnumRows::LabelOids(const std::string& name, size_t count) {
  uint32_t first = OidOf("labels", name);
  auto taken = label_oids_.lower_bound(first);
  while (taken != label_oids_.end() && *taken < first + count) {
    first = *taken + 1;
    taken = label_oids_.lower_bound(first);
  }
  for (size_t i = 0; i < count; ++i) label_oids_.insert(first + static_cast<uint32_t>(i));
  return first;
}

}  // namespace millrace::pg
