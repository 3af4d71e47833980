#include "runtime/catalog_tables.h"

#include "catalog/sql_text.h"
#include "runtime/system_table_parts.h"

namespace millrace::runtime {

namespace {

using duckdb::LogicalType;
using duckdb::Value;
using Row = std::vector<Value>;
using system_tables::MakeSchema;
using system_tables::Number;
using system_tables::OptionalText;
using system_tables::Text;

std::string ColumnsText(const rows::Schema& schema) {
  std::string out;
  for (const rows::Column& column : schema.columns) {
    out += fmt::format("{}{} {}", out.empty() ? "" : ", ", column.name, column.type.ToString());
  }
  return out;
}

std::string Joined(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string_view FormatName(catalog::StreamDefinition::Format format) {
  switch (format) {
    case catalog::StreamDefinition::Format::kRows:
      return "json";
    case catalog::StreamDefinition::Format::kRaw:
      return "raw";
    case catalog::StreamDefinition::Format::kAvro:
      return "avro";
    case catalog::StreamDefinition::Format::kProtobuf:
      return "protobuf";
  }
  return "?";
}

SystemTable StreamsTable() {
  return {
      MakeSchema({{"name", LogicalType::VARCHAR},
                  {"columns", LogicalType::VARCHAR},
                  {"partitions", LogicalType::INTEGER},
                  {"partition_by", LogicalType::VARCHAR},
                  {"format", LogicalType::VARCHAR},
                  {"records", LogicalType::BIGINT},
                  {"rows", LogicalType::BIGINT},
                  {"watermark", LogicalType::TIMESTAMP},
                  {"on_invalid", LogicalType::VARCHAR},
                  {"late", LogicalType::VARCHAR},
                  {"durability", LogicalType::VARCHAR},
                  {"comment", LogicalType::VARCHAR}}),
      [](const Published& published) {
        std::vector<Row> rows;
        for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kStream)) {
          const auto& stream = std::get<catalog::StreamDefinition>(object->definition);
          const std::string internal = InternalName(*object);
          const auto books = published.state.books.find(internal);
          const StreamBooks counted =
              books == published.state.books.end() ? StreamBooks{} : books->second;
          const auto watermark = published.state.watermarks.find(internal);
          rows.push_back(
              {Text(stream.name), Text(ColumnsText(stream.schema)),
               Value::INTEGER(stream.partitions), Text(Joined(stream.partition_by)),
               Text(FormatName(stream.format)), Number(counted.records), Number(counted.rows),
               watermark == published.state.watermarks.end()
                   ? Value(LogicalType::TIMESTAMP)
                   : Value::TIMESTAMP(duckdb::timestamp_t(watermark->second.value)),
               Text(stream.on_invalid == catalog::StreamDefinition::OnInvalid::kReject
                        ? "reject"
                        : "quarantine"),
               Text(stream.late == catalog::StreamDefinition::Late::kDivert ? "divert" : "keep"),
               Text(stream.durability.text()), OptionalText(object->comments.object)});
        }
        return rows;
      }};
}

SystemTable TablesTable() {
  return {MakeSchema({{"name", LogicalType::VARCHAR},
                      {"columns", LogicalType::VARCHAR},
                      {"primary_key", LogicalType::VARCHAR},
                      {"rows", LogicalType::BIGINT},
                      {"comment", LogicalType::VARCHAR}}),
          [](const Published& published) {
            std::vector<Row> rows;
            for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kTable)) {
              const auto& table = std::get<catalog::TableDefinition>(object->definition);
              rows.push_back({Text(table.name), Text(ColumnsText(table.schema)),
                              Text(Joined(table.primary_key)),
                              Number(published.relations->Find(table.name)->content->row_count()),
                              OptionalText(object->comments.object)});
            }
            return rows;
          }};
}

// What a view's row says of how it stands: running, building, replacing (it shows its old content
// while the new one is built), paused or failed; how far the building is; and why.
struct Condition {
  std::string status = "running";
  Value progress = Value(LogicalType::DOUBLE);
  std::string reason;
};

Condition ConditionOf(const Published& published, const catalog::Object& object,
                      const catalog::Build* build) {
  Condition condition;
  if (object.halt) {
    const catalog::Halt& halt = *object.halt;
    const bool own = rows::EqualNames(halt.root, object.name());
    condition.status = halt.why == catalog::Halt::Why::kFailed ? "failed" : "paused";
    condition.reason = fmt::format("shows step {}", halt.step);
    if (!own) condition.reason += fmt::format("; it stands on {}", Quoted(halt.root));
    if (!halt.reason.empty()) condition.reason += ": " + halt.reason;
  }
  if (build == nullptr) return condition;
  const auto state = published.state.builds.find(build->number);
  if (state == published.state.builds.end()) return condition;
  condition.status = published.relations->Find(object.name()) == nullptr ? "building" : "replacing";
  condition.progress = Value::DOUBLE(state->second.fraction());
  if (build->paused) condition.reason = "the building is paused";
  return condition;
}

Row ViewRow(const Published& published, const catalog::Object& object,
            const catalog::Build* build) {
  const auto& view = std::get<catalog::ViewDefinition>(object.definition);
  const auto relation = view.materialized ? published.relations->Find(view.name) : nullptr;
  const Value none(LogicalType::BIGINT);
  const Condition condition = ConditionOf(published, object, build);
  return {Text(view.name),
          Text(view.materialized ? "materialized" : "plain"),
          Text(condition.status),
          condition.progress,
          OptionalText(condition.reason),
          Text(ColumnsText(view.schema)),
          relation ? Number(relation->content->row_count()) : none,
          relation ? Number(relation->content->memory_bytes()) : none,
          relation ? Number(relation->content->LastChange(published.state.step).value) : none,
          Text(Joined(view.reads)),
          Text(view.select),
          OptionalText(object.comments.object)};
}

// Those that are being built for the first time come last.
void ForEachView(
    const Published& published,
    const std::function<void(const catalog::Object&, const catalog::Build* build)>& visit) {
  const catalog::Catalog& catalog = *published.catalog;
  for (const catalog::Object* object : catalog.OfKind(catalog::Kind::kView))
    visit(*object, catalog.FindBuild(catalog::Kind::kView, object->name()));
  for (const auto& [number, build] : catalog.builds()) {
    for (const catalog::Object* object : build.created()) {
      if (object->kind() == catalog::Kind::kView && catalog.FindView(object->name()) == nullptr)
        visit(*object, &build);
    }
  }
}

SystemTable ViewsTable() {
  return {MakeSchema({{"name", LogicalType::VARCHAR},
                      {"kind", LogicalType::VARCHAR},
                      {"status", LogicalType::VARCHAR},
                      {"progress", LogicalType::DOUBLE},
                      {"reason", LogicalType::VARCHAR},
                      {"columns", LogicalType::VARCHAR},
                      {"rows", LogicalType::BIGINT},
                      {"bytes", LogicalType::BIGINT},
                      {"last_change_step", LogicalType::BIGINT},
                      {"reads", LogicalType::VARCHAR},
                      {"query", LogicalType::VARCHAR},
                      {"comment", LogicalType::VARCHAR}}),
          [](const Published& published) {
            std::vector<Row> rows;
            ForEachView(published, [&](const catalog::Object& object, const catalog::Build* build) {
              rows.push_back(ViewRow(published, object, build));
            });
            return rows;
          }};
}

SystemTable IndexesTable() {
  return {MakeSchema({{"name", LogicalType::VARCHAR},
                      {"relation", LogicalType::VARCHAR},
                      {"columns", LogicalType::VARCHAR},
                      {"comment", LogicalType::VARCHAR}}),
          [](const Published& published) {
            std::vector<Row> rows;
            for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kIndex)) {
              const auto& index = std::get<catalog::IndexDefinition>(object->definition);
              rows.push_back({Text(index.name), Text(index.relation), Text(Joined(index.columns)),
                              OptionalText(object->comments.object)});
            }
            return rows;
          }};
}

SystemTable EndpointsTable() {
  return {
      MakeSchema({{"name", LogicalType::VARCHAR},
                  {"method", LogicalType::VARCHAR},
                  {"path", LogicalType::VARCHAR},
                  {"parameters", LogicalType::VARCHAR},
                  {"query", LogicalType::VARCHAR},
                  {"comment", LogicalType::VARCHAR}}),
      [](const Published& published) {
        std::vector<Row> rows;
        for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kEndpoint)) {
          const auto& endpoint = std::get<catalog::EndpointDefinition>(object->definition);
          std::vector<std::string> parameters;
          for (const auto& parameter : endpoint.parameters) {
            parameters.push_back(parameter.name + " " + parameter.type.ToString());
          }
          rows.push_back({Text(endpoint.name), Text(endpoint.method), Text(endpoint.path),
                          Text(Joined(parameters)), Text(endpoint.select),
                          OptionalText(object->comments.object)});
        }
        return rows;
      }};
}

SystemTable SourcesTable() {
  return {
      MakeSchema({{"name", LogicalType::VARCHAR},
                  {"connector", LogicalType::VARCHAR},
                  {"into", LogicalType::VARCHAR},
                  {"comment", LogicalType::VARCHAR}}),
      [](const Published& published) {
        std::vector<Row> rows;
        for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kSource)) {
          const auto& source = std::get<catalog::SourceDefinition>(object->definition);
          rows.push_back({Text(source.name), Text(source.connector), Text(source.into),
                          OptionalText(object->comments.object)});
        }
        return rows;
      }};
}

SystemTable TypesTable() {
  return {MakeSchema({{"name", LogicalType::VARCHAR},
                      {"type", LogicalType::VARCHAR},
                      {"comment", LogicalType::VARCHAR}}),
          [](const Published& published) {
            std::vector<Row> rows;
            for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kType)) {
              const auto& type = std::get<catalog::TypeDefinition>(object->definition);
              rows.push_back({Text(type.name), Text(catalog::EnumText(type.values)),
                              OptionalText(object->comments.object)});
            }
            return rows;
          }};
}

SystemTable MacrosTable() {
  return {MakeSchema({{"name", LogicalType::VARCHAR},
                      {"kind", LogicalType::VARCHAR},
                      {"definition", LogicalType::VARCHAR},
                      {"comment", LogicalType::VARCHAR}}),
          [](const Published& published) {
            std::vector<Row> rows;
            for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kMacro)) {
              const auto& macro = std::get<catalog::MacroDefinition>(object->definition);
              rows.push_back({Text(macro.name), Text(macro.table ? "table" : "scalar"),
                              Text(macro.body), OptionalText(object->comments.object)});
            }
            return rows;
          }};
}

// The declared columns of streams, tables and views.
SystemTable ColumnsTable() {
  return {MakeSchema({{"relation", LogicalType::VARCHAR},
                      {"kind", LogicalType::VARCHAR},
                      {"position", LogicalType::INTEGER},
                      {"name", LogicalType::VARCHAR},
                      {"type", LogicalType::VARCHAR},
                      {"not_null", LogicalType::BOOLEAN},
                      {"default", LogicalType::VARCHAR},
                      {"comment", LogicalType::VARCHAR},
                      {"aliases", LogicalType::VARCHAR}}),
          [](const Published& published) {
            std::vector<Row> rows;
            for (const catalog::Object* object : published.catalog->InOrder()) {
              if (!catalog::IsRelation(object->kind())) continue;
              const catalog::RelationShape shape = catalog::ShapeOf(*object);
              for (size_t i = 0; i < shape.visible; ++i) {
                const rows::Column& column = shape.schema.columns[i];
                const auto comment = object->comments.columns.find(rows::LowerName(column.name));
                rows.push_back(
                    {Text(object->name()), Text(catalog::KindName(object->kind())),
                     Value::INTEGER(static_cast<int32_t>(i) + 1), Text(column.name),
                     Text(catalog::TypeText(column.type)), Value::BOOLEAN(column.not_null),
                     OptionalText(column.default_value ? column.default_value->ToSQLString() : ""),
                     OptionalText(comment == object->comments.columns.end() ? "" : comment->second),
                     OptionalText(Joined(column.aliases))});
              }
            }
            return rows;
          }};
}

}  // namespace

void AddCatalogTables(SystemTables& tables) {
  tables.Add("millrace.streams", StreamsTable());
  tables.Add("millrace.tables", TablesTable());
  tables.Add("millrace.views", ViewsTable());
  tables.Add("millrace.indexes", IndexesTable());
  tables.Add("millrace.endpoints", EndpointsTable());
  tables.Add("millrace.sources", SourcesTable());
  tables.Add("millrace.types", TypesTable());
  tables.Add("millrace.macros", MacrosTable());
  tables.Add("millrace.columns", ColumnsTable());
}

std::map<std::string, int64_t> ViewsByStatus(const Published& published) {
  std::map<std::string, int64_t> counts = {
      {"running", 0}, {"building", 0}, {"replacing", 0}, {"paused", 0}, {"failed", 0}};
  ForEachView(published, [&](const catalog::Object& object, const catalog::Build* build) {
    if (std::get<catalog::ViewDefinition>(object.definition).materialized)
      ++counts[ConditionOf(published, object, build).status];
  });
  return counts;
}

}  // namespace millrace::runtime
