#include "runtime/statements.h"

#include <algorithm>

#include "ingest/token.h"
#include "runtime/prepared_lookup.h"
#include "runtime/row_text.h"
#include "runtime/set_aside.h"

namespace millrace::runtime {

namespace {

using duckdb::LogicalType;
using duckdb::Value;

rows::Schema TextSchema(const std::vector<const char*>& names) {
  rows::Schema schema;
  for (const char* name : names) {
    rows::Column column;
    column.name = name;
    column.type = LogicalType::VARCHAR;
    schema.columns.push_back(std::move(column));
  }
  return schema;
}

sql::QueryResult TextResult(const std::vector<const char*>& names,
                            const std::vector<std::vector<Value>>& rows) {
  sql::QueryResult result;
  result.schema = TextSchema(names);
  for (size_t begin = 0; begin < rows.size(); begin += STANDARD_VECTOR_SIZE) {
    const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, rows.size() - begin);
    auto chunk = std::make_shared<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), result.schema.types());
    for (size_t row = 0; row < count; ++row) {
      for (size_t column = 0; column < names.size(); ++column)
        chunk->SetValue(column, row, rows[begin + row][column]);
    }
    chunk->SetCardinality(count);
    result.chunks.push_back(std::move(chunk));
  }
  return result;
}

std::vector<std::vector<Value>> Lines(const std::string& text) {
  std::vector<std::vector<Value>> rows;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    rows.push_back({Value(text.substr(begin, end - begin))});
    begin = end + 1;
  }
  return rows;
}

// The comment on a column of the object, which may be nullptr.
Value CommentOf(const catalog::Object* object, const std::string& column) {
  if (object == nullptr) return Value(LogicalType::VARCHAR);
  const auto found = object->comments.columns.find(rows::LowerName(column));
  return found == object->comments.columns.end() ? Value(LogicalType::VARCHAR)
                                                 : Value(found->second);
}

class Executor {
 public:
  Executor(Node::Impl& node, const sql::Statement& statement, std::string_view text,
           const StatementOptions& options)
      : node_(node), whole_(statement), text_(text), options_(options), limits_(options.limits()) {}

  Result<StatementResult> operator()(const sql::SelectStatement& select) {
    return Select(select.text);
  }

  Result<StatementResult> operator()(const sql::ShowStatement& show) {
    switch (show.kind) {
      case catalog::Kind::kStream:
        return Select("SELECT * FROM millrace.streams", "SHOW");
      case catalog::Kind::kTable:
        return Select("SELECT * FROM millrace.tables", "SHOW");
      case catalog::Kind::kView:
        return Select("SELECT * FROM millrace.views", "SHOW");
      case catalog::Kind::kIndex:
        return Select("SELECT * FROM millrace.indexes", "SHOW");
      case catalog::Kind::kSource:
        return Select("SELECT * FROM millrace.sources", "SHOW");
      case catalog::Kind::kEndpoint:
        return Select("SELECT * FROM millrace.endpoints", "SHOW");
      case catalog::Kind::kType:
        return Select("SELECT * FROM millrace.types", "SHOW");
      case catalog::Kind::kMacro:
        return Select("SELECT * FROM millrace.macros", "SHOW");
      case catalog::Kind::kModel:
        return Select("SELECT * FROM millrace.models", "SHOW");
    }
    return Error(Code::kInternal, "SHOW of an unknown kind");
  }

  Result<StatementResult> operator()(const sql::DescribeStatement& describe) {
    const auto snapshot = Snapshot();
    rows::Schema schema;
    size_t visible = 0;
    const catalog::Object* object = snapshot->catalog().FindRelation(describe.name);
    if (object != nullptr && object->kind() == catalog::Kind::kView && !HoldsRows(*object)) {
      schema = std::get<catalog::ViewDefinition>(object->definition).schema;
      visible = schema.columns.size();
    } else {
      TRY(const sql::Snapshot::RelationShape shape, snapshot->Shape(describe.name));
      schema = shape.schema;
      visible = shape.visible;
    }
    const Value none(LogicalType::VARCHAR);
    std::vector<std::vector<Value>> rows;
    for (size_t i = 0; i < visible; ++i) {
      const rows::Column& column = schema.columns[i];
      rows.push_back({Value(column.name), Value(column.type.ToString()),
                      Value(column.not_null ? "NO" : "YES"),
                      column.default_value ? Value(column.default_value->ToSQLString()) : none,
                      CommentOf(object, column.name)});
    }
    return Rows("DESCRIBE", TextResult({"column", "type", "null", "default", "comment"}, rows),
                snapshot->step());
  }

  Result<StatementResult> operator()(const sql::ExplainStatement& explain) {
    const auto snapshot = Snapshot();
    if (!explain.view.empty()) {
      const catalog::ViewDefinition* view = snapshot->catalog().FindView(explain.view);
      if (view == nullptr) {
        return Error(Code::kNotFound, "view {} does not exist", Quoted(explain.view))
            .Hint(DidYouMean(explain.view, snapshot->catalog().RelationNames()));
      }
      if (!view->materialized) return ExplainSelect(snapshot, view->select);
      return ExplainView(snapshot, *view, {"", view->select, 0, view->select.size()},
                         RunningOperators(snapshot->catalog(), view->name, explain.analyze));
    }
    auto parsed = sql::Parse(explain.text, {}, sql::TypesOf(snapshot->catalog()));
    TRY(const std::vector<sql::Statement> inner, std::move(parsed));
    if (inner.size() != 1) return Error(Code::kInvalidArgument, "EXPLAIN takes one statement");
    if (const auto* create = std::get_if<sql::CreateStatement>(&inner[0].statement)) {
      const auto* view = std::get_if<catalog::ViewDefinition>(&create->definition);
      if (view != nullptr && view->materialized) {
        return ExplainView(snapshot, *view,
                           {"", text_, explain.text_begin + create->select_begin, text_.size()},
                           "");
      }
    }
    if (const auto* select = std::get_if<sql::SelectStatement>(&inner[0].statement))
      return ExplainSelect(snapshot, select->text);
    return Error(Code::kNotSupported, "EXPLAIN of this statement")
        .Hint("EXPLAIN VIEW name, EXPLAIN CREATE MATERIALIZED VIEW …, EXPLAIN SELECT …");
  }

  Result<StatementResult> operator()(const sql::WriteStatement& write) {
    const catalog::CatalogPtr catalog = node_.publisher.newest()->catalog;
    const catalog::Object* target = catalog->FindRelation(write.target);
    if (target == nullptr ||
        (target->kind() != catalog::Kind::kStream && target->kind() != catalog::Kind::kTable)) {
      if (target != nullptr) {
        return Error(Code::kInvalidArgument, "{} is a {}; rows go into streams and tables",
                     Quoted(write.target), catalog::KindName(target->kind()));
      }
      return Error(Code::kNotFound, "table {} does not exist", Quoted(write.target))
          .Hint(DidYouMean(write.target, catalog->RelationNames()))
          .SqlState("42P01");
    }
    static constexpr const char* kTags[] = {"INSERT", "UPDATE", "DELETE"};
    StatementResult result;
    result.tag = kTags[static_cast<int>(write.what)];
    if (target->kind() == catalog::Kind::kTable) {
      TRY(WriteOutcome outcome, node_.table_writer->Execute(write, options_.parameters, limits_));
      result.affected = outcome.affected;
      result.token = std::move(outcome.token);
      if (!outcome.returning.schema.columns.empty()) result.rows = std::move(outcome.returning);
    } else {
      TRY(InsertIntoStream(write, std::get<catalog::StreamDefinition>(target->definition), result));
    }
    result.step = node_.publisher.newest()->state.step.value;
    return result;
  }

  Result<StatementResult> operator()(const sql::CreateStatement&) {
    return ExecuteCreate(node_, whole_, text_, options_);
  }
  Result<StatementResult> operator()(const sql::DropStatement& drop) {
    return ExecuteDrop(node_, drop);
  }
  Result<StatementResult> operator()(const sql::CommentStatement& comment) {
    return ExecuteComment(node_, comment);
  }
  Result<StatementResult> operator()(const sql::AlterStatement& alter) {
    return ExecuteAlter(node_, alter, whole_.text, options_);
  }

  // Sends the quarantined rows again; each under a key of its own, so that doing it twice adds
  // nothing twice.
  Result<StatementResult> operator()(const sql::ReplayStatement& replay) {
    const auto snapshot = node_.TakeSnapshot();
    const auto relation = snapshot->published().relations->Find(replay.stream);
    if (relation == nullptr || relation->stream() == nullptr) {
      return Error(Code::kNotFound, "stream {} does not exist", Quoted(replay.stream))
          .Hint(DidYouMean(replay.stream, snapshot->catalog().RelationNames()));
    }
    TRY(const auto rows,
        ReadSetAside(*node_.log, snapshot->catalog(), *relation, SetAside::kQuarantine,
                     snapshot->published().state, *node_.database));
    StatementResult result;
    result.tag = "REPLAY";
    std::vector<std::string> tokens;
    size_t still_bad = 0;
    TRY(const auto checker,
        ingest::RowChecker::Make(snapshot->catalog(), relation->stream()->schema,
                                 relation->stream()->checks, *node_.database, relation->format()));
    for (const std::vector<Value>& row : rows) {
      const std::string bytes = duckdb::StringValue::Get(row[6]);
      const std::string_view view = bytes;
      // What would only be quarantined again stays where it is.
      if (!checker->Decode(std::span(&view, 1)).errors.empty()) {
        ++still_bad;
        continue;
      }
      ingest::Request request;
      request.stream = replay.stream;
      request.rows = {view};
      request.source = "replay";
      request.idempotency_key =
          fmt::format("replay/{}/{}", row[0].GetValue<int32_t>(), row[1].GetValue<int64_t>());
      request.remember_long = true;
      TRY(const ingest::Answer answer, node_.ingest->AppendAndWait(std::move(request)));
      if (!answer.repeated) ++result.affected;
      tokens.push_back(answer.token);
    }
    result.token = ingest::MergeTokens(tokens);
    if (still_bad > 0)
      result.notices.push_back(
          fmt::format("{} rows are still invalid and stay in quarantine", still_bad));
    result.step = snapshot->step();
    return result;
  }

 private:
  std::shared_ptr<const NodeSnapshot> Snapshot() const {
    if (options_.snapshot == nullptr) return node_.TakeSnapshot();
    return std::static_pointer_cast<const NodeSnapshot>(options_.snapshot);
  }

  Result<StatementResult> Select(const std::string& select, const char* tag = "SELECT") {
    const auto snapshot = Snapshot();
    TRY(std::optional<sql::QueryResult> rows, LookUp(*snapshot, select));
    if (!rows) {
      TRY(rows,
          node_.database->Query(snapshot, select, options_.parameters, options_.answer_limits()));
    }
    TRY(StatementResult result, Rows(tag, *std::move(rows), snapshot->step()));
    result.notices = snapshot->notices();
    return result;
  }

  // The answer where the SELECT is a keyed look-up.
  Result<std::optional<sql::QueryResult>> LookUp(const NodeSnapshot& snapshot,
                                                 const std::string& select) {
    const Published& published = snapshot.published();
    // What has its values in the text comes once.
    const auto lookup = options_.parameters.empty() ? PreparedLookup::Recognise(published, select)
                                                    : node_.lookups.Find(published, select);
    if (lookup == nullptr || !lookup->AsInUtc(options_.caller.time_zone))
      return std::optional<sql::QueryResult>();
    TRY(auto rows, lookup->Answer(published, options_.parameters));
    // DuckDB says what is wrong with it.
    if (rows && limits_.rows_max != 0 && rows->row_count() > limits_.rows_max) rows.reset();
    if (rows) snapshot.NoteHalt(*lookup->lookup().relation);
    return rows;
  }

  Result<StatementResult> Rows(const char* tag, sql::QueryResult rows, int64_t step) {
    StatementResult result;
    result.tag = tag;
    result.affected = rows.row_count();
    rows.step = step;
    result.step = step;
    result.rows = std::move(rows);
    return result;
  }

  Result<StatementResult> ExplainSelect(const std::shared_ptr<const NodeSnapshot>& snapshot,
                                        const std::string& select) {
    std::string plan;
    const auto lookup = PreparedLookup::Recognise(snapshot->published(), select);
    if (lookup != nullptr && lookup->AsInUtc(options_.caller.time_zone)) {
      plan = lookup->Explain(snapshot->published());
    } else {
      TRY(plan,
          node_.database->ExplainQuery(snapshot, select, options_.parameters, options_.caller));
      plan = fmt::format("SCAN by DuckDB at step {}\n", snapshot->step()) + plan;
    }
    return Rows("EXPLAIN", TextResult({"plan"}, Lines(plan)), snapshot->step());
  }

  // What the view's operators have done and remember, a line each; without `figures`, those that
  // it shares with others.
  std::string RunningOperators(const catalog::Catalog& catalog, const std::string& view,
                               bool figures) {
    const catalog::Object* object = catalog.FindRelation(view);
    if (object == nullptr) return "";
    const std::string internal = InternalName(*object);
    const UserNameMap names = UserNames(catalog);
    std::string text;
    for (const OperatorFigures& running : node_.Operators()) {
      const auto& outputs = running.stats.outputs;
      if (std::find(outputs.begin(), outputs.end(), internal) == outputs.end()) continue;
      const bool is_operator = running.stats.relation.empty() && running.stats.output.empty();
      const std::string others = is_operator ? SharedWith(running, internal, names) : "";
      if (!figures && others.empty()) continue;
      text += "\n" + OperatorText(running, names);
      if (figures) text += "\n  " + FiguresText(running);
      if (!others.empty()) text += "\n  shared with view " + others;
    }
    return text.empty() ? text : text + "\n";
  }

  Result<StatementResult> ExplainView(const std::shared_ptr<const NodeSnapshot>& snapshot,
                                      const catalog::ViewDefinition& view,
                                      const sql::Origin& origin, const std::string& running) {
    const catalog::Object* known = snapshot->catalog().FindRelation(view.name);
    const std::optional<catalog::Catalog> as_bound =
        known == nullptr ? std::nullopt : snapshot->catalog().AsOf(known->bound_generation());
    TRY(const sql::ViewPlan planned,
        node_.database->PlanView(as_bound ? *as_bound : snapshot->catalog(), view, origin));
    std::string text = stream::Explain(planned.plan) + running;
    for (const std::string& notice : planned.notices) text += "\nnotice: " + notice + "\n";
    return Rows("EXPLAIN", TextResult({"plan"}, Lines(text)), snapshot->step());
  }

  Status InsertIntoStream(const sql::WriteStatement& write, const catalog::StreamDefinition& stream,
                          StatementResult& result) {
    const auto snapshot = node_.TakeSnapshot();
    TRY(sql::Database::WriteRows rows,
        node_.database->EvaluateWrite(snapshot, write, options_.parameters, limits_));
    auto texts = std::make_shared<std::vector<std::string>>();
    for (const rows::Batch::Part& part : rows.insert.parts) {
      for (std::string& text : RowsAsJson(stream.schema, *part.rows))
        texts->push_back(std::move(text));
    }
    ingest::Request request;
    request.stream = stream.name;
    request.rows.assign(texts->begin(), texts->end());
    request.owner = texts;
    request.all_or_nothing = true;
    request.source = "sql";
    result.affected = rows.affected;
    if (texts->empty()) return Ok();
    TRY(const ingest::Answer answer, node_.ingest->AppendAndWait(std::move(request)));
    result.token = answer.token;
    if (!rows.returning.schema.columns.empty()) result.rows = std::move(rows.returning);
    TRY(const ingest::Token token, ingest::DecodeToken(answer.token));
    return node_.AwaitVisible(token, options_.timeout);
  }

  Node::Impl& node_;
  const sql::Statement& whole_;
  const std::string_view text_;
  const StatementOptions& options_;
  const sql::QueryLimits limits_;
};

// DuckDB does not say of which type a list is that is compared with a column (k = ANY($1)).
Result<sql::Database::Described> DescribeSelect(Node::Impl& node,
                                                const std::shared_ptr<const NodeSnapshot>& snapshot,
                                                const sql::Statement& statement,
                                                const sql::ParameterTypes& given) {
  sql::ParameterTypes types = given;
  const std::string& text = std::get<sql::SelectStatement>(statement.statement).text;
  if (const auto lookup = PreparedLookup::Recognise(snapshot->published(), text)) {
    for (const KeyedLookup::Equal& equal : lookup->lookup().equals) {
      const std::string& parameter = equal.any_of.front().parameter;
      if (equal.of_list) types.emplace(parameter, lookup->lookup().parameters.at(parameter));
    }
  }
  return node.database->Describe(snapshot, statement, types);
}

}  // namespace

Result<StatementResult> ExecuteStatement(Node::Impl& node, std::string_view text,
                                         const StatementOptions& options) {
  TRY(const std::vector<sql::Statement> statements,
      sql::Parse(text, {}, sql::TypesOf(*node.publisher.newest()->catalog)));
  if (statements.size() != 1) {
    return Error(Code::kInvalidArgument, "one statement is expected, there are {}",
                 statements.size());
  }
  if (!options.after.empty()) {
    TRY(const ingest::Token token, ingest::DecodeToken(options.after));
    TRY(node.AwaitVisible(token, options.timeout));
  }
  return std::visit(Executor(node, statements[0], text, options), statements[0].statement);
}

Result<sql::Database::Described> DescribeStatement(Node::Impl& node, std::string_view text,
                                                   const sql::ParameterTypes& given) {
  const auto snapshot = node.TakeSnapshot();
  TRY(const std::vector<sql::Statement> statements,
      sql::Parse(text, {}, sql::TypesOf(snapshot->catalog())));
  if (statements.size() != 1) {
    return Error(Code::kInvalidArgument, "one statement is expected, there are {}",
                 statements.size());
  }
  const sql::Statement& statement = statements[0];
  if (const auto* explain = std::get_if<sql::ExplainStatement>(&statement.statement)) {
    sql::Database::Described described{given, TextSchema({"plan"})};
    if (!explain->view.empty()) return described;
    TRY(const std::vector<sql::Statement> inner,
        sql::Parse(explain->text, {}, sql::TypesOf(snapshot->catalog())));
    if (inner.size() != 1 || !std::holds_alternative<sql::SelectStatement>(inner[0].statement))
      return described;
    TRY(auto of_select, DescribeSelect(node, snapshot, inner[0], given));
    described.parameters = std::move(of_select.parameters);
    return described;
  }
  if (std::holds_alternative<sql::SelectStatement>(statement.statement))
    return DescribeSelect(node, snapshot, statement, given);
  const bool gives_rows = std::holds_alternative<sql::ShowStatement>(statement.statement) ||
                          std::holds_alternative<sql::DescribeStatement>(statement.statement);
  if (!gives_rows) return node.database->Describe(snapshot, statement, given);
  // They are quick, and have no parameters.
  TRY(const StatementResult result,
      std::visit(Executor(node, statement, text, {}), statement.statement));
  return sql::Database::Described{given, result.rows ? result.rows->schema : rows::Schema()};
}

}  // namespace millrace::runtime
