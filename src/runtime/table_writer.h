// Changes to tables: INSERT, UPDATE, DELETE → records of the changelog. Changes to one table run
// one after another: read the newest state, append the changed rows as one frame, wait until the
// step has them. Thread-safe. Calls wait for disk and step.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "log/log.h"
#include "runtime/published.h"
#include "runtime/snapshot.h"
#include "sql/database.h"

namespace millrace::runtime {

// kNotSupported: the rows come from a topic.
Status CheckWritable(const catalog::Object& table);

struct WriteOutcome {
  size_t affected = 0;
  std::string token;
  sql::QueryResult returning;
};

class TableWriter {
 public:
  using TakeSnapshot = std::function<std::shared_ptr<const NodeSnapshot>()>;
  TableWriter(log::Log& log, Publisher& publisher, sql::Database& database, Clock& clock,
              TakeSnapshot take_snapshot)
      : log_(log),
        publisher_(publisher),
        database_(database),
        clock_(clock),
        take_snapshot_(std::move(take_snapshot)) {}

  Result<WriteOutcome> Execute(const sql::WriteStatement& statement,
                               const std::map<std::string, duckdb::Value>& parameters,
                               const sql::QueryLimits& limits);
  // Puts rows of the table's columns into it, each in the place of the row with its key. Many go in
  // several appends, one after the other. REQUIRES: the table has a primary key.
  using Chunks = std::vector<std::shared_ptr<duckdb::DataChunk>>;
  Status Upsert(const std::string& table, const Chunks& rows);
  // Batches as clients of the log's protocol send them (table_records.h); returns when the rows are
  // visible. `check` is asked before, while nobody else changes the table. The errors are its own,
  // those of ChangelogOf, Log::Append, and kNotFound.
  Result<log::Appended> AppendBatches(
      const std::string& table, std::string_view batches,
      const std::function<Status()>& check = [] { return Ok(); });

  // For a transaction over several tables (transaction.h), which holds the locks of all of them, in
  // the order of their topics, from working the changes out until they are visible.
  std::shared_ptr<std::mutex> LockOf(log::TopicId topic);
  // The records of the changes; none where nothing changes. REQUIRES: the table's lock is held.
  Result<log::RecordBatchBuilder> RecordsOf(const Relation& table,
                                            const sql::Database::WriteRows& rows) const;

 private:
  Status AwaitVisible(log::FrameSequence frame);
  Result<std::string> AppendAndWait(const Relation& table, log::RecordBatchBuilder& records);

  log::Log& log_;
  Publisher& publisher_;
  sql::Database& database_;
  Clock& clock_;
  TakeSnapshot take_snapshot_;
  std::mutex mutex_;
  std::map<log::TopicId, std::shared_ptr<std::mutex>> locks_;
};

}  // namespace millrace::runtime
