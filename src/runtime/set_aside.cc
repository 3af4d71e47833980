#include "runtime/set_aside.h"

#include <algorithm>
#include <map>

#include "base/utf8.h"
#include "catalog/stream_versions.h"
#include "ingest/ingest.h"
#include "ingest/row_checker.h"
#include "runtime/change_decoder.h"
#include "runtime/exclusions.h"

namespace millrace::runtime {

namespace {

constexpr size_t kReadBytes = 256 << 10;

std::string_view ReasonName(Reason reason) {
  switch (reason) {
    case Reason::kDuplicate:
      return "duplicate";
    case Reason::kInvalid:
      return "invalid";
    case Reason::kLateDiverted:
      return "late, diverted";
    case Reason::kLateKept:
      return "late, kept";
  }
  return "unknown";
}

bool Belongs(Reason reason, SetAside what) {
  const bool late = reason == Reason::kLateDiverted || reason == Reason::kLateKept;
  return what == SetAside::kLate ? late : reason == Reason::kInvalid;
}

duckdb::Value SourceOf(const log::RecordView& record) {
  for (log::HeaderCursor headers = record.headers(); headers.Next();) {
    const log::Header& header = headers.header();
    if (header.key == ingest::kSourceHeader && header.value)
      return duckdb::Value(ValidUtf8(*header.value));
  }
  return duckdb::Value(duckdb::LogicalType::VARCHAR);
}

}  // namespace

rows::Schema SetAsideSchema() {
  using duckdb::LogicalType;
  rows::Schema schema;
  const std::pair<const char*, LogicalType> columns[] = {
      {"_partition", LogicalType::INTEGER}, {"_offset", LogicalType::BIGINT},
      {"_reason", LogicalType::VARCHAR},    {"_error", LogicalType::VARCHAR},
      {"_column", LogicalType::VARCHAR},    {"_source", LogicalType::VARCHAR},
      {"_bytes", LogicalType::BLOB},        {"_ingested_at", LogicalType::TIMESTAMP}};
  for (const auto& [name, type] : columns) {
    rows::Column column;
    column.name = name;
    column.type = type;
    schema.columns.push_back(std::move(column));
  }
  return schema;
}

Result<std::vector<std::vector<duckdb::Value>>> ReadSetAside(const log::Log& log,
                                                             const catalog::Catalog& catalog,
                                                             const Relation& stream, SetAside what,
                                                             const NodeState& until,
                                                             sql::Database& database) {
  // A record is judged by the version at its offset.
  std::unique_ptr<ingest::RowChecker> checker;
  const rows::Schema* checked = nullptr;
  const auto check_by = [&](const catalog::VersionRange& version) -> Status {
    if (checked == version.schema) return Ok();
    checked = version.schema;
    TRY(checker, ingest::RowChecker::Make(catalog, *version.schema, *version.checks, database,
                                          stream.format()));
    return Ok();
  };
  const bool table = catalog::TableOfTopic(stream.object) != nullptr;
  std::unique_ptr<ChangeDecoder> changes;
  if (table) {
    TRY(changes, ChangeDecoder::Make(stream, catalog, database));
  }
  const auto problems_of = [&](const ingest::Record& record) {
    const std::span records(&record, 1);
    return table ? changes->Decode(records).errors : checker->Decode(records).errors;
  };
  std::vector<std::vector<duckdb::Value>> out;
  const auto cut = log.DurableCut();
  for (int32_t partition = 0; partition < stream.partitions(); ++partition) {
    const log::PartitionId id{stream.log_topic(), partition};
    const auto position = until.positions.find({stream.topic(), partition});
    const log::Cut::End* available = cut->Find(id);
    if (position == until.positions.end() || available == nullptr) continue;
    std::vector<Exclusions::Item> items =
        stream.exclusions->Read(partition, available->start, position->second.next);
    std::erase_if(items, [&](const Exclusions::Item& item) { return !Belongs(item.reason, what); });
    for (size_t next = 0; next < items.size();) {
      TRY(const log::ReadResult read, log.Read(id, {.from = items[next].offset,
                                                    .until = position->second.next,
                                                    .bytes_max = kReadBytes,
                                                    .unpack = true,
                                                    .committed_only = true}));
      for (const log::ReadBatch& batch : read.batches) {
        if (next >= items.size() || items[next].offset > batch.last_offset) continue;
        log::RecordCursor records = batch.view().records();
        while (next < items.size() && records.Next()) {
          const log::RecordView& record = records.record();
          if (record.offset != items[next].offset) continue;
          const std::string_view bytes = record.value.value_or(std::string_view());
          duckdb::Value error(duckdb::LogicalType::VARCHAR);
          duckdb::Value column(duckdb::LogicalType::VARCHAR);
          if (what == SetAside::kQuarantine) {
            if (!table)
              TRY(check_by(catalog::VersionAt(*stream.stream(), partition, record.offset.value)));
            const std::vector<rows::RowError> problems = problems_of({record, batch.frame});
            if (!problems.empty()) {
              error = duckdb::Value(problems[0].message);
              if (!problems[0].column.empty()) column = duckdb::Value(problems[0].column);
            }
          }
          out.push_back(
              {duckdb::Value::INTEGER(partition), duckdb::Value::BIGINT(record.offset.value),
               duckdb::Value(std::string(ReasonName(items[next].reason))), error, column,
               SourceOf(record),
               duckdb::Value::BLOB(duckdb::const_data_ptr_cast(bytes.data()), bytes.size()),
               duckdb::Value::TIMESTAMP(duckdb::timestamp_t(batch.clock.value))});
          ++next;
        }
      }
      // Damage on disk may have taken what was set aside.
      while (next < items.size() && items[next].offset < read.next) ++next;
    }
  }
  return out;
}

}  // namespace millrace::runtime
