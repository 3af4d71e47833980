#include "catalog/relation_shape.h"

#include "base/check.h"

namespace millrace::catalog {

std::vector<rows::Column> HiddenColumns() {
  const std::pair<const char*, duckdb::LogicalType> columns[] = {
      {"_partition", duckdb::LogicalType::INTEGER},
      {"_offset", duckdb::LogicalType::BIGINT},
      {"_ingested_at", duckdb::LogicalType::TIMESTAMP},
      {"_timestamp", duckdb::LogicalType::TIMESTAMP},
      {"_late", duckdb::LogicalType::BOOLEAN}};
  static_assert(std::size(columns) == kHiddenStreamColumns);
  std::vector<rows::Column> hidden;
  for (const auto& [name, type] : columns) {
    rows::Column column;
    column.name = name;
    column.type = type;
    hidden.push_back(std::move(column));
  }
  return hidden;
}

RelationShape ShapeOf(const Object& object) {
  RelationShape shape;
  if (const auto* stream = std::get_if<StreamDefinition>(&object.definition)) {
    shape.schema = stream->schema;
    shape.visible = shape.schema.columns.size();
    for (rows::Column& column : HiddenColumns()) shape.schema.columns.push_back(std::move(column));
    return shape;
  }
  if (const auto* table = std::get_if<TableDefinition>(&object.definition)) {
    shape.schema = table->schema;
  } else {
    const auto* view = std::get_if<ViewDefinition>(&object.definition);
    CHECK(view != nullptr) << object.name() << " is no relation";
    shape.schema = view->schema;
  }
  shape.visible = shape.schema.columns.size();
  return shape;
}

}  // namespace millrace::catalog
