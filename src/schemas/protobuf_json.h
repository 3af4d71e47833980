// A Protobuf message as the JSON of docs/types.md ("In"): fields by their names in the .proto, also
// those without presence that hold their default; numbers as numbers, bytes as base64, enums by
// name, Google's well-known types as the library prints them (a Timestamp is ISO text).
#pragma once

#include <string>

#include "base/result.h"

namespace google::protobuf {
class Message;
}

namespace millrace::schemas {

// Errors: kCorruption (text that is not UTF-8), kTooLarge: `out` would have more than `bytes_max`.
Status AppendMessage(const google::protobuf::Message& message, size_t bytes_max, std::string& out);

}  // namespace millrace::schemas
