#include "runtime/alter_columns.h"

#include <algorithm>
#include <functional>

#include "catalog/sql_text.h"
#include "catalog/stream_versions.h"
#include "duckdb/planner/expression/bound_reference_expression.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace millrace::runtime {

namespace {

using catalog::StreamDefinition;

Error NoColumn(const StreamDefinition& stream, const std::string& name) {
  return Error(Code::kNotFound, "column {} does not exist in stream {}", Quoted(name),
               Quoted(stream.name))
      .Hint(DidYouMean(name, stream.schema.names()))
      .SqlState("42703");
}

// What the stream itself needs the column for; empty: nothing.
std::string UseOf(const StreamDefinition& stream, const std::string& column) {
  const auto names = [&](const std::vector<std::string>& columns) {
    return std::any_of(columns.begin(), columns.end(),
                       [&](const std::string& other) { return rows::EqualNames(other, column); });
  };
  if (stream.watermark && rows::EqualNames(stream.watermark->column, column)) return "WATERMARK";
  if (stream.deduplicate && names(stream.deduplicate->columns)) return "DEDUPLICATE ON";
  if (names(stream.partition_by)) return "PARTITION BY";
  for (const catalog::Check& check : stream.checks) {
    const std::string other = sql::ColumnRenamed(check.expression, stream.name, column, "_");
    if (other != check.expression) return fmt::format("CHECK ({})", check.expression);
  }
  return "";
}

Error Used(const StreamDefinition& stream, const std::string& column, const std::string& use) {
  return Error(Code::kConflict, "column {} of stream {} is needed by its {}", Quoted(column),
               Quoted(stream.name), use)
      .SqlState("2BP01");
}

// Makes a change in a copy of the definition. False: nothing to change.
class Changer {
 public:
  explicit Changer(StreamDefinition& stream, catalog::Comments& comments)
      : stream_(stream), comments_(comments) {}

  Result<bool> operator()(const sql::AddColumn& add) {
    if (stream_.schema.Find(add.column.name)) {
      if (add.if_not_exists) return false;
      return Taken(add.column.name);
    }
    TRY(CheckNoAlias(add.column.name));
    if (add.column.not_null && (!add.column.default_value || add.column.default_value->IsNull())) {
      return Error(Code::kInvalidArgument,
                   "column {} is NOT NULL, and the rows that are there have no value for it",
                   Quoted(add.column.name))
          .Hint("give it a DEFAULT: it is what earlier rows have")
          .SqlState("23502");
    }
    rows::Column column = add.column;
    column.id = catalog::NextColumnId(stream_);
    stream_.schema.columns.push_back(std::move(column));
    stream_.checks.insert(stream_.checks.end(), add.checks.begin(), add.checks.end());
    return true;
  }

  Result<bool> operator()(const sql::DropColumn& drop) {
    const auto found = stream_.schema.Find(drop.column);
    if (!found && drop.if_exists) return false;
    if (!found) return NoColumn(stream_, drop.column);
    if (const std::string use = UseOf(stream_, drop.column); !use.empty())
      return Used(stream_, drop.column, use);
    stream_.schema.columns.erase(stream_.schema.columns.begin() +
                                 static_cast<std::ptrdiff_t>(*found));
    comments_.columns.erase(rows::LowerName(drop.column));
    return true;
  }

  Result<bool> operator()(const sql::RenameColumn& rename) {
    const auto found = stream_.schema.Find(rename.from);
    if (!found) return NoColumn(stream_, rename.from);
    rows::Column& column = stream_.schema.columns[*found];
    if (column.name == rename.to) return false;
    if (!rows::EqualNames(rename.from, rename.to)) {
      if (stream_.schema.Find(rename.to)) return Taken(rename.to);
      const auto is_new_name = [&](const std::string& alias) {
        return rows::EqualNames(alias, rename.to);
      };
      std::erase_if(column.aliases, is_new_name);  // back to what it was called
      TRY(CheckNoAlias(rename.to));
      column.aliases.push_back(column.name);
    }
    RenameUses(column.name, rename.to);
    column.name = rename.to;
    return true;
  }

  Result<bool> operator()(const sql::DropAlias& drop) {
    for (rows::Column& column : stream_.schema.columns) {
      const auto same = [&](const std::string& alias) {
        return rows::EqualNames(alias, drop.alias);
      };
      if (std::erase_if(column.aliases, same) > 0) return true;
    }
    std::vector<std::string> aliases;
    for (const rows::Column& column : stream_.schema.columns)
      aliases.insert(aliases.end(), column.aliases.begin(), column.aliases.end());
    return Error(Code::kNotFound, "no column of stream {} was called {}", Quoted(stream_.name),
                 Quoted(drop.alias))
        .Hint(DidYouMean(drop.alias, aliases))
        .SqlState("42703");
  }

  Result<bool> operator()(const sql::AlterColumn& alter) {
    const auto found = stream_.schema.Find(alter.column);
    if (!found) return NoColumn(stream_, alter.column);
    rows::Column& column = stream_.schema.columns[*found];
    using What = sql::AlterColumn::What;
    switch (alter.what) {
      case What::kSetType:
        return SetType(column, alter.type);
      case What::kSetDefault: {
        auto value = catalog::ConstantFromSql(alter.constant, column.type);
        TRY(column.default_value,
            std::move(value).With("DEFAULT of column " + Quoted(column.name)));
        return true;
      }
      case What::kDropDefault:
        column.default_value.reset();
        return true;
      case What::kSetNotNull:
      case What::kDropNotNull:
        if (column.not_null == (alter.what == What::kSetNotNull)) return false;
        column.not_null = alter.what == What::kSetNotNull;
        return true;
    }
    return false;
  }

  Result<bool> operator()(const sql::AddCheck& add) {
    stream_.checks.push_back({add.expression});
    return true;
  }

  Result<bool> operator()(const sql::DropCheck& drop) {
    const auto found = std::find_if(
        stream_.checks.begin(), stream_.checks.end(), [&](const catalog::Check& check) {
          return catalog::SameExpression(check.expression, drop.expression);
        });
    if (found == stream_.checks.end()) {
      std::string list;
      for (const catalog::Check& check : stream_.checks)
        list += fmt::format("{}CHECK ({})", list.empty() ? "" : ", ", check.expression);
      return Error(Code::kNotFound, "stream {} has no CHECK ({})", Quoted(stream_.name),
                   drop.expression)
          .Hint(list.empty() ? "it has none" : "it has " + list)
          .SqlState("42704");
    }
    stream_.checks.erase(found);
    return true;
  }

 private:
  Error Taken(const std::string& name) const {
    return Error(Code::kAlreadyExists, "stream {} has a column {} already", Quoted(stream_.name),
                 Quoted(name))
        .SqlState("42701");
  }

  // A field of that name in a record would be for two columns.
  Status CheckNoAlias(const std::string& name) const {
    const auto found = stream_.schema.FindField(name);
    if (!found) return Ok();
    return Error(Code::kConflict, "records of stream {} may still call column {} {}",
                 Quoted(stream_.name), Quoted(stream_.schema.columns[*found].name), Quoted(name))
        .Hint(fmt::format("ALTER STREAM {} DROP ALIAS {} ends that", stream_.name, name))
        .SqlState("42701");
  }

  void RenameUses(const std::string& from, const std::string& to) {
    const auto rename = [&](std::string& name) {
      if (rows::EqualNames(name, from)) name = to;
    };
    if (stream_.watermark) rename(stream_.watermark->column);
    if (stream_.deduplicate)
      std::for_each(stream_.deduplicate->columns.begin(), stream_.deduplicate->columns.end(),
                    rename);
    std::for_each(stream_.partition_by.begin(), stream_.partition_by.end(), rename);
    for (catalog::Check& check : stream_.checks)
      check.expression = sql::ColumnRenamed(check.expression, stream_.name, from, to);
    const auto comment = comments_.columns.extract(rows::LowerName(from));
    if (!comment.empty()) comments_.columns[rows::LowerName(to)] = comment.mapped();
  }

  Result<bool> SetType(rows::Column& column, const duckdb::LogicalType& type) const {
    if (column.type == type) return false;
    const std::string use = UseOf(stream_, column.name);
    if (!use.empty() && !use.starts_with("CHECK")) return Used(stream_, column.name, use);
    if (!catalog::CanWiden(column.type, type)) {
      return Error(Code::kNotSupported, "column {} is {}, which cannot become {}",
                   Quoted(column.name), catalog::TypeText(column.type), catalog::TypeText(type))
          .Hint(
              "a type can only become one that has all its values: a wider integer or DECIMAL, "
              "FLOAT to DOUBLE, DATE to TIMESTAMP, an ENUM with more values at its end; add "
              "another column for another type")
          .SqlState("42846");
    }
    if (column.default_value) column.default_value = column.default_value->DefaultCastAs(type);
    column.type = type;
    return true;
  }

  StreamDefinition& stream_;
  catalog::Comments& comments_;
};

// The streams whose columns or CHECKs the changes alter: as they are, and as they will be.
struct AlteredStream {
  const StreamDefinition& before;
  const StreamDefinition& after;
  std::vector<int> touched;  // ids
};

std::vector<AlteredStream> AlteredStreams(const catalog::Catalog& before,
                                          const std::vector<catalog::Change>& changes) {
  std::vector<AlteredStream> altered;
  for (const catalog::Change& change : changes) {
    const auto* alter = std::get_if<catalog::Alter>(&change);
    if (alter == nullptr || alter->kind() != catalog::Kind::kStream) continue;
    const StreamDefinition* old = before.FindStream(alter->name);
    const auto& stream = std::get<StreamDefinition>(alter->object.definition);
    if (old == nullptr || old->earlier.size() == stream.earlier.size()) continue;
    altered.push_back({*old, stream, catalog::Touched(*old, stream)});
  }
  return altered;
}

Error Breaks(const AlteredStream& stream, const catalog::Object& reader, const std::string& what) {
  return Error(Code::kConflict, "{} {} {} of stream {}", catalog::KindName(reader.kind()),
               Quoted(reader.name()), what, Quoted(stream.before.name))
      .Hint("change or drop it first")
      .SqlState("2BP01");
}

// Whether the node only counts its input's rows: a scan for count(*) is of the first column,
// whatever that is.
bool OnlyCounts(const stream::Node& node) {
  const auto* aggregate = std::get_if<stream::Aggregate>(&node.op);
  return aggregate != nullptr && aggregate->groups.empty() &&
         std::all_of(aggregate->calls.begin(), aggregate->calls.end(),
                     [](const stream::AggregateCall& call) {
                       return call.arguments.empty() && !call.filter && call.orders.empty();
                     });
}

bool OnlyCounted(const stream::Plan& plan, size_t index) {
  return std::all_of(plan.nodes.begin(), plan.nodes.end(), [&](const stream::Node& node) {
    return std::find(node.inputs.begin(), node.inputs.end(), index) == node.inputs.end() ||
           OnlyCounts(node);
  });
}

// The columns of a relation that a plan uses: what its readers there do not name, it does not.
std::vector<bool> ColumnsUsed(const stream::Plan& plan, const std::string& relation, size_t width) {
  std::vector<bool> used(width, false);
  for (size_t i = 0; i < plan.nodes.size(); ++i) {
    const stream::Node& node = plan.nodes[i];
    for (const size_t input : node.inputs) {
      const auto* read = std::get_if<stream::Relation>(&plan.nodes[input].op);
      if (read == nullptr || !rows::EqualNames(read->name, relation)) continue;
      const auto* project = std::get_if<stream::Project>(&node.op);
      if (project == nullptr) {
        used.assign(width, true);
        continue;
      }
      if (OnlyCounted(plan, i)) continue;
      const std::function<void(const duckdb::Expression&)> note =
          [&](const duckdb::Expression& expression) {
            if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF)
              used.at(expression.Cast<duckdb::BoundReferenceExpression>().index) = true;
            duckdb::ExpressionIterator::EnumerateChildren(expression, note);
          };
      for (const auto& expression : project->expressions) note(*expression);
    }
  }
  return used;
}

class DependentReader {
 public:
  DependentReader(sql::Database& database, const catalog::Catalog& before,
                  const catalog::Catalog& after, const AlteredStream& stream,
                  const catalog::Object& object)
      : database_(database), before_(before), after_(after), stream_(stream), object_(object) {}

  // The reader as it will be, where it changes.
  Result<std::optional<catalog::Object>> Follow() {
    if (const auto* view = std::get_if<catalog::ViewDefinition>(&object_.definition)) {
      if (!view->materialized) return FollowPlain(*view);
      TRY(CheckMaterialized(*view));
    } else if (const auto* endpoint =
                   std::get_if<catalog::EndpointDefinition>(&object_.definition)) {
      std::map<std::string, duckdb::LogicalType> types;
      for (const auto& parameter : endpoint->parameters) types[parameter.name] = parameter.type;
      const auto bound = database_.Bind(after_, endpoint->select, types, Place(endpoint->select));
      if (!bound.ok()) return Unbound(bound.error());
    } else if (const auto* macro = std::get_if<catalog::MacroDefinition>(&object_.definition)) {
      const Status bound = database_.CheckMacro(after_, *macro, Place(macro->body));
      if (!bound.ok()) return Unbound(bound.error());
    }
    return std::optional<catalog::Object>();
  }

 private:
  static sql::Origin Place(const std::string& text) { return {"", text, 0, text.size()}; }

  Error Unbound(const Error& error) const {
    return Error(Code::kConflict, "{} {} reads stream {}, and would not any more: {}",
                 catalog::KindName(object_.kind()), Quoted(object_.name()),
                 Quoted(stream_.before.name), error.message())
        .Hint("change or drop it first")
        .SqlState("2BP01");
  }

  Status CheckMaterialized(const catalog::ViewDefinition& view) {
    if (stream_.touched.empty()) return Ok();
    const std::optional<catalog::Catalog> as_bound = before_.AsOf(object_.bound_generation());
    const catalog::Catalog& bound_to = as_bound ? *as_bound : before_;
    TRY(const sql::ViewPlan planned, database_.PlanView(bound_to, view, Place(view.select)));
    const rows::Schema& schema = bound_to.FindStream(stream_.before.name)->schema;
    const size_t width = schema.columns.size() + catalog::kHiddenStreamColumns;
    const std::vector<bool> used = ColumnsUsed(planned.plan, stream_.before.name, width);
    for (size_t i = 0; i < schema.columns.size(); ++i) {
      const rows::Column& column = schema.columns[i];
      const auto touched = std::find(stream_.touched.begin(), stream_.touched.end(), column.id);
      if (used[i] && touched != stream_.touched.end())
        return Breaks(stream_, object_, fmt::format("uses column {}", Quoted(column.name)));
    }
    return Ok();
  }

  Result<std::optional<catalog::Object>> FollowPlain(const catalog::ViewDefinition& view) {
    auto bound = database_.Bind(after_, view.select, {}, Place(view.select));
    if (!bound.ok()) return Unbound(bound.error());
    bool same = bound->schema.columns.size() == view.schema.columns.size();
    for (const rows::Column& column : view.schema.columns) {
      const auto found = bound->schema.Find(column.name);
      if (!found)
        return Breaks(stream_, object_, fmt::format("shows column {}", Quoted(column.name)));
      same = same && bound->schema.columns[*found].type == column.type;
    }
    if (same) return std::optional<catalog::Object>();
    catalog::Object changed = object_;
    std::get<catalog::ViewDefinition>(changed.definition).schema = std::move(bound->schema);
    return std::optional(std::move(changed));
  }

  sql::Database& database_;
  const catalog::Catalog& before_;
  const catalog::Catalog& after_;
  const AlteredStream& stream_;
  const catalog::Object& object_;
};

// Whether the changes end the reader, or put another in its place at once. A materialized view that
// is replaced is read until the other is built.
bool Ends(const std::vector<catalog::Change>& changes, const catalog::Object& reader) {
  const auto* view = std::get_if<catalog::ViewDefinition>(&reader.definition);
  const bool built = view != nullptr && view->materialized;
  const std::string key = catalog::NameKey(reader.kind(), reader.name());
  return std::any_of(changes.begin(), changes.end(), [&](const catalog::Change& change) {
    if (const auto* drop = std::get_if<catalog::Drop>(&change))
      return catalog::NameKey(drop->kind, drop->name) == key;
    const auto* create = std::get_if<catalog::Create>(&change);
    return create != nullptr && !built &&
           catalog::NameKey(create->object.kind(), create->object.name()) == key;
  });
}

}  // namespace

Result<bool> ChangeColumns(sql::Database& database, const catalog::Catalog& catalog,
                           const sql::AlterStatement& alter, catalog::Object& object) {
  auto& stream = std::get<StreamDefinition>(object.definition);
  if (stream.format == StreamDefinition::Format::kRaw)
    return Error(Code::kNotSupported, "the columns of a raw stream are those of its records")
        .Hint("a view over it can have others");
  const StreamDefinition before = stream;
  TRY(const bool changed,
      std::visit(Changer(stream, object.comments), std::get<sql::ColumnChange>(alter.action)));
  if (!changed) return false;
  TRY(catalog::KeepVersion(before, stream));
  // What earlier versions name stays named: records are still judged by them.
  const auto use = [&](const catalog::Use& named) {
    if (std::find(object.uses.begin(), object.uses.end(), named) == object.uses.end())
      object.uses.push_back(named);
  };
  std::for_each(alter.uses.begin(), alter.uses.end(), use);
  for (const catalog::Check& check : stream.checks) {
    for (const catalog::Use& named :
         sql::WordsNamed(check.expression, sql::TextKind::kExpression, *catalog.vocabulary()))
      use(named);
    TRY(database
            .Condition(catalog, stream.schema, check.expression,
                       {"", check.expression, 0, check.expression.size()})
            .With(fmt::format("CHECK ({})", check.expression)));
  }
  return true;
}

Result<std::vector<catalog::Change>> FollowColumns(sql::Database& database,
                                                   const catalog::Catalog& before,
                                                   const std::vector<catalog::Change>& changes) {
  std::vector<catalog::Change> more;
  const std::vector<AlteredStream> altered = AlteredStreams(before, changes);
  if (altered.empty()) return more;
  TRY(const catalog::CatalogPtr after, before.Apply(changes));
  for (const AlteredStream& stream : altered) {
    for (const catalog::Object* reader : before.DependentObjects(stream.before.name)) {
      if (Ends(changes, *reader)) continue;
      TRY(std::optional<catalog::Object> changed,
          DependentReader(database, before, *after, stream, *reader).Follow());
      if (changed) more.emplace_back(catalog::Alter{reader->name(), *std::move(changed)});
    }
  }
  return more;
}

}  // namespace millrace::runtime
