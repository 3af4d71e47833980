// The fields of a Protobuf file's messages. Internal to fields.cc.
#pragma once

#include <vector>

#include "schemas/fields.h"
#include "schemas/protobuf_schema.h"

namespace millrace::schemas {

// One for each message, also of those within others: a value says which it is.
std::vector<Fields> ProtobufFields(const ProtobufSchema& schema);

}  // namespace millrace::schemas
