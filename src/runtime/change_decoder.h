// What the records of a topic do to the rows of the table that stands on it (CREATE TABLE … WITH
// (topic = 'name', format = …)).
//
// json: the value is the row, none deletes the row of the key. The key is a JSON object of the
// primary key's columns, or the plain value where that is one column. Beside a row it may be
// missing, else it is that row's; key columns that the row lacks are taken from it.
//
// debezium: the value is a change event, bare or within {"schema", "payload"}. `op` c, r and u put
// `after` in, and where `before` has another key its row goes; d deletes the row of `before`, or
// where that is none, of the key; t empties the table. No value (a tombstone) changes nothing: the
// event d has come before it. The key fills in key columns that `before` and `after` lack.
//
// Values and keys that name a schema of the registry are read by it. A record that is neither is
// set aside, with the reason. Not thread-safe.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ingest/row_checker.h"
#include "runtime/relation.h"

namespace millrace::runtime {

// The changes of some records, by the numbers of these. Those of one record: its deletion first.
struct RowChanges {
  using Chunks = std::vector<std::unique_ptr<duckdb::DataChunk>>;
  Chunks rows;  // put in, each in the place of the row with its key
  std::vector<uint32_t> row_inputs;
  Chunks keys;  // of rows that go: the key's columns alone
  std::vector<uint32_t> key_inputs;
  std::vector<uint32_t> cleared;       // these empty the table; ascending
  std::vector<rows::RowError> errors;  // ascending, one per record that is set aside
};

class ChangeDecoder {
 public:
  // REQUIRES: a table of a topic. The errors are those of the CHECK conditions' binding.
  static Result<std::unique_ptr<ChangeDecoder>> Make(const Relation& table,
                                                     const catalog::Catalog& catalog,
                                                     sql::Database& database);
  RowChanges Decode(std::span<const ingest::Record> records);

 private:
  enum class What {
    kNothing,  // changes nothing, or is set aside
    kRow,      // puts a row in
    kGone,     // takes the row of a key away
    kClear,
  };
  struct Event {
    What what = What::kNothing;
    std::optional<std::string_view> key_text;  // of the record, what names a schema as JSON
    std::optional<std::string_view> value;     // likewise
    std::optional<std::string_view> row;       // JSON
    std::optional<std::string_view> before;    // JSON, of kRow
    std::string key;                           // the record's, a canonical object; empty: none
    std::string key_error;                     // why there is none
    std::string error;                         // why it is set aside
    std::string column;
  };

  ChangeDecoder(const Relation& table, std::unique_ptr<ingest::RowChecker> checker);
  // Decodes records from the first on, until what they become is large; adds to `out`, and gives
  // how many it were. `first`: the number of the first.
  size_t DecodeSome(std::span<const ingest::Record> records, uint32_t first, RowChanges& out);
  void ReadTexts(std::span<const ingest::Record> records);
  void ReadKeys();
  std::vector<std::string> Unwrapped(const std::vector<std::string_view>& keys);
  void ReadJson();
  void ReadDebezium();
  void ReadPayloads(const std::vector<size_t>& wrapped);
  void ReadEvent(const rows::Decoded& decoded, size_t chunk, size_t row, Event& event);
  void PutRows(uint32_t first, RowChanges& out);
  void TakeRows(uint32_t first, RowChanges& out);
  std::string_view WithKey(const Event& event, std::string_view row);
  std::vector<std::string> Canonical(duckdb::DataChunk& keys) const;

  const rows::Schema schema_;
  const std::vector<size_t> key_columns_;
  const bool debezium_;
  const rows::Schema envelope_schema_;
  ingest::SchemaValues by_schema_;
  const std::unique_ptr<ingest::RowChecker> checker_;
  rows::JsonDecoder keys_;
  rows::JsonDecoder envelopes_;
  // Of one portion.
  std::vector<Event> events_;
  std::vector<rows::Decoded> decoded_;  // what events refer to
  std::deque<std::string> texts_;       // likewise
};

}  // namespace millrace::runtime
