#include "runtime/system_tables.h"

#include "runtime/catalog_tables.h"
#include "runtime/ledger.h"
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

// The user's names of the topics of streams and tables, by topic id.
std::map<uint64_t, std::string> TopicNames(const catalog::Catalog& catalog) {
  std::map<uint64_t, std::string> names;
  for (const catalog::Object* object : catalog.InOrder()) {
    if (object->topic_id != 0) names[object->topic_id] = object->name();
  }
  return names;
}

LogicalType HottestKeysType() {
  return LogicalType::LIST(
      LogicalType::STRUCT({{"key", LogicalType::VARCHAR}, {"share", LogicalType::DOUBLE}}));
}

std::vector<Heat::Partition> HeatOf(const Published& published, const std::string& stream) {
  const auto relation = published.relations->Find(stream);
  if (relation == nullptr || relation->heat == nullptr) return {};
  return relation->heat->Read(std::chrono::steady_clock::now());
}

// NULLs where nothing has come since the start.
void AppendHeat(Row& row, const std::vector<Heat::Partition>& heat, int32_t partition) {
  const auto number = static_cast<size_t>(partition);
  if (number >= heat.size()) {
    row.insert(row.end(), 3, Value(LogicalType::DOUBLE));
    row.emplace_back(HottestKeysType());
    return;
  }
  const Heat::Partition& seen = heat[number];
  row.push_back(Value::DOUBLE(seen.records_per_s));
  row.push_back(Value::DOUBLE(seen.bytes_per_s));
  row.push_back(Value::DOUBLE(seen.share));
  duckdb::vector<Value> keys;
  for (const Heat::Key& key : seen.keys)
    keys.push_back(Value::STRUCT({{"key", Text(key.key)}, {"share", Value::DOUBLE(key.share)}}));
  row.push_back(Value::LIST(duckdb::ListType::GetChildType(HottestKeysType()), std::move(keys)));
}

SystemTable Partitions(const NodeWatch& watch) {
  return {MakeSchema({{"topic", LogicalType::VARCHAR},
                      {"partition", LogicalType::INTEGER},
                      {"start_offset", LogicalType::BIGINT},
                      {"end_offset", LogicalType::BIGINT},
                      {"step_offset", LogicalType::BIGINT},
                      {"event_time_max", LogicalType::TIMESTAMP},
                      {"bytes", LogicalType::BIGINT},
                      {"records_per_s", LogicalType::DOUBLE},
                      {"bytes_per_s", LogicalType::DOUBLE},
                      {"share", LogicalType::DOUBLE},
                      {"hottest_keys", HottestKeysType()}}),
          [watch](const Published& published) {
            std::vector<Row> rows;
            const auto cut = watch.cut();
            const std::map<uint64_t, std::string> names = TopicNames(*published.catalog);
            for (const log::TopicInfo& topic : watch.topics()) {
              const auto named = names.find(topic.id.value);
              std::vector<Heat::Partition> heat;
              if (named != names.end()) heat = HeatOf(published, named->second);
              for (int32_t i = 0; i < topic.config.partitions; ++i) {
                const log::Cut::End* end = cut->Find({topic.id, i});
                if (end == nullptr) continue;
                const auto position = published.state.positions.find({topic.id, i});
                const bool known = position != published.state.positions.end();
                const bool timed = known && position->second.event_time_max != kNoEventTime;
                rows.push_back(
                    {Text(named == names.end() ? topic.name : named->second), Value::INTEGER(i),
                     Number(end->start.value), Number(end->end.value),
                     known ? Number(position->second.next.value) : Value(LogicalType::BIGINT),
                     timed ? Value::TIMESTAMP(duckdb::timestamp_t(position->second.event_time_max))
                           : Value(LogicalType::TIMESTAMP)});
                const auto bytes = watch.partition_bytes({topic.id, i});
                rows.back().push_back(bytes.ok() ? Number(static_cast<int64_t>(*bytes))
                                                 : Value(LogicalType::BIGINT));
                AppendHeat(rows.back(), heat, i);
              }
            }
            return rows;
          }};
}

// An operator that several views share has a row for each of them.
SystemTable Operators(const NodeWatch& watch) {
  return {MakeSchema({{"view", LogicalType::VARCHAR},
                      {"operator", LogicalType::VARCHAR},
                      {"steps", LogicalType::BIGINT},
                      {"rows_in", LogicalType::BIGINT},
                      {"rows_out", LogicalType::BIGINT},
                      {"seconds", LogicalType::DOUBLE},
                      {"state_rows", LogicalType::BIGINT},
                      {"state_rows_in_memory", LogicalType::BIGINT},
                      {"state_bytes", LogicalType::BIGINT},
                      {"state_bytes_on_disk", LogicalType::BIGINT},
                      {"hit_rate", LogicalType::DOUBLE},
                      {"shared_with", LogicalType::VARCHAR}}),
          [watch](const Published& published) {
            std::vector<Row> rows;
            const std::map<std::string, std::string> names = UserNames(*published.catalog);
            const Value none(LogicalType::BIGINT);
            for (const OperatorFigures& figures : watch.operators()) {
              const stream::OperatorStats& stats = figures.stats;
              const bool kept = !stats.tables.empty();
              const std::optional<double> hits = HitRate(figures);
              for (const std::string& view : stats.outputs) {
                rows.push_back({Text(UserName(names, view)), Text(OperatorText(figures, names)),
                                Number(stats.steps), Number(stats.rows_in), Number(stats.rows_out),
                                Value::DOUBLE(stats.seconds),
                                kept && stats.state.entries ? Number(*stats.state.entries) : none,
                                kept ? Number(stats.state.entries_in_memory) : none,
                                kept ? Number(stats.state.memory_bytes) : none,
                                kept ? Number(figures.state_bytes_on_disk) : none,
                                hits ? Value::DOUBLE(*hits) : Value(LogicalType::DOUBLE),
                                OptionalText(SharedWith(figures, view, names))});
              }
            }
            return rows;
          }};
}

SystemTable WatermarksTable() {
  return {MakeSchema({{"stream", LogicalType::VARCHAR}, {"watermark", LogicalType::TIMESTAMP}}),
          [](const Published& published) {
            std::vector<Row> rows;
            const std::map<std::string, std::string> names = UserNames(*published.catalog);
            for (const auto& [stream, watermark] : published.state.watermarks) {
              rows.push_back({Text(UserName(names, stream)),
                              Value::TIMESTAMP(duckdb::timestamp_t(watermark.value))});
            }
            return rows;
          }};
}

SystemTable LedgerTable() {
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
            const auto scan = watch.failures->Scan(published.state.step);
            for (bool more = true; more;) {
              // All of it is in memory: cannot fail.
              more = scan->Next(STANDARD_VECTOR_SIZE,
                                [&](std::string_view row, rows::Weight weight) {
                                  chunk.Reset();
                                  if (!decoder.Decode(std::span(&row, 1), chunk, 0).ok())
                                    return;  // our own memory: cannot fail
                                  chunk.SetCardinality(1);
                                  rows.push_back(
                                      {Text(UserNameOf(*published.catalog, catalog::Kind::kView,
                                                       chunk.GetValue(0, 0).ToString())),
                                       chunk.GetValue(1, 0), chunk.GetValue(2, 0),
                                       Number(int64_t{weight})});
                                })
                         .value();
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
  AddCatalogTables(tables);
  tables.Add("millrace.partitions", Partitions(watch));
  tables.Add("millrace.operators", Operators(watch));
  tables.Add("millrace.watermarks", WatermarksTable());
  tables.Add("millrace.ledger", LedgerTable());
  tables.Add("millrace.errors", Errors(watch));
  tables.Add("millrace.damage", Damage(watch));
  return tables;
}

}  // namespace millrace::runtime
