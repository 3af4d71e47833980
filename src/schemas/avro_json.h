// Avro's binary encoding as the JSON of docs/types.md ("In"), so that one decoder makes rows of
// both: a value of a union stands without its type's name, bytes as base64, decimals as numbers,
// dates and timestamps as ISO text, a duration as an interval's text.
#pragma once

#include <string>
#include <string_view>

#include "schemas/avro_schema.h"

namespace millrace::schemas {

// Appends the JSON of the value that `bytes` hold; nothing may be left over. kCorruption: they hold
// no value of the type. kTooLarge: JsonBytesMax. `out` then holds a part of it.
Status AvroToJson(const AvroSchema& schema, std::string_view bytes, std::string& out);

}  // namespace millrace::schemas
