// One row of a keyed table by its key, for clients that speak of rows and not of statements.
// Thread-safe. Write waits for disk and step.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "sql/database.h"

namespace millrace::runtime {

class NodeSnapshot;
class TableWriter;

struct TableRow {
  sql::QueryResult rows;  // one
  std::string tag;        // hexadecimal, of its values: equal rows have equal tags
};

struct RowWritten {
  bool existed = false;         // there was a row with this key before
  std::optional<TableRow> row;  // what is there now
  std::string token;            // empty: nothing was there to be deleted
};

class TableRows {
 public:
  using TakeSnapshot = std::function<std::shared_ptr<const NodeSnapshot>()>;
  TableRows(TableWriter& writer, Clock& clock, TakeSnapshot take_snapshot)
      : writer_(writer), clock_(clock), take_snapshot_(std::move(take_snapshot)) {}

  // `key`: the value of the primary key as text or JSON, of several columns a JSON array of the
  // values in their order. Errors: kNotFound (no such table), kInvalidArgument (the key),
  // kNotSupported (a table without primary key).
  Result<std::optional<TableRow>> Read(std::string_view table, std::string_view key) const;

  // Asked with the row as it is, or nullptr, while nobody else changes the table.
  using Condition = std::function<Status(const TableRow* now)>;
  // Puts the row, a JSON object, in the place of the one with the key; nullopt deletes that one.
  // Columns of the key may be left out of the object, or are the key's. Errors as of Read, that of
  // the condition, and those of TableWriter::AppendBatches.
  Result<RowWritten> Write(std::string_view table, std::string_view key,
                           std::optional<std::string_view> row, const Condition& condition);

 private:
  TableWriter& writer_;
  Clock& clock_;
  const TakeSnapshot take_snapshot_;
};

}  // namespace millrace::runtime
