#include "ingest/schema_values.h"

namespace millrace::ingest {

namespace {

// The last of that name counts, as to Kafka's own clients.
std::optional<log::Header> LastHeader(const Record& record, std::string_view name) {
  std::optional<log::Header> last;
  for (log::HeaderCursor headers = record.headers(); headers.Next();) {
    if (headers.header().key == name) last = headers.header();
  }
  return last;
}

std::string KeyText(const schemas::SchemaKey& key) {
  const auto* id = std::get_if<int32_t>(&key);
  return id != nullptr ? std::to_string(*id) : schemas::GuidText(std::get<schemas::Guid>(key));
}

}  // namespace

bool SchemaValues::Begins(std::string_view bytes) {
  return !bytes.empty() && (bytes.front() == '\0' || bytes.front() == '\1');
}

std::optional<Result<std::string>> SchemaValues::JsonOf(Part part, const Record& record) {
  const std::optional<std::string_view>& bytes = part == Part::kKey ? record.key : record.value;
  if (registry_ == nullptr || !bytes) return std::nullopt;
  const std::string_view name =
      part == Part::kKey ? schemas::kKeySchemaHeader : schemas::kValueSchemaHeader;
  if (const std::optional<log::Header> header = LastHeader(record, name)) {
    const auto named = schemas::ReadPrefix(header->value.value_or(std::string_view()));
    if (!named)
      return Error(Code::kInvalidArgument,
                   "the header {} is no schema's id: a zero byte and four bytes, or a one byte and "
                   "a GUID's 16",
                   name);
    return Read({named->schema, named->rest, /*in_header=*/true}, record, *bytes);
  }
  if (!Begins(*bytes)) return std::nullopt;
  const auto prefixed = schemas::ReadPrefix(*bytes);
  if (!prefixed)
    return Error(Code::kInvalidArgument,
                 "the {} begins as one that names a schema, and is too short",
                 part == Part::kKey ? "key" : "value");
  return Read({prefixed->schema, prefixed->rest, /*in_header=*/false}, record, prefixed->rest);
}

Result<std::string> SchemaValues::Read(const Naming& naming, const Record& record,
                                       std::string_view bytes) {
  const schemas::StoredSchemaPtr schema = Find(naming.schema, record.frame);
  if (schema == nullptr)
    return Error(Code::kInvalidArgument, "schema {} is not registered", KeyText(naming.schema));
  schemas::Message message{{}, bytes};
  if (schema->type == schemas::SchemaType::kProtobuf) {
    TRY(message, schemas::ReadMessagePath(naming.message_path));
    // The path stands behind the id, wherever that is.
    if (naming.in_header) message.rest = bytes;
  }
  std::string json;
  TRY(schema->parsed->ToJson(message.path, message.rest, json)
          .With(fmt::format("schema {}", schema->id)));
  return json;
}

schemas::StoredSchemaPtr SchemaValues::Find(const schemas::SchemaKey& key,
                                            log::FrameSequence frame) {
  if (state_ == nullptr) state_ = registry_->state();
  schemas::StoredSchemaPtr schema = state_->FindSchema(key);
  return schema == nullptr || schema->frame.value >= frame.value ? nullptr : schema;
}

}  // namespace millrace::ingest
