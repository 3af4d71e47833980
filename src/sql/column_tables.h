// Tables in which streams have copies of their rows as columns: in a file of DuckDB's own that is
// attached to the database of queries. No user's text reaches it: its name is random, it is listed
// nowhere, plans that name it are refused (column_scan.h), and its folder is closed to statements
// (guarded_files.h).
//
// Nothing in it outlives the process: it is begun anew at each start and has no write-ahead log.
// Thread rule: one thread writes; `bytes`, `Fail` and `failed` may be called from any.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "duckdb.hpp"
#include "rows/batch.h"

namespace millrace::sql {

// Behind the columns that a table was made with it has one more: the chunk that the row came with.
inline constexpr const char* kChunkColumn = "chunk";

class ColumnTables {
 public:
  // Removes what an earlier process left in the directory. Error: it cannot be written.
  static Status Clear(const std::string& directory);
  // REQUIRES: `database` may still open files.
  static Result<std::unique_ptr<ColumnTables>> Open(duckdb::DuckDB& database,
                                                    const std::string& directory,
                                                    const std::string& name);
  ~ColumnTables();

  // The name of a new table, which was never used before.
  Result<std::string> Create(const rows::Types& types);

  // Rows that become visible together, as one chunk; what is not committed goes.
  class Append {
   public:
    virtual ~Append() = default;
    // `rows`: of the table's types.
    virtual Status Add(duckdb::DataChunk& rows) = 0;
    virtual Status Commit() = 0;
  };
  // REQUIRES: no other Append is alive. `chunk` is greater than those before it.
  Result<std::unique_ptr<Append>> Begin(const std::string& table, const rows::Types& types,
                                        int64_t chunk);

  // Deletes the rows of a partition below an offset. `partition_column`: its position; the offset
  // stands in the next one.
  Status Trim(const std::string& table, size_t partition_column, int32_t partition, int64_t below);
  Status Drop(const std::string& table);
  // Writes what is only in memory, and gives back the room of what was dropped.
  Status Checkpoint();
  // The room that is used in the file.
  uint64_t bytes() const;

  // A query could not read it. From then on nothing is read here any more.
  void Fail(const Error& error);
  std::optional<Error> failed() const;
  // Gives up the file and its room. REQUIRES: nobody reads or writes.
  void Close();

 private:
  class Transaction;
  ColumnTables(duckdb::DuckDB& database, std::string directory, std::string name);
  // A statement of the writer's.
  Status Execute(const std::string& statement);
  template <typename Call>
  Status Run(const char* what, Call&& call);

  duckdb::DuckDB& database_;
  const std::string directory_;
  const std::string name_;
  std::unique_ptr<duckdb::Connection> writer_;
  int64_t tables_made_ = 0;
  std::atomic<bool> closed_ = false;
  mutable std::mutex mutex_;
  std::optional<Error> failed_;  // guarded by mutex_
};

}  // namespace millrace::sql
