#include "pg/catalog_rows.h"

#include <algorithm>
#include <set>

#include "catalog/relation_shape.h"
#include "pg/catalog_cells.h"
#include "pg/enum_rows.h"
#include "pg/types.h"

namespace millrace::pg {

namespace {

using duckdb::LogicalType;
using duckdb::Value;

constexpr uint32_t kOidMin = 16'384;  // below are PostgreSQL's own
constexpr uint32_t kOidMax = 0x7FFF'FFFF;

// A relation as it is shown.
struct Shown {
  std::string name;
  uint32_t oid = 0;
  uint32_t schema = kPublic;
  char kind = 'r';
  rows::Schema columns;
  std::vector<size_t> key;  // columns of the primary key
  const std::vector<catalog::Check>* checks = nullptr;
  const catalog::Comments* comments = nullptr;
  std::string definition;               // of views
  std::vector<std::string> reads = {};  // of views, and relations
};

// Of a column of a type that is shown so.
bool IsArrayType(const LogicalType& type, const ColumnType& shown) {
  const bool list =
      type.id() == duckdb::LogicalTypeId::LIST || type.id() == duckdb::LogicalTypeId::ARRAY;
  return list && shown.oid != oid::kJsonb;
}

class Builder {
 public:
  explicit Builder(const catalog::Catalog& catalog)
      : enums_(catalog, rows_, [this](std::string_view kind, std::string_view name) {
          return Unique(kind, name);
        }) {
    AppendBaseTypes(rows_);
  }

  TableRows Take() { return std::move(rows_); }

  // Relations of pg_catalog that others refer to by name ('pg_class'::regclass).
  void OfPostgres() {
    for (const auto& [oid, name] : {std::pair<uint32_t, const char*>{kPgType, "pg_type"},
                                    {1'249, "pg_attribute"},
                                    {1'255, "pg_proc"},
                                    {1'259, "pg_class"},
                                    {1'262, "pg_database"},
                                    {2'604, "pg_attrdef"},
                                    {2'606, "pg_constraint"},
                                    {2'609, "pg_description"},
                                    {2'610, "pg_index"},
                                    {2'615, "pg_namespace"},
                                    {kPgRewrite, "pg_rewrite"},
                                    {3'501, "pg_enum"}})
      Class(oid, name, kPgCatalog, 'r', 0, 0, false);
  }

  uint32_t Unique(std::string_view kind, std::string_view name) {
    uint32_t oid = pg::OidOf(kind, name);
    while (!used_.insert(oid).second) oid = oid == kOidMax ? kOidMin : oid + 1;
    return oid;
  }

  void Add(const Shown& shown, bool has_index) {
    Class(shown.oid, shown.name, shown.schema, shown.kind, shown.columns.columns.size(),
          shown.checks == nullptr ? 0 : shown.checks->size(), has_index || !shown.key.empty());
    for (size_t i = 0; i < shown.columns.columns.size(); ++i)
      Attribute(shown, shown.columns.columns[i], i + 1);
    if (!shown.definition.empty())
      rows_["mr_definitions"].push_back({Oid(shown.oid), Text(" " + shown.definition + ";")});
    if (!shown.key.empty()) PrimaryKey(shown);
    if (shown.checks != nullptr) {
      size_t number = 0;
      for (const catalog::Check& check : *shown.checks) {
        const std::string name = fmt::format("{}_check{}", shown.name, ++number);
        const uint32_t oid = Unique("constraint", shown.name + "." + name);
        Constraint(oid, name, shown, 'c', 0, {}, check.expression);
        rows_["mr_definitions"].push_back({Oid(oid), Text("CHECK (" + check.expression + ")")});
      }
    }
    if (shown.comments != nullptr && !shown.comments->object.empty())
      Description(shown.oid, 0, shown.comments->object);
  }

  void Index(const Shown& shown, const std::string& name, const std::vector<size_t>& columns,
             bool primary) {
    const uint32_t oid = Unique("index", shown.name + "." + name);
    Class(oid, name, shown.schema, 'i', columns.size(), 0, false);
    std::vector<size_t> numbers;
    std::string listed;
    for (size_t i = 0; i < columns.size(); ++i) {
      numbers.push_back(columns[i] + 1);
      const rows::Column& column = shown.columns.columns[columns[i]];
      const std::string column_name = NameText(column.name);
      listed += (listed.empty() ? "" : ", ") + column_name;
      rows_["mr_index_columns"].push_back(
          {Oid(oid), Int(static_cast<int64_t>(i) + 1), Text(column_name)});
      Shown index;
      index.oid = oid;
      rows::Column plain = column;
      plain.not_null = false;
      plain.default_value.reset();
      Attribute(index, plain, i + 1);
    }
    rows_["mr_definitions"].push_back(
        {Oid(oid), Text(fmt::format("CREATE {}INDEX {} ON public.{} USING btree ({})",
                                    primary ? "UNIQUE " : "", NameText(name), NameText(shown.name),
                                    listed))});
    rows_["pg_index"].push_back({Oid(oid),
                                 Oid(shown.oid),
                                 Small(static_cast<int64_t>(columns.size())),
                                 Small(static_cast<int64_t>(columns.size())),
                                 Bool(primary),
                                 Bool(false),
                                 Bool(primary),
                                 Bool(false),
                                 Bool(true),
                                 Bool(false),
                                 Bool(true),
                                 Bool(false),
                                 Bool(true),
                                 Bool(true),
                                 Bool(false),
                                 Smalls(numbers),
                                 Oids(columns.size(), 0),
                                 Oids(columns.size(), kInt4Ops),
                                 Smalls(std::vector<int>(columns.size(), 0)),
                                 Null(),
                                 Null()});
    if (!primary) return;
    const uint32_t constraint = Unique("constraint", shown.name + "." + name);
    Constraint(constraint, name, shown, 'p', oid, numbers, "");
    rows_["mr_definitions"].push_back({Oid(constraint), Text("PRIMARY KEY (" + listed + ")")});
  }

  // The rule that a view is, on which it and its query hang as in PostgreSQL.
  void View(const Shown& view, const std::vector<uint32_t>& reads) {
    const uint32_t rule = Unique("rule", view.name);
    rows_["pg_rewrite"].push_back({Oid(rule), Text("_RETURN"), Oid(view.oid), Text("1"), Text("O"),
                                   Bool(true), Null(), Null()});
    const auto depends = [&](uint32_t on, const char* how) {
      rows_["pg_depend"].push_back(
          {Oid(kPgRewrite), Oid(rule), Int(0), Oid(kPgClass), Oid(on), Int(0), Text(how)});
    };
    depends(view.oid, "i");
    for (const uint32_t read : reads) depends(read, "n");
  }

  void Macro(const catalog::MacroDefinition& macro) {
    const uint32_t oid = Unique("macro", macro.name);
    const size_t close = macro.body.find(')');
    const std::string arguments = close == std::string::npos ? "" : macro.body.substr(1, close - 1);
    duckdb::vector<Value> names;
    for (const std::string& each : duckdb::StringUtil::Split(arguments, ",")) {
      std::string name = each.substr(0, each.find(':'));
      duckdb::StringUtil::Trim(name);
      if (!name.empty()) names.emplace_back(name);
    }
    const auto count = static_cast<int64_t>(names.size());
    rows_["pg_proc"].push_back({Oid(oid),
                                Text(macro.name),
                                Oid(kPublic),
                                Oid(kOwner),
                                Oid(kSqlLanguage),
                                Value::FLOAT(1),
                                Value::FLOAT(macro.table ? 1000 : 0),
                                Oid(0),
                                Text("-"),
                                Text("f"),
                                Bool(false),
                                Bool(false),
                                Bool(false),
                                Bool(macro.table),
                                Text("s"),
                                Text("s"),
                                Small(count),
                                Small(0),
                                Oid(macro.table ? 2249 : 2283),
                                Oids(names.size(), 2283),
                                Null(),
                                Null(),
                                Value::LIST(LogicalType::VARCHAR, std::move(names)),
                                Null(),
                                Null(),
                                Text(macro.body),
                                Null(),
                                Null(),
                                Null(),
                                Null()});
  }

 private:
  void Class(uint32_t oid, const std::string& name, uint32_t schema, char kind, size_t columns,
             size_t checks, bool has_index) {
    const bool stores = kind == 'r' || kind == 'm';
    rows_["pg_class"].push_back({Oid(oid),
                                 Text(name),
                                 Oid(schema),
                                 Oid(0),
                                 Oid(0),
                                 Oid(kOwner),
                                 Oid(stores        ? kHeap
                                     : kind == 'i' ? kBtree
                                                   : 0),
                                 Oid(oid),
                                 Oid(0),
                                 Int(0),
                                 Value::FLOAT(-1),
                                 Int(0),
                                 Oid(0),
                                 Bool(has_index),
                                 Bool(false),
                                 Text("p"),
                                 Text(std::string(1, kind)),
                                 Small(static_cast<int64_t>(columns)),
                                 Small(static_cast<int64_t>(checks)),
                                 Bool(kind == 'v'),
                                 Bool(false),
                                 Bool(false),
                                 Bool(false),
                                 Bool(false),
                                 Bool(true),
                                 Text(stores ? "d" : "n"),
                                 Bool(false),
                                 Oid(0),
                                 Oid(0),
                                 Oid(0),
                                 Null(),
                                 Null(),
                                 Null(),
                                 Bool(false)});
  }

  void Attribute(const Shown& shown, const rows::Column& column, size_t number) {
    const auto of_enum = enums_.OfColumn(column.type);
    const ColumnType type = of_enum.value_or(TypeOf(column.type));
    const BaseType* base = FindType(type.oid);
    const bool text = base != nullptr && base->category == 'S';
    rows_["pg_attribute"].push_back({Oid(shown.oid),
                                     Text(column.name),
                                     Oid(type.oid),
                                     Int(-1),
                                     Small(type.length),
                                     Small(static_cast<int64_t>(number)),
                                     Int(IsArrayType(column.type, type) ? 1 : 0),
                                     Int(-1),
                                     Int(type.modifier),
                                     Bool(base == nullptr ? type.length > 0 : base->by_value),
                                     Text("i"),
                                     Text(type.length < 0 ? "x" : "p"),
                                     Text(""),
                                     Bool(column.not_null),
                                     Bool(column.default_value.has_value()),
                                     Bool(false),
                                     Text(""),
                                     Text(""),
                                     Bool(false),
                                     Bool(true),
                                     Int(0),
                                     Oid(text ? kDefaultCollation : 0),
                                     Null(),
                                     Null(),
                                     Null(),
                                     Null()});
    if (column.default_value) {
      rows_["pg_attrdef"].push_back(
          {Oid(Unique("default", fmt::format("{}.{}", shown.oid, number))), Oid(shown.oid),
           Small(static_cast<int64_t>(number)), Text(column.default_value->ToSQLString())});
    }
    if (shown.comments == nullptr) return;
    const auto comment = shown.comments->columns.find(rows::LowerName(column.name));
    if (comment != shown.comments->columns.end())
      Description(shown.oid, static_cast<int64_t>(number), comment->second);
  }

  void PrimaryKey(const Shown& shown) { Index(shown, shown.name + "_pkey", shown.key, true); }

  void Constraint(uint32_t oid, const std::string& name, const Shown& shown, char kind,
                  uint32_t index, const std::vector<size_t>& columns, const std::string& check) {
    rows_["pg_constraint"].push_back({Oid(oid),
                                      Text(name),
                                      Oid(shown.schema),
                                      Text(std::string(1, kind)),
                                      Bool(false),
                                      Bool(false),
                                      Bool(true),
                                      Oid(shown.oid),
                                      Oid(0),
                                      Oid(index),
                                      Oid(0),
                                      Oid(0),
                                      Text(" "),
                                      Text(" "),
                                      Text(" "),
                                      Bool(true),
                                      Int(0),
                                      Bool(true),
                                      Smalls(columns),
                                      Null(),
                                      Null(),
                                      Null(),
                                      Null(),
                                      Null(),
                                      Null(),
                                      check.empty() ? Null() : Text(check)});
  }

  void Description(uint32_t oid, int64_t column, const std::string& text) {
    rows_["pg_description"].push_back({Oid(oid), Oid(kPgClass), Int(column), Text(text)});
  }

  TableRows rows_;
  std::set<uint32_t> used_;
  EnumRows enums_;
};

Shown ShownOf(const catalog::Object& object) {
  Shown shown;
  shown.name = object.name();
  const catalog::RelationShape shape = catalog::ShapeOf(object);
  shown.columns = shape.schema;
  shown.columns.columns.resize(shape.visible);
  shown.comments = &object.comments;
  if (const auto* stream = std::get_if<catalog::StreamDefinition>(&object.definition)) {
    shown.checks = &stream->checks;
  } else if (const auto* table = std::get_if<catalog::TableDefinition>(&object.definition)) {
    shown.checks = &table->checks;
    for (const std::string& name : table->primary_key) {
      const size_t column = *table->schema.Find(name);
      shown.key.push_back(column);
      shown.columns.columns[column].not_null = true;
    }
  } else {
    const auto& view = std::get<catalog::ViewDefinition>(object.definition);
    shown.kind = view.materialized ? 'm' : 'v';
    shown.definition = view.select;
    shown.reads = view.reads;
  }
  return shown;
}

std::vector<size_t> ColumnsOf(const Shown& shown, const std::vector<std::string>& names) {
  std::vector<size_t> columns;
  for (const std::string& name : names) {
    if (const auto column = shown.columns.Find(name)) columns.push_back(*column);
  }
  return columns;
}

}  // namespace

std::string NameText(const std::string& name) {
  const bool plain =
      !name.empty() &&
      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos &&
      !(name[0] >= '0' && name[0] <= '9');
  return plain ? name : Quoted(name);
}

uint32_t OidOf(std::string_view kind, std::string_view name) {
  uint64_t hash = 1469598103934665603ull;  // FNV-1a
  const auto mix = [&](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211ull;
  };
  mix(kind);
  mix("\n");
  mix(rows::LowerName(name));
  return kOidMin + static_cast<uint32_t>((hash ^ hash >> 32) % (kOidMax - kOidMin));
}

TableRows CatalogRows(const catalog::Catalog& catalog, const SystemTables& system) {
  Builder builder(catalog);
  builder.OfPostgres();
  // In the order of names: who of two of the same number gives way is always the same.
  std::map<std::string, const catalog::Object*> relations;
  for (const catalog::Object* object : catalog.InOrder()) {
    if (catalog::IsRelation(object->kind())) relations[rows::LowerName(object->name())] = object;
  }
  std::map<std::string, Shown> shown;
  for (const auto& [name, object] : relations) {
    shown[name] = ShownOf(*object);
    shown[name].oid = builder.Unique("relation", name);
  }
  std::set<std::string> indexed;
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kIndex)) {
    indexed.insert(
        rows::LowerName(std::get<catalog::IndexDefinition>(object->definition).relation));
  }
  for (const auto& [name, relation] : shown) builder.Add(relation, indexed.contains(name));
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kIndex)) {
    const auto& index = std::get<catalog::IndexDefinition>(object->definition);
    const auto found = shown.find(rows::LowerName(index.relation));
    if (found == shown.end()) continue;
    builder.Index(found->second, index.name, ColumnsOf(found->second, index.columns), false);
  }
  for (const auto& [name, view] : shown) {
    if (view.definition.empty()) continue;
    std::vector<uint32_t> reads;
    for (const std::string& read : view.reads) {
      if (const auto found = shown.find(rows::LowerName(read)); found != shown.end())
        reads.push_back(found->second.oid);
    }
    builder.View(view, reads);
  }
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kMacro))
    builder.Macro(std::get<catalog::MacroDefinition>(object->definition));
  for (const auto& [name, schema] : system) {
    Shown table;
    table.name = name.substr(name.find('.') + 1);
    table.oid = builder.Unique("system", name);
    table.schema = kMillraceSchema;
    table.kind = 'v';
    table.columns = schema;
    builder.Add(table, false);
  }
  return builder.Take();
}

}  // namespace millrace::pg
