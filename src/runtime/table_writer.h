// Changes to tables: INSERT, UPDATE, DELETE → records of the changelog, or of the topic that the
// table stands on. Changes to one table run one after another: read the newest state, append the
// changed rows as one frame, wait until the step has them. Clients who write to a table's topic do
// not wait for that: what was acknowledged to them before is read first, what they append meanwhile
// comes before the change. Thread-safe. Calls wait for disk and step.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "ingest/door_counters.h"
#include "ingest/token.h"
#include "log/log.h"
#include "runtime/published.h"
#include "runtime/snapshot.h"
#include "runtime/table_changes.h"
#include "sql/database.h"

namespace millrace::runtime {

// kNotSupported: the table stands on a topic whose records name schemas of the registry.
Status CheckWritable(const Relation& table);

struct WriteOutcome {
  size_t affected = 0;
  std::string token;
  sql::QueryResult returning;
};

class TableWriter {
 public:
  using TakeSnapshot = std::function<std::shared_ptr<const NodeSnapshot>()>;
  TableWriter(log::Log& log, Publisher& publisher, sql::Database& database, Clock& clock,
              ingest::DoorCounters& door, TakeSnapshot take_snapshot)
      : log_(log),
        publisher_(publisher),
        database_(database),
        clock_(clock),
        door_(door),
        take_snapshot_(std::move(take_snapshot)) {}

  Result<WriteOutcome> Execute(const sql::WriteStatement& statement,
                               const std::map<std::string, duckdb::Value>& parameters,
                               const sql::QueryLimits& limits);
  // Puts rows of the table's columns into it, each in the place of the row with its key. Many go in
  // several appends, one after the other. REQUIRES: the table has a primary key.
  using Chunks = std::vector<std::shared_ptr<duckdb::DataChunk>>;
  Status Upsert(const std::string& table, const Chunks& rows);
  // Batches as clients of the log's protocol send them (table_records.h); returns when the rows are
  // visible. The errors are those of ChangelogOf, Log::Append, kNotFound, and kNotSupported (a
  // table of a topic: clients write to that).
  Result<log::Appended> AppendBatches(const std::string& table, std::string_view batches);
  // A batch of one record. `before` is asked while nobody else changes the table, and gives the row
  // that the record's key has now, as JSON. The errors are its own and those of AppendBatches, but
  // for tables of topics only that of CheckWritable.
  using Before = std::function<Result<std::optional<std::string>>()>;
  Result<ingest::Token> AppendRecord(const std::string& table, std::string_view batch,
                                     const Before& before);

  // For a transaction over several tables (transaction.h), which holds the locks of all of them, in
  // the order of their topics, from working the changes out until they are visible. `topic`: where
  // the records are (Relation::log_topic), which several tables may stand on.
  std::shared_ptr<std::mutex> LockOf(log::TopicId topic);
  // Waits until a table of a topic has read what was acknowledged to clients of the topic.
  // kTimeout. REQUIRES: the table's lock is held.
  Status CatchUp(const Relation& table);
  // The records of the changes; none where nothing changes. REQUIRES: the table's lock is held.
  Result<TableChanges> ChangesOf(const Relation& table, const sql::Database::WriteRows& rows) const;
  // After an append to a table of a topic: its token says where the table is (TableAppend) when it
  // has it. That others may have appended behind it makes it say a little more.
  void AddPlaces(const std::vector<log::PartitionId>& followed, const Relation& table,
                 ingest::Token& token) const;
  // Of a table of a topic: the stream's books have what was appended by statements.
  void CountAtDoor(const Relation& table, const std::string& source, int64_t records);

 private:
  struct Checked {
    std::shared_ptr<const Relation> table;
    std::string changelog;
  };
  // To be filled.
  TableChanges NoChanges(const Relation& table) const;
  Result<Checked> Check(const std::string& table, std::string_view batches);
  Result<log::Appended> AppendChangelog(const Checked& checked);
  Status AwaitVisible(const ingest::Token& token);
  Result<ingest::Token> AppendAndWait(const Relation& table, const std::string& source,
                                      TableChanges& changes);

  log::Log& log_;
  Publisher& publisher_;
  sql::Database& database_;
  Clock& clock_;
  ingest::DoorCounters& door_;
  TakeSnapshot take_snapshot_;
  std::mutex mutex_;
  std::map<log::TopicId, std::shared_ptr<std::mutex>> locks_;
};

}  // namespace millrace::runtime
