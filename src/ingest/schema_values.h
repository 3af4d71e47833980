// Keys and values that name a schema of the registry, as JSON. The schema's id stands in the
// record's header __key_schema_id or __value_schema_id, or, where there is none, in front of the
// bytes (schemas/wire_format.h).
//
// What they become depends on the record's bytes and its frame alone: a schema is known to the
// records of later frames than its own. Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ingest/record.h"
#include "schemas/registry.h"

namespace millrace::ingest {

class SchemaValues {
 public:
  enum class Part { kKey, kValue };

  // null: nothing names a schema.
  explicit SchemaValues(const schemas::Registry* registry) : registry_(registry) {}

  // Whether the bytes begin as those that name a schema, which no JSON does.
  static bool Begins(std::string_view bytes);
  // nullopt: the part is missing or names no schema. kInvalidArgument: no schema of that id;
  // kCorruption, kTooLarge: no value of the schema.
  std::optional<Result<std::string>> JsonOf(Part part, const Record& record);
  // Lets go of what is kept of the registry between calls.
  void Rest() { state_.reset(); }

 private:
  struct Naming {
    schemas::SchemaKey schema;
    std::string_view message_path;  // with what follows it
    bool in_header;
  };
  Result<std::string> Read(const Naming& naming, const Record& record, std::string_view bytes);
  schemas::StoredSchemaPtr Find(const schemas::SchemaKey& key, log::FrameSequence frame);

  const schemas::Registry* const registry_;
  std::shared_ptr<const schemas::RegistryState> state_;
};

}  // namespace millrace::ingest
