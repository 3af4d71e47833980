// A WriteTransaction holds the changes of several INSERT, UPDATE and DELETE back until Commit
// appends them as one frame of the log: all of them, or none.
//
// Each statement is worked out over what the tables held when the first one came, with what the
// transaction has changed since. Where another writer has changed a table meanwhile, Commit works
// all statements out again over the newest rows; what then comes out otherwise than the client was
// told (rows affected, RETURNING) is refused with SQLSTATE 40001, and the client may begin again.
// Nothing is locked before Commit.
//
// Not thread-safe: one thread at a time. Must not outlive the Node.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ingest/ingest.h"
#include "rows/batch.h"
#include "runtime/node.h"
#include "runtime/snapshot.h"

namespace millrace::runtime {

// What a transaction changes of one table: the count by which a row, encoded, goes up or down.
using TableDelta = std::map<std::string, rows::Weight, std::less<>>;
// Rows that a statement reads under the name of kGivenRows.
struct GivenRows {
  rows::Schema schema;
  std::vector<std::shared_ptr<duckdb::DataChunk>> chunks;
};
inline constexpr const char* kGivenRows = "__millrace_given";
// By lower-case name.
using TableDeltas = std::map<std::string, TableDelta>;

class WriteTransaction {
 public:
  explicit WriteTransaction(Node::Impl& node) : node_(node) {}

  // One INSERT, UPDATE or DELETE. `options.snapshot` and `.after` are of no meaning. May take long.
  Result<StatementResult> Execute(std::string_view text, const StatementOptions& options);
  // Rows of these columns, as one INSERT (COPY).
  using Chunks = std::vector<std::shared_ptr<duckdb::DataChunk>>;
  Result<StatementResult> Insert(const std::string& relation, const rows::Schema& schema,
                                 Chunks rows, const StatementOptions& options);
  // What there is so far, to come back to.
  struct Mark;
  std::shared_ptr<const Mark> MakeMark() const;
  void GoBackTo(const Mark& mark);
  // Returns when the changes are durable and visible; the token is for reading them. The
  // transaction is over, whatever comes out. May take long.
  Result<StatementResult> Commit(std::chrono::milliseconds timeout);

 private:
  Result<StatementResult> Do(std::string text, std::shared_ptr<const GivenRows> given,
                             const StatementOptions& options);
  struct Done {
    std::string text;
    std::shared_ptr<const GivenRows> given;  // that the text may read
    StatementOptions options;
    size_t affected;
    std::string returned;  // the rows of RETURNING, as text
  };
  // What the statements so far come to.
  struct Changes {
    std::shared_ptr<const NodeSnapshot> snapshot;  // what they were worked out over
    TableDeltas tables;
    std::map<std::string, std::vector<std::string>> streams;  // rows as JSON, by name
    size_t bytes = 0;
  };

  Result<StatementResult> Apply(std::string_view text, std::shared_ptr<const GivenRows> given,
                                const StatementOptions& options, Changes& changes);
  static Status CheckSharesNoTopic(const Relation& target, const Changes& changes);
  Status AddToTable(const Relation& table, const sql::Database::WriteRows& rows, Changes& changes);
  Status AddToStream(const Relation& stream, const sql::Database::WriteRows& rows,
                     Changes& changes);
  // Whether a table is not what the changes were worked out over any more.
  bool OutOfDate(const Published& newest) const;
  Status WorkOutAgain();
  Result<std::string> Append();

  Node::Impl& node_;
  Changes changes_;
  std::vector<Done> done_;
};

struct WriteTransaction::Mark {
  Changes changes;
  size_t done;
};

}  // namespace millrace::runtime
