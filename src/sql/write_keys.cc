#include "sql/write_statement.h"

namespace millrace::sql {
namespace {

// Up to so many rows are looked up one by one, by key; more by one scan of the table.
constexpr size_t kLookupRowsMax = 16;

}  // namespace

Result<WriteTarget> WriteTarget::Of(const catalog::Catalog& catalog, const std::string& name) {
  const catalog::Object* object = catalog.FindRelation(name);
  if (object == nullptr) {
    return Error(Code::kNotFound, "relation {} does not exist", Quoted(name))
        .SqlState("42P01")
        .Hint(DidYouMean(name, catalog.RelationNames()));
  }
  WriteTarget target;
  target.name = object->name();
  target.kind = catalog::KindName(object->kind());
  if (const auto* stream = std::get_if<catalog::StreamDefinition>(&object->definition)) {
    target.schema = stream->schema;
    return target;
  }
  if (const auto* table = std::get_if<catalog::TableDefinition>(&object->definition)) {
    target.schema = table->schema;
    target.checks = table->checks;
    for (const std::string& key : table->primary_key) {
      TRY(const size_t column, target.Column(key));
      target.primary_key.push_back(column);
    }
    return target;
  }
  return Error(Code::kNotSupported, "{} {} cannot be written: its rows follow from its query",
               target.kind, Quoted(target.name))
      .SqlState("42809");
}

Result<size_t> WriteTarget::Column(const std::string& column) const {
  const auto found = schema.Find(column);
  if (found) return *found;
  return Error(Code::kNotFound, "column {} does not exist in {} {}", Quoted(column), kind,
               Quoted(name))
      .SqlState("42703")
      .Hint(DidYouMean(column, schema.names()));
}

duckdb::Value WriteTarget::Default(size_t column) const {
  const rows::Column& declared = schema.columns[column];
  if (!declared.default_value) return duckdb::Value(declared.type);
  return declared.default_value->DefaultCastAs(declared.type);
}

KeyColumns::KeyColumns(const WriteTarget& target) : target_(target) {}

const std::vector<std::string_view>& KeyColumns::Of(duckdb::DataChunk& rows) {
  duckdb::DataChunk keys;
  rows::Types types;
  for (const size_t column : target_.primary_key)
    types.push_back(target_.schema.columns[column].type);
  keys.InitializeEmpty(types);
  for (size_t i = 0; i < types.size(); ++i)
    keys.data[i].Reference(rows.data[target_.primary_key[i]]);
  keys.SetCardinality(rows.size());
  return encoder_.Encode(keys);
}

std::string KeyColumns::Text(const duckdb::DataChunk& rows, size_t row) const {
  std::string names;
  std::string values;
  for (const size_t column : target_.primary_key) {
    names += (names.empty() ? "" : ", ") + target_.schema.columns[column].name;
    values += (values.empty() ? "" : ", ") + rows.GetValue(column, row).ToString();
  }
  return fmt::format("({})=({})", names, values);
}

Status WriteEvaluation::CheckRows(const Chunks& rows) {
  for (const auto& chunk : rows) {
    for (size_t column = 0; column < target_.schema.columns.size(); ++column) {
      const rows::Column& declared = target_.schema.columns[column];
      const bool is_key = std::find(target_.primary_key.begin(), target_.primary_key.end(),
                                    column) != target_.primary_key.end();
      if (!declared.not_null && !is_key) continue;
      duckdb::UnifiedVectorFormat format;
      chunk->data[column].ToUnifiedFormat(chunk->size(), format);
      for (size_t row = 0; row < chunk->size(); ++row) {
        if (format.validity.RowIsValid(format.sel->get_index(row))) continue;
        return Error(Code::kInvalidArgument, "NULL in column {} of {} {}, which is {}",
                     Quoted(declared.name), target_.kind, Quoted(target_.name),
                     is_key ? "part of its primary key" : "NOT NULL")
            .SqlState("23502");
      }
    }
  }
  for (const catalog::Check& check : target_.checks) {
    TRY(const auto condition,
        database_.Condition(snapshot_->catalog(), target_.schema, check.expression,
                            Origin{"", check.expression, 0, check.expression.size()}));
    std::vector<uint8_t> passes;
    for (const auto& chunk : rows) {
      condition->Evaluate(*chunk, passes);
      if (std::find(passes.begin(), passes.end(), 0) == passes.end()) continue;
      return Error(Code::kInvalidArgument, "a row for {} {} violates CHECK ({})", target_.kind,
                   Quoted(target_.name), check.expression)
          .SqlState("23514");
    }
  }
  return Ok();
}

Result<std::map<std::string, RowAt>> WriteEvaluation::FindRows(const Chunks& candidates,
                                                               Chunks& found) {
  KeyColumns keys(target_);
  std::set<std::string, std::less<>> wanted;
  std::vector<std::vector<Snapshot::Equality>> lookups;
  const bool by_key = RowCount(candidates) <= kLookupRowsMax;
  for (const auto& chunk : candidates) {
    const std::vector<std::string_view>& encoded = keys.Of(*chunk);
    for (size_t row = 0; row < chunk->size(); ++row) {
      if (!wanted.emplace(encoded[row]).second || !by_key) continue;
      auto& equalities = lookups.emplace_back();
      for (const size_t column : target_.primary_key)
        equalities.push_back({column, chunk->GetValue(column, row)});
    }
  }
  if (!by_key) lookups.emplace_back();
  std::map<std::string, RowAt> out;
  const rows::Types types = target_.schema.types();
  std::vector<size_t> columns(types.size());
  for (size_t i = 0; i < columns.size(); ++i) columns[i] = i;
  KeyColumns present_keys(target_);
  for (const auto& equalities : lookups) {
    TRY(const auto scan, snapshot_->Scan(target_.name, columns, equalities));
    duckdb::DataChunk rows;
    rows.Initialize(duckdb::Allocator::DefaultAllocator(), types);
    rows::BatchBuilder builder(types);
    std::vector<std::string> order;
    while (true) {
      rows.Reset();
      TRY(scan->Next(rows));
      if (rows.size() == 0) break;
      const std::vector<std::string_view>& encoded = present_keys.Of(rows);
      for (size_t row = 0; row < rows.size(); ++row) {
        if (!wanted.contains(encoded[row]) || out.contains(std::string(encoded[row]))) continue;
        builder.AppendRow(rows, row, 1);
        order.emplace_back(encoded[row]);
        out[order.back()] = {};
      }
    }
    size_t at = 0;
    const rows::Batch kept = builder.Finish();
    for (const auto& part : kept.parts) {
      for (size_t row = 0; row < part.rows->size(); ++row) out[order[at++]] = {found.size(), row};
      found.push_back(part.rows);
    }
  }
  return out;
}

Error WriteEvaluation::Duplicate(const std::string& key_text) const {
  return Error(Code::kAlreadyExists, "duplicate key {} in {} {}", key_text, target_.kind,
               Quoted(target_.name))
      .SqlState("23505");
}

Status WriteEvaluation::CheckKeysFree(const Chunks& rows, const std::set<std::string>& leaving) {
  KeyColumns keys(target_);
  std::set<std::string> seen;
  Chunks found;
  TRY(const auto present, FindRows(rows, found));
  for (const auto& chunk : rows) {
    const std::vector<std::string_view>& encoded = keys.Of(*chunk);
    for (size_t row = 0; row < chunk->size(); ++row) {
      const std::string key(encoded[row]);
      const bool taken = present.contains(key) && !leaving.contains(key);
      if (taken || !seen.insert(key).second) return Duplicate(keys.Text(*chunk, row));
    }
  }
  return Ok();
}

}  // namespace millrace::sql
