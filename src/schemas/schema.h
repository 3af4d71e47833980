// Schema: a text that says what values hold, of one of the three types that Confluent's registry
// knows, parsed; with the schemas that it refers to. Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"

namespace millrace::schemas {

class AvroSchema;
class JsonSchema;
class ProtobufSchema;
struct Fields;

enum class SchemaType : uint8_t { kAvro = 1, kJson = 2, kProtobuf = 3 };
std::string_view SchemaTypeName(SchemaType type);        // "AVRO"
Result<SchemaType> SchemaTypeOf(std::string_view name);  // kInvalidArgument

// A schema of the registry that another one uses: under which name, and where it is.
struct Reference {
  std::string name;
  std::string subject;
  int32_t version = 0;
  bool operator==(const Reference&) const = default;
};

// A text that is referred to, under the name that the reference gives it.
struct ReferencedText {
  std::string name;
  std::string text;
};

inline constexpr size_t kSchemaBytesMax = size_t{1} << 20;

class Schema {
 public:
  // `referenced`: each before what uses it. kInvalidArgument says where, kTooLarge.
  static Result<std::shared_ptr<const Schema>> Parse(SchemaType type, std::string_view text,
                                                     const std::vector<ReferencedText>& referenced);

  SchemaType type() const { return type_; }
  // Equal for schemas that differ in space and order of fields only.
  const std::string& canonical() const { return canonical_; }

  // The text to keep of it: `given`, or the .proto text of a Protobuf file that was given as its
  // descriptor.
  const std::string& TextOf(const std::string& given) const;
  // Of Protobuf: the file's descriptor, serialized, in base64. Of others: `text`.
  std::string Serialized(const std::string& text) const;

  // Appends the JSON of a value that stands behind its schema id (wire_format.h), as docs/types.md
  // takes it. `message`: which message of a Protobuf file. Errors: kCorruption, kTooLarge.
  Status ToJson(const std::vector<int32_t>& message, std::string_view value,
                std::string& out) const;

  // Why what was written with `writer` cannot be read with `reader`; empty: it can.
  friend std::vector<std::string> ReadProblems(const Schema& reader, const Schema& writer);
  // What its values have at their top (fields.h).
  friend std::vector<Fields> FieldsOf(const Schema& schema);

 private:
  using Parsed = std::variant<std::shared_ptr<const AvroSchema>, std::shared_ptr<const JsonSchema>,
                              std::shared_ptr<const ProtobufSchema>>;
  Schema(SchemaType type, std::string canonical, Parsed parsed, bool from_descriptor)
      : type_(type),
        canonical_(std::move(canonical)),
        parsed_(std::move(parsed)),
        from_descriptor_(from_descriptor) {}

  const SchemaType type_;
  const std::string canonical_;
  const Parsed parsed_;
  const bool from_descriptor_;
};

std::vector<std::string> ReadProblems(const Schema& reader, const Schema& writer);

}  // namespace millrace::schemas
