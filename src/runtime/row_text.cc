#include "runtime/row_text.h"

#include "rows/encode.h"

namespace millrace::runtime {

std::vector<std::string> RowsAsJson(const rows::Schema& schema, duckdb::DataChunk& rows,
                                    const std::vector<size_t>& columns) {
  std::vector<std::string> names;
  rows::Types types;
  duckdb::DataChunk selected;
  if (columns.empty()) {
    names = schema.names();
    types = schema.types();
  }
  for (size_t column : columns) {
    names.push_back(schema.columns[column].name);
    types.push_back(schema.columns[column].type);
  }
  selected.InitializeEmpty(types);
  for (size_t i = 0; i < types.size(); ++i)
    selected.data[i].Reference(rows.data[columns.empty() ? i : columns[i]]);
  selected.SetCardinality(rows.size());
  rows::RowWriter writer(std::move(names));
  writer.Bind(selected);
  std::vector<std::string> out(rows.size());
  for (size_t row = 0; row < rows.size(); ++row) writer.JsonObject(row, out[row]);
  return out;
}

}  // namespace millrace::runtime
