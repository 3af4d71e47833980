// Pages of an endpoint whose rows come in an order, by keyset: a cursor says which row its client
// had last, not how many rows there were before it. So pages go on where the last one ended while
// rows come and go: a row that stays is on exactly one page, whatever happens around it.
//
// The order is that of the SELECT's ORDER BY, then by a hash of all columns (64 bits), so that no
// two different rows stand in the same place; of equal rows the cursor counts how many the client
// has. Each page is one query over the newest step. Pure functions, thread-safe.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/endpoints.h"
#include "sql/database.h"

namespace millrace::runtime {

struct PageRequest {
  size_t rows_max = 0;
  std::string cursor;  // of the page before; empty: the first page
};

struct Page {
  sql::QueryResult rows;
  std::string next;  // cursor of the next page, as bytes; empty: this is the last one
};

// One of the columns of the answer that its rows are ordered by.
struct PageOrder {
  size_t column;
  bool descending = false;
  bool nulls_first = false;
};
// kInvalidArgument: there is no ORDER BY, or it orders by something that is no column of the
// answer. `schema`: of the answer.
Result<std::vector<PageOrder>> PageOrderOf(const catalog::EndpointDefinition& endpoint,
                                           const rows::Schema& schema);

// kInvalidArgument: the same; or the cursor is none of this SELECT's with these parameters.
// REQUIRES: request.rows_max > 0.
Result<Page> AnswerPage(sql::Database& database, std::shared_ptr<const sql::Snapshot> snapshot,
                        const catalog::EndpointDefinition& endpoint,
                        const std::map<std::string, duckdb::Value>& parameters,
                        const PageRequest& request, const sql::QueryLimits& limits);

}  // namespace millrace::runtime
