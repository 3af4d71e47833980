#include "sql/parameter_value.h"

namespace millrace::sql {

duckdb::Value InExpectedType(const duckdb::Value& value, const duckdb::LogicalType& type) {
  if (value.type() == type) return value;
  duckdb::Value converted;
  duckdb::Value back;
  std::string message;
  if (value.IsNull()) return duckdb::Value(type);
  // By the caller's time zone, which only DuckDB's own cast knows.
  const auto has_zone = [](const duckdb::LogicalType& each) {
    return each.id() == duckdb::LogicalTypeId::TIMESTAMP_TZ;
  };
  if (has_zone(value.type()) != has_zone(type)) return value;
  if (!value.DefaultTryCastAs(type, converted, &message, true)) return value;
  if (!converted.DefaultTryCastAs(value.type(), back, &message, true) || back != value)
    return value;
  return converted;
}

}  // namespace millrace::sql
