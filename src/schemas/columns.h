// The columns of a stream as a schema: what a value holds whose fields are the columns. Pure
// functions.
//
// A column that may be NULL is a field that may be null. Types that a schema's type has no word for
// are texts, which rows take too (docs/types.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "rows/schema.h"
#include "schemas/registry_state.h"

namespace millrace::schemas {

// JSON Schema. Fields that are no columns are accepted: rows pass over them.
std::string ColumnsAsJson(const std::string& stream, const rows::Schema& columns);
// nullopt: a name is none of Avro, or stands for two.
std::optional<std::string> ColumnsAsAvro(const std::string& stream, const rows::Schema& columns);
// proto3; a field's number is its column's id. nullopt: a name is none of Protobuf.
std::optional<std::string> ColumnsAsProtobuf(const std::string& stream,
                                             const rows::Schema& columns);

// Of that type, or JSON Schema where it has no words for the columns.
GivenSchema SchemaOfColumns(SchemaType type, const std::string& stream,
                            const rows::Schema& columns);

// A letter or underscore, then those and digits: what Avro and Protobuf allow.
bool IsIdentifier(std::string_view name);
// The name with an underscore for each byte that is not allowed.
std::string AsIdentifier(std::string_view name);

}  // namespace millrace::schemas
