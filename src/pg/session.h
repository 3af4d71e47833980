// A Session is what a connection does once its client has signed in: it takes the client's messages
// one after the other and writes the replies, by the simple and the extended protocol. It knows no
// socket and never waits for one.
//
//   session.Work(in, out)     takes whole messages off `in`, appends to `out`, says what is next
//
// Transactions: a block (BEGIN … COMMIT) either reads, at the step of its first read, or writes:
// INSERT, UPDATE and DELETE are held back and appended as one at COMMIT (runtime/transaction.h).
// Writes that come one after another without a Sync between them, or in one string, are such a
// block without being called so. Definitions take effect by themselves.
//
//   session.cc            messages, their order, errors
//   session_run.cc        what statements do
//   session_variables.cc  transactions and variables
//   session_lookup.cc     prepared keyed look-ups
//   session_send.cc       rows on their way to the client, COPY and SUBSCRIBE
//
// Not thread-safe: one thread at a time, but for CancelState. May take long.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "auth/access.h"
#include "pg/copy_in.h"
#include "pg/copy_out.h"
#include "pg/message.h"
#include "pg/session_statement.h"
#include "pg/system_catalog.h"
#include "pg/value_encoder.h"
#include "pg/variables.h"
#include "runtime/node.h"
#include "runtime/prepared_lookup.h"
#include "runtime/subscription.h"
#include "runtime/transaction.h"

namespace millrace::pg {

// Of one session: statements and portals by name, and the bytes of the statements.
inline constexpr size_t kPreparedMax = 4'096;
inline constexpr size_t kPortalsMax = 1'024;
// A block that reads keeps its step's versions: not for longer than this.
inline constexpr std::chrono::minutes kPinnedMax{10};
inline constexpr size_t kSavepointsMax = 64;  // each may hold a copy of the block's changes
inline constexpr size_t kPreparedBytesMax = 64u << 20;
// Work returns when it has written about this much.
inline constexpr size_t kOutBytes = 256u << 10;

// How a statement that runs is cancelled, from any thread.
class CancelState {
 public:
  std::shared_ptr<std::atomic<bool>> flag() const { return flag_; }
  void Cancel() { flag_->store(true); }
  void Clear() { flag_->store(false); }
  bool cancelled() const { return flag_->load(); }

 private:
  const std::shared_ptr<std::atomic<bool>> flag_ = std::make_shared<std::atomic<bool>>(false);
};

struct SessionCounters {
  std::atomic<int64_t> statements{0};
  std::atomic<int64_t> errors{0};
  std::atomic<int64_t> rows{0};
  std::atomic<int64_t> lookups{0};  // statements answered straight from a view's content
  std::atomic<int64_t> cancelled{0};
  std::atomic<int64_t> transactions{0};   // blocks
  std::atomic<int64_t> subscriptions{0};  // that are open
};

// All of them outlive the session.
struct SessionContext {
  runtime::Node& node;
  SystemCatalog& catalog;
  const auth::Access* access;  // nullptr: open to all
  SessionCounters& counters;
};

class Session {
 public:
  Session(SessionContext context, std::string user, auth::PrincipalPtr principal, int32_t process,
          std::shared_ptr<CancelState> cancel);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // What the client's start-up packet asked for; then the variables are what RESET goes back to.
  // An error ends the connection.
  Status Begin(const std::vector<std::pair<std::string, std::string>>& parameters);
  const Variables& variables() const { return variables_; }

  enum class Next {
    kRead,   // the client has to send more
    kAgain,  // there is more to do once `out` has been sent
    kWait,   // SUBSCRIBE waits for the next step: again when there is one, or when it is cancelled
    kEnd,    // the connection ends once `out` has been sent
  };
  Next Work(std::string_view& in, std::string& out);
  // Whether Work on these messages takes microseconds, so that an I/O thread may do it.
  bool IsQuick(std::string_view in) const;

  // After kWait: what it waits for.
  std::shared_ptr<runtime::Subscription> followed() const {
    return sending_ ? sending_->portal->outcome->subscription : nullptr;
  }
  // Within a block, and idle: it holds a step, or changes, back.
  bool in_block() const { return status_ != Block::kNone; }

 private:
  enum class Block { kNone, kOpen, kFailed };

  // What a statement has come to.
  struct Outcome {
    std::shared_ptr<const sql::QueryResult> rows;  // nullptr: it gives none
    std::string tag;                               // of what gives no rows; "SELECT" and the like
    bool counts_rows = false;                      // the tag gets the count of rows sent
    std::shared_ptr<runtime::Subscription> subscription;
    std::shared_ptr<CopyOut> copy_out;
    std::unique_ptr<CopyIn> copy_in;
  };
  struct Prepared {
    std::string name;
    std::string text;                           // as it came
    std::optional<SessionStatement> statement;  // none: it is empty
    std::vector<uint32_t> parameter_oids;       // as declared, then as described
    bool described = false;
    uint64_t catalog_version = 0;  // for which it was described
    rows::Schema schema;           // no columns: it gives no rows
    size_t executions = 0;
    // A keyed look-up, and the catalog for which it was looked whether it is one.
    std::shared_ptr<const runtime::PreparedLookup> lookup;
    std::optional<uint64_t> lookup_version;
  };
  struct Portal {
    std::shared_ptr<Prepared> prepared;
    std::map<std::string, duckdb::Value> parameters;
    std::vector<int16_t> formats;
    std::optional<Outcome> outcome;
    std::unique_ptr<RowEncoder> encoder;
    size_t chunk = 0;  // of the next row
    size_t row = 0;    // within it
    uint64_t sent = 0;
    uint64_t sent_now = 0;  // by this Execute
    bool ended = false;
  };
  using PortalPtr = std::shared_ptr<Portal>;
  struct Marked {
    std::string name;
    std::shared_ptr<const runtime::WriteTransaction::Mark> writes;  // nullptr: it had not written
    bool reads;                                                     // it had read
  };
  // A portal whose rows are on their way.
  struct Sending {
    PortalPtr portal;
    uint64_t rows_max = 0;  // 0: all
    bool simple = false;
  };

  // session.cc
  Status TakeOptions(std::string_view text);
  void Handle(const FrontendMessage& message, bool last, std::string& out);
  Status HandleExtended(const FrontendMessage& message, std::string& out);
  Status HandleParse(std::string_view body, std::string& out);
  Status HandleBind(std::string_view body, std::string& out);
  Status HandleDescribe(std::string_view body, std::string& out);
  Status HandleExecute(std::string_view body, std::string& out);
  Status HandleClose(std::string_view body, std::string& out);
  void HandleSync(std::string& out);
  void HandleQuery(std::string_view body, std::string& out);
  void NextOfQuery(std::string& out);
  void EndQuery(std::string& out);
  void Fail(const Error& error, std::string& out);
  Status CheckPrincipal();
  // Of what the node runs; what ends a transaction or sets a variable is free.
  Status CountRequest(const StatementKind& kind) const;
  static Error BlockFailed();
  Status Describe(Prepared& prepared);
  Status ExecuteLookup(Portal& portal);
  Result<std::shared_ptr<Prepared>> FindPrepared(std::string_view name) const;
  Result<PortalPtr> FindPortal(std::string_view name) const;
  void Finish(const Outcome& outcome, uint64_t rows, std::string& out) const;

  // session_lookup.cc: ExecuteLookup, IsQuick; session_run.cc
  Result<Outcome> Run(const SessionStatement& statement,
                      const std::map<std::string, duckdb::Value>& parameters, std::string& out);
  Result<std::string> TextOf(const SessionStatement& statement) const;
  Result<Outcome> RunNode(const NodeStatement& kind, const std::string& text,
                          const std::map<std::string, duckdb::Value>& parameters, std::string& out);
  Result<Outcome> RunCatalog(const std::string& text,
                             const std::map<std::string, duckdb::Value>& parameters,
                             std::string& out);
  Result<Outcome> RunCopy(const Copy& copy, const std::string& text);
  Result<Outcome> RunSubscribe(const Subscribe& subscribe);
  Result<Outcome> RunDeclare(const DeclareCursor& declare, std::string& out);
  Result<Outcome> RunFetch(const FetchCursor& fetch);
  Result<Outcome> RunWrite(const std::string& text, const runtime::StatementOptions& options);
  runtime::StatementOptions Options(const std::map<std::string, duckdb::Value>& parameters) const;
  Result<sql::Database::Described> DescribeStatement(const SessionStatement& statement,
                                                     const sql::ParameterTypes& given);
  CatalogAsker Asker() const;
  Outcome OfResult(runtime::StatementResult result, const NodeStatement& kind, std::string& out);

  // session_variables.cc
  Result<Outcome> RunBegin(const BeginBlock& begin, std::string& out);
  Result<Outcome> RunEnd(const EndBlock& end, std::string& out);
  Result<Outcome> RunSavepoint(const Savepoint& savepoint);
  Result<Outcome> RunSet(const SetVariable& set, std::string& out);
  Result<Outcome> RunSetTransaction(const SetTransaction& set, std::string& out);
  Result<Outcome> RunShow(const ShowVariable& show) const;
  Result<Outcome> RunReset(const ResetVariable& reset, std::string& out);
  Result<Outcome> RunDiscard(const Discard& discard, std::string& out);
  Status BeforeRead();
  Status BeforeWrite();
  Status BeforeDefinition();
  Status CommitImplicit();
  void LeaveBlock();
  void ReportChanges(const Variables& before, std::string& out) const;
  void NoteToken(const std::string& token);

  // session_send.cc
  Next Send(std::string& out);
  Result<bool> SendRows(Portal& portal, std::string& out);
  Result<Next> SendSubscription(Portal& portal, std::string& out);
  Next SendEnded(std::string& out);
  void HandleCopyData(const FrontendMessage& message, std::string& out);
  void BeginCopyIn(std::unique_ptr<CopyIn> copy, bool simple, std::string& out);
  Status WritePieceOfCopy();
  Status FinishCopyIn();
  Status WriteCopied(CopyIn::Chunks rows);
  Error OfCopyInPieces(Error error) const;

  const SessionContext context_;
  const std::string user_;
  auth::PrincipalPtr principal_;
  const int32_t process_;
  const std::shared_ptr<CancelState> cancel_;
  Variables variables_;

  std::map<std::string, std::shared_ptr<Prepared>, std::less<>> prepared_;
  size_t prepared_bytes_ = 0;
  std::map<std::string, PortalPtr, std::less<>> portals_;
  std::map<std::string, PortalPtr, std::less<>> cursors_;  // of DECLARE

  Block status_ = Block::kNone;
  bool block_read_only_ = false;
  bool block_defined_ = false;  // it had a definition
  std::chrono::steady_clock::time_point block_pinned_;
  std::shared_ptr<const sql::Snapshot> block_snapshot_;      // it reads
  std::unique_ptr<runtime::WriteTransaction> block_writes_;  // it writes
  std::vector<Marked> savepoints_;
  std::optional<Variables> variables_before_;                      // of the block
  std::vector<std::pair<std::string, std::string>> local_before_;  // by SET LOCAL
  std::unique_ptr<runtime::WriteTransaction> implicit_;            // without a block

  bool skip_to_sync_ = false;
  bool more_follows_ = false;  // another message than Sync, or another statement of the string
  bool ended_ = false;
  std::optional<Sending> sending_;
  std::unique_ptr<CopyIn> copy_in_;
  bool copy_in_simple_ = false;
  size_t copied_ = 0;         // rows of the last COPY FROM that are written
  bool in_query_ = false;     // a string of statements is being answered
  std::string query_;         // all of it
  std::string current_text_;  // that errors point into
  std::deque<std::string> query_left_;
  std::string last_token_;
};

}  // namespace millrace::pg
