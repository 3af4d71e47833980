// Reads the catalog's log record, of this version and those before.
#include <algorithm>
#include <functional>

#include "base/coding.h"
#include "catalog/catalog.h"
#include "catalog/record_format.h"
#include "catalog/sql_text.h"

namespace millrace::catalog {
namespace {

Error Damaged(std::string_view what) {
  return Error(Code::kCorruption, "catalog record: {}", what);
}

Result<bool> GetBool(Reader& in) {
  TRY(const uint8_t value, in.Fixed<uint8_t>());
  if (value > 1) return Damaged("a flag is neither 0 nor 1");
  return value == 1;
}

// REQUIRES: T's values are 0 … last.
template <typename T>
Result<T> GetEnum(Reader& in, T last) {
  TRY(const uint8_t value, in.Fixed<uint8_t>());
  if (value > static_cast<uint8_t>(last)) return Damaged("an enumerated value is unknown");
  return static_cast<T>(value);
}

Result<std::string> GetString(Reader& in) {
  TRY(const std::string_view bytes, in.Bytes());
  return std::string(bytes);
}

Result<std::chrono::microseconds> GetMicros(Reader& in) {
  TRY(const int64_t value, in.Zigzag());
  return std::chrono::microseconds(value);
}

Result<std::optional<std::chrono::microseconds>> GetOptionalMicros(Reader& in) {
  TRY(const bool present, GetBool(in));
  if (!present) return std::optional<std::chrono::microseconds>();
  TRY(const std::chrono::microseconds value, GetMicros(in));
  return std::optional(value);
}

Result<std::optional<int64_t>> GetBytesMax(Reader& in) {
  TRY(const bool present, GetBool(in));
  if (!present) return std::optional<int64_t>();
  TRY(const int64_t value, in.Zigzag());
  return std::optional<int64_t>(value);
}

// A list: each element takes at least one byte, which bounds the count before anything is
// allocated.
template <typename T>
Result<std::vector<T>> GetList(Reader& in, const std::function<Result<T>(Reader&)>& get) {
  TRY(const uint64_t count, in.Varint());
  if (count > in.remaining()) return Damaged("a list is longer than the record");
  std::vector<T> list;
  list.reserve(count);
  for (uint64_t i = 0; i < count; ++i) {
    TRY(T element, get(in));
    list.push_back(std::move(element));
  }
  return list;
}

Result<std::vector<std::string>> GetNames(Reader& in) {
  return GetList<std::string>(in, GetString);
}

Result<duckdb::LogicalType> GetType(Reader& in) {
  TRY(const std::string text, GetString(in));
  Result<duckdb::LogicalType> type = ParseType(text);
  if (!type.ok()) return Damaged("type " + Quoted(text) + ": " + type.error().message());
  return type;
}

Result<std::optional<duckdb::Value>> GetConstant(Reader& in, const duckdb::LogicalType& type) {
  TRY(const bool present, GetBool(in));
  if (!present) return std::optional<duckdb::Value>();
  TRY(const std::string text, GetString(in));
  Result<duckdb::Value> value = ConstantFromSql(text, type);
  if (!value.ok()) return Damaged("constant " + Quoted(text) + ": " + value.error().message());
  return std::optional(std::move(value).value());
}

Result<rows::Column> GetColumn(Reader& in) {
  rows::Column column;
  TRY(column.name, GetString(in));
  TRY(column.type, GetType(in));
  TRY(column.not_null, GetBool(in));
  TRY(column.default_value, GetConstant(in, column.type));
  TRY(const int64_t id, in.Zigzag());
  column.id = static_cast<int>(id);
  return column;
}

Result<rows::Schema> GetSchema(Reader& in) {
  rows::Schema schema;
  TRY(schema.columns, GetList<rows::Column>(in, GetColumn));
  return schema;
}

Result<Check> GetCheck(Reader& in) {
  Check check;
  TRY(check.expression, GetString(in));
  return check;
}

Result<EndpointDefinition::Parameter> GetParameter(Reader& in) {
  EndpointDefinition::Parameter parameter;
  TRY(parameter.name, GetString(in));
  TRY(parameter.type, GetType(in));
  TRY(parameter.default_value, GetConstant(in, parameter.type));
  TRY(parameter.check, GetString(in));
  return parameter;
}

Status GetAliases(Reader& in, rows::Schema& schema) {
  for (rows::Column& column : schema.columns) {
    TRY(column.aliases, GetNames(in));
  }
  return Ok();
}

Result<StreamVersion> GetVersion(Reader& in) {
  StreamVersion version;
  TRY(version.schema, GetSchema(in));
  TRY(GetAliases(in, version.schema));
  TRY(version.checks, GetList<Check>(in, GetCheck));
  TRY(version.until, in.Varint());
  TRY(version.ends, GetList<int64_t>(in, [](Reader& reader) { return reader.Zigzag(); }));
  return version;
}

Result<Definition> GetStream(Reader& in, uint8_t version) {
  StreamDefinition d;
  TRY(d.name, GetString(in));
  TRY(d.schema, GetSchema(in));
  TRY(d.checks, GetList<Check>(in, GetCheck));
  TRY(const bool has_watermark, GetBool(in));
  if (has_watermark) {
    StreamDefinition::Watermark watermark;
    TRY(watermark.column, GetString(in));
    TRY(watermark.delay, GetMicros(in));
    d.watermark = std::move(watermark);
  }
  TRY(const bool has_deduplicate, GetBool(in));
  if (has_deduplicate) {
    StreamDefinition::Deduplicate deduplicate;
    TRY(deduplicate.columns, GetNames(in));
    TRY(deduplicate.within, GetOptionalMicros(in));
    d.deduplicate = std::move(deduplicate);
  }
  TRY(d.partition_by, GetNames(in));
  TRY(const int64_t partitions, in.Zigzag());
  d.partitions = static_cast<int>(partitions);
  if (d.partitions != partitions || partitions < 1) return Damaged("a number of partitions");
  TRY(d.on_invalid, GetEnum(in, StreamDefinition::OnInvalid::kReject));
  TRY(d.late, GetEnum(in, StreamDefinition::Late::kDivert));
  TRY(d.retention, GetOptionalMicros(in));
  TRY(d.retention_bytes, GetBytesMax(in));
  TRY(d.idle_after, GetMicros(in));
  TRY(d.future_max, GetMicros(in));
  if (version < 3) return Definition(std::move(d));
  TRY(GetAliases(in, d.schema));
  TRY(d.earlier, GetList<StreamVersion>(in, GetVersion));
  const auto counted = [&](const StreamVersion& earlier) {
    return earlier.ends.size() <= static_cast<size_t>(d.partitions);
  };
  if (!std::all_of(d.earlier.begin(), d.earlier.end(), counted))
    return Damaged("a version ends in more partitions than there are");
  if (version < 4) return Definition(std::move(d));
  TRY(d.format, GetEnum(in, StreamDefinition::Format::kProtobuf));
  if (version < 7) return Definition(std::move(d));
  TRY(d.durability.kind, GetEnum(in, Durability::Kind::kOs));
  TRY(const int64_t interval, in.Zigzag());
  d.durability.interval = std::chrono::milliseconds(interval);
  const bool has_interval = d.durability.kind == Durability::Kind::kInterval;
  if ((interval > 0) != has_interval || d.durability.interval > Durability::kIntervalMax)
    return Damaged("a stream's durability");
  if (version < 9) return Definition(std::move(d));
  TRY(d.storage.timestamps, GetEnum(in, Storage::Timestamps::kBroker));
  TRY(d.storage.compact, GetBool(in));
  TRY(d.storage.delete_retention, GetOptionalMicros(in));
  TRY(d.storage.max_message_bytes, GetBytesMax(in));
  TRY(d.storage.segment_bytes, GetBytesMax(in));
  TRY(d.storage.segment_age, GetOptionalMicros(in));
  return Definition(std::move(d));
}

Result<Definition> GetTable(Reader& in, uint8_t version) {
  TableDefinition d;
  TRY(d.name, GetString(in));
  TRY(d.schema, GetSchema(in));
  TRY(d.checks, GetList<Check>(in, GetCheck));
  TRY(d.primary_key, GetNames(in));
  TRY(d.seed, GetString(in));
  if (version < 6) return Definition(std::move(d));
  TRY(d.topic, GetString(in));
  TRY(d.format, GetEnum(in, TableDefinition::Format::kDebezium));
  return Definition(std::move(d));
}

Result<Definition> GetView(Reader& in, uint8_t version) {
  ViewDefinition d;
  TRY(d.name, GetString(in));
  TRY(d.materialized, GetBool(in));
  TRY(d.select, GetString(in));
  TRY(d.schema, GetSchema(in));
  TRY(d.reads, GetNames(in));
  TRY(d.on_error, GetEnum(in, ViewDefinition::OnError::kStop));
  TRY(const uint8_t history, in.Fixed<uint8_t>());
  d.emit_on_close = (history & kEmitOnClose) != 0;
  const int plain = history & ~kEmitOnClose;
  if (plain > static_cast<int>(ViewDefinition::History::kNone)) return Damaged("a view's history");
  d.history = static_cast<ViewDefinition::History>(plain);
  if (version < 3) return Definition(std::move(d));
  TRY(const int64_t memory_max, in.Zigzag());
  if (memory_max < 0) return Damaged("a view's memory_max");
  if (memory_max > 0) d.memory_max = memory_max;
  if (version < 5) return Definition(std::move(d));
  TRY(d.changes, GetEnum(in, ViewDefinition::Changes::kAppend));
  TRY(d.key, GetNames(in));
  if (version < 8) return Definition(std::move(d));
  TRY(d.retention, GetOptionalMicros(in));
  TRY(d.retention_bytes, GetBytesMax(in));
  return Definition(std::move(d));
}

Result<Definition> GetIndex(Reader& in) {
  IndexDefinition d;
  TRY(d.name, GetString(in));
  TRY(d.relation, GetString(in));
  TRY(d.columns, GetNames(in));
  return Definition(std::move(d));
}

Result<Definition> GetSource(Reader& in) {
  SourceDefinition d;
  TRY(d.name, GetString(in));
  TRY(d.into, GetString(in));
  TRY(d.connector, GetString(in));
  TRY(const uint64_t count, in.Varint());
  for (uint64_t i = 0; i < count; ++i) {
    TRY(std::string name, GetString(in));
    TRY(d.options[std::move(name)], GetString(in));
  }
  return Definition(std::move(d));
}

Result<Definition> GetEndpoint(Reader& in) {
  EndpointDefinition d;
  TRY(d.name, GetString(in));
  TRY(d.method, GetString(in));
  TRY(d.path, GetString(in));
  TRY(d.parameters, GetList<EndpointDefinition::Parameter>(in, GetParameter));
  TRY(d.select, GetString(in));
  TRY(d.reads, GetNames(in));
  return Definition(std::move(d));
}

Result<Definition> GetTypeDefinition(Reader& in) {
  TypeDefinition d;
  TRY(d.name, GetString(in));
  TRY(d.values, GetNames(in));
  return Definition(std::move(d));
}

Result<Definition> GetMacro(Reader& in) {
  MacroDefinition d;
  TRY(d.name, GetString(in));
  TRY(d.table, GetBool(in));
  TRY(d.body, GetString(in));
  TRY(d.reads, GetNames(in));
  return Definition(std::move(d));
}

Result<Definition> GetModel(Reader& in) {
  ModelDefinition d;
  TRY(d.name, GetString(in));
  TRY(d.path, GetString(in));
  TRY(d.digest, GetString(in));
  TRY(d.bytes, in.Zigzag());
  return Definition(std::move(d));
}

Result<Definition> GetDefinition(Reader& in, Kind kind, uint8_t version) {
  switch (kind) {
    case Kind::kStream:
      return GetStream(in, version);
    case Kind::kTable:
      return GetTable(in, version);
    case Kind::kView:
      return GetView(in, version);
    case Kind::kIndex:
      return GetIndex(in);
    case Kind::kSource:
      return GetSource(in);
    case Kind::kEndpoint:
      return GetEndpoint(in);
    case Kind::kType:
      return GetTypeDefinition(in);
    case Kind::kMacro:
      return GetMacro(in);
    case Kind::kModel:
      return GetModel(in);
  }
  return Damaged("a kind is unknown");
}

Result<Comments> GetComments(Reader& in) {
  Comments comments;
  TRY(comments.object, GetString(in));
  TRY(const uint64_t count, in.Varint());
  for (uint64_t i = 0; i < count; ++i) {
    TRY(std::string column, GetString(in));
    TRY(comments.columns[std::move(column)], GetString(in));
  }
  return comments;
}

Result<Use> GetUse(Reader& in) {
  Use use;
  TRY(use.kind, GetEnum(in, kLastKind));
  TRY(use.name, GetString(in));
  return use;
}

Result<Object> GetObject(Reader& in, uint8_t version) {
  Object object;
  TRY(const Kind kind, GetEnum(in, kLastKind));
  TRY(object.definition, GetDefinition(in, kind, version));
  TRY(object.text, GetString(in));
  TRY(object.file, GetString(in));
  TRY(const int64_t line, in.Zigzag());
  object.line = static_cast<int>(line);
  TRY(object.from_project, GetBool(in));
  TRY(object.generation, in.Varint());
  TRY(object.topic_id, in.Varint());
  if (version < 2) return object;
  TRY(object.comments, GetComments(in));
  TRY(object.uses, GetList<Use>(in, GetUse));
  TRY(object.identity, GetString(in));
  if (version < 3) return object;
  TRY(const bool halted, GetBool(in));
  if (halted) {
    object.halt.emplace();
    TRY(object.halt->why, GetEnum(in, Halt::Why::kFailed));
    TRY(object.halt->reason, GetString(in));
    TRY(object.halt->root, GetString(in));
    TRY(object.halt->step, in.Zigzag());
  }
  TRY(object.bound_as_of, in.Varint());
  return object;
}

Result<ObjectChange> GetObjectChange(Reader& in, RecordTag tag, uint8_t version) {
  switch (tag) {
    case RecordTag::kDrop: {
      Drop drop;
      TRY(drop.kind, GetEnum(in, kLastKind));
      TRY(drop.name, GetString(in));
      return ObjectChange(std::move(drop));
    }
    case RecordTag::kAlter: {
      Alter alter;
      TRY(alter.name, GetString(in));
      TRY(alter.object, GetObject(in, version));
      return ObjectChange(std::move(alter));
    }
    case RecordTag::kCreate:
    case RecordTag::kReplace: {
      TRY(Object object, GetObject(in, version));
      return ObjectChange(
          Create{.object = std::move(object), .replace = tag == RecordTag::kReplace});
    }
    default:
      return Damaged("a change is unknown");
  }
}

Result<RecordTag> GetTag(Reader& in) {
  TRY(const uint8_t tag, in.Fixed<uint8_t>());
  return static_cast<RecordTag>(tag);
}

Result<Change> GetChange(Reader& in, uint8_t version) {
  TRY(const RecordTag tag, GetTag(in));
  switch (tag) {
    case RecordTag::kStartBuild: {
      StartBuild start;
      TRY(start.changes, GetList<ObjectChange>(in, [&](Reader& reader) -> Result<ObjectChange> {
            TRY(const RecordTag inner, GetTag(reader));
            return GetObjectChange(reader, inner, version);
          }));
      return Change(std::move(start));
    }
    case RecordTag::kControlBuild: {
      ControlBuild control{};
      TRY(control.number, in.Varint());
      TRY(control.what, GetEnum(in, ControlBuild::What::kResume));
      TRY(control.reason, GetString(in));
      return Change(std::move(control));
    }
    default: {
      TRY(ObjectChange change, GetObjectChange(in, tag, version));
      return std::visit([](auto& plain) { return Change(std::move(plain)); }, change);
    }
  }
}

}  // namespace

Result<std::pair<uint64_t, std::vector<Change>>> DecodeChanges(std::string_view bytes) {
  if (bytes.size() < sizeof(uint32_t) + 1) return Damaged("too short");
  const std::string_view body = bytes.substr(0, bytes.size() - sizeof(uint32_t));
  if (GetFixed<uint32_t>(bytes.data() + body.size()) != Crc32c(body))
    return Damaged("crc mismatch");
  Reader in(body);
  TRY(const uint8_t version, in.Fixed<uint8_t>());
  if (version < kOldestRecordVersion || version > kRecordVersion) {
    return Damaged(fmt::format("version {} is not one that this build reads ({} to {})", version,
                               kOldestRecordVersion, kRecordVersion));
  }
  TRY(const uint64_t version_after, in.Varint());
  TRY(std::vector<Change> changes,
      GetList<Change>(in, [&](Reader& reader) { return GetChange(reader, version); }));
  if (in.remaining() != 0) return Damaged(fmt::format("{} bytes too many", in.remaining()));
  return std::pair(version_after, std::move(changes));
}

}  // namespace millrace::catalog
