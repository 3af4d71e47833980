// JSON with the fields of its objects in order and without space: equal texts for equal values.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::schemas {

// kInvalidArgument: the text is no JSON. With `avro`, a type as an object of its name alone is the
// name: {"type": "int"} is "int".
Result<std::string> OrderedJson(std::string_view text, bool avro);

}  // namespace millrace::schemas
