#include "runtime/system_tables.h"

#include "runtime/ledger.h"

namespace millrace::runtime {

namespace {

using duckdb::LogicalType;
using duckdb::Value;
using Row = std::vector<Value>;

rows::Schema MakeSchema(const std::vector<std::pair<const char*, LogicalType>>& columns) {
  rows::Schema schema;
  for (const auto& [name, type] : columns) {
    rows::Column column;
    column.name = name;
    column.type = type;
    schema.columns.push_back(std::move(column));
  }
  return schema;
}

Value Text(std::string_view text) { return Value(std::string(text)); }
Value Number(uint64_t value) { return Value::BIGINT(static_cast<int64_t>(value)); }
Value Number(int64_t value) { return Value::BIGINT(value); }

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

SystemTable Streams() {
  return {
      MakeSchema({{"name", LogicalType::VARCHAR},
                  {"columns", LogicalType::VARCHAR},
                  {"partitions", LogicalType::INTEGER},
                  {"partition_by", LogicalType::VARCHAR},
                  {"records", LogicalType::BIGINT},
                  {"rows", LogicalType::BIGINT},
                  {"watermark", LogicalType::TIMESTAMP},
                  {"on_invalid", LogicalType::VARCHAR},
                  {"late", LogicalType::VARCHAR}}),
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
               Number(counted.records), Number(counted.rows),
               watermark == published.state.watermarks.end()
                   ? Value(LogicalType::TIMESTAMP)
                   : Value::TIMESTAMP(duckdb::timestamp_t(watermark->second.value)),
               Text(stream.on_invalid == catalog::StreamDefinition::OnInvalid::kReject
                        ? "reject"
                        : "quarantine"),
               Text(stream.late == catalog::StreamDefinition::Late::kDivert ? "divert" : "keep")});
        }
        return rows;
      }};
}

SystemTable Tables() {
  return {MakeSchema({{"name", LogicalType::VARCHAR},
                      {"columns", LogicalType::VARCHAR},
                      {"primary_key", LogicalType::VARCHAR},
                      {"rows", LogicalType::BIGINT}}),
          [](const Published& published) {
            std::vector<Row> rows;
            for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kTable)) {
              const auto& table = std::get<catalog::TableDefinition>(object->definition);
              rows.push_back({Text(table.name), Text(ColumnsText(table.schema)),
                              Text(Joined(table.primary_key)),
                              Number(published.relations->Find(table.name)->content->row_count())});
            }
            return rows;
          }};
}

SystemTable Views() {
  return {
      MakeSchema({{"name", LogicalType::VARCHAR},
                  {"kind", LogicalType::VARCHAR},
                  {"status", LogicalType::VARCHAR},
                  {"columns", LogicalType::VARCHAR},
                  {"rows", LogicalType::BIGINT},
                  {"bytes", LogicalType::BIGINT},
                  {"last_change_step", LogicalType::BIGINT},
                  {"reads", LogicalType::VARCHAR},
                  {"query", LogicalType::VARCHAR}}),
      [](const Published& published) {
        std::vector<Row> rows;
        for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kView)) {
          const auto& view = std::get<catalog::ViewDefinition>(object->definition);
          const auto relation = published.relations->Find(view.name);
          const Value none(LogicalType::BIGINT);
          rows.push_back(
              {Text(view.name), Text(view.materialized ? "materialized" : "plain"), Text("running"),
               Text(ColumnsText(view.schema)),
               relation ? Number(relation->content->row_count()) : none,
               relation ? Number(relation->content->memory_bytes()) : none,
               relation ? Number(relation->content->LastChange(published.state.step).value) : none,
               Text(Joined(view.reads)), Text(view.select)});
        }
        return rows;
      }};
}

SystemTable Indexes() {
  return {MakeSchema({{"name", LogicalType::VARCHAR},
                      {"relation", LogicalType::VARCHAR},
                      {"columns", LogicalType::VARCHAR}}),
          [](const Published& published) {
            std::vector<Row> rows;
            for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kIndex)) {
              const auto& index = std::get<catalog::IndexDefinition>(object->definition);
              rows.push_back({Text(index.name), Text(index.relation), Text(Joined(index.columns))});
            }
            return rows;
          }};
}

SystemTable Endpoints() {
  return {
      MakeSchema({{"name", LogicalType::VARCHAR},
                  {"method", LogicalType::VARCHAR},
                  {"path", LogicalType::VARCHAR},
                  {"parameters", LogicalType::VARCHAR},
                  {"query", LogicalType::VARCHAR}}),
      [](const Published& published) {
        std::vector<Row> rows;
        for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kEndpoint)) {
          const auto& endpoint = std::get<catalog::EndpointDefinition>(object->definition);
          std::vector<std::string> parameters;
          for (const auto& parameter : endpoint.parameters) {
            parameters.push_back(parameter.name + " " + parameter.type.ToString());
          }
          rows.push_back({Text(endpoint.name), Text(endpoint.method), Text(endpoint.path),
                          Text(Joined(parameters)), Text(endpoint.select)});
        }
        return rows;
      }};
}

SystemTable Sources() {
  return {
      MakeSchema({{"name", LogicalType::VARCHAR},
                  {"connector", LogicalType::VARCHAR},
                  {"into", LogicalType::VARCHAR}}),
      [](const Published& published) {
        std::vector<Row> rows;
        for (const catalog::Object* object : published.catalog->OfKind(catalog::Kind::kSource)) {
          const auto& source = std::get<catalog::SourceDefinition>(object->definition);
          rows.push_back({Text(source.name), Text(source.connector), Text(source.into)});
        }
        return rows;
      }};
}

SystemTable Partitions(const NodeWatch& watch) {
  return {MakeSchema({{"topic", LogicalType::VARCHAR},
                      {"partition", LogicalType::INTEGER},
                      {"start_offset", LogicalType::BIGINT},
                      {"end_offset", LogicalType::BIGINT},
                      {"step_offset", LogicalType::BIGINT},
                      {"event_time_max", LogicalType::TIMESTAMP}}),
          [watch](const Published& published) {
            std::vector<Row> rows;
            const auto cut = watch.cut();
            for (const log::TopicInfo& topic : watch.topics()) {
              for (int32_t i = 0; i < topic.config.partitions; ++i) {
                const log::Cut::End* end = cut->Find({topic.id, i});
                if (end == nullptr) continue;
                const auto position = published.state.positions.find({topic.id, i});
                const bool known = position != published.state.positions.end();
                const bool timed = known && position->second.event_time_max != kNoEventTime;
                rows.push_back(
                    {Text(topic.name), Value::INTEGER(i), Number(end->start.value),
                     Number(end->end.value),
                     known ? Number(position->second.next.value) : Value(LogicalType::BIGINT),
                     timed ? Value::TIMESTAMP(duckdb::timestamp_t(position->second.event_time_max))
                           : Value(LogicalType::TIMESTAMP)});
              }
            }
            return rows;
          }};
}

SystemTable Operators(const NodeWatch& watch) {
  return {MakeSchema({{"view", LogicalType::VARCHAR},
                      {"operator", LogicalType::VARCHAR},
                      {"steps", LogicalType::BIGINT},
                      {"rows_in", LogicalType::BIGINT},
                      {"rows_out", LogicalType::BIGINT},
                      {"seconds", LogicalType::DOUBLE}}),
          [watch](const Published&) {
            std::vector<Row> rows;
            for (const stream::OperatorStats& stats : watch.operators()) {
              rows.push_back({Text(stats.output.substr(0, stats.output.rfind('#'))),
                              Text(stats.description), Number(stats.steps), Number(stats.rows_in),
                              Number(stats.rows_out), Value::DOUBLE(stats.seconds)});
            }
            return rows;
          }};
}

SystemTable Watermarks() {
  return {MakeSchema({{"stream", LogicalType::VARCHAR}, {"watermark", LogicalType::TIMESTAMP}}),
          [](const Published& published) {
            std::vector<Row> rows;
            for (const auto& [stream, watermark] : published.state.watermarks) {
              rows.push_back({Text(stream.substr(0, stream.rfind('#'))),
                              Value::TIMESTAMP(duckdb::timestamp_t(watermark.value))});
            }
            return rows;
          }};
}

SystemTable Ledger() {
  return {MakeSchema({{"edge", LogicalType::VARCHAR},
                      {"counter", LogicalType::VARCHAR},
                      {"value", LogicalType::BIGINT}}),
          [](const Published& published) {
            std::vector<Row> rows;
            for (const LedgerLine& line : LedgerOf(published))
              rows.push_back({Text(line.edge), Text(line.counter), Number(line.value)});
            return rows;
          }};
}

SystemTable Errors(const NodeWatch& watch) {
  return {MakeSchema({{"view", LogicalType::VARCHAR},
                      {"message", LogicalType::VARCHAR},
                      {"row", LogicalType::VARCHAR},
                      {"count", LogicalType::BIGINT}}),
          [watch](const Published& published) {
            std::vector<Row> rows;
            const rows::Types& types = watch.failures->types();
            rows::RowDecoder decoder(types);
            duckdb::DataChunk chunk;
            chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types, 1);
            for (size_t at = 0; at != state::ViewTable::kEnd;) {
              at = watch.failures->Scan(
                  published.state.step, at, STANDARD_VECTOR_SIZE,
                  [&](std::string_view row, rows::Weight weight) {
                    chunk.Reset();
                    if (!decoder.Decode(std::span(&row, 1), chunk, 0).ok())
                      return;  // our own memory: cannot fail
                    chunk.SetCardinality(1);
                    rows.push_back({chunk.GetValue(0, 0), chunk.GetValue(1, 0),
                                    chunk.GetValue(2, 0), Number(int64_t{weight})});
                  });
            }
            return rows;
          }};
}

SystemTable Damage(const NodeWatch& watch) {
  return {MakeSchema({{"topic", LogicalType::VARCHAR},
                      {"partition", LogicalType::INTEGER},
                      {"first_offset", LogicalType::BIGINT},
                      {"last_offset", LogicalType::BIGINT},
                      {"reason", LogicalType::VARCHAR}}),
          [watch](const Published&) {
            std::vector<Row> rows;
            for (const log::Damage& damage : watch.damage()) {
              rows.push_back({Text(damage.topic), Value::INTEGER(damage.partition.partition),
                              Number(damage.range.first.value), Number(damage.range.last.value),
                              Text(damage.range.reason)});
            }
            return rows;
          }};
}

}  // namespace

const SystemTable* SystemTables::Find(std::string_view name) const {
  const auto it = tables_.find(rows::LowerName(name));
  return it == tables_.end() ? nullptr : &it->second;
}

std::vector<std::string> SystemTables::names() const {
  std::vector<std::string> out;
  for (const auto& [name, table] : tables_) out.push_back(name);
  return out;
}

SystemTables MakeSystemTables(NodeWatch watch) {
  SystemTables tables;
  tables.Add("millrace.streams", Streams());
  tables.Add("millrace.tables", Tables());
  tables.Add("millrace.views", Views());
  tables.Add("millrace.indexes", Indexes());
  tables.Add("millrace.endpoints", Endpoints());
  tables.Add("millrace.sources", Sources());
  tables.Add("millrace.partitions", Partitions(watch));
  tables.Add("millrace.operators", Operators(watch));
  tables.Add("millrace.watermarks", Watermarks());
  tables.Add("millrace.ledger", Ledger());
  tables.Add("millrace.errors", Errors(watch));
  tables.Add("millrace.damage", Damage(watch));
  return tables;
}

}  // namespace millrace::runtime
