#include "catalog/raw_stream.h"

#include <array>

namespace millrace::catalog {

rows::Schema RawSchema() {
  using duckdb::LogicalType;
  const LogicalType header =
      LogicalType::STRUCT({{"key", LogicalType::VARCHAR}, {"value", LogicalType::BLOB}});
  const std::array<std::pair<const char*, LogicalType>, 4> columns = {
      {{"key", LogicalType::BLOB},
       {"value", LogicalType::BLOB},
       {"headers", LogicalType::LIST(header)},
       {"timestamp", LogicalType::TIMESTAMP}}};
  rows::Schema schema;
  int id = 1;
  for (const auto& [name, type] : columns) {
    rows::Column column;
    column.name = name;
    column.type = type;
    column.id = id++;
    schema.columns.push_back(std::move(column));
  }
  return schema;
}

Status CheckHoldsRecords(const Object& target, const Object& table) {
  const auto* stream = std::get_if<StreamDefinition>(&target.definition);
  if (stream != nullptr && stream->format == StreamDefinition::Format::kRaw) return Ok();
  return Error(Code::kInvalidArgument,
               "table {} takes its rows from a topic of raw records, {} is a {}",
               Quoted(table.name()), Quoted(target.name()),
               stream != nullptr ? "stream with columns" : KindName(target.kind()))
      .Hint(stream != nullptr ? "CREATE MATERIALIZED VIEW … AS SELECT DISTINCT ON (…) keeps the "
                                "newest row of each key of a stream with columns"
                              : "a topic that Kafka clients made, or CREATE STREAM … WITH (format "
                                "= 'raw')")
      .SqlState("42809");
}

}  // namespace millrace::catalog
