// The JSON of the schema registry API. Internal to the registry_*.cc files.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/registry_api.h"

namespace millrace::http {

// {"subject": …, "version": …, "id": …, "guid": …, "schemaType": …, "references": …, "schema": …};
// `text`: the schema in the form that was asked for. AVRO is left out, as Confluent's does, since
// old clients know no other.
std::string VersionJson(std::string_view subject, int32_t version,
                        const schemas::StoredSchema& schema, const std::string& text);
// The same without subject and version.
std::string SchemaJson(const schemas::StoredSchema& schema, const std::string& text);
std::string NumbersJson(const std::vector<int32_t>& numbers);
std::string TextsJson(const std::vector<std::string>& texts);

struct SchemaBody {
  schemas::GivenSchema schema;
  std::optional<int32_t> id;
  std::optional<int32_t> version;
};
// Of a request that registers, looks up or compares a schema. kInvalidArgument.
Result<SchemaBody> ParseSchemaBody(std::string_view body);
// The text under `key`. kInvalidArgument.
Result<std::string> ParseTextBody(std::string_view body, std::string_view key);

}  // namespace millrace::http
