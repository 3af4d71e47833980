#include "runtime/key_text.h"

#include "rows/json_split.h"
#include "rows/json_text.h"

namespace millrace::runtime {

Result<std::string> KeyAsObject(const rows::Schema& schema, const std::vector<size_t>& key_columns,
                                std::string_view key) {
  const std::string_view text = rows::TrimJson(key);
  if (text.starts_with('{')) return std::string(text);
  std::vector<std::string> values;
  if (text.starts_with('[')) {
    rows::JsonSplitter splitter(rows::JsonBody::kAny);
    TRY(const auto elements, splitter.Feed(text));
    values.assign(elements.begin(), elements.end());
    TRY(splitter.Finish());
    if (values.size() != key_columns.size())
      return Error(Code::kInvalidArgument, "a key of {} values, the primary key has {}",
                   values.size(), key_columns.size());
  } else if (key_columns.size() > 1) {
    return Error(Code::kInvalidArgument, "a key of one value, the primary key has {}",
                 key_columns.size())
        .Hint("a JSON array of the values, or an object");
  } else if (text.size() > 1 && text.starts_with('"') && text.ends_with('"')) {
    values.emplace_back(text);
  } else {
    rows::AppendJsonString(key, values.emplace_back());
  }
  std::string object;
  for (size_t i = 0; i < key_columns.size(); ++i) {
    object += i == 0 ? '{' : ',';
    rows::AppendJsonString(schema.columns[key_columns[i]].name, object);
    object += ':' + values[i];
  }
  return object + "}";
}

void WidenKeys(const rows::Schema& schema, const std::vector<size_t>& key_columns,
               duckdb::DataChunk& keys, duckdb::DataChunk& rows) {
  rows.InitializeEmpty(schema.types());
  for (size_t i = 0; i < rows.ColumnCount(); ++i)
    rows.data[i].Reference(duckdb::Value(schema.columns[i].type));
  for (size_t i = 0; i < key_columns.size(); ++i) rows.data[key_columns[i]].Reference(keys.data[i]);
  rows.SetCardinality(keys.size());
}

}  // namespace millrace::runtime
