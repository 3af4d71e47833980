// What statements of a session do.
#include "auth/statement_rights.h"
#include "pg/parameter.h"
#include "pg/replies.h"
#include "pg/session.h"
#include "pg/session_words.h"
#include "pg/token_cursor.h"
#include "rows/schema.h"

namespace millrace::pg {

namespace {

using Parameters = std::map<std::string, duckdb::Value>;

// What a subscription's rows have before the relation's columns.
rows::Schema SubscriptionSchema(const rows::Schema& relation) {
  rows::Schema schema;
  schema.columns.push_back({"_step", duckdb::LogicalType::BIGINT, true, std::nullopt, 0});
  schema.columns.push_back({"_diff", duckdb::LogicalType::BIGINT, true, std::nullopt, 1});
  schema.columns.insert(schema.columns.end(), relation.columns.begin(), relation.columns.end());
  return schema;
}

Result<rows::Schema> ColumnsOf(const catalog::Catalog& catalog, const std::string& relation) {
  const catalog::Object* object = catalog.FindRelation(relation);
  if (object == nullptr) {
    return Error(Code::kNotFound, "relation {} does not exist", Quoted(relation))
        .Hint(DidYouMean(relation, catalog.RelationNames()))
        .SqlState("42P01");
  }
  const catalog::RelationShape shape = catalog::ShapeOf(*object);
  rows::Schema schema = shape.schema;
  schema.columns.resize(shape.visible);
  return schema;
}

std::string QuotedRelation(const std::string& name) {
  const size_t dot = name.find('.');
  return dot == std::string::npos
             ? Quoted(name)
             : Quoted(name.substr(0, dot)) + "." + Quoted(name.substr(dot + 1));
}

// The calls of set_config('name', 'value', is_local) in a text.
std::vector<std::pair<std::string, std::string>> SetConfigsOf(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> calls;
  const auto tokens = sql::Lex(text);
  if (!tokens.ok()) return calls;
  for (TokenCursor cursor(text, *tokens); !cursor.AtEnd();) {
    if (!cursor.AtWord("set_config") || !cursor.AtSymbol('(', 1)) {
      cursor.Advance();
      continue;
    }
    cursor.Advance();
    cursor.Advance();
    const auto name = cursor.Value();
    if (!name.ok() || !cursor.AcceptSymbol(',')) continue;
    const auto value = cursor.Value();
    if (value.ok()) calls.emplace_back(*name, *value);
  }
  return calls;
}

}  // namespace

runtime::StatementOptions Session::Options(const Parameters& parameters) const {
  runtime::StatementOptions options;
  options.parameters = parameters;
  options.timeout = variables_.statement_timeout();
  options.after = variables_.after();
  options.cancel = cancel_->flag();
  options.caller = {variables_.time_zone()->duckdb_name(), user_};
  return options;
}

CatalogAsker Session::Asker() const {
  const auto client = variables_.Get("application_name");
  return {user_, process_, client.ok() ? *client : "", &variables_, cancel_->flag()};
}

Result<Session::Outcome> Session::Run(const SessionStatement& statement,
                                      const Parameters& parameters, std::string& out) {
  context_.counters.statements.fetch_add(1);
  if (status_ == Block::kFailed && !MendsBlock(statement.kind)) return BlockFailed();
  const auto* node = std::get_if<NodeStatement>(&statement.kind);
  // Writes may be part of what came before, everything else stands behind it.
  if (node == nullptr || node->kind != NodeStatement::Kind::kWrite) TRY(CommitImplicit());
  struct Visitor {
    Session& self;
    const SessionStatement& statement;
    const Parameters& parameters;
    std::string& out;

    Result<Outcome> operator()(const NodeStatement& kind) {
      TRY(const std::string text, self.TextOf(statement));
      return self.RunNode(kind, text, parameters, out);
    }
    Result<Outcome> operator()(const CatalogQuery&) {
      return self.RunCatalog(statement.text, parameters, out);
    }
    Result<Outcome> operator()(const BeginBlock& begin) { return self.RunBegin(begin, out); }
    Result<Outcome> operator()(const EndBlock& ends) { return self.RunEnd(ends, out); }
    Result<Outcome> operator()(const Savepoint& savepoint) { return self.RunSavepoint(savepoint); }
    Result<Outcome> operator()(const SetVariable& set) { return self.RunSet(set, out); }
    Result<Outcome> operator()(const SetTransaction& set) {
      return self.RunSetTransaction(set, out);
    }
    Result<Outcome> operator()(const ShowVariable& show) { return self.RunShow(show); }
    Result<Outcome> operator()(const ResetVariable& reset) { return self.RunReset(reset, out); }
    Result<Outcome> operator()(const Discard& discard) { return self.RunDiscard(discard, out); }
    Result<Outcome> operator()(const Deallocate& deallocate) {
      Outcome outcome;
      outcome.tag = deallocate.name.empty() ? "DEALLOCATE ALL" : "DEALLOCATE";
      if (deallocate.name.empty()) {
        self.prepared_.clear();
        self.prepared_bytes_ = 0;
        return outcome;
      }
      TRY(const auto prepared, self.FindPrepared(deallocate.name));
      self.prepared_bytes_ -= prepared->text.size();
      self.prepared_.erase(deallocate.name);
      return outcome;
    }
    Result<Outcome> operator()(const DeclareCursor& declare) {
      return self.RunDeclare(declare, out);
    }
    Result<Outcome> operator()(const FetchCursor& fetch) { return self.RunFetch(fetch); }
    Result<Outcome> operator()(const CloseCursor& close) {
      Outcome outcome;
      outcome.tag = close.name.empty() ? "CLOSE CURSOR ALL" : "CLOSE CURSOR";
      if (close.name.empty()) {
        self.cursors_.clear();
      } else if (self.cursors_.erase(close.name) == 0) {
        return Error(Code::kNotFound, "cursor {} does not exist", Quoted(close.name))
            .SqlState("34000");
      }
      return outcome;
    }
    Result<Outcome> operator()(const Subscribe& subscribe) { return self.RunSubscribe(subscribe); }
    Result<Outcome> operator()(const Copy& copy) { return self.RunCopy(copy, statement.text); }
    Result<Outcome> operator()(const Refresh& refresh) {
      const catalog::ViewDefinition* view = self.context_.node.catalog()->FindView(refresh.view);
      if (view == nullptr || !view->materialized)
        return Error(Code::kNotFound, "materialized view {} does not exist", Quoted(refresh.view))
            .SqlState("42P01");
      Outcome outcome;
      outcome.tag = "REFRESH MATERIALIZED VIEW";
      return outcome;
    }
    Result<Outcome> operator()(const Nothing& nothing) {
      Outcome outcome;
      outcome.tag = nothing.tag;
      return outcome;
    }
  };
  return std::visit(Visitor{*this, statement, parameters, out}, statement.kind);
}

Session::Outcome Session::OfResult(runtime::StatementResult result, const NodeStatement& kind,
                                   std::string& out) {
  for (const std::string& notice : result.notices) AppendNotice("NOTICE", "00000", notice, out);
  NoteToken(result.token);
  Outcome outcome;
  outcome.tag = result.tag;
  if (kind.kind == NodeStatement::Kind::kWrite) {
    outcome.tag += fmt::format("{} {}", result.tag == "INSERT" ? " 0" : "", result.affected);
  }
  outcome.counts_rows = result.tag == "SELECT";
  if (result.rows) outcome.rows = std::make_shared<const sql::QueryResult>(*std::move(result.rows));
  return outcome;
}

Result<std::string> Session::TextOf(const SessionStatement& statement) const {
  using Kind = NodeStatement::Kind;
  const auto* node = std::get_if<NodeStatement>(&statement.kind);
  if (node == nullptr) return statement.text;
  // What a definition says is said anew in other sessions.
  const bool defines = node->kind == Kind::kDefinition || node->kind == Kind::kShow;
  return WithSessionWords(statement.text, Asker(),
                          defines ? SessionWords::kDatabase : SessionWords::kAll);
}

Result<Session::Outcome> Session::RunNode(const NodeStatement& kind, const std::string& text,
                                          const Parameters& parameters, std::string& out) {
  using Kind = NodeStatement::Kind;
  TRY(auth::CheckStatement(principal_, text));
  runtime::StatementOptions options = Options(parameters);
  if (kind.kind == Kind::kWrite) {
    TRY(BeforeWrite());
    runtime::StatementResult result;
    if (block_writes_ != nullptr) {
      TRY(result, block_writes_->Execute(text, options));
    } else if (implicit_ != nullptr || more_follows_) {
      if (implicit_ == nullptr) implicit_ = context_.node.BeginWrites();
      TRY(result, implicit_->Execute(text, options));
    } else {
      TRY(result, context_.node.Execute(text, options));
    }
    return OfResult(std::move(result), kind, out);
  }
  if (kind.kind == Kind::kDefinition) {
    TRY(BeforeDefinition());
    if (status_ == Block::kOpen) {
      AppendNotice("NOTICE", "25001",
                   "definitions take effect at once: ROLLBACK does not take them back", out);
    }
  }
  if (kind.kind == Kind::kRead) TRY(BeforeRead());
  options.snapshot = block_snapshot_;
  options.may_spill = true;
  TRY(runtime::StatementResult result, context_.node.Execute(text, options));
  return OfResult(std::move(result), kind, out);
}

Result<Session::Outcome> Session::RunCatalog(const std::string& text, const Parameters& parameters,
                                             std::string& out) {
  Outcome outcome;
  outcome.tag = "SELECT";
  outcome.counts_rows = true;
  TRY(sql::QueryResult rows,
      context_.catalog.Query(context_.node.catalog(), text, parameters, Asker()));
  const Variables before = variables_;
  for (const auto& [name, value] : SetConfigsOf(text)) TRY(variables_.Set(name, value));
  ReportChanges(before, out);
  outcome.rows = std::make_shared<const sql::QueryResult>(std::move(rows));
  return outcome;
}

Result<sql::Database::Described> Session::DescribeStatement(const SessionStatement& statement,
                                                            const sql::ParameterTypes& given) {
  sql::Database::Described described;
  described.parameters = given;
  if (std::holds_alternative<NodeStatement>(statement.kind)) {
    TRY(const std::string text, TextOf(statement));
    return context_.node.Describe(text, given);
  }
  if (std::holds_alternative<CatalogQuery>(statement.kind))
    return context_.catalog.Describe(context_.node.catalog(), statement.text, given, Asker());
  if (const auto* show = std::get_if<ShowVariable>(&statement.kind)) {
    TRY(const Outcome outcome, RunShow(*show));
    described.schema = outcome.rows->schema;
  } else if (const auto* fetch = std::get_if<FetchCursor>(&statement.kind)) {
    const auto found = cursors_.find(fetch->name);
    if (found == cursors_.end() || fetch->move) return described;
    described.schema = found->second->outcome->rows->schema;
  } else if (const auto* subscribe = std::get_if<Subscribe>(&statement.kind)) {
    TRY(const rows::Schema schema, ColumnsOf(*context_.node.catalog(), subscribe->relation));
    described.schema = SubscriptionSchema(schema);
  }
  return described;
}

Result<Session::Outcome> Session::RunDeclare(const DeclareCursor& declare, std::string& out) {
  if (status_ != Block::kOpen)
    return Error(Code::kConflict, "DECLARE CURSOR can only be used in transaction blocks")
        .SqlState("25P01");
  if (cursors_.contains(declare.name))
    return Error(Code::kAlreadyExists, "cursor {} already exists", Quoted(declare.name))
        .SqlState("42P03");
  if (cursors_.size() >= kPortalsMax)
    return Error(Code::kTooLarge, "a session has at most {} cursors", kPortalsMax);
  TRY(const SessionStatement query, Classify(declare.query));
  auto cursor = std::make_shared<Portal>();
  TRY(cursor->outcome, Run(query, {}, out));
  if (cursor->outcome->rows == nullptr)
    return Error(Code::kInvalidArgument, "a cursor is for a SELECT").SqlState("42601");
  cursors_[declare.name] = std::move(cursor);
  Outcome outcome;
  outcome.tag = "DECLARE CURSOR";
  return outcome;
}

// The next rows of a cursor as a result of their own.
Result<Session::Outcome> Session::RunFetch(const FetchCursor& fetch) {
  const auto found = cursors_.find(fetch.name);
  if (found == cursors_.end())
    return Error(Code::kNotFound, "cursor {} does not exist", Quoted(fetch.name)).SqlState("34000");
  Portal& cursor = *found->second;
  const auto& all = *cursor.outcome->rows;
  auto taken = std::make_shared<sql::QueryResult>();
  taken->schema = all.schema;
  uint64_t left = fetch.count.value_or(UINT64_MAX);
  uint64_t count = 0;
  while (left > 0 && cursor.chunk < all.chunk_count()) {
    TRY(const auto rows, all.ReadChunk(cursor.chunk));
    duckdb::DataChunk& chunk = *rows;
    const uint64_t now = std::min<uint64_t>(left, chunk.size() - cursor.row);
    if (now > 0) {
      auto part = std::make_shared<duckdb::DataChunk>();
      part->InitializeEmpty(chunk.GetTypes());
      for (size_t i = 0; i < chunk.ColumnCount(); ++i)
        part->data[i].Slice(chunk.data[i], cursor.row, cursor.row + now);
      part->SetCardinality(now);
      taken->chunks.push_back(std::move(part));
    }
    cursor.row += now;
    count += now;
    left -= now;
    if (cursor.row == chunk.size()) {
      ++cursor.chunk;
      cursor.row = 0;
    }
  }
  Outcome outcome;
  outcome.tag = fetch.move ? fmt::format("MOVE {}", count) : "FETCH";
  outcome.counts_rows = !fetch.move;
  if (!fetch.move) outcome.rows = std::move(taken);
  return outcome;
}

Status Session::HandleClose(std::string_view body, std::string& out) {
  TRY(const TargetMessage message, ParseTarget(body));
  if (message.kind == 'P') {
    const auto erase = [&](auto& from) {
      if (const auto found = from.find(message.name); found != from.end()) from.erase(found);
    };
    erase(portals_);
    erase(cursors_);
  } else if (const auto found = prepared_.find(message.name); found != prepared_.end()) {
    prepared_bytes_ -= found->second->text.size();
    prepared_.erase(found);
  }
  MessageWriter(out).Empty('3');
  return Ok();
}

Result<Session::Outcome> Session::RunSubscribe(const Subscribe& subscribe) {
  if (status_ == Block::kOpen && block_writes_ != nullptr)
    return Error(Code::kConflict, "SUBSCRIBE in a transaction that writes").SqlState("25001");
  runtime::Node::SubscribeOptions options;
  options.content = subscribe.with_snapshot;
  options.after = subscribe.from_step;
  TRY(const rows::Schema columns, ColumnsOf(*context_.node.catalog(), subscribe.relation));
  TRY(std::unique_ptr<runtime::Subscription> subscription,
      context_.node.Subscribe(subscribe.relation, options));
  Outcome outcome;
  outcome.tag = "SUBSCRIBE";
  outcome.counts_rows = true;
  auto rows = std::make_shared<sql::QueryResult>();
  rows->schema = SubscriptionSchema(columns);
  outcome.rows = std::move(rows);
  context_.counters.subscriptions.fetch_add(1);
  outcome.subscription = std::shared_ptr<runtime::Subscription>(
      subscription.release(), [counters = &context_.counters](runtime::Subscription* open) {
        counters->subscriptions.fetch_sub(1);
        delete open;
      });
  return outcome;
}

Result<Session::Outcome> Session::RunCopy(const Copy& copy, const std::string& text) {
  if (copy.from) {
    TRY(auth::CheckStatement(principal_, "INSERT"));
    TRY(BeforeWrite());
    TRY(rows::Schema schema, ColumnsOf(*context_.node.catalog(), copy.relation));
    if (!copy.columns.empty()) {
      rows::Schema chosen;
      for (const std::string& name : copy.columns) {
        const auto column = schema.Find(name);
        if (!column)
          return Error(Code::kNotFound, "column {} of relation {} does not exist", Quoted(name),
                       Quoted(copy.relation))
              .Hint(DidYouMean(name, schema.names()))
              .SqlState("42703");
        chosen.columns.push_back(schema.columns[*column]);
      }
      schema = std::move(chosen);
    }
    Outcome outcome;
    outcome.copy_in = std::make_unique<CopyIn>(copy.relation, std::move(schema), copy.options,
                                               variables_.time_zone());
    return outcome;
  }
  std::string query = copy.query;
  if (query.empty()) {
    std::string columns;
    for (const std::string& name : copy.columns)
      columns += (columns.empty() ? "" : ", ") + Quoted(name);
    query = fmt::format("SELECT {} FROM {}", columns.empty() ? "*" : columns,
                        QuotedRelation(copy.relation));
  }
  TRY(const SessionStatement inner, Classify(std::move(query)));
  std::string notices;
  TRY(Outcome outcome, Run(inner, {}, notices));
  if (outcome.rows == nullptr || outcome.copy_out != nullptr || outcome.copy_in != nullptr) {
    return Error(Code::kInvalidArgument, "COPY … TO STDOUT takes a query that gives rows")
        .At(PositionAt(text, 0))
        .SqlState("42601");
  }
  outcome.tag = "COPY";
  outcome.counts_rows = true;
  outcome.copy_out =
      std::make_shared<CopyOut>(outcome.rows->schema, copy.options, variables_.time_zone());
  return outcome;
}

}  // namespace millrace::pg
