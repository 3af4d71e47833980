// pg_catalog and information_schema: tables of a DuckDB of their own that show what Millrace's
// catalog has, with OIDs that stay the same, and the functions that PostgreSQL's clients call on
// them. A query for them is rewritten where DuckDB reads SQL otherwise (catalog_rewrite.h) and run
// there.
//
// Thread-safe; a query that comes while the tables are made anew waits for them.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "catalog/catalog.h"
#include "pg/variables.h"
#include "runtime/node.h"

namespace millrace::pg {

inline constexpr const char* kDatabaseName = "millrace";

// Of the session that asks.
struct CatalogAsker {
  std::string user;
  int32_t process = 0;
  std::string client;  // its application_name
  const Variables* variables = nullptr;
  std::shared_ptr<std::atomic<bool>> cancel = nullptr;
};

// A query that the catalog could not answer.
struct Unanswered {
  std::string query;
  std::string error;
  std::string client;
  int64_t count = 0;
  Micros last;
};

class SystemCatalog {
 public:
  // `system_tables`: those of schema millrace, with their columns.
  static Result<std::unique_ptr<SystemCatalog>> Open(
      std::vector<std::pair<std::string, rows::Schema>> system_tables);
  ~SystemCatalog();

  // Errors are noted, and shown by unanswered().
  Result<sql::QueryResult> Query(const catalog::CatalogPtr& catalog, const std::string& text,
                                 const std::map<std::string, duckdb::Value>& parameters,
                                 const CatalogAsker& asker);
  Result<sql::Database::Described> Describe(const catalog::CatalogPtr& catalog,
                                            const std::string& text,
                                            const sql::ParameterTypes& given,
                                            const CatalogAsker& asker);

  // The newest last, at most a thousand.
  std::vector<Unanswered> unanswered() const;
  int64_t answered() const { return answered_.load(); }
  int64_t failed() const { return failed_.load(); }

 private:
  struct Impl;
  explicit SystemCatalog(std::unique_ptr<Impl> impl);
  Error Note(const std::string& text, const CatalogAsker& asker, Error error);

  std::unique_ptr<Impl> impl_;
  std::atomic<int64_t> answered_{0};
  std::atomic<int64_t> failed_{0};
  mutable std::mutex mutex_;
  std::deque<Unanswered> unanswered_;  // guarded by mutex_
};

}  // namespace millrace::pg
