// What a DuckDB connection knows of the call that it serves: against which catalog or snapshot
// names are resolved, and what happened on the way. Registered with the connection, set for one
// call and cleared after it, so that nothing is global. Thread rule: written by the calling thread
// before and after DuckDB runs; while it runs, only `scan_error` is written, under its lock.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "catalog/relation_shape.h"
#include "duckdb/main/client_context_state.hpp"
#include "models/model_store.h"
#include "rows/batch.h"
#include "sql/database.h"
#include "sql/window_tables.h"

namespace millrace::sql {

// Rows in memory under a name of their own, seen by one call only: RETURNING, ON CONFLICT, CHECK.
struct InlineRelation {
  catalog::RelationShape shape;
  std::vector<std::shared_ptr<duckdb::DataChunk>> chunks;
};

class QueryContext final : public duckdb::ClientContextState {
 public:
  explicit QueryContext(models::ModelStore& model_store) : models(model_store) {}

  // REQUIRES: the connection is of a ConnectionPool.
  static QueryContext& Of(duckdb::ClientContext& context);

  // Names resolve in `inline_relations`, then in the snapshot where there is one, else in the
  // catalog.
  Result<catalog::RelationShape> Shape(const std::string& name) const;
  Result<std::unique_ptr<RelationScan>> Scan(
      const std::string& name, const std::vector<size_t>& columns,
      const std::vector<Snapshot::Equality>& equalities) const;
  // What `copy`, which CopyOf gave, does not have.
  Result<std::unique_ptr<RelationScan>> ScanBeyond(const std::string& name,
                                                   const std::vector<size_t>& columns,
                                                   const ColumnCopy& copy) const;
  // What a scan may read in columns, the same for all scans of a call; nullptr: nothing.
  std::shared_ptr<const ColumnCopy> CopyOf(const std::string& name);
  std::vector<std::string> RelationNames() const;

  void SetScanError(Error error);
  std::optional<Error> TakeScanError();
  void Clear();

  models::ModelStore& models;
  const catalog::Catalog* catalog = nullptr;
  const Snapshot* snapshot = nullptr;
  std::map<std::string, InlineRelation> inline_relations;
  std::string user;  // who asks: what current_user says
  // Relations have a column `kRowNumberColumn`: the row's position in its scan. Only writes ask for
  // it.
  bool row_numbers = false;

  // By relation, what CopyOf gave: it keeps the tables while the call runs.
  using Copies = std::map<std::string, std::shared_ptr<const ColumnCopy>>;
  Copies copies;
  bool without_copies = false;  // CopyOf gives nothing
  bool copies_failed = false;   // they may be why DuckDB failed
  bool ReadsCopies() const;

  std::set<std::string> reads;  // relations that the text names itself, by the names of the catalog
  std::string unknown_relation;  // the last name that was not found
  bool met_defect = false;       // DuckDB found a defect of its own: the connection's last call

  SessionForm session_form = SessionForm::kWindowFunctions;
  // What is wrong with a predict(): DuckDB's exception has its place only.
  std::optional<Error> model_error;

  bool session_refused = false;  // a session() is none that kPlannerCalls can express

 private:
  std::mutex scan_error_mutex_;
  std::optional<Error> scan_error_;
};

inline constexpr const char* kRowNumberColumn = "__millrace_row";

}  // namespace millrace::sql
