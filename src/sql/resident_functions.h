// Some functions of DuckDB (list_sort and its kin, which `list(x ORDER BY x)` becomes too) keep the
// connection that bound them, for the buffers that they sort in. A view's expressions outlive the
// connection that plans them, so such functions are bound again, to one that lives as long as the
// database. Thread-safe.
#pragma once

#include <memory>
#include <mutex>

#include "base/result.h"
#include "duckdb.hpp"
#include "duckdb/planner/logical_operator.hpp"

namespace millrace::sql {

class ResidentFunctions {
 public:
  // Errors: kInternal.
  static Result<std::unique_ptr<ResidentFunctions>> Open(duckdb::DuckDB& database);

  // Binds every such call in the plan again, in the bodies of lambdas too. May throw DuckDB's
  // exceptions.
  void Bind(duckdb::LogicalOperator& plan);

 private:
  explicit ResidentFunctions(std::unique_ptr<duckdb::Connection> connection)
      : connection_(std::move(connection)) {}
  void BindIn(duckdb::unique_ptr<duckdb::Expression>& expression);

  std::mutex mutex_;
  const std::unique_ptr<duckdb::Connection> connection_;  // in a transaction all its life
};

}  // namespace millrace::sql
