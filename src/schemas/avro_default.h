// Whether a JSON text is a default of an Avro type (specification 1.11, table "field default
// values"; of a union, its first branch, and as newer implementations take it, any).
#pragma once

#include <string_view>

#include "schemas/avro_schema.h"

namespace millrace::schemas {

// kInvalidArgument: it is none.
Status CheckDefault(const AvroType& type, std::string_view json);

}  // namespace millrace::schemas
