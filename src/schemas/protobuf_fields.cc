#include "schemas/protobuf_fields.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

namespace millrace::schemas {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

uint8_t KindsOf(const FieldDescriptor& field) {
  if (field.is_map()) return kJsonObject;
  if (field.is_repeated()) return kJsonArray;
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return kJsonBoolean;
    case FieldDescriptor::CPPTYPE_STRING:  // bytes too: base64
      return kJsonText;
    case FieldDescriptor::CPPTYPE_ENUM:  // a number where it has no name
      return kJsonText | kJsonNumber;
    case FieldDescriptor::CPPTYPE_MESSAGE:  // well-known ones are texts, numbers, whatever
      return field.message_type()->full_name().rfind("google.protobuf.", 0) == 0 ? kJsonAny
                                                                                 : kJsonObject;
    default:
      return kJsonNumber;
  }
}

void Add(const Descriptor& message, std::vector<Fields>& out) {
  Fields& fields = out.emplace_back();
  for (int i = 0; i < message.field_count(); ++i)
    fields.fields.push_back({message.field(i)->name(), KindsOf(*message.field(i))});
  for (int i = 0; i < message.nested_type_count(); ++i) {
    if (!message.nested_type(i)->options().map_entry()) Add(*message.nested_type(i), out);
  }
}

}  // namespace

std::vector<Fields> ProtobufFields(const ProtobufSchema& schema) {
  std::vector<Fields> out;
  for (int i = 0; i < schema.file().message_type_count(); ++i)
    Add(*schema.file().message_type(i), out);
  return out;
}

}  // namespace millrace::schemas
