#include "schemas/protobuf_json.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <simdjson.h>

#include "rows/json_text.h"
#include "rows/value_text.h"

namespace millrace::schemas {

namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

template <typename T>
void Number(T value, std::string& out) {
  if constexpr (std::is_floating_point_v<T>) {
    rows::AppendJsonFloat(value, out);
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

Status Text(const Field& field, const std::string& text, std::string& out) {
  if (field.type() == Field::TYPE_BYTES) {
    out += '"';
    rows::AppendBase64(text, out);
    out += '"';
    return Ok();
  }
  if (!simdjson::validate_utf8(text.data(), text.size()))
    return Error(Code::kCorruption, "{} is not UTF-8", field.full_name());
  rows::AppendJsonString(text, out);
  return Ok();
}

void Enum(const Field& field, int value, std::string& out) {
  const pb::EnumValueDescriptor* name = field.enum_type()->FindValueByNumber(value);
  if (name == nullptr) return Number(value, out);
  rows::AppendJsonString(name->name(), out);
}

// What a field holds; `index`: of a repeated one.
Status Value(const pb::Message& message, const Field& field, std::optional<int> index,
             size_t bytes_max, std::string& out) {
  const pb::Reflection& of = *message.GetReflection();
  const auto number = [&](auto single, auto repeated) {
    Number(index ? (of.*repeated)(message, &field, *index) : (of.*single)(message, &field), out);
    return Ok();
  };
  using R = pb::Reflection;
  switch (field.cpp_type()) {
    case Field::CPPTYPE_INT32:
      return number(&R::GetInt32, &R::GetRepeatedInt32);
    case Field::CPPTYPE_INT64:
      return number(&R::GetInt64, &R::GetRepeatedInt64);
    case Field::CPPTYPE_UINT32:
      return number(&R::GetUInt32, &R::GetRepeatedUInt32);
    case Field::CPPTYPE_UINT64:
      return number(&R::GetUInt64, &R::GetRepeatedUInt64);
    case Field::CPPTYPE_FLOAT:
      return number(&R::GetFloat, &R::GetRepeatedFloat);
    case Field::CPPTYPE_DOUBLE:
      return number(&R::GetDouble, &R::GetRepeatedDouble);
    case Field::CPPTYPE_BOOL:
      return number(&R::GetBool, &R::GetRepeatedBool);
    case Field::CPPTYPE_ENUM:
      Enum(field,
           index ? of.GetRepeatedEnumValue(message, &field, *index)
                 : of.GetEnumValue(message, &field),
           out);
      return Ok();
    case Field::CPPTYPE_STRING: {
      std::string held;
      return Text(field,
                  index ? of.GetRepeatedStringReference(message, &field, *index, &held)
                        : of.GetStringReference(message, &field, &held),
                  out);
    }
    case Field::CPPTYPE_MESSAGE:
      return AppendMessage(
          index ? of.GetRepeatedMessage(message, &field, *index) : of.GetMessage(message, &field),
          bytes_max, out);
  }
  return Error(Code::kInternal, "a field of no type");
}

// A map is a repeated message of key and value. Keys that are no text are written as one.
Status Map(const pb::Message& message, const Field& field, size_t bytes_max, std::string& out) {
  const pb::Reflection& of = *message.GetReflection();
  out += '{';
  for (int i = 0; i < of.FieldSize(message, &field); ++i) {
    const pb::Message& entry = of.GetRepeatedMessage(message, &field, i);
    const Field& key = *field.message_type()->map_key();
    if (i > 0) out += ',';
    std::string text;
    TRY(Value(entry, key, std::nullopt, bytes_max, text));
    out += text.starts_with('"') ? text : "\"" + text + "\"";
    out += ':';
    TRY(Value(entry, *field.message_type()->map_value(), std::nullopt, bytes_max, out));
  }
  out += '}';
  return Ok();
}

Status Repeated(const pb::Message& message, const Field& field, size_t bytes_max,
                std::string& out) {
  if (field.is_map()) return Map(message, field, bytes_max, out);
  out += '[';
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
    if (i > 0) out += ',';
    TRY(Value(message, field, i, bytes_max, out));
  }
  out += ']';
  return Ok();
}

}  // namespace

Status AppendMessage(const pb::Message& message, size_t bytes_max, std::string& out) {
  if (out.size() > bytes_max)
    return Error(Code::kTooLarge, "the value is too long as JSON for its size");
  const pb::Descriptor& type = *message.GetDescriptor();
  if (type.file()->package() == "google.protobuf") {
    std::string json;
    const auto status = pb::util::MessageToJsonString(message, &json);
    if (!status.ok())
      return Error(Code::kCorruption, "{}: {}", type.full_name(),
                   std::string_view(status.message().data(), status.message().size()));
    out += json;
    return Ok();
  }
  out += '{';
  bool first = true;
  for (int i = 0; i < type.field_count(); ++i) {
    const Field& field = *type.field(i);
    // What has presence and is not set is left out, so that a column takes its DEFAULT.
    if (field.has_presence() && !message.GetReflection()->HasField(message, &field)) continue;
    if (!first) out += ',';
    first = false;
    rows::AppendJsonString(field.name(), out);
    out += ':';
    TRY(field.is_repeated() ? Repeated(message, field, bytes_max, out)
                            : Value(message, field, std::nullopt, bytes_max, out));
  }
  out += '}';
  return Ok();
}

}  // namespace millrace::schemas
