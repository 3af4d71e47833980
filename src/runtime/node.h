// A running node: log → source → circuit → views, and what protocols (http, later kafka and pgwire)
// and the command line ask of it. Everything here is thread-safe. Calls that may take long say so
// and belong on a pool thread, never on an I/O thread.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "catalog/catalog.h"
#include "ingest/ingest.h"
#include "log/log.h"
#include "rows/schema.h"
#include "runtime/ledger.h"
#include "runtime/table_rows.h"
#include "sql/database.h"

namespace rocksdb {
class Env;
}

namespace millrace::schemas {
class Registry;
}
namespace millrace::models {
class Model;
}

namespace millrace::runtime {

struct NodeOptions {
  std::string data_directory;
  int workers = 0;          // 0: number of cores
  size_t memory_bytes = 0;  // 0: 70 % of the machine
  std::vector<std::string> allowed_files;
  std::chrono::seconds feed_age_max = std::chrono::hours(1);  // of changes that followers may miss
  double view_step_seconds_max = 10;  // of CPU, of one operator; a view that takes longer fails
  size_t step_rows_max = 200'000;     // a step takes no more than this; tests: 1
  std::string project_directory;      // for relative paths of seeds; empty: none
  size_t content_bytes = 0;           // of contents in memory; 0: a share of memory_bytes; tests: 1
  uint64_t log_segment_bytes = 0;     // 0: as the log has it; tests: a few KiB
  uint64_t column_cache_bytes = 0;    // of streams in columns, on disk; 0: none
  // Of disk: with less free, appends are refused. nullopt: DefaultDiskReserve.
  std::optional<uint64_t> disk_reserve_bytes;
  // For tests: disks that fail. `files` holds the log and the lock, `state_env` the state.
  Files* files = nullptr;             // default: Files::System()
  rocksdb::Env* state_env = nullptr;  // default: RocksDB's own
};

// A result of any statement: rows for a query, SHOW, DESCRIBE, EXPLAIN, RETURNING; a tag and a
// count for the rest.
struct StatementResult {
  std::string tag;  // "SELECT", "CREATE STREAM", "INSERT", …
  std::optional<sql::QueryResult> rows;
  size_t affected = 0;  // rows inserted, updated, deleted
  std::vector<std::string> notices;
  std::string token;  // of a write: read-your-writes
  int64_t step = 0;   // at which it was answered or became visible
};

struct StatementOptions {
  std::map<std::string, duckdb::Value> parameters;
  std::chrono::milliseconds timeout{60'000};
  std::string after;  // token: wait until it is visible first
  std::shared_ptr<std::atomic<bool>> cancel;
  size_t rows_max = 0;
  // What a SELECT reads, instead of the newest step: of PinSnapshot.
  std::shared_ptr<const sql::Snapshot> snapshot = nullptr;
  sql::Caller caller{};
  // Rows of a SELECT that do not fit into memory may stand elsewhere: QueryResult::spilled.
  bool may_spill = false;

  // Of each query that the statement makes.
  sql::QueryLimits limits() const { return {timeout, rows_max, caller, cancel}; }
  // Of the one whose rows are the answer.
  sql::QueryLimits answer_limits() const { return {timeout, rows_max, caller, cancel, may_spill}; }
};

struct RecordTrace;      // trace.h
class Subscription;      // subscription.h
class WriteTransaction;  // transaction.h
class PreparedLookup;    // prepared_lookup.h

// What the step decided about records that were appended.
struct DecidedCounts {
  int64_t duplicates = 0;
  int64_t late = 0;  // kept or diverted, as the stream says
};

struct EndpointAnswer {
  sql::QueryResult rows;
  int64_t step = 0;                 // of the content: the ETag
  std::optional<Micros> watermark;  // of the streams read: X-Data-Timestamp
  bool ordered = false;             // the query says in which order the rows come
  std::optional<Error> failed;      // a view that it reads has failed, and shows an older step
  std::string next;                 // of a page: cursor of the next one; empty: it is the last
};

// What a request wants of an endpoint, worked out by MatchEndpoint.
struct Endpoint;     // endpoints.h
struct PageRequest;  // endpoint_pages.h
struct EndpointMatch {
  std::shared_ptr<const catalog::Object> endpoint;  // keeps the definition alive
  std::map<std::string, std::string> path_values;   // from the path, percent-decoded
  std::shared_ptr<const Endpoint> compiled;         // for the Node
};

struct ProjectFile {
  std::string path;  // as errors name it
  std::string text;
};

struct ProjectPlan {
  struct Item {
    catalog::Difference::Item change;
    int64_t rows_lost = 0;  // of what would be dropped
    int64_t bytes_lost = 0;
    int64_t rows_to_read = 0;  // of what would be built from history
    int64_t bytes_to_read = 0;
  };
  std::vector<Item> items;  // none: nothing to do
  std::vector<std::string> notices;
};

class Node {
 public:
  // Recovers, then runs. The error says what to do: directory held by process N, damaged files, no
  // permission.
  static Result<std::unique_ptr<Node>> Start(NodeOptions options);
  // Graceful: no new requests, a last flush, everything closed.
  ~Node();
  void Stop();

  bool ready() const;  // recovery is over
  // Not ok: the node met an error after which it cannot go on (a failed fsync, damaged state); the
  // text says which.
  Status health() const;

  ingest::Ingest& ingest();
  // For reading what the streams hold (their topics are in the catalog), and for the internal
  // topics of protocols.
  log::Log& log();
  schemas::Registry& schemas();

  // Any one statement. May take long.
  Result<StatementResult> Execute(std::string_view text, const StatementOptions& options);

  // A step that several statements read. It keeps the step's versions from being dropped: not for
  // long.
  std::shared_ptr<const sql::Snapshot> PinSnapshot() const;
  // What a statement takes and gives, without running it (sql::Database::Describe). May take long.
  Result<sql::Database::Described> Describe(std::string_view text,
                                            const sql::ParameterTypes& given);
  // Keyed look-ups without DuckDB (prepared_lookup.h); nullptr: it is none. The first answer may
  // take long. IsQuick: answered from memory, on any thread.
  std::shared_ptr<const PreparedLookup> RecogniseLookup(const std::string& select);
  Result<std::optional<sql::QueryResult>> AnswerLookup(
      const PreparedLookup& lookup, const std::map<std::string, duckdb::Value>& values);
  bool IsQuick(const PreparedLookup& lookup) const;
  // Several writes as one (transaction.h). Must not outlive the Node.
  std::unique_ptr<WriteTransaction> BeginWrites();

  // What `millrace plan` and `run` do with a project's files: the difference between what they
  // declare and what the catalog has of the project, and its application, all or nothing. What
  // would lose data is refused unless its name is in `allow_drop`. May take long.
  Result<ProjectPlan> PlanProject(const std::vector<ProjectFile>& files);
  Result<ProjectPlan> ApplyProject(const std::vector<ProjectFile>& files,
                                   const std::vector<std::string>& allow_drop);

  // Endpoints. Match: cheap, any thread. Answer: with the parameters' texts (path and query string
  // merged); most keyed look-ups are answered on the calling thread in microseconds (IsFast says so
  // beforehand), others may take long.
  std::optional<EndpointMatch> MatchEndpoint(std::string_view method, std::string_view path) const;
  bool EndpointIsFast(const EndpointMatch& match) const;
  // The step at which the endpoint's relations last changed: for If-None-Match, cheap.
  int64_t EndpointStep(const EndpointMatch& match) const;
  Result<EndpointAnswer> AnswerEndpoint(const EndpointMatch& match,
                                        const std::map<std::string, std::string>& parameters,
                                        const StatementOptions& options);
  // One page of an answer in order (endpoint_pages.h). May take long.
  Result<EndpointAnswer> AnswerEndpointPage(const EndpointMatch& match,
                                            const std::map<std::string, std::string>& parameters,
                                            const PageRequest& page,
                                            const StatementOptions& options);
  // Calls `told` after each step that is shown, and when endpoints are others than before
  // (`catalog_changed`), on a thread of the node: it must be quick. One listener; nullptr: nobody
  // any more, and no call is under way once it returns.
  void OnStep(std::function<void(bool catalog_changed)> told);

  // A model of the catalog, loaded. May take long. kNotFound.
  Result<std::shared_ptr<const models::Model>> FindModel(std::string_view name) const;

  catalog::CatalogPtr catalog() const;
  // The tables of schema millrace, as "millrace.views", with their columns.
  std::vector<std::pair<std::string, rows::Schema>> SystemTableColumns() const;
  // One more, of a listener's. REQUIRES: nobody queries yet.
  void AddSystemTable(const std::string& name, rows::Schema schema,
                      std::function<std::vector<std::vector<duckdb::Value>>()> rows);
  int64_t visible_step() const;
  // Waits until everything that `token` stands for is visible. kTimeout.
  Status WaitVisible(std::string_view token, std::chrono::milliseconds timeout);
  // The same without a thread: `done` is called once, from a thread of the node, maybe at once.
  void WhenVisible(std::string_view token, std::chrono::milliseconds timeout,
                   std::function<void(Status)> done);

  // Of records that are visible.
  DecidedCounts Decided(const std::vector<ingest::Placed>& placed) const;
  // One record's way (trace.h). May take long.
  Result<RecordTrace> Trace(std::string_view stream, int32_t partition, int64_t offset,
                            const StatementOptions& options);

  // Follows a materialized view or a table (subscription.h). With `after`: the changes of later
  // steps; else the content first, or, without it, the changes from now on. May take long. Must not
  // outlive the Node. kNotFound, kInvalidArgument: a stream, a plain view, a step to come.
  struct SubscribeOptions {
    bool content = false;
    std::optional<int64_t> after;
  };
  Result<std::unique_ptr<Subscription>> Subscribe(std::string_view relation,
                                                  const SubscribeOptions& options);

  // For a backup: a folder in the data directory that holds all of the node at one step, as links
  // and small copies, to be copied from there and given back. Taking one stops steps for a moment
  // (not producers), and gives back the one before. May take long. kConflict: another is in use
  // (its `lock` is held).
  struct BackupSource {
    std::string directory;  // absolute
    int64_t step = 0;
    uint64_t frame = 0;
  };
  Result<BackupSource> BeginBackup();
  Status EndBackup();

  // Deletes the records of a stream's partition below `before` (nullopt: all that there are now),
  // once steps have taken them, and gives the first offset that is left. Views keep what they have
  // of them; later ones are built without. kNotFound, kInvalidArgument with SQLSTATE 22003 (beyond
  // the end), kTimeout, kConflict (a view is being built from them).
  Result<int64_t> DeleteRecords(std::string_view stream, int32_t partition,
                                std::optional<int64_t> before, std::chrono::milliseconds timeout);

  // The topic of a view's changes (view_changes.h). nullopt: it is not there yet.
  // REQUIRES: the view has one.
  std::optional<log::TopicId> ChangesTopicOf(const catalog::Object& view) const;
  // Puts records into a keyed table: see TableWriter::AppendBatches. Waits for disk and step.
  Result<log::Appended> AppendToTable(const std::string& table, std::string_view batches);

  // One row of a keyed table: see TableRows.
  Result<std::optional<TableRow>> ReadRow(std::string_view table, std::string_view key) const;
  Result<RowWritten> WriteRow(std::string_view table, std::string_view key,
                              std::optional<std::string_view> row,
                              const TableRows::Condition& condition);

  // The books of every hop as of the visible step, and whether they balance (the text names the
  // edge that does not).
  std::vector<LedgerLine> Ledger() const;
  Status CheckBooks() const;

  // Prometheus text.
  std::string Metrics() const;

  struct Impl;
  explicit Node(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::runtime
