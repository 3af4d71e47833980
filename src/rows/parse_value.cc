#include "rows/parse_value.h"

#include <simdjson.h>

#include <string>

#include "rows/json_text.h"
#include "rows/json_value.h"

namespace millrace::rows {

Result<duckdb::Value> ParseValue(std::string_view text, const duckdb::LogicalType& type) {
  if (!simdjson::validate_utf8(text.data(), text.size())) {
    return Error(Code::kInvalidArgument, "the value is not valid UTF-8");
  }
  duckdb::Vector vector(type, /*capacity=*/1);
  std::string shown;
  switch (PutAnyText(TypePlan(type), text, BlobText::kEscaped, vector, 0)) {
    case Parsed::kOk:
    case Parsed::kNull:
      return vector.GetValue(0);
    case Parsed::kRange:
      return Error(Code::kInvalidArgument, "{} is out of range for {}", Shortened(text),
                   type.ToString());
    default:
      AppendJsonString(Shortened(text), shown);
      return Error(Code::kInvalidArgument, "{} is not a {}", shown, type.ToString());
  }
}

}  // namespace millrace::rows
