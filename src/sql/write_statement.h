// An INSERT, UPDATE or DELETE, taken apart: what it reads becomes SELECTs, run at the snapshot;
// what it changes is worked out from their rows. Nothing is done here: the caller appends the
// changes to the log.
//
//   write.cc           the way of each statement
//   write_keys.cc      NOT NULL, CHECK and primary keys
//   write_selects.cc   the SELECTs that a statement is rewritten to
//
// Not thread-safe; one per statement.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/statement/delete_statement.hpp"
#include "duckdb/parser/statement/insert_statement.hpp"
#include "duckdb/parser/statement/update_statement.hpp"
#include "rows/batch.h"
#include "rows/key.h"
#include "sql/database_impl.h"

namespace millrace::sql {

using Chunks = std::vector<std::shared_ptr<duckdb::DataChunk>>;
inline size_t RowCount(const Chunks& chunks) {
  size_t count = 0;
  for (const auto& chunk : chunks) count += chunk->size();
  return count;
}

// Where a row stands in a list of chunks.
struct RowAt {
  size_t chunk;
  size_t row;
};

// The target's columns, and what rows of it must satisfy.
struct WriteTarget {
  std::string name;
  std::string kind;  // "stream", "table"
  rows::Schema schema;
  std::vector<size_t> primary_key;  // columns; empty: a bag, or a stream
  std::vector<catalog::Check> checks;

  static Result<WriteTarget> Of(const catalog::Catalog& catalog, const std::string& name);
  Result<size_t> Column(const std::string& name) const;
  duckdb::Value Default(size_t column) const;
};

// Primary keys of rows as bytes.
class KeyColumns {
 public:
  explicit KeyColumns(const WriteTarget& target);
  // One key per row; valid until the next call.
  const std::vector<std::string_view>& Of(duckdb::DataChunk& rows);
  // "(id)=(1)", for a person.
  std::string Text(const duckdb::DataChunk& rows, size_t row) const;

 private:
  const WriteTarget& target_;
  rows::KeyEncoder encoder_;
};

class WriteEvaluation {
 public:
  WriteEvaluation(Database& database, Database::Impl& impl,
                  std::shared_ptr<const Snapshot> snapshot, Place place,
                  const std::map<std::string, duckdb::Value>& parameters,
                  const QueryLimits& limits);

  Result<Database::WriteRows> Evaluate(const WriteStatement& statement);
  // The columns of RETURNING, and the types of the parameters: nothing is run.
  Result<rows::Schema> Describe(const WriteStatement& statement, ParameterTypes& parameters);

 private:
  using Statement = duckdb::SQLStatement;
  using SelectPtr = duckdb::unique_ptr<duckdb::SelectNode>;
  using Expressions = duckdb::vector<duckdb::unique_ptr<duckdb::ParsedExpression>>;

  Result<Database::WriteRows> Insert(duckdb::InsertStatement& insert);
  Result<Database::WriteRows> Update(duckdb::UpdateStatement& update);
  Result<Database::WriteRows> Delete(duckdb::DeleteStatement& remove);

  // write_selects.cc
  Result<QueryResult> Run(duckdb::unique_ptr<duckdb::SelectStatement> select);
  Result<QueryResult> Run(SelectPtr node);
  // The rows that an INSERT gives, as full rows of the target.
  Result<Chunks> NewRows(duckdb::InsertStatement& insert);
  Status PrepareValues(duckdb::ExpressionListRef& values, const std::vector<size_t>& columns);
  // `alias`.column for each of the target's, before them the row's number.
  Expressions TargetColumns(const std::string& alias) const;
  duckdb::unique_ptr<duckdb::ParsedExpression> Assigned(
      duckdb::unique_ptr<duckdb::ParsedExpression> value, size_t column) const;
  Result<QueryResult> Returning(Expressions& list, const std::string& alias, const Chunks& rows);

  // write_keys.cc
  Status CheckRows(const Chunks& rows);
  // The rows of the target that have one of these keys, by key.
  Result<std::map<std::string, RowAt>> FindRows(const Chunks& candidates, Chunks& found);
  // kAlreadyExists when two of `rows` have one key, or one of them has the key of a present row
  // outside `leaving`.
  Status CheckKeysFree(const Chunks& rows, const std::set<std::string>& leaving);
  Error Duplicate(const std::string& key_text) const;

  struct Merge;
  Result<Database::WriteRows> InsertIntoTable(duckdb::InsertStatement& insert, Chunks rows);
  Result<Merge> MergeKeys(const Chunks& rows, duckdb::OnConflictAction action);
  // The rows that DO UPDATE makes of `old_rows`, each with its row of `new_rows`; rows that its
  // WHERE leaves out are marked.
  Result<Chunks> Updated(duckdb::OnConflictInfo& conflict, const std::string& alias,
                         const Chunks& old_rows, const Chunks& new_rows,
                         std::vector<bool>& touched);

  Database& database_;
  Database::Impl& impl_;
  std::shared_ptr<const Snapshot> snapshot_;
  Place place_;
  const std::map<std::string, duckdb::Value>& parameters_;
  QueryLimits limits_;
  ConnectionPool::Lease lease_;
  WriteTarget target_;
  ParameterTypes* describing_ = nullptr;  // not null: SELECTs are planned, not run
};

// Full chunks of chosen rows.
Chunks TakeRows(const Chunks& from, const std::vector<RowAt>& rows, const rows::Types& types);
// The columns [first, first + count) of chunks.
Chunks TakeColumns(const Chunks& from, size_t first, size_t count);
rows::Batch AsBatch(const Chunks& chunks);

}  // namespace millrace::sql
