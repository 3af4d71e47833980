// How a value names its schema (Confluent's wire format): a zero byte and the id in four bytes, or
// a one byte and the schema's GUID; then, of Protobuf, which message of the file; then the value.
// Newer clients may put all but the value into a record's header instead.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace millrace::schemas {

inline constexpr std::string_view kKeySchemaHeader = "__key_schema_id";
inline constexpr std::string_view kValueSchemaHeader = "__value_schema_id";

using Guid = std::array<uint8_t, 16>;
std::string GuidText(const Guid& guid);  // "89791762-2336-4186-9674-299b90a802e2"
std::optional<Guid> GuidOf(std::string_view text);

using SchemaKey = std::variant<int32_t, Guid>;

struct Prefixed {
  SchemaKey schema;
  std::string_view rest;  // what stands behind it
};

// nullopt: the bytes do not begin as the wire format does.
std::optional<Prefixed> ReadPrefix(std::string_view bytes);

struct Message {
  std::vector<int32_t> path;  // empty: the first message
  std::string_view rest;
};
// The message indexes in front of a Protobuf value. kCorruption.
Result<Message> ReadMessagePath(std::string_view bytes);

}  // namespace millrace::schemas
