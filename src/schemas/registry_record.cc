#include "schemas/registry_record.h"

#include <array>

#include "base/coding.h"

namespace millrace::schemas {

namespace {

constexpr std::array<std::string_view, 4> kModes = {"READWRITE", "READONLY", "READONLY_OVERRIDE",
                                                    "IMPORT"};
constexpr std::array<std::string_view, 7> kLevels = {
    "NONE", "BACKWARD",       "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE",
    "FULL", "FULL_TRANSITIVE"};

template <typename Enum, size_t count>
std::optional<Enum> Named(const std::array<std::string_view, count>& names, std::string_view name) {
  for (size_t i = 0; i < count; ++i) {
    if (names[i] == name) return static_cast<Enum>(i);
  }
  return std::nullopt;
}

template <typename Enum>
void PutOptional(std::string& out, std::optional<Enum> value) {
  PutVarint(out, value ? static_cast<uint64_t>(*value) + 1 : 0);
}

template <typename Enum>
Result<std::optional<Enum>> OptionalOf(Reader& reader, size_t count) {
  TRY(const uint64_t value, reader.Varint());
  if (value > count) return Error(Code::kCorruption, "a setting of {}", value);
  if (value == 0) return std::optional<Enum>();
  return std::optional<Enum>(static_cast<Enum>(value - 1));
}

Result<std::string> TextOf(Reader& reader) {
  TRY(const std::string_view text, reader.Bytes());
  return std::string(text);
}

Result<int32_t> NumberOf(Reader& reader) {
  TRY(const uint64_t value, reader.Varint());
  if (value > INT32_MAX) return Error(Code::kCorruption, "{} is too large a number", value);
  return static_cast<int32_t>(value);
}

constexpr char kVersion1 = 1;
enum Kind : uint8_t { kSchema = 1, kVersion, kDeletion, kCompatibility, kMode, kColumns };

void Put(std::string& out, const SchemaRecord& record) {
  out += kSchema;
  PutVarint(out, static_cast<uint64_t>(record.id));
  out += static_cast<char>(record.type);
  PutBytes(out, record.text);
  PutVarint(out, record.references.size());
  for (const Reference& reference : record.references) {
    PutBytes(out, reference.name);
    PutBytes(out, reference.subject);
    PutVarint(out, static_cast<uint64_t>(reference.version));
  }
}
void Put(std::string& out, const VersionRecord& record) {
  out += kVersion;
  PutBytes(out, record.subject);
  PutVarint(out, static_cast<uint64_t>(record.version));
  PutVarint(out, static_cast<uint64_t>(record.id));
}
void Put(std::string& out, const DeletionRecord& record) {
  out += kDeletion;
  PutBytes(out, record.subject);
  PutVarint(out, static_cast<uint64_t>(record.version));
  out += static_cast<char>(record.permanent);
}
void Put(std::string& out, const CompatibilityRecord& record) {
  out += kCompatibility;
  PutBytes(out, record.subject);
  PutOptional(out, record.level);
}
void Put(std::string& out, const ModeRecord& record) {
  out += kMode;
  PutBytes(out, record.subject);
  PutOptional(out, record.mode);
}
void Put(std::string& out, const ColumnsRecord& record) {
  out += kColumns;
  PutBytes(out, record.subject);
  PutVarint(out, static_cast<uint64_t>(record.version));
  PutVarint(out, static_cast<uint64_t>(record.id));
  PutVarint(out, record.stream);
  PutVarint(out, static_cast<uint64_t>(record.columns));
}

Result<RegistryRecord> SchemaOf(Reader& reader) {
  SchemaRecord record;
  TRY(record.id, NumberOf(reader));
  TRY(const auto type, reader.Fixed<uint8_t>());
  if (type < 1 || type > 3) return Error(Code::kNotSupported, "a schema of type {}", type);
  record.type = static_cast<SchemaType>(type);
  TRY(record.text, TextOf(reader));
  TRY(const uint64_t count, reader.Varint());
  for (uint64_t i = 0; i < count; ++i) {
    Reference reference;
    TRY(reference.name, TextOf(reader));
    TRY(reference.subject, TextOf(reader));
    TRY(reference.version, NumberOf(reader));
    record.references.push_back(std::move(reference));
  }
  return RegistryRecord(std::move(record));
}

}  // namespace

std::string_view ModeName(Mode mode) { return kModes[static_cast<size_t>(mode)]; }
std::optional<Mode> ModeOf(std::string_view name) { return Named<Mode>(kModes, name); }
std::string_view CompatibilityName(Compatibility level) {
  return kLevels[static_cast<size_t>(level)];
}
std::optional<Compatibility> CompatibilityOf(std::string_view name) {
  return Named<Compatibility>(kLevels, name);
}

std::string Encode(const RegistryRecord& record) {
  std::string out(1, kVersion1);
  std::visit([&](const auto& kind) { Put(out, kind); }, record);
  return out;
}

Result<RegistryRecord> DecodeRecord(std::string_view bytes) {
  Reader reader(bytes);
  TRY(const auto version, reader.Fixed<uint8_t>());
  if (version != kVersion1)
    return Error(Code::kNotSupported, "a registry record of version {}", version);
  TRY(const auto kind, reader.Fixed<uint8_t>());
  switch (kind) {
    case kSchema:
      return SchemaOf(reader);
    case kVersion: {
      VersionRecord record;
      TRY(record.subject, TextOf(reader));
      TRY(record.version, NumberOf(reader));
      TRY(record.id, NumberOf(reader));
      return RegistryRecord(std::move(record));
    }
    case kDeletion: {
      DeletionRecord record;
      TRY(record.subject, TextOf(reader));
      TRY(record.version, NumberOf(reader));
      TRY(const auto permanent, reader.Fixed<uint8_t>());
      record.permanent = permanent != 0;
      return RegistryRecord(std::move(record));
    }
    case kCompatibility: {
      CompatibilityRecord record;
      TRY(record.subject, TextOf(reader));
      TRY(record.level, OptionalOf<Compatibility>(reader, kLevels.size()));
      return RegistryRecord(std::move(record));
    }
    case kMode: {
      ModeRecord record;
      TRY(record.subject, TextOf(reader));
      TRY(record.mode, OptionalOf<Mode>(reader, kModes.size()));
      return RegistryRecord(std::move(record));
    }
    case kColumns: {
      ColumnsRecord record;
      TRY(record.subject, TextOf(reader));
      TRY(record.version, NumberOf(reader));
      TRY(record.id, NumberOf(reader));
      TRY(record.stream, reader.Varint());
      TRY(record.columns, NumberOf(reader));
      return RegistryRecord(std::move(record));
    }
    default:
      return Error(Code::kNotSupported, "a registry record of kind {}", kind);
  }
}

}  // namespace millrace::schemas
