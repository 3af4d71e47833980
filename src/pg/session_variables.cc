// Transactions and variables of a session.
#include <algorithm>

#include "pg/replies.h"
#include "pg/session.h"
#include "pg/text_rows.h"

namespace millrace::pg {

namespace {

Error Mixed(std::string_view what, std::string_view already, std::string_view hint) {
  return Error(Code::kConflict, "{} in a transaction that {}", what, already)
      .Hint(std::string(hint))
      .SqlState("25001");
}

constexpr std::string_view kHint =
    "a transaction reads, or writes, or defines: COMMIT first, or use the client's autocommit";

}  // namespace

Status Session::BeforeRead() {
  if (status_ != Block::kOpen) return Ok();
  if (block_writes_ != nullptr) return Mixed("a read", "writes", kHint);
  if (block_snapshot_ != nullptr) {
    if (std::chrono::steady_clock::now() - block_pinned_ < kPinnedMax) return Ok();
    return Error(Code::kConflict,
                 "snapshot too old: the transaction has read its step for more "
                 "than {} minutes",
                 kPinnedMax.count())
        .Hint("COMMIT, and begin again")
        .SqlState("72000");
  }
  if (!variables_.after().empty())
    TRY(context_.node.WaitVisible(variables_.after(), variables_.statement_timeout()));
  block_snapshot_ = context_.node.PinSnapshot();
  block_pinned_ = std::chrono::steady_clock::now();
  return Ok();
}

Status Session::BeforeWrite() {
  const auto read_only = variables_.Get("default_transaction_read_only");
  if (status_ == Block::kOpen ? block_read_only_ : read_only.ok() && *read_only == "on")
    return Error(Code::kConflict, "cannot write in a read-only transaction").SqlState("25006");
  if (status_ != Block::kOpen) return Ok();
  if (block_snapshot_ != nullptr) return Mixed("a write", "reads", kHint);
  if (block_defined_) return Mixed("a write", "defines", kHint);
  if (block_writes_ == nullptr) block_writes_ = context_.node.BeginWrites();
  return Ok();
}

Status Session::BeforeDefinition() {
  const auto read_only = variables_.Get("default_transaction_read_only");
  if (status_ == Block::kOpen ? block_read_only_ : read_only.ok() && *read_only == "on")
    return Error(Code::kConflict, "cannot define in a read-only transaction").SqlState("25006");
  if (status_ != Block::kOpen) return Ok();
  if (block_writes_ != nullptr) return Mixed("a definition", "writes", kHint);
  if (block_snapshot_ != nullptr) return Mixed("a definition", "reads", kHint);
  block_defined_ = true;
  return Ok();
}

Status Session::CommitImplicit() {
  if (implicit_ == nullptr) return Ok();
  const std::unique_ptr<runtime::WriteTransaction> writes = std::move(implicit_);
  TRY(const runtime::StatementResult result, writes->Commit(variables_.statement_timeout()));
  NoteToken(result.token);
  return Ok();
}

void Session::NoteToken(const std::string& token) {
  if (!token.empty()) last_token_ = token;
}

void Session::LeaveBlock() {
  status_ = Block::kNone;
  block_snapshot_.reset();
  block_writes_.reset();
  block_read_only_ = false;
  block_defined_ = false;
  cursors_.clear();
  savepoints_.clear();
  variables_before_.reset();
  local_before_.clear();
}

Result<Session::Outcome> Session::RunBegin(const BeginBlock& begin, std::string& out) {
  Outcome outcome;
  outcome.tag = "BEGIN";
  if (status_ == Block::kOpen) {
    AppendNotice("WARNING", "25001", "there is already a transaction in progress", out);
    return outcome;
  }
  context_.counters.transactions.fetch_add(1);
  status_ = Block::kOpen;
  const auto read_only = variables_.Get("default_transaction_read_only");
  block_read_only_ = begin.read_only.value_or(read_only.ok() && *read_only == "on");
  variables_before_ = variables_;
  return outcome;
}

Result<Session::Outcome> Session::RunEnd(const EndBlock& end, std::string& out) {
  Outcome outcome;
  outcome.tag = end.commit && status_ != Block::kFailed ? "COMMIT" : "ROLLBACK";
  if (status_ == Block::kNone) {
    AppendNotice("WARNING", "25P01", "there is no transaction in progress", out);
    return outcome;
  }
  const Variables before = variables_;
  const bool commits = end.commit && status_ == Block::kOpen;
  const std::unique_ptr<runtime::WriteTransaction> writes = std::move(block_writes_);
  if (!commits && variables_before_) {
    variables_ = *variables_before_;
  } else {
    // SET LOCAL ends with the block.
    for (auto local = local_before_.rbegin(); local != local_before_.rend(); ++local)
      TRY(variables_.Set(local->first, local->second));
  }
  const bool read_only = block_read_only_;
  LeaveBlock();
  ReportChanges(before, out);
  if (commits && writes != nullptr) {
    TRY(const runtime::StatementResult result, writes->Commit(variables_.statement_timeout()));
    NoteToken(result.token);
  }
  if (end.chain) TRY(RunBegin({read_only}, out));
  return outcome;
}

Result<Session::Outcome> Session::RunSavepoint(const Savepoint& savepoint) {
  using What = Savepoint::What;
  Outcome outcome;
  outcome.tag = savepoint.what == What::kSet       ? "SAVEPOINT"
                : savepoint.what == What::kRelease ? "RELEASE"
                                                   : "ROLLBACK";
  if (status_ == Block::kNone) {
    return Error(Code::kConflict, "{} can only be used in transaction blocks", outcome.tag)
        .SqlState("25P01");
  }
  if (savepoint.what == What::kSet) {
    if (savepoints_.size() >= kSavepointsMax)
      return Error(Code::kTooLarge, "a transaction has at most {} savepoints", kSavepointsMax);
    savepoints_.push_back({savepoint.name,
                           block_writes_ == nullptr ? nullptr : block_writes_->MakeMark(),
                           block_snapshot_ != nullptr});
    return outcome;
  }
  const auto found =
      std::find_if(savepoints_.rbegin(), savepoints_.rend(),
                   [&](const Marked& marked) { return marked.name == savepoint.name; });
  if (found == savepoints_.rend()) {
    return Error(Code::kNotFound, "savepoint {} does not exist", Quoted(savepoint.name))
        .SqlState("3B001");
  }
  const auto at = found.base() - 1;
  if (savepoint.what == What::kRelease) {
    savepoints_.erase(at, savepoints_.end());
    return outcome;
  }
  savepoints_.erase(at + 1, savepoints_.end());
  const Marked& marked = savepoints_.back();
  if (marked.writes == nullptr) {
    block_writes_.reset();
  } else {
    block_writes_->GoBackTo(*marked.writes);
  }
  if (!marked.reads) block_snapshot_.reset();
  status_ = Block::kOpen;
  return outcome;
}

void Session::ReportChanges(const Variables& before, std::string& out) const {
  const auto then = before.Reported();
  const auto now = variables_.Reported();
  for (size_t i = 0; i < now.size(); ++i) {
    if (now[i].second != then[i].second) AppendParameterStatus(now[i].first, now[i].second, out);
  }
}

Result<Session::Outcome> Session::RunSet(const SetVariable& set, std::string& out) {
  Outcome outcome;
  outcome.tag = "SET";
  const Variables before = variables_;
  if (set.local && status_ != Block::kOpen) {
    AppendNotice("WARNING", "25P01", "SET LOCAL can only be used in transaction blocks", out);
    return outcome;
  }
  if (set.local) {
    if (const auto old = variables_.Get(set.name); old.ok())
      local_before_.emplace_back(set.name, *old);
  }
  if (rows::EqualNames(set.name, "transaction_read_only") && status_ == Block::kOpen)
    block_read_only_ = set.value && (*set.value == "on" || *set.value == "true");
  TRY(set.value ? variables_.Set(set.name, *set.value) : variables_.Reset(set.name));
  ReportChanges(before, out);
  return outcome;
}

Result<Session::Outcome> Session::RunSetTransaction(const SetTransaction& set, std::string& out) {
  Outcome outcome;
  outcome.tag = "SET";
  if (!set.read_only) return outcome;
  if (set.of_session) {
    const Variables before = variables_;
    TRY(variables_.Set("default_transaction_read_only", *set.read_only ? "on" : "off"));
    ReportChanges(before, out);
  } else if (status_ == Block::kOpen) {
    if (!*set.read_only && block_read_only_ && block_snapshot_ != nullptr)
      return Error(Code::kConflict, "transaction read-write mode must be set before any query")
          .SqlState("25001");
    block_read_only_ = *set.read_only;
  } else {
    AppendNotice("WARNING", "25P01", "SET TRANSACTION can only be used in transaction blocks", out);
  }
  return outcome;
}

Result<Session::Outcome> Session::RunShow(const ShowVariable& show) const {
  Outcome outcome;
  outcome.tag = "SHOW";
  if (rows::EqualNames(show.name, "all")) {
    std::vector<std::vector<std::string>> rows;
    for (const Variable& variable : variables_.All())
      rows.push_back({variable.name, variable.value, variable.description});
    outcome.rows = TextRows({"name", "setting", "description"}, rows);
    return outcome;
  }
  if (rows::EqualNames(show.name, "millrace.token")) {
    outcome.rows = TextRows({"millrace.token"}, {{last_token_}});
    return outcome;
  }
  if (rows::EqualNames(show.name, "transaction_read_only")) {
    const auto otherwise = variables_.Get("default_transaction_read_only");
    const bool read_only =
        status_ == Block::kOpen ? block_read_only_ : otherwise.ok() && *otherwise == "on";
    outcome.rows = TextRows({"transaction_read_only"}, {{read_only ? "on" : "off"}});
    return outcome;
  }
  TRY(const std::string value, variables_.Get(show.name));
  outcome.rows = TextRows({show.name}, {{value}});
  return outcome;
}

Result<Session::Outcome> Session::RunReset(const ResetVariable& reset, std::string& out) {
  Outcome outcome;
  outcome.tag = "RESET";
  const Variables before = variables_;
  if (reset.name.empty()) {
    variables_.ResetAll();
  } else {
    TRY(variables_.Reset(reset.name));
  }
  ReportChanges(before, out);
  return outcome;
}

Result<Session::Outcome> Session::RunDiscard(const Discard& discard, std::string& out) {
  Outcome outcome;
  outcome.tag = "DISCARD " + discard.what;
  if (!discard.all) return outcome;
  if (status_ != Block::kNone)
    return Error(Code::kConflict, "DISCARD ALL cannot run inside a transaction block")
        .SqlState("25001");
  const Variables before = variables_;
  variables_.ResetAll();
  ReportChanges(before, out);
  prepared_.clear();
  prepared_bytes_ = 0;
  portals_.clear();
  cursors_.clear();
  return outcome;
}

}  // namespace millrace::pg
