#include "runtime/table_writer.h"

#include <algorithm>
#include <future>
#include <set>

#include "ingest/row_checker.h"
#include "ingest/token.h"
#include "runtime/row_text.h"
#include "runtime/table_records.h"

namespace millrace::runtime {

namespace {

constexpr size_t kStatementBytesMax = 16 << 20;
constexpr std::chrono::seconds kVisibleTimeout{60};
// Upsert appends about this much at a time.
constexpr size_t kUpsertBytes = 4 << 20;

Status CheckSize(const log::RecordBatchBuilder& records) {
  if (records.size() <= kStatementBytesMax) return Ok();
  return Error(Code::kTooLarge,
               "the statement changes {} MiB of rows, more than request_bytes_max (16 MiB)",
               records.size() >> 20)
      .Hint("change the table in several statements");
}

// Deletes of rows whose key no inserted row has, then the inserted rows.
void AddKeyedRecords(const catalog::TableDefinition& table, const sql::Database::WriteRows& rows,
                     log::Millis now, log::RecordBatchBuilder& out) {
  const std::vector<size_t> key_columns = KeyColumns(table);
  std::vector<std::pair<std::string, std::string>> inserted;
  std::set<std::string> inserted_keys;
  for (const rows::Batch::Part& part : rows.insert.parts) {
    const std::vector<std::string> keys = RowsAsJson(table.schema, *part.rows, key_columns);
    const std::vector<std::string> values = RowsAsJson(table.schema, *part.rows);
    for (size_t i = 0; i < keys.size(); ++i) {
      inserted.emplace_back(keys[i], values[i]);
      inserted_keys.insert(keys[i]);
    }
  }
  for (const rows::Batch::Part& part : rows.remove.parts) {
    for (const std::string& key : RowsAsJson(table.schema, *part.rows, key_columns)) {
      if (!inserted_keys.contains(key)) out.Add(key, std::nullopt, now);
    }
  }
  for (const auto& [key, value] : inserted) out.Add(key, value, now);
}

// For each row that changes, how often it stands in the table now.
Status AddBagRecords(const Relation& relation, const sql::Database::WriteRows& rows,
                     log::Millis now, log::RecordBatchBuilder& out) {
  const rows::Types& types = relation.content->types();
  rows::Batch change = rows.insert;
  change.Append(rows::Negate(rows.remove));
  rows::RowEncoder encoder(types);
  for (const rows::Batch::Part& part : rows::ConsolidateSorted(change, types).parts) {
    const std::vector<std::string> texts = RowsAsJson(relation.shape.schema, *part.rows);
    const std::vector<std::string_view>& encoded = encoder.Encode(*part.rows);
    TRY(const std::vector<rows::Weight> weights,
        relation.content->NewestWeightsShared(*part.rows, encoded));
    for (size_t i = 0; i < texts.size(); ++i) {
      const int64_t count = weights[i] + part.weight(i);
      if (count > 0) {
        out.Add(texts[i], std::to_string(count), now);
      } else {
        out.Add(texts[i], std::nullopt, now);
      }
    }
  }
  return Ok();
}

}  // namespace

Status CheckWritable(const catalog::Object& table) {
  const catalog::TableDefinition* of_topic = catalog::TableOfTopic(table);
  if (of_topic == nullptr) return Ok();
  return Error(Code::kNotSupported, "the rows of table {} come from topic {}",
               Quoted(of_topic->name), Quoted(of_topic->topic))
      .Hint(of_topic->format == catalog::TableDefinition::Format::kJson
                ? "a Kafka client changes them: a record with the row as its value, or with none "
                  "to delete the row of its key"
                : "change the database that the topic's events come from")
      .SqlState("0A000");
}

std::shared_ptr<std::mutex> TableWriter::LockOf(log::TopicId topic) {
  const std::lock_guard lock(mutex_);
  auto& slot = locks_[topic];
  if (slot == nullptr) slot = std::make_shared<std::mutex>();
  return slot;
}

Result<std::string> TableWriter::AppendAndWait(const Relation& table,
                                               log::RecordBatchBuilder& records) {
  log::AppendRequest request;
  request.push_back({{table.topic(), 0}, records.Finish()});
  TRY(const log::Appended appended, log_.AppendAndWait(std::move(request))
                                        .With("append to table " + Quoted(table.object.name())));
  TRY(AwaitVisible(appended.frame));
  return ingest::EncodeToken({appended.frame});
}

Status TableWriter::AwaitVisible(log::FrameSequence frame) {
  std::promise<Status> visible;
  publisher_.WhenVisible({frame}, kVisibleTimeout,
                         [&](Status status) { visible.set_value(std::move(status)); });
  return visible.get_future().get();
}

Result<log::Appended> TableWriter::AppendBatches(const std::string& table, std::string_view batches,
                                                 const std::function<Status()>& check) {
  const auto published = publisher_.newest();
  const auto relation = published->relations->Find(table);
  if (relation == nullptr || relation->table() == nullptr)
    return Error(Code::kNotFound, "table {} does not exist", Quoted(table));
  TRY(CheckWritable(relation->object));
  TRY(const auto checker, ingest::RowChecker::Make(*published->catalog, relation->table()->schema,
                                                   relation->table()->checks, database_));
  TRY(std::string changelog, ChangelogOf(*relation, *checker, batches));
  const auto table_lock = LockOf(relation->topic());
  const std::lock_guard lock(*table_lock);
  TRY(check());
  log::AppendRequest request;
  request.push_back({{relation->topic(), 0}, std::move(changelog)});
  TRY(log::Appended appended, log_.AppendAndWait(std::move(request)));
  TRY(AwaitVisible(appended.frame));
  return appended;
}

Result<log::RecordBatchBuilder> TableWriter::RecordsOf(const Relation& table,
                                                       const sql::Database::WriteRows& rows) const {
  const log::Millis now{clock_.Now().value / 1000};
  log::RecordBatchBuilder records;
  if (table.table()->primary_key.empty()) {
    TRY(AddBagRecords(table, rows, now, records));
  } else {
    AddKeyedRecords(*table.table(), rows, now, records);
  }
  TRY(CheckSize(records));
  return records;
}

Result<WriteOutcome> TableWriter::Execute(const sql::WriteStatement& statement,
                                          const std::map<std::string, duckdb::Value>& parameters,
                                          const sql::QueryLimits& limits) {
  const auto found = publisher_.newest()->relations->Find(statement.target);
  if (found == nullptr || found->table() == nullptr) {
    return Error(Code::kNotFound, "table {} does not exist", Quoted(statement.target))
        .SqlState("42P01");
  }
  TRY(CheckWritable(found->object));
  const auto table_lock = LockOf(found->topic());
  const std::lock_guard lock(*table_lock);
  const auto snapshot = take_snapshot_();
  const auto relation = snapshot->published().relations->Find(statement.target);
  if (relation == nullptr || relation->topic() != found->topic()) {
    return Error(Code::kConflict, "table {} was dropped meanwhile", Quoted(statement.target));
  }
  TRY(sql::Database::WriteRows rows,
      database_.EvaluateWrite(snapshot, statement, parameters, limits));
  WriteOutcome outcome;
  outcome.affected = rows.affected;
  outcome.returning = std::move(rows.returning);
  TRY(log::RecordBatchBuilder records, RecordsOf(*relation, rows));
  if (records.empty()) return outcome;
  TRY(outcome.token, AppendAndWait(*relation, records));
  return outcome;
}

Status TableWriter::Upsert(const std::string& table, const Chunks& rows) {
  const auto relation = publisher_.newest()->relations->Find(table);
  if (relation == nullptr || relation->table() == nullptr) {
    return Error(Code::kNotFound, "table {} does not exist", Quoted(table));
    TRY(CheckWritable(relation->object));
  }
  const catalog::TableDefinition& definition = *relation->table();
  CHECK(!definition.primary_key.empty()) << "rows are put in by key";
  const auto table_lock = LockOf(relation->topic());
  const std::lock_guard lock(*table_lock);
  log::RecordBatchBuilder records;
  for (size_t i = 0; i < rows.size(); ++i) {
    const log::Millis now{clock_.Now().value / 1000};
    const std::vector<std::string> keys =
        RowsAsJson(definition.schema, *rows[i], KeyColumns(definition));
    const std::vector<std::string> values = RowsAsJson(definition.schema, *rows[i]);
    for (size_t j = 0; j < keys.size(); ++j) records.Add(keys[j], values[j], now);
    const bool last = i + 1 == rows.size();
    if (records.empty() || (!last && records.size() < kUpsertBytes)) continue;
    TRY(AppendAndWait(*relation, records));
  }
  return Ok();
}

}  // namespace millrace::runtime
