#include "catalog/relation_shape.h"

#include "base/check.h"

namespace millrace::catalog {

RelationShape ShapeOf(const Object& object) {
  RelationShape shape;
  if (const auto* stream = std::get_if<StreamDefinition>(&object.definition)) {
    shape.schema = stream->schema;
    shape.visible = shape.schema.columns.size();
    const auto hidden = [&](const char* name, duckdb::LogicalType type) {
      rows::Column column;
      column.name = name;
      column.type = std::move(type);
      shape.schema.columns.push_back(std::move(column));
    };
    hidden("_partition", duckdb::LogicalType::INTEGER);
    hidden("_offset", duckdb::LogicalType::BIGINT);
    hidden("_ingested_at", duckdb::LogicalType::TIMESTAMP);
    hidden("_timestamp", duckdb::LogicalType::TIMESTAMP);
    hidden("_late", duckdb::LogicalType::BOOLEAN);
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
