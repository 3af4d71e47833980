#include "runtime/definer.h"

#include <algorithm>
#include <map>
#include <set>

#include "connectors/source.h"
#include "runtime/model_catalog.h"
#include "runtime/relation.h"
#include "sql/duckdb_error.h"

namespace millrace::runtime {

namespace {

Error AtStatement(Error error, const Declared& declared) {
  if (error.position()) return error;
  return std::move(error).At(PositionAt(*declared.text, declared.begin, declared.file));
}

Status RequireColumn(const rows::Schema& schema, const std::string& column, std::string_view clause,
                     const std::string& object) {
  if (schema.Find(column)) return Ok();
  return Error(Code::kNotFound, "{}: column {} does not exist in {}", clause, Quoted(column),
               Quoted(object))
      .Hint(DidYouMean(column, schema.names()))
      .SqlState("42703");
}

Status RequireDistinctNames(const rows::Schema& schema, const std::string& object) {
  std::set<std::string> seen;
  for (const rows::Column& column : schema.columns) {
    if (!seen.insert(rows::LowerName(column.name)).second) {
      return Error(Code::kInvalidArgument, "{}: column {} is declared twice", Quoted(object),
                   Quoted(column.name))
          .SqlState("42701");
    }
  }
  return Ok();
}

// The types, macros and models that an object names in its texts; those of its columns the parser
// knows.
class WordsOf {
 public:
  explicit WordsOf(const catalog::Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  void operator()(const catalog::StreamDefinition& stream) { Checks(stream.checks); }
  void operator()(const catalog::TableDefinition& table) { Checks(table.checks); }
  void operator()(const catalog::ViewDefinition& view) { Add(view.select, sql::TextKind::kSelect); }
  void operator()(const catalog::MacroDefinition& macro) { Add(macro.body, sql::TextKind::kMacro); }
  void operator()(const catalog::EndpointDefinition& endpoint) {
    Add(endpoint.select, sql::TextKind::kSelect);
    for (const auto& parameter : endpoint.parameters)
      Add(parameter.check, sql::TextKind::kExpression);
  }
  void operator()(const auto&) {}

  std::vector<catalog::Use> Take(const std::vector<catalog::Use>& more) {
    for (const catalog::Use& use : more) Add(use);
    return std::move(uses_);
  }

 private:
  void Checks(const std::vector<catalog::Check>& checks) {
    for (const catalog::Check& check : checks) Add(check.expression, sql::TextKind::kExpression);
  }
  void Add(const std::string& text, sql::TextKind kind) {
    for (const catalog::Use& use : sql::WordsNamed(text, kind, vocabulary_)) Add(use);
  }
  void Add(const catalog::Use& use) {
    if (std::find(uses_.begin(), uses_.end(), use) == uses_.end()) uses_.push_back(use);
  }

  const catalog::Vocabulary& vocabulary_;
  std::vector<catalog::Use> uses_;
};

// What DuckDB answers wrongly (sql/refused_plans.h) no new view asks for.
Status CheckAnswer(const stream::Plan& plan) {
  for (const stream::Node& node : plan.nodes) {
    const auto* join = std::get_if<stream::AsofJoin>(&node.op);
    if (join == nullptr) continue;
    std::vector<stream::ColumnIndex> columns = join->left_keys;
    columns.push_back(join->left_value);
    for (const stream::ColumnIndex column : columns) {
      const duckdb::LogicalType& type = plan.nodes[node.inputs[0]].types[column];
      if (type.IsNested())
        return Error(
                   Code::kNotSupported,
                   "an ASOF join on a {} cannot be maintained in a materialized view: DuckDB pairs "
                   "rows of different keys",
                   duckdb::LogicalTypeIdToString(type.id()))
            .Hint("join on its parts or on its text");
    }
  }
  return Ok();
}

// What a statement's own text can be wrong in (names of its columns, types of its clauses) the
// parser has seen to; here comes what only the catalog and DuckDB can tell.
class Binder {
 public:
  Binder(sql::Database& database, const catalog::Catalog& catalog, const Declared& declared,
         std::vector<std::string>& notices)
      : database_(database), catalog_(catalog), declared_(declared), notices_(notices) {}

  Status operator()(catalog::StreamDefinition& stream) {
    if (stream.deduplicate && !stream.deduplicate->within) {
      notices_.push_back(
          fmt::format("stream {}: DEDUPLICATE without WITHIN remembers every key for ever",
                      Quoted(stream.name)));
    }
    return CheckConditions(stream.schema, stream.checks);
  }

  Status operator()(catalog::TableDefinition& table) {
    for (const std::string& column : table.primary_key)
      table.schema.columns[*table.schema.Find(column)].not_null = true;
    TRY(CheckTopic(table));
    return CheckConditions(table.schema, table.checks);
  }

  Status operator()(catalog::ViewDefinition& view) {
    if (view.materialized) {
      TRY(sql::ViewPlan plan, database_.PlanView(catalog_, view, SelectOrigin()));
      if (Status answer = CheckAnswer(plan.plan); !answer.ok()) {
        return sql::Place::Of(SelectOrigin(), view.select)
            .MarkWord(std::move(answer).error(), {"asof"})
            .With("CREATE MATERIALIZED VIEW " + view.name);
      }
      view.schema = std::move(plan.schema);
      view.reads = std::move(plan.reads);
      TRY(DefineChanges(view, plan.key));
      for (const std::string& notice : plan.notices)
        notices_.push_back(fmt::format("view {}: {}", Quoted(view.name), notice));
    } else {
      TRY(sql::Database::Bound bound, database_.Bind(catalog_, view.select, {}, SelectOrigin()));
      view.schema = std::move(bound.schema);
      view.reads = std::move(bound.reads);
    }
    return RequireDistinctNames(view.schema, view.name);
  }

  Status operator()(catalog::IndexDefinition& index) {
    const catalog::Object* object = catalog_.Find(index.relation);
    if (object == nullptr) {
      return Error(Code::kNotFound, "view {} does not exist", Quoted(index.relation))
          .Hint(DidYouMean(index.relation, catalog_.RelationNames()));
    }
    if (!HoldsRows(*object) || object->kind() == catalog::Kind::kStream) {
      return Error(Code::kInvalidArgument,
                   "an index is on a materialized view or table; {} is a {}",
                   Quoted(index.relation),
                   object->kind() == catalog::Kind::kView ? "plain view"
                                                          : catalog::KindName(object->kind()));
    }
    const rows::Schema schema = catalog::ShapeOf(*object).schema;
    for (const std::string& column : index.columns)
      TRY(RequireColumn(schema, column, "CREATE INDEX", index.relation));
    return Ok();
  }

  Status operator()(catalog::SourceDefinition& source) {
    if (catalog_.FindStream(source.into) == nullptr) {
      std::vector<std::string> streams;
      for (const catalog::Object* object : catalog_.OfKind(catalog::Kind::kStream))
        streams.push_back(object->name());
      return Error(Code::kNotFound, "stream {} does not exist", Quoted(source.into))
          .Hint(DidYouMean(source.into, streams));
    }
    return connectors::CheckSource(source);
  }

  Status operator()(catalog::TypeDefinition&) { return Ok(); }

  Status operator()(catalog::MacroDefinition& macro) {
    return database_.CheckMacro(catalog_, macro, SelectOrigin()).With("CREATE MACRO " + macro.name);
  }

  Status operator()(catalog::ModelDefinition& model) {
    Status examined = ExamineModel(database_.models(), model);
    if (examined.ok()) return Ok();
    return std::move(examined)
        .error()
        .At(PositionAt(*declared_.text, declared_.create.select_begin, declared_.file))
        .With("CREATE MODEL " + model.name);
  }

  Status operator()(catalog::EndpointDefinition& endpoint) {
    std::map<std::string, duckdb::LogicalType> types;
    for (const auto& parameter : endpoint.parameters) types[parameter.name] = parameter.type;
    TRY(sql::Database::Bound bound,
        database_.Bind(catalog_, endpoint.select, types, SelectOrigin()));
    endpoint.reads = std::move(bound.reads);
    for (size_t open = endpoint.path.find('{'); open != std::string::npos;
         open = endpoint.path.find('{', open + 1)) {
      const std::string name =
          endpoint.path.substr(open + 1, endpoint.path.find('}', open) - open - 1);
      if (types.contains(name)) continue;
      std::vector<std::string> names;
      for (const auto& [known, type] : types) names.push_back(known);
      return Error(Code::kInvalidArgument, "the path's parameter {{{}}} is not declared", name)
          .Hint(DidYouMean(name, names));
    }
    for (const catalog::Object* other : catalog_.OfKind(catalog::Kind::kEndpoint)) {
      const auto& existing = std::get<catalog::EndpointDefinition>(other->definition);
      if (existing.path == endpoint.path && existing.method == endpoint.method &&
          !rows::EqualNames(existing.name, endpoint.name)) {
        return Error(Code::kAlreadyExists, "endpoint {} serves {} {} already",
                     Quoted(existing.name), endpoint.method, endpoint.path);
      }
    }
    return Ok();
  }

 private:
  // That it holds raw records, the catalog checks.
  Status CheckTopic(const catalog::TableDefinition& table) const {
    if (table.topic.empty() || catalog_.FindRelation(table.topic) != nullptr) return Ok();
    const auto at_topic = [&](Error error) {
      return std::move(error).At(
          PositionAt(*declared_.text, declared_.create.topic_begin, declared_.file));
    };
    if (table.topic.starts_with("__"))
      return at_topic(
          Error(Code::kInvalidArgument, "topic {} is the node's own", Quoted(table.topic))
              .SqlState("42809"));
    if (const catalog::Object* view = catalog_.FindChangesTopic(table.topic))
      return at_topic(Error(Code::kInvalidArgument, "topic {} is written by view {}",
                            Quoted(table.topic), Quoted(view->name()))
                          .Hint("read the view: it has the rows that they add up to")
                          .SqlState("42809"));
    std::vector<std::string> topics;
    for (const catalog::Object* object : catalog_.OfKind(catalog::Kind::kStream)) {
      const auto& stream = std::get<catalog::StreamDefinition>(object->definition);
      if (stream.format == catalog::StreamDefinition::Format::kRaw) topics.push_back(stream.name);
    }
    std::string hint = DidYouMean(table.topic, topics);
    if (hint.empty())
      hint = fmt::format(
          "a Kafka client makes it when it first writes to it, or CREATE STREAM {} INTO 1 "
          "PARTITIONS WITH (format = 'raw')",
          Quoted(table.topic));
    return at_topic(Error(Code::kNotFound, "topic {} does not exist", Quoted(table.topic))
                        .Hint(std::move(hint))
                        .SqlState("42P01"));
  }
  Status DefineChanges(catalog::ViewDefinition& view, const std::vector<size_t>& key) const {
    view.key.clear();
    for (const size_t column : key) view.key.push_back(view.schema.columns[column].name);
    if (view.changes == catalog::ViewDefinition::Changes::kUpsert && view.key.empty())
      return Error(Code::kInvalidArgument,
                   "view {}: changes = 'upsert' needs columns that identify a row, and this SELECT "
                   "has none that are known",
                   Quoted(view.name))
          .Hint("GROUP BY or DISTINCT ON gives them; changes = 'append' does without");
    return Ok();
  }

  // The place of the inner SELECT in the user's file.
  sql::Origin SelectOrigin() const {
    return {declared_.file, *declared_.text, declared_.create.select_begin,
            declared_.begin + declared_.statement_text.size()};
  }
  Status CheckConditions(const rows::Schema& schema, const std::vector<catalog::Check>& checks) {
    for (const catalog::Check& check : checks) {
      TRY(database_
              .Condition(catalog_, schema, check.expression,
                         {"", check.expression, 0, check.expression.size()})
              .With(fmt::format("CHECK ({})", check.expression)));
    }
    return Ok();
  }

  sql::Database& database_;
  const catalog::Catalog& catalog_;
  const Declared& declared_;
  std::vector<std::string>& notices_;
};

}  // namespace

Declared DeclaredFrom(const sql::Statement& statement, std::shared_ptr<const std::string> text,
                      const std::string& file) {
  Declared declared;
  declared.create = std::get<sql::CreateStatement>(statement.statement);
  declared.statement_text = statement.text;
  declared.file = file;
  declared.text = std::move(text);
  declared.begin = statement.begin;
  return declared;
}

Result<Defined> Define(sql::Database& database, const catalog::Catalog& base,
                       const std::vector<Declared>& declared) {
  // What is declared shadows what is there, and with it whatever needs that.
  std::set<std::string> declared_names;
  std::set<std::string> shadowed;
  for (const Declared& item : declared) {
    catalog::Object object;
    object.definition = item.create.definition;
    if (!declared_names.insert(catalog::NameKey(object.kind(), object.name())).second) {
      return AtStatement(Error(Code::kAlreadyExists, "{} is declared twice", Quoted(object.name())),
                         item);
    }
    for (const catalog::Object* dependent : base.DependentObjects(object.kind(), object.name())) {
      shadowed.insert(catalog::NameKey(dependent->kind(), dependent->name()));
    }
  }
  shadowed.insert(declared_names.begin(), declared_names.end());
  std::vector<catalog::Change> kept;
  for (const catalog::Object* object : base.InOrder()) {
    if (!shadowed.contains(catalog::NameKey(object->kind(), object->name())))
      kept.push_back(catalog::Create{*object, false});
  }
  TRY(catalog::CatalogPtr catalog, catalog::Catalog::Empty()->Apply(kept));

  Defined defined;
  std::vector<const Declared*> waiting;
  for (const Declared& item : declared) waiting.push_back(&item);
  // A statement may read what a later one declares: those that do not bind yet are tried again
  // while others succeed.
  while (!waiting.empty()) {
    std::vector<const Declared*> failed;
    std::optional<Error> first_error;
    for (const Declared* item : waiting) {
      catalog::Object object;
      object.definition = item->create.definition;
      object.text = item->statement_text;
      object.file = item->file;
      object.line = PositionAt(*item->text, item->begin).line;
      std::vector<std::string> notices;
      Status bound = std::visit(Binder(database, *catalog, *item, notices), object.definition);
      if (bound.ok()) {
        WordsOf words(*catalog->vocabulary());
        std::visit(words, object.definition);
        object.uses = words.Take(item->create.uses);
        auto next = catalog->Apply({catalog::Create{object, false}});
        if (next.ok()) {
          catalog = *next;
          defined.objects.push_back(std::move(object));
          defined.notices.insert(defined.notices.end(), notices.begin(), notices.end());
          continue;
        }
        bound = next.error();
      }
      failed.push_back(item);
      if (!first_error) first_error = AtStatement(bound.error(), *item);
    }
    if (failed.size() == waiting.size()) return *first_error;
    waiting = std::move(failed);
  }
  return defined;
}

}  // namespace millrace::runtime
