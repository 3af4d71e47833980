#include "runtime/stream_columns.h"

#include "column_cache/column_cache.h"
#include "runtime/stream_history.h"
#include "runtime/system_table_parts.h"

namespace millrace::runtime {

namespace {

// More than steps have at once while producers are quick.
constexpr int64_t kBusyLagRecords = 20'000;

class HistoryOfSpan final : public column_cache::SpanReader {
 public:
  explicit HistoryOfSpan(StreamHistory history) : history_(std::move(history)) {}
  Result<std::shared_ptr<duckdb::DataChunk>> Next() override { return history_.Next(); }
  bool lost() const override { return !history_.lost().empty(); }

 private:
  StreamHistory history_;
};

// What a stream's rows are made of, beside its records.
std::string LayoutOf(const Relation& relation) {
  std::string layout = std::to_string(relation.topic().value);
  layout += fmt::format("/{}", relation.stream()->earlier.size());
  for (const rows::Column& column : relation.shape.schema.columns) {
    layout += fmt::format("/{} {} {} {}", column.id, column.name, column.type.ToString(),
                          column.default_value ? column.default_value->ToSQLString() : "");
  }
  return layout;
}

}  // namespace

std::optional<column_cache::Stream> StreamInColumns(const log::Log& log,
                                                    std::shared_ptr<const Relation> relation,
                                                    const NodeState& state) {
  if (relation->stream() == nullptr || relation->stream()->storage.compact) return std::nullopt;
  column_cache::Stream stream;
  stream.identity = InternalName(relation->object);
  stream.layout = LayoutOf(*relation);
  stream.name = relation->object.name();
  stream.types = relation->shape.schema.types();
  stream.partition = relation->shape.visible;
  for (const StreamHistory::Range& range : StreamHistory::RangesUntil(log, *relation, state))
    stream.spans.push_back({range.partition, range.next.value, range.end.value});
  stream.read = [&log, relation = std::move(relation)](const column_cache::Stream::Span& span) {
    return std::make_unique<HistoryOfSpan>(
        StreamHistory(log, relation, relation->shape.schema.all(),
                      {{span.partition, log::Offset{span.start}, log::Offset{span.end}}}));
  };
  return stream;
}

std::optional<column_cache::Stream> StreamColumns::Find(const std::string& identity) {
  const PublishedPtr published = publisher_.newest();
  for (const auto& [name, relation] : published->relations->by_name) {
    if (relation->stream() == nullptr || InternalName(relation->object) != identity) continue;
    return StreamInColumns(log_, relation, published->state);
  }
  return std::nullopt;
}

bool StreamColumns::Busy() { return lag_records_() > kBusyLagRecords; }

SystemTable ColumnCacheTable(const log::Log& log, const column_cache::ColumnCache* cache) {
  using duckdb::LogicalType;
  using duckdb::Value;
  using system_tables::MakeSchema;
  using system_tables::Number;
  using system_tables::Text;
  const LogicalType part = LogicalType::STRUCT({{"partition", LogicalType::INTEGER},
                                                {"first_offset", LogicalType::BIGINT},
                                                {"end_offset", LogicalType::BIGINT}});
  return {
      MakeSchema({{"stream", LogicalType::VARCHAR},
                  {"state", LogicalType::VARCHAR},
                  {"records", LogicalType::BIGINT},
                  {"records_beyond", LogicalType::BIGINT},
                  {"rows", LogicalType::BIGINT},
                  {"bytes", LogicalType::BIGINT},
                  {"coverage", LogicalType::LIST(part)}}),
      [cache, &log, part](const Published& published) {
        std::vector<std::vector<Value>> rows;
        if (cache == nullptr) return rows;
        const std::map<std::string, std::string> names = UserNames(*published.catalog);
        for (const column_cache::CopiedStream& copied : cache->stats().streams) {
          const auto relation = published.relations->Find(UserName(names, copied.identity));
          if (relation == nullptr) continue;  // dropped: soon its copy is gone too
          const auto stream = StreamInColumns(log, relation, published.state);
          if (!stream) continue;
          const auto copy = column_cache::CopyFor(copied, *stream);
          const int64_t records = copy == nullptr ? 0 : copy->records;
          duckdb::vector<Value> coverage;
          for (const column_cache::CopiedStream::Part& span : copied.parts) {
            coverage.push_back(Value::STRUCT({{"partition", Value::INTEGER(span.partition)},
                                              {"first_offset", Number(span.first)},
                                              {"end_offset", Number(span.end)}}));
          }
          rows.push_back({Text(stream->name), Text(column_cache::StateName(copied.state)),
                          Number(records), Number(stream->records() - records), Number(copied.rows),
                          Number(copied.bytes), Value::LIST(part, std::move(coverage))});
        }
        return rows;
      }};
}

}  // namespace millrace::runtime
