#include <google/protobuf/descriptor.h>

#include <map>
#include <set>

#include "schemas/protobuf_schema.h"

namespace millrace::schemas {

namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

// Types of one group read each other's bytes.
enum class Encoding { kVarint, kZigzag, kFixed32, kFixed64, kFloat, kDouble, kBytes, kMessage };

Encoding EncodingOf(const Field& field) {
  switch (field.type()) {
    case Field::TYPE_SINT32:
    case Field::TYPE_SINT64:
      return Encoding::kZigzag;
    case Field::TYPE_FIXED32:
    case Field::TYPE_SFIXED32:
      return Encoding::kFixed32;
    case Field::TYPE_FIXED64:
    case Field::TYPE_SFIXED64:
      return Encoding::kFixed64;
    case Field::TYPE_FLOAT:
      return Encoding::kFloat;
    case Field::TYPE_DOUBLE:
      return Encoding::kDouble;
    case Field::TYPE_STRING:
    case Field::TYPE_BYTES:
      return Encoding::kBytes;
    case Field::TYPE_MESSAGE:
    case Field::TYPE_GROUP:
      return Encoding::kMessage;
    default:
      return Encoding::kVarint;
  }
}

// A field of a oneof that somebody wrote, not one that `optional` made.
const pb::OneofDescriptor* OneofOf(const Field& field) { return field.real_containing_oneof(); }

std::map<std::string, const pb::Descriptor*> MessagesOf(const pb::FileDescriptor& file) {
  std::map<std::string, const pb::Descriptor*> messages;
  std::vector<const pb::Descriptor*> open;
  for (int i = 0; i < file.message_type_count(); ++i) open.push_back(file.message_type(i));
  while (!open.empty()) {
    const pb::Descriptor* message = open.back();
    open.pop_back();
    messages.emplace(message->full_name(), message);
    for (int i = 0; i < message->nested_type_count(); ++i) open.push_back(message->nested_type(i));
  }
  return messages;
}

class ProtobufComparison {
 public:
  void Compare(const pb::FileDescriptor& reader, const pb::FileDescriptor& writer) {
    if (reader.package() != writer.package()) {
      Add(writer.package(), fmt::format("the package is now \"{}\"", reader.package()));
      return;
    }
    const auto read = MessagesOf(reader);
    for (const auto& [name, message] : MessagesOf(writer)) {
      const auto found = read.find(name);
      if (found == read.end()) {
        Add(name, "the message is gone");
      } else {
        CompareMessages(*found->second, *message);
      }
    }
  }

  std::vector<std::string> problems;

 private:
  void Add(std::string_view place, std::string_view what) {
    problems.push_back(fmt::format("{}: {}", place, what));
  }

  void CompareMessages(const pb::Descriptor& reader, const pb::Descriptor& writer) {
    for (int i = 0; i < reader.field_count(); ++i) {
      const Field& field = *reader.field(i);
      if (field.is_required() && writer.FindFieldByNumber(field.number()) == nullptr)
        Add(field.full_name(), "the field is new and required");
    }
    // Fields that were on their own and came into the same new oneof exclude each other now.
    std::map<const pb::OneofDescriptor*, int> moved;
    for (int i = 0; i < writer.field_count(); ++i) {
      const Field& was = *writer.field(i);
      const Field* field = reader.FindFieldByNumber(was.number());
      if (field == nullptr) {
        if (was.is_required()) Add(was.full_name(), "the field was required and is gone");
        if (OneofOf(was) != nullptr && reader.FindOneofByName(OneofOf(was)->name()) != nullptr)
          Add(was.full_name(), "the field is gone from its oneof");
        continue;
      }
      CompareFields(*field, was);
      if (OneofOf(*field) == nullptr || OneofOf(was) != nullptr) continue;
      if (writer.FindOneofByName(OneofOf(*field)->name()) != nullptr) {
        Add(was.full_name(), "the field moved into a oneof that was there");
      } else if (++moved[OneofOf(*field)] == 2) {
        Add(OneofOf(*field)->full_name(), "several fields moved into a new oneof");
      }
    }
  }

  void CompareFields(const Field& field, const Field& was) {
    const Encoding encoding = EncodingOf(field);
    if (encoding != EncodingOf(was)) {
      Add(was.full_name(), fmt::format("{} was {}", field.type_name(), was.type_name()));
    } else if (encoding == Encoding::kMessage &&
               field.message_type()->full_name() != was.message_type()->full_name()) {
      Add(was.full_name(),
          fmt::format("the type is {}, and was {}", field.message_type()->full_name(),
                      was.message_type()->full_name()));
    } else if (field.is_repeated() != was.is_repeated() && encoding != Encoding::kBytes &&
               encoding != Encoding::kMessage) {
      Add(was.full_name(),
          field.is_repeated() ? "the field is repeated now" : "the field is not repeated any more");
    } else if (field.is_required() != was.is_required() && field.is_required()) {
      Add(was.full_name(), "the field is required now");
    }
  }
};

}  // namespace

std::vector<std::string> ProtobufReadProblems(const ProtobufSchema& reader,
                                              const ProtobufSchema& writer) {
  ProtobufComparison comparison;
  comparison.Compare(reader.file(), writer.file());
  return std::move(comparison.problems);
}

}  // namespace millrace::schemas
