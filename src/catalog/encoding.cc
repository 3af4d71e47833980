// Writes the catalog's log record.
#include "base/coding.h"
#include "catalog/catalog.h"
#include "catalog/record_format.h"
#include "catalog/sql_text.h"

namespace millrace::catalog {
namespace {

void PutBool(std::string& out, bool value) { PutFixed<uint8_t>(out, value ? 1 : 0); }

template <typename T>
void PutEnum(std::string& out, T value) {
  PutFixed<uint8_t>(out, static_cast<uint8_t>(value));
}

void PutMicros(std::string& out, const std::optional<std::chrono::microseconds>& value) {
  PutBool(out, value.has_value());
  if (value) PutZigzag(out, value->count());
}

void PutBytesMax(std::string& out, const std::optional<int64_t>& value) {
  PutBool(out, value.has_value());
  if (value) PutZigzag(out, *value);
}

void PutNames(std::string& out, const std::vector<std::string>& names) {
  PutVarint(out, names.size());
  for (const std::string& name : names) PutBytes(out, name);
}

void PutConstant(std::string& out, const std::optional<duckdb::Value>& value) {
  PutBool(out, value.has_value());
  if (value) PutBytes(out, ConstantText(*value));
}

void PutSchema(std::string& out, const rows::Schema& schema) {
  PutVarint(out, schema.columns.size());
  for (const rows::Column& column : schema.columns) {
    PutBytes(out, column.name);
    PutBytes(out, TypeText(column.type));
    PutBool(out, column.not_null);
    PutConstant(out, column.default_value);
    PutZigzag(out, column.id);
  }
}

void PutChecks(std::string& out, const std::vector<Check>& checks) {
  PutVarint(out, checks.size());
  for (const Check& check : checks) PutBytes(out, check.expression);
}

void PutAliases(std::string& out, const rows::Schema& schema) {
  for (const rows::Column& column : schema.columns) PutNames(out, column.aliases);
}

void PutVersion(std::string& out, const StreamVersion& version) {
  PutSchema(out, version.schema);
  PutAliases(out, version.schema);
  PutChecks(out, version.checks);
  PutVarint(out, version.until);
  PutVarint(out, version.ends.size());
  for (const int64_t end : version.ends) PutZigzag(out, end);
}

void Put(std::string& out, const StreamDefinition& d) {
  PutBytes(out, d.name);
  PutSchema(out, d.schema);
  PutChecks(out, d.checks);
  PutBool(out, d.watermark.has_value());
  if (d.watermark) {
    PutBytes(out, d.watermark->column);
    PutZigzag(out, d.watermark->delay.count());
  }
  PutBool(out, d.deduplicate.has_value());
  if (d.deduplicate) {
    PutNames(out, d.deduplicate->columns);
    PutMicros(out, d.deduplicate->within);
  }
  PutNames(out, d.partition_by);
  PutZigzag(out, d.partitions);
  PutEnum(out, d.on_invalid);
  PutEnum(out, d.late);
  PutMicros(out, d.retention);
  PutBytesMax(out, d.retention_bytes);
  PutZigzag(out, d.idle_after.count());
  PutZigzag(out, d.future_max.count());
  PutAliases(out, d.schema);
  PutVarint(out, d.earlier.size());
  for (const StreamVersion& version : d.earlier) PutVersion(out, version);
  PutEnum(out, d.format);
  PutEnum(out, d.durability.kind);
  PutZigzag(out, d.durability.interval.count());
  PutEnum(out, d.storage.timestamps);
  PutBool(out, d.storage.compact);
  PutMicros(out, d.storage.delete_retention);
  PutBytesMax(out, d.storage.max_message_bytes);
  PutBytesMax(out, d.storage.segment_bytes);
  PutMicros(out, d.storage.segment_age);
}

void Put(std::string& out, const TableDefinition& d) {
  PutBytes(out, d.name);
  PutSchema(out, d.schema);
  PutChecks(out, d.checks);
  PutNames(out, d.primary_key);
  PutBytes(out, d.seed);
  PutBytes(out, d.topic);
  PutEnum(out, d.format);
}

void Put(std::string& out, const ViewDefinition& d) {
  PutBytes(out, d.name);
  PutBool(out, d.materialized);
  PutBytes(out, d.select);
  PutSchema(out, d.schema);
  PutNames(out, d.reads);
  PutEnum(out, d.on_error);
  PutFixed<uint8_t>(out, static_cast<uint8_t>(static_cast<int>(d.history) |
                                              (d.emit_on_close ? kEmitOnClose : 0)));
  PutZigzag(out, d.memory_max.value_or(0));
  PutEnum(out, d.changes);
  PutNames(out, d.key);
  PutMicros(out, d.retention);
  PutBytesMax(out, d.retention_bytes);
}

void Put(std::string& out, const IndexDefinition& d) {
  PutBytes(out, d.name);
  PutBytes(out, d.relation);
  PutNames(out, d.columns);
}

void Put(std::string& out, const SourceDefinition& d) {
  PutBytes(out, d.name);
  PutBytes(out, d.into);
  PutBytes(out, d.connector);
  PutVarint(out, d.options.size());
  for (const auto& [name, value] : d.options) {
    PutBytes(out, name);
    PutBytes(out, value);
  }
}

void Put(std::string& out, const EndpointDefinition& d) {
  PutBytes(out, d.name);
  PutBytes(out, d.method);
  PutBytes(out, d.path);
  PutVarint(out, d.parameters.size());
  for (const EndpointDefinition::Parameter& parameter : d.parameters) {
    PutBytes(out, parameter.name);
    PutBytes(out, TypeText(parameter.type));
    PutConstant(out, parameter.default_value);
    PutBytes(out, parameter.check);
  }
  PutBytes(out, d.select);
  PutNames(out, d.reads);
}

void Put(std::string& out, const TypeDefinition& d) {
  PutBytes(out, d.name);
  PutNames(out, d.values);
}

void Put(std::string& out, const MacroDefinition& d) {
  PutBytes(out, d.name);
  PutBool(out, d.table);
  PutBytes(out, d.body);
  PutNames(out, d.reads);
}

void Put(std::string& out, const ModelDefinition& d) {
  PutBytes(out, d.name);
  PutBytes(out, d.path);
  PutBytes(out, d.digest);
  PutZigzag(out, d.bytes);
}

void PutComments(std::string& out, const Comments& comments) {
  PutBytes(out, comments.object);
  PutVarint(out, comments.columns.size());
  for (const auto& [column, text] : comments.columns) {
    PutBytes(out, column);
    PutBytes(out, text);
  }
}

void PutObject(std::string& out, const Object& object) {
  PutEnum(out, object.kind());
  std::visit([&](const auto& definition) { Put(out, definition); }, object.definition);
  PutBytes(out, object.text);
  PutBytes(out, object.file);
  PutZigzag(out, object.line);
  PutBool(out, object.from_project);
  PutVarint(out, object.generation);
  PutVarint(out, object.topic_id);
  PutComments(out, object.comments);
  PutVarint(out, object.uses.size());
  for (const Use& use : object.uses) {
    PutEnum(out, use.kind);
    PutBytes(out, use.name);
  }
  PutBytes(out, object.identity);
  PutBool(out, object.halt.has_value());
  if (object.halt) {
    PutEnum(out, object.halt->why);
    PutBytes(out, object.halt->reason);
    PutBytes(out, object.halt->root);
    PutZigzag(out, object.halt->step);
  }
  PutVarint(out, object.bound_as_of);
}

void PutChange(std::string& out, const ObjectChange& change) {
  if (const auto* drop = std::get_if<Drop>(&change)) {
    PutEnum(out, RecordTag::kDrop);
    PutEnum(out, drop->kind);
    PutBytes(out, drop->name);
  } else if (const auto* alter = std::get_if<Alter>(&change)) {
    PutEnum(out, RecordTag::kAlter);
    PutBytes(out, alter->name);
    PutObject(out, alter->object);
  } else {
    const Create& create = std::get<Create>(change);
    PutEnum(out, create.replace ? RecordTag::kReplace : RecordTag::kCreate);
    PutObject(out, create.object);
  }
}

struct Encode {
  std::string& out;

  void operator()(const Create& create) const { PutChange(out, create); }
  void operator()(const Drop& drop) const { PutChange(out, drop); }
  void operator()(const Alter& alter) const { PutChange(out, alter); }
  void operator()(const StartBuild& start) const {
    PutEnum(out, RecordTag::kStartBuild);
    PutVarint(out, start.changes.size());
    for (const ObjectChange& change : start.changes) PutChange(out, change);
  }
  void operator()(const ControlBuild& control) const {
    PutEnum(out, RecordTag::kControlBuild);
    PutVarint(out, control.number);
    PutEnum(out, control.what);
    PutBytes(out, control.reason);
  }
};

}  // namespace

std::string EncodeChanges(uint64_t version_after, const std::vector<Change>& changes) {
  std::string out;
  PutFixed(out, kRecordVersion);
  PutVarint(out, version_after);
  PutVarint(out, changes.size());
  for (const Change& change : changes) std::visit(Encode{out}, change);
  PutFixed<uint32_t>(out, Crc32c(out));
  return out;
}

}  // namespace millrace::catalog
