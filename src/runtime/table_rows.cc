#include "runtime/table_rows.h"

#include <algorithm>

#include "base/coding.h"
#include "ingest/token.h"
#include "log/record_batch.h"
#include "rows/decode.h"
#include "rows/encode.h"
#include "rows/json_text.h"
#include "runtime/key_text.h"
#include "runtime/lookup_answer.h"
#include "runtime/row_text.h"
#include "runtime/table_writer.h"

namespace millrace::runtime {
namespace {

struct Key {
  std::shared_ptr<const Relation> table;
  std::vector<size_t> columns;  // of the table, in the key's order
  std::string object;           // {"id": …}
  std::map<std::string, duckdb::Value> values;
};

// The values of key columns in a JSON object; NULL where it has none.
Result<std::vector<duckdb::Value>> KeyValues(rows::Schema schema,
                                             const std::vector<size_t>& columns,
                                             std::string_view object) {
  for (const size_t column : columns) {
    schema.columns[column].not_null = false;
    schema.columns[column].default_value.reset();
  }
  std::vector<size_t> ascending = columns;
  std::sort(ascending.begin(), ascending.end());
  rows::JsonDecoder decoder(schema, ascending);
  const rows::Decoded decoded = decoder.Decode({&object, 1});
  if (!decoded.errors.empty())
    return Error(Code::kInvalidArgument, "{}", decoded.errors.front().message);
  std::vector<duckdb::Value> values;
  for (const size_t column : columns) {
    const auto place = std::lower_bound(ascending.begin(), ascending.end(), column);
    values.push_back(
        decoded.chunks.front()->GetValue(static_cast<size_t>(place - ascending.begin()), 0));
  }
  return values;
}

Result<Key> FindKey(const NodeSnapshot& snapshot, std::string_view name, std::string_view text) {
  Key key;
  key.table = snapshot.published().relations->Find(std::string(name));
  if (key.table == nullptr || key.table->table() == nullptr)
    return Error(Code::kNotFound, "table {} does not exist", Quoted(name)).SqlState("42P01");
  const rows::Schema& schema = key.table->table()->schema;
  key.columns = KeyColumns(*key.table->table());
  if (key.columns.empty())
    return Error(Code::kNotSupported, "table {} has no primary key, so its rows have no address",
                 Quoted(name))
        .Hint("POST /v1/sql reads and changes it");
  TRY(key.object, KeyAsObject(schema, key.columns, text));
  auto values = KeyValues(schema, key.columns, key.object);
  if (!values.ok()) return std::move(values).error().With("the key of table " + Quoted(name));
  for (size_t i = 0; i < key.columns.size(); ++i) {
    const std::string& column = schema.columns[key.columns[i]].name;
    if ((*values)[i].IsNull())
      return Error(Code::kInvalidArgument, "the key of table {}: {} is NULL", Quoted(name),
                   Quoted(column));
    key.values[column] = (*values)[i];
  }
  return key;
}

Result<std::optional<TableRow>> RowOf(const NodeSnapshot& snapshot, const Key& key) {
  KeyedLookup lookup;
  lookup.relation = key.table;
  lookup.schema = key.table->table()->schema;
  lookup.index = key.table->content->key();
  for (const size_t column : lookup.index) {
    const rows::Column& each = lookup.schema.columns[column];
    lookup.equals.push_back({column, {{each.name, duckdb::Value()}}});
    lookup.parameters.emplace(each.name, each.type);
  }
  for (size_t i = 0; i < lookup.schema.columns.size(); ++i) lookup.output.push_back(i);
  TRY(const auto found,
      AnswerKeyed(lookup, key.values, state::Step{snapshot.step()}, [] { return Ok(); }));
  if (!found) return Error(Code::kInternal, "a row cannot be found by its key");
  sql::QueryResult rows = *found;
  if (rows.row_count() == 0) return std::optional<TableRow>();
  TableRow row;
  const std::string text = RowsAsJson(lookup.schema, *rows.chunks.front()).front();
  row.tag = fmt::format("{:016x}", StableHash(text));
  row.rows = std::move(rows);
  return std::optional(std::move(row));
}

// The object with those columns of the key that it has not.
Result<std::string> WithKey(const Key& key, std::string_view row) {
  const rows::Schema& schema = key.table->table()->schema;
  TRY(const std::vector<duckdb::Value> given, KeyValues(schema, key.columns, row));
  std::string missing;
  for (size_t i = 0; i < key.columns.size(); ++i) {
    if (!given[i].IsNull()) continue;
    const std::string& name = schema.columns[key.columns[i]].name;
    rows::AppendJsonString(name, missing);
    missing += ':' + rows::ValueToJson(key.values.at(name), {.numbers_as_strings = true}) + ',';
  }
  const std::string_view members = rows::TrimJson(row).substr(1);
  if (!missing.empty() && rows::TrimJson(members).starts_with('}')) missing.pop_back();
  return "{" + missing + std::string(members);
}

// Who sends one row does not count records.
Error OfOneRow(Error error) {
  constexpr std::string_view kNumber = "record 1: ";
  if (!error.message().starts_with(kNumber)) return error;
  return Error(error.code(), "{}", error.message().substr(kNumber.size()))
      .Hint(error.hint())
      .SqlState(error.sqlstate());
}

}  // namespace

Result<std::optional<TableRow>> TableRows::Read(std::string_view table,
                                                std::string_view key) const {
  const auto snapshot = take_snapshot_();
  TRY(const Key found, FindKey(*snapshot, table, key));
  return RowOf(*snapshot, found);
}

Result<RowWritten> TableRows::Write(std::string_view table, std::string_view key,
                                    std::optional<std::string_view> row,
                                    const Condition& condition) {
  TRY(const Key address, FindKey(*take_snapshot_(), table, key));
  const log::Millis now{clock_.Now().value / 1000};
  log::RecordBatchBuilder records;
  if (row) {
    TRY(const std::string whole, WithKey(address, *row));
    records.Add(address.object, whole, now);
  } else {
    records.Add(address.object, std::nullopt, now);
  }
  RowWritten written;
  const auto before = [&]() -> Result<std::optional<std::string>> {
    const auto snapshot = take_snapshot_();
    TRY(const Key found, FindKey(*snapshot, table, key));
    TRY(const std::optional<TableRow> now, RowOf(*snapshot, found));
    written.existed = now.has_value();
    TRY(condition(now ? &*now : nullptr));
    if (!now) return std::optional<std::string>();
    return std::optional(
        RowsAsJson(found.table->table()->schema, *now->rows.chunks.front()).front());
  };
  auto token = writer_.AppendRecord(std::string(table), records.Finish(), before);
  if (!token.ok()) return OfOneRow(std::move(token).error());
  written.token = ingest::EncodeToken(*token);
  if (row) {
    TRY(written.row, Read(table, key));
  }
  return written;
}

}  // namespace millrace::runtime
