#include "schemas/protobuf_schema.h"

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/descriptor_database.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include "rows/value_text.h"
#include "schemas/json_limit.h"
#include "schemas/protobuf_json.h"

namespace millrace::schemas {

namespace {

namespace pb = google::protobuf;

constexpr char kFileName[] = "schema.proto";

class ParseErrors final : public pb::io::ErrorCollector {
 public:
  // Lines and columns count from 0.
  void AddError(int line, int column, const std::string& message) override {
    if (first.empty()) first = fmt::format("{}:{}: {}", line + 1, column + 1, message);
  }
  std::string first;
};

class BuildErrors final : public pb::DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string&, const std::string& element, const pb::Message*, ErrorLocation,
                const std::string& message) override {
    if (first.empty()) first = fmt::format("{}: {}", element, message);
  }
  std::string first;
};

Result<pb::FileDescriptorProto> ParseFile(const std::string& name, std::string_view text) {
  pb::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  ParseErrors errors;
  pb::io::Tokenizer tokenizer(&stream, &errors);
  pb::compiler::Parser parser;
  parser.RecordErrorsTo(&errors);
  pb::FileDescriptorProto file;
  const bool parsed = parser.Parse(&tokenizer, &file);
  if (!parsed || !errors.first.empty())
    return Error(Code::kInvalidArgument, "{}:{}", name,
                 errors.first.empty() ? "is no .proto text" : errors.first);
  file.set_name(name);
  return file;
}

// No .proto text with a message in it has the letters of base64 only.
std::optional<pb::FileDescriptorProto> FromSerialized(const std::string& name,
                                                      std::string_view text) {
  std::string bytes;
  pb::FileDescriptorProto file;
  if (!rows::FromBase64(text, bytes) || !file.ParseFromString(bytes)) return std::nullopt;
  file.set_name(name);
  return file;
}

}  // namespace

struct ProtobufSchema::Impl {
  // What is not among the files given is looked up among Google's well-known ones.
  pb::SimpleDescriptorDatabase given;
  pb::DescriptorPoolDatabase known{*pb::DescriptorPool::generated_pool()};
  pb::MergedDescriptorDatabase all{&given, &known};
  BuildErrors errors;
  pb::DescriptorPool pool{&all, &errors};
  const pb::FileDescriptor* file = nullptr;
  bool is_from_descriptor = false;
  mutable pb::DynamicMessageFactory messages{&pool};  // thread-safe
};

ProtobufSchema::ProtobufSchema(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ProtobufSchema::~ProtobufSchema() = default;

const pb::FileDescriptor& ProtobufSchema::file() const { return *impl_->file; }

std::string ProtobufSchema::CanonicalText() const { return impl_->file->DebugString(); }

std::string ProtobufSchema::Serialized() const {
  pb::FileDescriptorProto file;
  impl_->file->CopyTo(&file);
  std::string out;
  rows::AppendBase64(file.SerializeAsString(), out);
  return out;
}

bool ProtobufSchema::is_from_descriptor() const { return impl_->is_from_descriptor; }

Result<std::shared_ptr<const ProtobufSchema>> ProtobufSchema::Parse(
    std::string_view text, const std::vector<ProtobufImport>& imports) {
  // The library says on standard error what its callers are told anyway.
  [[maybe_unused]] static const bool quiet = [] {
    pb::SetLogHandler(nullptr);
    return true;
  }();
  auto impl = std::make_unique<Impl>();
  for (const ProtobufImport& import : imports) {
    TRY(const pb::FileDescriptorProto parsed, ParseFile(import.name, import.text));
    if (!impl->given.Add(parsed))
      return Error(Code::kInvalidArgument,
                   "{} is imported twice, or defines what another file does", import.name);
  }
  std::optional<pb::FileDescriptorProto> given = FromSerialized(kFileName, text);
  impl->is_from_descriptor = given.has_value();
  if (!given) {
    TRY(given, ParseFile(kFileName, text));
  }
  const pb::FileDescriptorProto& parsed = *given;
  if (parsed.message_type_size() == 0)
    return Error(Code::kInvalidArgument, "the .proto text has no message");
  if (!impl->given.Add(parsed))
    return Error(Code::kInvalidArgument, "the .proto text defines what an import does");
  impl->file = impl->pool.FindFileByName(kFileName);
  if (impl->file == nullptr)
    return Error(Code::kInvalidArgument, "{}",
                 impl->errors.first.empty() ? "the .proto text is wrong" : impl->errors.first);
  return std::shared_ptr<const ProtobufSchema>(new ProtobufSchema(std::move(impl)));
}

Status ProtobufSchema::ToJson(const std::vector<int32_t>& message, std::string_view bytes,
                              std::string& out) const {
  const pb::Descriptor* type = nullptr;
  for (const int32_t index : message.empty() ? std::vector<int32_t>{0} : message) {
    const int count =
        type == nullptr ? impl_->file->message_type_count() : type->nested_type_count();
    if (index < 0 || index >= count)
      return Error(Code::kCorruption, "the schema has no message type {}", index);
    type = type == nullptr ? impl_->file->message_type(index) : type->nested_type(index);
  }
  const std::unique_ptr<pb::Message> parsed(impl_->messages.GetPrototype(type)->New());
  if (!parsed->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return Error(Code::kCorruption, "the bytes are no message {}", type->full_name());
  return AppendMessage(*parsed, out.size() + JsonBytesMax(bytes.size()), out);
}

}  // namespace millrace::schemas
