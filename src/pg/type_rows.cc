// pg_type, and the names of types.
#include "pg/catalog_cells.h"
#include "pg/catalog_rows.h"
#include "pg/types.h"

namespace millrace::pg {

namespace {

using duckdb::Value;

constexpr char kEnumCategory = 'E';

// What the names of the functions of a type's values begin with; clients tell types by them.
std::string FunctionsOf(const BaseType& type, bool array) {
  if (array) return "array_";
  if (type.category == kEnumCategory) return "enum_";
  const std::string name = type.name;
  for (const char* underscored : {"date", "time", "timestamp", "timestamptz", "timetz", "interval",
                                  "numeric", "uuid", "json", "jsonb", "void"}) {
    if (name == underscored) return name + "_";
  }
  return name;
}

std::vector<Value> TypeRow(const BaseType& type, bool array, uint32_t schema = kPgCatalog) {
  const std::string name = type.name;
  const bool is_vector = type.oid == oid::kInt2Vector || type.oid == oid::kOidVector;
  const uint32_t element = array                          ? type.oid
                           : type.oid == oid::kInt2Vector ? oid::kInt2
                           : type.oid == oid::kOidVector  ? oid::kOid
                                                          : 0;
  const std::string functions = FunctionsOf(type, array);
  const bool pseudo = type.category == 'P' || type.category == 'X';
  const char* const kind = pseudo ? "p" : type.category == kEnumCategory && !array ? "e" : "b";
  return {
      Oid(array ? type.array_oid : type.oid),
      Text(array ? "_" + name : name),
      Oid(schema),
      Oid(kOwner),
      Small(array ? -1 : type.length),
      Bool(!array && type.by_value),
      Text(kind),
      Text(array || is_vector ? "A" : std::string(1, type.category)),
      Bool(type.oid == oid::kText || type.oid == oid::kFloat8 || type.oid == oid::kBool ||
           type.oid == oid::kTimestamptz || type.oid == oid::kInterval || type.oid == oid::kOid),
      Bool(true),
      Text(","),
      Oid(0),
      Text(array ? "array_subscript_handler" : "-"),
      Oid(element),
      Oid(array ? 0 : type.array_oid),
      Text(functions + "in"),
      Text(functions + "out"),
      Text(functions + "recv"),
      Text(functions + "send"),
      Text("-"),
      Text("-"),
      Text("-"),
      Text(std::string(1, type.delimiter_align)),
      Text(type.length < 0 || array ? "x" : "p"),
      Bool(false),
      Oid(0),
      Int(-1),
      Int(0),
      Oid(type.category == 'S' ? kDefaultCollation : 0),
      Null(),
      Null(),
      Null()};
}

}  // namespace

void AppendBaseTypes(TableRows& rows) {
  for (const BaseType& type : BaseTypes()) {
    rows["pg_type"].push_back(TypeRow(type, false));
    rows["mr_type_names"].push_back({Oid(type.oid), Text(type.name), Text(type.sql_name)});
    if (type.array_oid == 0) continue;
    rows["pg_type"].push_back(TypeRow(type, true));
    rows["mr_type_names"].push_back({Oid(type.array_oid), Text("_" + std::string(type.name)),
                                     Text(type.sql_name + std::string("[]"))});
  }
  for (const auto& [oid, name] : {std::pair<uint32_t, std::string>{2249, "record"},
                                  std::pair<uint32_t, std::string>{2276, "any"},
                                  std::pair<uint32_t, std::string>{2283, "anyelement"},
                                  std::pair<uint32_t, std::string>{2277, "anyarray"}}) {
    const BaseType type{oid, 0, 4, name.c_str(), name.c_str(), 'P', 'i', false};
    rows["pg_type"].push_back(TypeRow(type, false));
    rows["mr_type_names"].push_back({Oid(oid), Text(name), Text(name)});
  }
}

void AppendEnumType(uint32_t oid, uint32_t array_oid, const std::string& name, TableRows& rows) {
  const BaseType type{oid,          array_oid,     kEnumBytes, name.c_str(),
                      name.c_str(), kEnumCategory, 'i',        true};
  rows["pg_type"].push_back(TypeRow(type, false, kPublic));
  rows["pg_type"].push_back(TypeRow(type, true, kPublic));
  rows["mr_type_names"].push_back({Oid(oid), Text(name), Text(NameText(name))});
  rows["mr_type_names"].push_back({Oid(array_oid), Text("_" + name), Text(NameText(name) + "[]")});
}

}  // namespace millrace::pg
