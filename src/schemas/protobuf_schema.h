// ProtobufSchema: a .proto text (proto2 or proto3) with what it imports, and its messages' bytes as
// JSON. The library behind it is Google's own; its headers stay in the .cc.
//
// Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace google::protobuf {
class FileDescriptor;
}

namespace millrace::schemas {

// A file that another one imports: under which name, and its text.
struct ProtobufImport {
  std::string name;
  std::string text;
};

class ProtobufSchema {
 public:
  // `imports`: those that are not Google's well-known ones; each before what imports it.
  // kInvalidArgument with line and column. `text` may also be the file's descriptor, serialized, in
  // base64, as clients give it that have no .proto text.
  static Result<std::shared_ptr<const ProtobufSchema>> Parse(
      std::string_view text, const std::vector<ProtobufImport>& imports = {});
  ~ProtobufSchema();

  // The file without comments, as the library prints it: equal for equal schemas.
  std::string CanonicalText() const;
  // The file's descriptor, serialized, in base64.
  std::string Serialized() const;
  bool is_from_descriptor() const;
  // Appends the JSON of a message: fields by their names in the .proto, also those that hold their
  // default and have no presence; what is not set is left out. `message`: place of the message's
  // type among those of the file, then among those nested in it, and so on; empty: the first.
  // kCorruption: the bytes are no such message.
  Status ToJson(const std::vector<int32_t>& message, std::string_view bytes,
                std::string& out) const;
  const google::protobuf::FileDescriptor& file() const;

 private:
  struct Impl;
  explicit ProtobufSchema(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Why what was written with `writer` cannot be read with `reader`, one text a reason; empty: it
// can. By field numbers and the groups of types that share an encoding (protobuf.dev, "Updating A
// Message Type").
std::vector<std::string> ProtobufReadProblems(const ProtobufSchema& reader,
                                              const ProtobufSchema& writer);

}  // namespace millrace::schemas
