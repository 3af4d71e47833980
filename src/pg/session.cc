#include "pg/session.h"

#include "auth/statement_rights.h"
#include "base/logging.h"
#include "pg/parameter.h"
#include "pg/replies.h"

namespace millrace::pg {

namespace {

// Statements beyond this are given as DuckDB's parser would give them up: none that anybody writes.
constexpr size_t kStatementBytesMax = 8u << 20;

Error NoSuch(std::string_view what, std::string_view name, std::string_view sqlstate) {
  return Error(Code::kNotFound, "{} {} does not exist", what, Quoted(name)).SqlState(sqlstate);
}

}  // namespace

Session::Session(SessionContext context, std::string user, auth::PrincipalPtr principal,
                 int32_t process, std::shared_ptr<CancelState> cancel)
    : context_(context),
      user_(std::move(user)),
      principal_(std::move(principal)),
      process_(process),
      cancel_(std::move(cancel)) {}

Session::~Session() = default;

Status Session::Begin(const std::vector<std::pair<std::string, std::string>>& parameters) {
  TRY(variables_.Set("session_authorization", user_));
  for (const auto& [name, value] : parameters) {
    if (name == "user" || name == "database" || name.starts_with("_pq_.")) continue;
    if (name == "replication" && value != "false" && value != "off" && value != "0")
      return Error(Code::kNotSupported, "replication is not supported")
          .Hint("SUBSCRIBE TO view sends its changes");
    if (name == "replication") continue;
    if (name == "options") {
      TRY(TakeOptions(value));
      continue;
    }
    std::string bare = value;
    if (bare.size() >= 2 && bare.front() == '\'' && bare.back() == '\'')
      bare = bare.substr(1, bare.size() - 2);
    const Status set = variables_.Set(name, bare);
    // PostgreSQL refuses the connection too.
    if (!set.ok()) return set;
  }
  variables_.NoteDefaults();
  return Ok();
}

// "-c name=value --name=value", a backslash before what is not to end an option.
Status Session::TakeOptions(std::string_view text) {
  std::vector<std::string> words(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') {
      if (!words.back().empty()) words.emplace_back();
    } else {
      if (text[i] == '\\' && i + 1 < text.size()) ++i;
      words.back() += text[i];
    }
  }
  for (size_t i = 0; i < words.size(); ++i) {
    std::string setting = words[i];
    if (setting.empty()) continue;
    if (setting == "-c" && i + 1 < words.size()) {
      setting = words[++i];
    } else if (setting.starts_with("-c") || setting.starts_with("--")) {
      setting = setting.substr(2);
    } else {
      return Error(Code::kNotSupported, "the option {} is not supported", Quoted(setting))
          .Hint("options take -c name=value");
    }
    const size_t equals = setting.find('=');
    if (equals == std::string::npos)
      return Error(Code::kInvalidArgument, "the option {} has no value", Quoted(setting))
          .SqlState("42601");
    TRY(variables_.Set(setting.substr(0, equals), setting.substr(equals + 1)));
  }
  return Ok();
}

Session::Next Session::Work(std::string_view& in, std::string& out) {
  while (true) {
    if (ended_) return Next::kEnd;
    if (sending_) {
      const Next next = Send(out);
      if (next != Next::kRead) return next;
      if (sending_) return Next::kAgain;
      continue;
    }
    if (out.size() >= kOutBytes) return Next::kAgain;
    if (in_query_ && copy_in_ == nullptr) {
      NextOfQuery(out);
      continue;
    }
    auto message = TakeMessage(in, kMessageBytesMax);
    if (!message.ok()) {
      AppendError(message.error(), "FATAL", "", out);
      return Next::kEnd;
    }
    if (!*message) return Next::kRead;
    more_follows_ = !in.empty() && in.front() != 'S';
    Handle(**message, in.empty(), out);
  }
}

void Session::Handle(const FrontendMessage& message, bool, std::string& out) {
  switch (message.type) {
    case 'X':
      ended_ = true;
      return;
    case 'S':
      return HandleSync(out);
    case 'd':
    case 'c':
    case 'f':
      return HandleCopyData(message, out);
    default:
      break;
  }
  if (skip_to_sync_) return;
  if (copy_in_ != nullptr) {
    if (message.type == 'H') return;
    copy_in_.reset();
    return Fail(Error(Code::kInvalidArgument, "a message of type {} within COPY", message.type)
                    .SqlState("08P01"),
                out);
  }
  if (message.type == 'Q') return HandleQuery(message.body, out);
  if (message.type == 'H') return;  // what there is goes out anyway
  cancel_->Clear();
  const Status handled = HandleExtended(message, out);
  if (!handled.ok()) Fail(handled.error(), out);
}

Status Session::HandleExtended(const FrontendMessage& message, std::string& out) {
  switch (message.type) {
    case 'P':
      return HandleParse(message.body, out);
    case 'B':
      return HandleBind(message.body, out);
    case 'D':
      return HandleDescribe(message.body, out);
    case 'E':
      return HandleExecute(message.body, out);
    case 'C':
      return HandleClose(message.body, out);
    case 'F':
      return Error(Code::kNotSupported, "the function call protocol is not supported")
          .Hint("SELECT function(…)");
    default:
      return Error(Code::kInvalidArgument, "a message of type {} is not expected", message.type)
          .SqlState("08P01");
  }
}

Status Session::CheckPrincipal() {
  if (principal_ == nullptr || context_.access == nullptr) {
    if (context_.access == nullptr || !context_.access->required()) return Ok();
    ended_ = true;  // the node was open to all when the client came, and is not any more
    return Error(Code::kInvalidArgument, "this node asks its clients to sign in now")
        .SqlState("28000");
  }
  principal_ = context_.access->Renew(principal_);
  if (principal_ != nullptr) return Ok();
  ended_ = true;
  return Error(Code::kInvalidArgument, "{} is revoked, dropped, replaced or expired", user_)
      .SqlState("28000");
}

Status Session::HandleParse(std::string_view body, std::string& out) {
  TRY(const ParseMessage message, ParseParse(body));
  current_text_ = message.text;
  if (message.text.size() > kStatementBytesMax)
    return Error(Code::kTooLarge, "a statement of {} bytes, more than {}", message.text.size(),
                 kStatementBytesMax);
  if (!message.name.empty() && prepared_.contains(message.name)) {
    return Error(Code::kAlreadyExists, "prepared statement {} already exists", Quoted(message.name))
        .SqlState("42P05");
  }
  if (prepared_.size() >= kPreparedMax ||
      prepared_bytes_ + message.text.size() > kPreparedBytesMax) {
    return Error(Code::kTooLarge, "a session keeps at most {} prepared statements of {} MiB",
                 kPreparedMax, kPreparedBytesMax >> 20)
        .Hint("DEALLOCATE some");
  }
  auto prepared = std::make_shared<Prepared>();
  prepared->name = message.name;
  prepared->text = message.text;
  prepared->parameter_oids = message.parameter_types;
  TRY(std::vector<std::string> statements, SplitStatements(message.text));
  if (statements.size() > 1) {
    return Error(Code::kInvalidArgument,
                 "cannot insert multiple commands into a prepared statement")
        .SqlState("42601");
  }
  if (!statements.empty()) {
    TRY(prepared->statement, Classify(std::move(statements[0])));
    if (status_ == Block::kFailed && !MendsBlock(prepared->statement->kind)) return BlockFailed();
  }
  auto& slot = prepared_[prepared->name];
  if (slot != nullptr) prepared_bytes_ -= slot->text.size();
  prepared_bytes_ += prepared->text.size();
  slot = std::move(prepared);
  MessageWriter(out).Empty('1');
  return Ok();
}

Result<std::shared_ptr<Session::Prepared>> Session::FindPrepared(std::string_view name) const {
  const auto found = prepared_.find(name);
  if (found == prepared_.end()) return NoSuch("prepared statement", name, "26000");
  return found->second;
}

Result<Session::PortalPtr> Session::FindPortal(std::string_view name) const {
  const auto found = portals_.find(name);
  if (found == portals_.end()) return NoSuch("portal", name, "34000");
  return found->second;
}

Error Session::BlockFailed() {
  return Error(Code::kConflict,
               "current transaction is aborted, commands ignored until end of transaction block")
      .Hint("ROLLBACK")
      .SqlState("25P02");
}

// The types of the parameters that the client left open, and the columns.
Status Session::Describe(Prepared& prepared) {
  if (!prepared.statement) return Ok();
  const uint64_t version = context_.node.catalog()->version();
  if (prepared.described && prepared.catalog_version == version) return Ok();
  sql::ParameterTypes given;
  for (size_t i = 0; i < prepared.parameter_oids.size(); ++i) {
    const uint32_t declared = prepared.parameter_oids[i];
    if (declared == 0 || declared == oid::kUnknown) continue;
    const auto type = DuckDbTypeOf(declared);
    if (!type) {
      return Error(Code::kNotSupported, "the type with OID {} of parameter ${} is not known here",
                   declared, i + 1);
    }
    given.emplace(std::to_string(i + 1), *type);
  }
  TRY(const sql::Database::Described described, DescribeStatement(*prepared.statement, given));
  for (const auto& [name, type] : described.parameters) {
    const size_t index = std::strtoull(name.c_str(), nullptr, 10);
    if (index == 0 || index > UINT16_MAX)
      return Error(Code::kInvalidArgument, "parameter ${}: they are $1, $2, …", name)
          .SqlState("42P02");
    if (prepared.parameter_oids.size() < index) prepared.parameter_oids.resize(index, 0);
    uint32_t& oid_of = prepared.parameter_oids[index - 1];
    if (oid_of == 0 || oid_of == oid::kUnknown) oid_of = TypeOf(type).oid;
  }
  for (uint32_t& oid_of : prepared.parameter_oids) {
    if (oid_of == 0) oid_of = oid::kText;  // of a number that the text leaves out
  }
  prepared.schema = described.schema;
  prepared.described = true;
  prepared.catalog_version = version;
  return Ok();
}

Status Session::HandleBind(std::string_view body, std::string& out) {
  TRY(const BindMessage message, ParseBind(body));
  TRY(const std::shared_ptr<Prepared> prepared, FindPrepared(message.statement));
  current_text_ = prepared->text;
  if (!message.portal.empty() && portals_.contains(message.portal)) {
    return Error(Code::kAlreadyExists, "portal {} already exists", Quoted(message.portal))
        .SqlState("42P03");
  }
  if (portals_.size() >= kPortalsMax)
    return Error(Code::kTooLarge, "a session has at most {} portals", kPortalsMax);
  auto portal = std::make_shared<Portal>();
  portal->prepared = prepared;
  portal->formats = message.result_formats;
  const bool open_types =
      std::any_of(prepared->parameter_oids.begin(), prepared->parameter_oids.end(),
                  [](uint32_t each) { return each == 0 || each == oid::kUnknown; });
  if (!message.parameters.empty() &&
      (open_types || prepared->parameter_oids.size() < message.parameters.size()))
    TRY(Describe(*prepared));
  if (prepared->parameter_oids.size() != message.parameters.size()) {
    return Error(Code::kInvalidArgument,
                 "bind message supplies {} parameters, but prepared statement {} requires {}",
                 message.parameters.size(), Quoted(prepared->name), prepared->parameter_oids.size())
        .SqlState("08P01");
  }
  for (size_t i = 0; i < message.parameters.size(); ++i) {
    const uint32_t type = prepared->parameter_oids[i];
    const std::string name = std::to_string(i + 1);
    if (!message.parameters[i]) {
      portal->parameters.emplace(
          name, duckdb::Value(DuckDbTypeOf(type).value_or(duckdb::LogicalType::VARCHAR)));
      continue;
    }
    auto decoded = DecodeParameter(type, FormatOf(message.parameter_formats, i),
                                   *message.parameters[i], *variables_.time_zone());
    TRY(duckdb::Value value, std::move(decoded).With(fmt::format("parameter ${}", i + 1)));
    portal->parameters.emplace(name, std::move(value));
  }
  portals_[std::string(message.portal)] = std::move(portal);
  MessageWriter(out).Empty('2');
  return Ok();
}

Status Session::HandleDescribe(std::string_view body, std::string& out) {
  TRY(const TargetMessage message, ParseTarget(body));
  std::shared_ptr<Prepared> prepared;
  std::vector<int16_t> formats;
  if (message.kind == 'S') {
    TRY(prepared, FindPrepared(message.name));
  } else {
    if (const auto cursor = cursors_.find(message.name); cursor != cursors_.end()) {
      AppendRowDescription(cursor->second->outcome->rows->schema, formats, out);
      return Ok();
    }
    TRY(const PortalPtr portal, FindPortal(message.name));
    prepared = portal->prepared;
    formats = portal->formats;
  }
  current_text_ = prepared->text;
  if (status_ == Block::kFailed && prepared->statement && !MendsBlock(prepared->statement->kind))
    return BlockFailed();
  TRY(Describe(*prepared));
  if (message.kind == 'S') AppendParameterDescription(prepared->parameter_oids, out);
  if (formats.size() > 1 && formats.size() != prepared->schema.columns.size()) {
    return Error(Code::kInvalidArgument,
                 "bind message has {} result formats but query has {} columns", formats.size(),
                 prepared->schema.columns.size())
        .SqlState("08P01");
  }
  if (prepared->schema.columns.empty()) {
    MessageWriter(out).Empty('n');
  } else {
    AppendRowDescription(prepared->schema, formats, out);
  }
  return Ok();
}

Status Session::HandleExecute(std::string_view body, std::string& out) {
  TRY(const ExecuteMessage message, ParseExecute(body));
  TRY(const PortalPtr portal, FindPortal(message.portal));
  const Prepared& prepared = *portal->prepared;
  current_text_ = prepared.text;
  if (!prepared.statement) {
    MessageWriter(out).Empty('I');
    return Ok();
  }
  if (!portal->outcome) {
    TRY(CheckPrincipal());
    TRY(CountRequest(prepared.statement->kind));
    TRY(ExecuteLookup(*portal));
  }
  if (!portal->outcome) {
    TRY(portal->outcome, Run(*prepared.statement, portal->parameters, out));
    const Outcome& outcome = *portal->outcome;
    // COPY, which is described as having no columns, says what it has when it begins.
    const bool gives_rows = outcome.rows != nullptr && outcome.copy_out == nullptr;
    if (gives_rows && prepared.described) {
      const auto& told = prepared.schema.columns;
      const auto& given = outcome.rows->schema.columns;
      const bool same = told.size() == given.size() &&
                        std::equal(told.begin(), told.end(), given.begin(),
                                   [](const rows::Column& a, const rows::Column& b) {
                                     return TypeOf(a.type).oid == TypeOf(b.type).oid;
                                   });
      if (!same)
        return Error(Code::kNotSupported, "cached plan must not change result type")
            .Hint("prepare the statement again");
    }
    if (gives_rows && portal->formats.size() > 1 &&
        portal->formats.size() != outcome.rows->schema.columns.size()) {
      return Error(Code::kInvalidArgument,
                   "bind message has {} result formats but query has {} columns",
                   portal->formats.size(), outcome.rows->schema.columns.size())
          .SqlState("08P01");
    }
  }
  if (portal->outcome->copy_in != nullptr) {
    BeginCopyIn(std::move(portal->outcome->copy_in), false, out);
    return Ok();
  }
  portal->sent_now = 0;
  sending_ = Sending{portal, static_cast<uint64_t>(message.rows_max), false};
  return Ok();
}

void Session::HandleSync(std::string& out) {
  skip_to_sync_ = false;
  if (copy_in_ != nullptr && !copy_in_simple_) {
    copy_in_.reset();
    Fail(Error(Code::kInvalidArgument, "COPY was not ended").SqlState("08P01"), out);
    skip_to_sync_ = false;
  }
  if (const Status committed = CommitImplicit(); !committed.ok()) {
    Fail(committed.error(), out);
    skip_to_sync_ = false;
  }
  if (status_ == Block::kNone) portals_.clear();
  AppendReadyForQuery(status_ == Block::kNone ? 'I' : status_ == Block::kOpen ? 'T' : 'E', out);
}

void Session::HandleQuery(std::string_view body, std::string& out) {
  cancel_->Clear();
  in_query_ = true;
  query_left_.clear();
  const auto begin = [&]() -> Status {
    TRY(const std::string_view text, ParseText(body));
    query_ = text;
    current_text_ = query_;
    if (text.size() > kStatementBytesMax)
      return Error(Code::kTooLarge, "a query of {} bytes, more than {}", text.size(),
                   kStatementBytesMax);
    TRY(std::vector<std::string> statements, SplitStatements(text));
    if (statements.empty()) MessageWriter(out).Empty('I');
    query_left_.assign(std::make_move_iterator(statements.begin()),
                       std::make_move_iterator(statements.end()));
    return Ok();
  };
  const Status begun = begin();
  if (!begun.ok()) Fail(begun.error(), out);
}

void Session::NextOfQuery(std::string& out) {
  if (query_left_.empty()) return EndQuery(out);
  std::string text = std::move(query_left_.front());
  query_left_.pop_front();
  more_follows_ = !query_left_.empty();
  current_text_ = query_;
  auto portal = std::make_shared<Portal>();
  const auto run = [&]() -> Status {
    TRY(CheckPrincipal());
    TRY(const SessionStatement statement, Classify(std::move(text)));
    TRY(CountRequest(statement.kind));
    TRY(portal->outcome, Run(statement, {}, out));
    return Ok();
  };
  const Status ran = run();
  if (!ran.ok()) return Fail(ran.error(), out);
  Outcome& outcome = *portal->outcome;
  if (outcome.copy_in != nullptr) return BeginCopyIn(std::move(outcome.copy_in), true, out);
  if (outcome.rows != nullptr && outcome.copy_out == nullptr)
    AppendRowDescription(outcome.rows->schema, {}, out);
  sending_ = Sending{std::move(portal), 0, true};
}

void Session::EndQuery(std::string& out) {
  in_query_ = false;
  if (const Status committed = CommitImplicit(); !committed.ok()) Fail(committed.error(), out);
  in_query_ = false;
  if (status_ == Block::kNone) portals_.clear();
  AppendReadyForQuery(status_ == Block::kNone ? 'I' : status_ == Block::kOpen ? 'T' : 'E', out);
}

void Session::Fail(const Error& error, std::string& out) {
  context_.counters.errors.fetch_add(1);
  if (error.code() == Code::kCancelled) context_.counters.cancelled.fetch_add(1);
  AppendError(error, ended_ ? "FATAL" : "ERROR", current_text_, out);
  implicit_.reset();
  sending_.reset();
  copy_in_.reset();
  if (status_ == Block::kOpen) {
    status_ = Block::kFailed;
    if (savepoints_.empty()) {
      block_writes_.reset();
      block_snapshot_.reset();
    }
    cursors_.clear();
  }
  if (in_query_) {
    query_left_.clear();
  } else {
    skip_to_sync_ = true;
  }
}

// CommandComplete.
void Session::Finish(const Outcome& outcome, uint64_t rows, std::string& out) const {
  AppendCommandComplete(outcome.counts_rows ? fmt::format("{} {}", outcome.tag, rows) : outcome.tag,
                        out);
}

}  // namespace millrace::pg
