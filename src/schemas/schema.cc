#include "schemas/schema.h"

#include <simdjson.h>

#include "schemas/avro_compatibility.h"
#include "schemas/avro_json.h"
#include "schemas/json_schema.h"
#include "schemas/json_text.h"
#include "schemas/protobuf_schema.h"

namespace millrace::schemas {

std::string_view SchemaTypeName(SchemaType type) {
  switch (type) {
    case SchemaType::kAvro:
      return "AVRO";
    case SchemaType::kJson:
      return "JSON";
    case SchemaType::kProtobuf:
      return "PROTOBUF";
  }
  return "?";
}

Result<SchemaType> SchemaTypeOf(std::string_view name) {
  for (const SchemaType type : {SchemaType::kAvro, SchemaType::kJson, SchemaType::kProtobuf}) {
    if (SchemaTypeName(type) == name) return type;
  }
  return Error(Code::kInvalidArgument, "schema type {} is not known", Quoted(name))
      .Hint("AVRO, JSON or PROTOBUF");
}

Result<std::shared_ptr<const Schema>> Schema::Parse(SchemaType type, std::string_view text,
                                                    const std::vector<ReferencedText>& referenced) {
  if (text.size() > kSchemaBytesMax)
    return Error(Code::kTooLarge, "the schema has {} bytes; {} are allowed", text.size(),
                 kSchemaBytesMax);
  const auto made = [&](std::string canonical, Parsed parsed, bool from_descriptor = false) {
    return std::shared_ptr<const Schema>(
        new Schema(type, std::move(canonical), std::move(parsed), from_descriptor));
  };
  switch (type) {
    case SchemaType::kAvro: {
      std::vector<std::string> named;
      for (const ReferencedText& reference : referenced) named.push_back(reference.text);
      TRY(auto avro, AvroSchema::Parse(text, named));
      TRY(std::string canonical, OrderedJson(text, /*avro=*/true));
      return made(std::move(canonical), std::move(avro));
    }
    case SchemaType::kJson: {
      TRY(auto json, JsonSchema::Parse(text));
      TRY(std::string canonical, OrderedJson(text, /*avro=*/false));
      return made(std::move(canonical), std::move(json));
    }
    case SchemaType::kProtobuf: {
      std::vector<ProtobufImport> imports;
      for (const ReferencedText& reference : referenced)
        imports.push_back({reference.name, reference.text});
      TRY(auto protobuf, ProtobufSchema::Parse(text, imports));
      std::string canonical = protobuf->CanonicalText();
      // It is kept as a text, which must be one that can be read again.
      if (protobuf->is_from_descriptor()) {
        TRY(protobuf, ProtobufSchema::Parse(canonical, imports));
        return made(std::move(canonical), std::move(protobuf), /*from_descriptor=*/true);
      }
      return made(std::move(canonical), std::move(protobuf));
    }
  }
  return Error(Code::kInternal, "a schema of no type");
}

const std::string& Schema::TextOf(const std::string& given) const {
  return from_descriptor_ ? canonical_ : given;
}

std::string Schema::Serialized(const std::string& text) const {
  return type_ == SchemaType::kProtobuf ? std::get<2>(parsed_)->Serialized() : text;
}

Status Schema::ToJson(const std::vector<int32_t>& message, std::string_view value,
                      std::string& out) const {
  switch (type_) {
    case SchemaType::kAvro:
      return AvroToJson(*std::get<0>(parsed_), value, out);
    case SchemaType::kJson:
      if (!simdjson::validate_utf8(value.data(), value.size()))
        return Error(Code::kCorruption, "the value is not UTF-8");
      out += value;
      return Ok();
    case SchemaType::kProtobuf:
      return std::get<2>(parsed_)->ToJson(message, value, out);
  }
  return Error(Code::kInternal, "a schema of no type");
}

std::vector<std::string> ReadProblems(const Schema& reader, const Schema& writer) {
  if (reader.type_ != writer.type_)
    return {fmt::format("the type is {}, and was {}", SchemaTypeName(reader.type_),
                        SchemaTypeName(writer.type_))};
  switch (reader.type_) {
    case SchemaType::kAvro:
      return AvroReadProblems(*std::get<0>(reader.parsed_), *std::get<0>(writer.parsed_));
    case SchemaType::kJson:
      return JsonReadProblems(*std::get<1>(reader.parsed_), *std::get<1>(writer.parsed_));
    case SchemaType::kProtobuf:
      return ProtobufReadProblems(*std::get<2>(reader.parsed_), *std::get<2>(writer.parsed_));
  }
  return {};
}

}  // namespace millrace::schemas
