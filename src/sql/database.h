// The embedded DuckDB with Millrace's catalog in it: binds and plans views into circuits, and
// answers ad-hoc queries at one step.
//
// Relations are bound through a replacement scan to a table function without statistics and filter
// pushdown, so that the optimiser folds nothing (docs/architecture.md says why). DuckDB's
// exceptions end here. Thread-safe: every call takes a connection of its own from a pool.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "catalog/relation_shape.h"
#include "rows/batch.h"
#include "sql/query_result.h"
#include "sql/statement.h"
#include "stream/plan.h"

namespace millrace::models {
class ModelStore;
}

namespace millrace::sql {

class ColumnTables;
struct ColumnCopy;

struct ViewPlan {
  stream::Plan plan;  // ends in one Output node named like the view
  rows::Schema schema;
  std::vector<std::string> reads;  // relations named, directly
  std::vector<size_t>
      key;  // output columns that identify a row (GROUP BY columns), where known; else empty
  std::vector<std::string> notices;  // "ORDER BY without LIMIT is ignored"
};

// Reads one relation at a snapshot. Not thread-safe.
class RelationScan {
 public:
  virtual ~RelationScan() = default;
  // Fills `out` (initialised with the asked-for columns' types) with up to STANDARD_VECTOR_SIZE
  // rows; 0 rows: the end.
  virtual Status Next(duckdb::DataChunk& out) = 0;
  // Before the first Next: the same rows in parts, one behind the other, that several threads may
  // read at once; this scan is of no use then. Empty: it has only itself.
  virtual std::vector<std::unique_ptr<RelationScan>> Split() { return {}; }
};

// What a query sees: all relations at one step. Implemented by the runtime. Thread-safe.
class Snapshot {
 public:
  virtual ~Snapshot() = default;
  virtual int64_t step() const = 0;
  virtual const catalog::Catalog& catalog() const = 0;
  // Columns of a relation as a query sees them, hidden ones (_partition, _offset, …) after the
  // declared; also "<stream>.quarantine",
  // "<stream>.late" and the system tables "millrace.<name>". kNotFound where there is none.
  // (catalog::ShapeOf for those of the catalog. In a ViewPlan, a Relation node's types are all
  // columns of the shape.)
  using RelationShape = catalog::RelationShape;
  virtual Result<RelationShape> Shape(std::string_view name) const = 0;
  // An equality that the query puts on a column with an index: may be used to read less; the query
  // filters again anyway.
  struct Equality {
    size_t column;
    duckdb::Value value;
  };
  virtual Result<std::unique_ptr<RelationScan>> Scan(
      std::string_view name, const std::vector<size_t>& columns,
      const std::vector<Equality>& equalities) const = 0;
  // What of a stream stands in a table of ColumnTables and may be read there; nullptr: nothing. The
  // table stays as long as somebody holds the answer.
  virtual std::shared_ptr<const ColumnCopy> Copied(std::string_view name) const;
  // The rows that a copy does not have. REQUIRES: Copied gave it.
  virtual Result<std::unique_ptr<RelationScan>> ScanBeyond(std::string_view name,
                                                           const std::vector<size_t>& columns,
                                                           const ColumnCopy& copy) const;
};

// Of a statement's parameters, by name; positional ones are "1", "2", ….
using ParameterTypes = std::map<std::string, duckdb::LogicalType>;

// Whose statement it is: what the functions that ask for it say, and how times are read and shown.
// Views and all else that is kept know nothing of it.
struct Caller {
  std::string time_zone = "UTC";  // as DuckDB names it
  std::string user = "millrace";  // of a node that asks nobody to sign in
};

struct QueryLimits {
  std::chrono::milliseconds timeout{60'000};
  size_t rows_max = 0;  // 0: no bound
  Caller caller{};
  std::shared_ptr<std::atomic<bool>> cancel = nullptr;  // may be set from any thread
  // Rows that do not fit into memory become QueryResult::spilled: for those who read all by
  // ReadChunk.
  bool may_spill = false;
  uint64_t rows_bytes_max = uint64_t{256} << 20;  // of all rows in memory, unless they may spill
};

struct DatabaseOptions {
  int threads = 1;                          // for ad-hoc queries
  size_t memory_bytes = size_t{1} << 30;    // for ad-hoc queries
  size_t result_bytes = size_t{256} << 20;  // for the rows of answers, beside those
  std::string temp_directory;
  uint64_t temp_bytes_max = 0;             // there; 0: as much as DuckDB finds right
  std::vector<std::string> allowed_files;  // folders that queries may read; empty: none
  std::string closed_files;                // a folder that they may not, below those; empty: none
  std::string column_directory;            // of ColumnTables; empty: there are none
  // What predict() finds the catalog's models in; nullptr: a store without any.
  std::shared_ptr<models::ModelStore> models = nullptr;
};

class Database {
 public:
  static Result<std::unique_ptr<Database>> Open(const DatabaseOptions& options);
  ~Database();
  static std::string DuckDbVersion();
  duckdb::DuckDB& duckdb();  // for the engine's expression contexts
  models::ModelStore& models();
  // Where streams may have their rows in columns (column_tables.h); nullptr: nowhere, because
  // nobody asked for it or the folder cannot be written.
  ColumnTables* column_tables();

  // Binds the SELECT of a view against the catalog and maps it to a circuit. Plain views that it
  // names are expanded in place. Errors: unknown names (nearest one), types, and constructs that
  // cannot be maintained, each with its place in `origin.text`.
  Result<ViewPlan> PlanView(const catalog::Catalog& catalog, const catalog::ViewDefinition& view,
                            const Origin& origin);

  // Binds a query without running it: its columns (and, for a plain view or endpoint, the relations
  // it reads).
  struct Bound {
    rows::Schema schema;
    std::vector<std::string> reads;
  };
  Result<Bound> Bind(const catalog::Catalog& catalog, const std::string& select,
                     const std::map<std::string, duckdb::LogicalType>& parameters,
                     const Origin& origin);

  // Runs one SELECT at a snapshot. `parameters` by name, positional ones as "1", "2", ….
  Result<QueryResult> Query(std::shared_ptr<const Snapshot> snapshot, const std::string& select,
                            const std::map<std::string, duckdb::Value>& parameters,
                            const QueryLimits& limits);

  // What a SELECT, INSERT, UPDATE or DELETE takes and gives, without running it: the types of all
  // its parameters (those given stay; of which nothing follows are texts) and its columns. Of other
  // statements: as given, and none.
  struct Described {
    ParameterTypes parameters;
    rows::Schema schema;
  };
  Result<Described> Describe(std::shared_ptr<const Snapshot> snapshot, const Statement& statement,
                             const ParameterTypes& given);

  // A boolean condition over named, typed columns, for CHECK: evaluated over chunks.
  class RowCondition {
   public:
    virtual ~RowCondition() = default;
    // False per row where the condition is FALSE (NULL passes, as SQL's CHECK does). A row whose
    // evaluation fails: false too.
    virtual void Evaluate(duckdb::DataChunk& rows, std::vector<uint8_t>& passes) = 0;
  };
  // `catalog`: its types and macros may be named.
  Result<std::unique_ptr<RowCondition>> Condition(const catalog::Catalog& catalog,
                                                  const rows::Schema& schema,
                                                  const std::string& expression,
                                                  const Origin& origin);

  // That the macro's body binds, with the types and macros of the catalog, and that its name is
  // free.
  Status CheckMacro(const catalog::Catalog& catalog, const catalog::MacroDefinition& macro,
                    const Origin& origin);

  // What an INSERT, UPDATE or DELETE does, worked out against the table's present rows, not done.
  struct WriteRows {
    rows::Batch insert;     // full rows of the target
    rows::Batch remove;     // full rows of the target (UPDATE, DELETE, replaced ones)
    QueryResult returning;  // RETURNING …, else no columns
    size_t affected = 0;
  };
  Result<WriteRows> EvaluateWrite(std::shared_ptr<const Snapshot> snapshot,
                                  const WriteStatement& statement,
                                  const std::map<std::string, duckdb::Value>& parameters,
                                  const QueryLimits& limits);

  // EXPLAIN of an ad-hoc query: DuckDB's plan, for those values of its parameters.
  Result<std::string> ExplainQuery(std::shared_ptr<const Snapshot> snapshot,
                                   const std::string& select,
                                   const std::map<std::string, duckdb::Value>& parameters,
                                   const Caller& caller);

  struct Impl;
  explicit Database(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

// Turns a DuckDB exception's or result's error into ours: code, message without JSON, position in
// `origin.text` (shifted by where the SQL text that DuckDB saw begins), and "did you mean" from its
// candidates.
Error FromDuckDb(const duckdb::ErrorData& error, const Origin& origin, size_t sql_begin);

// The columns of a statement whose parameters have no values yet, without rows; `types` has those
// that are given and gets the others: texts, where nothing follows of them. May throw DuckDB's
// exceptions.
Result<QueryResult> PlanParameters(duckdb::ClientContext& client, duckdb::SQLStatement& statement,
                                   ParameterTypes& types);

}  // namespace millrace::sql
