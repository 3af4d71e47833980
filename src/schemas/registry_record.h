// The records of the registry's topic. Format: docs/formats/schemas.md.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "schemas/schema.h"

namespace millrace::schemas {

// What producers may do with a subject.
enum class Mode : uint8_t { kReadWrite = 0, kReadOnly = 1, kReadOnlyOverride = 2, kImport = 3 };
std::string_view ModeName(Mode mode);  // "READWRITE"
std::optional<Mode> ModeOf(std::string_view name);

// Which earlier versions a new version must get on with, and in which direction.
enum class Compatibility : uint8_t {
  kNone = 0,
  kBackward = 1,  // the new one reads what the newest one wrote
  kBackwardTransitive = 2,
  kForward = 3,  // the newest one reads what the new one writes
  kForwardTransitive = 4,
  kFull = 5,
  kFullTransitive = 6,
};
std::string_view CompatibilityName(Compatibility level);  // "BACKWARD_TRANSITIVE"
std::optional<Compatibility> CompatibilityOf(std::string_view name);

struct SchemaRecord {
  int32_t id = 0;
  SchemaType type = SchemaType::kAvro;
  std::string text;
  std::vector<Reference> references;
};
struct VersionRecord {
  std::string subject;
  int32_t version = 0;
  int32_t id = 0;
};
// A version that is a stream's own columns (registry.h).
struct ColumnsRecord {
  std::string subject;
  int32_t version = 0;
  int32_t id = 0;
  uint64_t stream = 0;  // tells it from others that had its name
  int32_t columns = 0;  // number of its columns' version, from 1
};
struct DeletionRecord {
  std::string subject;
  int32_t version = 0;
  bool permanent = false;
};
// An empty subject: of all that have none of their own. No value: as if it had never been set.
struct CompatibilityRecord {
  std::string subject;
  std::optional<Compatibility> level;
};
struct ModeRecord {
  std::string subject;
  std::optional<Mode> mode;
};

using RegistryRecord = std::variant<SchemaRecord, VersionRecord, DeletionRecord,
                                    CompatibilityRecord, ModeRecord, ColumnsRecord>;

std::string Encode(const RegistryRecord& record);
// kCorruption, kNotSupported: a kind that this version does not know.
Result<RegistryRecord> DecodeRecord(std::string_view bytes);

}  // namespace millrace::schemas
