#include "runtime/table_writer.h"

#include <algorithm>
#include <future>
#include <set>

#include "ingest/row_checker.h"
#include "ingest/token.h"
#include "runtime/row_text.h"
#include "runtime/table_records.h"
#include "schemas/registry.h"

namespace millrace::runtime {

namespace {

constexpr size_t kStatementBytesMax = 16 << 20;
constexpr std::chrono::seconds kVisibleTimeout{60};
// Upsert appends about this much at a time.
constexpr size_t kUpsertBytes = 4 << 20;

Status CheckSize(const TableChanges& records) {
  if (records.size() <= kStatementBytesMax) return Ok();
  return Error(Code::kTooLarge,
               "the statement changes {} MiB of rows, more than request_bytes_max (16 MiB)",
               records.size() >> 20)
      .Hint("change the table in several statements");
}

bool HasSchemas(const schemas::RegistryState& registry, const std::string& name) {
  const auto* subject = registry.FindSubject(name);
  return subject != nullptr && subject->has_live();
}

void Sort(ingest::Token& token) {
  std::sort(token.held.begin(), token.held.end(),
            [](const ingest::Token::End& a, const ingest::Token::End& b) {
              return a.partition < b.partition;
            });
}

// Deletes of rows whose key no inserted row has, then the inserted rows.
void AddKeyedRecords(const catalog::TableDefinition& table, const sql::Database::WriteRows& rows,
                     log::Millis now, TableChanges& out) {
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
  std::map<std::string, std::string> replaced;  // by key, where the records say it
  for (const rows::Batch::Part& part : rows.remove.parts) {
    const std::vector<std::string> keys = RowsAsJson(table.schema, *part.rows, key_columns);
    std::vector<std::string> values(keys.size());
    if (out.has_before()) values = RowsAsJson(table.schema, *part.rows);
    for (size_t i = 0; i < keys.size(); ++i) {
      if (!inserted_keys.contains(keys[i])) {
        out.Change(keys[i], values[i], std::nullopt, now);
      } else if (out.has_before()) {
        replaced.emplace(keys[i], std::move(values[i]));
      }
    }
  }
  for (const auto& [key, value] : inserted) {
    const auto before = replaced.find(key);
    out.Change(key, before == replaced.end() ? std::nullopt : std::optional(before->second), value,
               now);
  }
}

// For each row that changes, how often it stands in the table now.
Status AddBagRecords(const Relation& relation, const sql::Database::WriteRows& rows,
                     log::Millis now, TableChanges& out) {
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

Status CheckWritable(const Relation& table) {
  const catalog::TableDefinition* of_topic = catalog::TableOfTopic(table.object);
  if (of_topic == nullptr || table.registry == nullptr) return Ok();
  const auto registry = table.registry->state();
  for (const char* part : {"-value", "-key"}) {
    const std::string subject = of_topic->topic + part;
    if (!HasSchemas(*registry, subject)) continue;
    return Error(Code::kNotSupported,
                 "table {} stands on topic {}, whose records are of the schemas of subject {}; "
                 "statements write JSON that names none",
                 Quoted(of_topic->name), Quoted(of_topic->topic), Quoted(subject))
        .Hint(
            "write to the topic with a Kafka client that serializes by the schema; where none of "
            "its consumers needs that, delete the subject from the registry")
        .SqlState("0A000");
  }
  return Ok();
}

std::shared_ptr<std::mutex> TableWriter::LockOf(log::TopicId topic) {
  const std::lock_guard lock(mutex_);
  auto& slot = locks_[topic];
  if (slot == nullptr) slot = std::make_shared<std::mutex>();
  return slot;
}

TableChanges TableWriter::NoChanges(const Relation& table) const {
  const catalog::TableDefinition* of_topic = catalog::TableOfTopic(table.object);
  const catalog::CatalogPtr catalog = publisher_.newest()->catalog;
  const catalog::StreamDefinition* stream =
      of_topic == nullptr ? nullptr : catalog->FindStream(of_topic->topic);
  return TableChanges(table, stream == nullptr ? catalog::Storage() : stream->storage);
}

void TableWriter::CountAtDoor(const Relation& table, const std::string& source, int64_t records) {
  const catalog::TableDefinition* of_topic = catalog::TableOfTopic(table.object);
  if (of_topic == nullptr) return;
  const catalog::Object* stream = publisher_.newest()->catalog->FindRelation(of_topic->topic);
  if (stream == nullptr) return;  // no stream goes while a table stands on its topic
  door_.Add(stream->kept_as(), source,
            {.sent = records, .appended = records, .repeated = 0, .rejected = 0});
}

Result<ingest::Token> TableWriter::AppendAndWait(const Relation& table, const std::string& source,
                                                 TableChanges& changes) {
  const int64_t records = changes.records();
  log::AppendRequest request;
  std::vector<log::PartitionId> partitions;
  std::vector<int64_t> counts;
  std::vector<std::optional<log::PartitionId>> followed;
  for (TableAppend& part : changes.Finish()) {
    partitions.push_back(part.append.partition);
    counts.push_back(part.records);
    followed.push_back(part.followed_at);
    request.push_back(std::move(part.append));
  }
  TRY(const log::Appended appended, log_.AppendAndWait(std::move(request))
                                        .With("append to table " + Quoted(table.object.name())));
  CountAtDoor(table, source, records);
  ingest::Token token = ingest::TokenOf(appended, partitions, counts);
  for (size_t i = 0; i < followed.size(); ++i) {
    if (followed[i]) token.held.push_back({*followed[i], appended.base_offsets[i] + counts[i]});
  }
  Sort(token);
  TRY(AwaitVisible(token));
  return token;
}

Status TableWriter::AwaitVisible(const ingest::Token& token) {
  std::promise<Status> visible;
  publisher_.WhenVisible(token, kVisibleTimeout,
                         [&](Status status) { visible.set_value(std::move(status)); });
  return visible.get_future().get();
}

void TableWriter::AddPlaces(const std::vector<log::PartitionId>& followed, const Relation& table,
                            ingest::Token& token) const {
  const auto cut = log_.DurableCut();
  for (const log::PartitionId place : followed) {
    if (const auto* end = cut->Find({table.log_topic(), place.partition}))
      token.held.push_back({place, end->end});
  }
  Sort(token);
}

Status TableWriter::CatchUp(const Relation& table) {
  if (catalog::TableOfTopic(table.object) == nullptr) return Ok();
  ingest::Token token;
  const auto cut = log_.DurableCut();
  for (int32_t i = 0; i < table.partitions(); ++i) {
    const log::Cut::End* end = cut->Find({table.log_topic(), i});
    if (end != nullptr && end->stable > end->start)
      token.held.push_back({{table.topic(), i}, end->stable});
  }
  Status visible = AwaitVisible(token);
  if (visible.ok() || visible.error().code() != Code::kTimeout) return visible;
  return Error(Code::kTimeout, "table {} has yet to read records of its topic",
               Quoted(table.object.name()))
      .Hint("nothing has changed; try again when it has caught up");
}

Result<TableWriter::Checked> TableWriter::Check(const std::string& table,
                                                std::string_view batches) {
  const auto published = publisher_.newest();
  Checked checked;
  checked.table = published->relations->Find(table);
  if (checked.table == nullptr || checked.table->table() == nullptr)
    return Error(Code::kNotFound, "table {} does not exist", Quoted(table));
  TRY(CheckWritable(*checked.table));
  const catalog::TableDefinition& definition = *checked.table->table();
  TRY(const auto checker, ingest::RowChecker::Make(*published->catalog, definition.schema,
                                                   definition.checks, database_));
  TRY(checked.changelog, ChangelogOf(*checked.table, *checker, batches));
  return checked;
}

Result<log::Appended> TableWriter::AppendChangelog(const Checked& checked) {
  log::AppendRequest request;
  request.push_back({{checked.table->topic(), 0}, checked.changelog});
  TRY(log::Appended appended, log_.AppendAndWait(std::move(request)));
  TRY(AwaitVisible({appended.frame}));
  return appended;
}

Result<log::Appended> TableWriter::AppendBatches(const std::string& table,
                                                 std::string_view batches) {
  TRY(const Checked checked, Check(table, batches));
  if (catalog::TableOfTopic(checked.table->object) != nullptr)
    return Error(Code::kNotSupported, "table {} has no topic of its own", Quoted(table))
        .Hint("write to topic " + Quoted(checked.table->table()->topic));
  const auto table_lock = LockOf(checked.table->log_topic());
  const std::lock_guard lock(*table_lock);
  return AppendChangelog(checked);
}

Result<ingest::Token> TableWriter::AppendRecord(const std::string& table, std::string_view batch,
                                                const Before& before) {
  TRY(const Checked checked, Check(table, batch));
  const auto table_lock = LockOf(checked.table->log_topic());
  const std::lock_guard lock(*table_lock);
  TRY(CatchUp(*checked.table));
  TRY(const std::optional<std::string> row, before());
  if (catalog::TableOfTopic(checked.table->object) == nullptr) {
    TRY(const log::Appended appended, AppendChangelog(checked));
    return ingest::Token{appended.frame};
  }
  TRY(const log::RecordBatchView records,
      log::RecordBatchView::Parse(checked.changelog, log::CrcCheck::kAlreadyVerified));
  TableChanges changes = NoChanges(*checked.table);
  for (log::RecordCursor cursor = records.records(); cursor.Next();) {
    const log::RecordView& record = cursor.record();
    changes.Change(record.key.value_or(""), row, record.value, record.timestamp);
  }
  return AppendAndWait(*checked.table, "http", changes);
}

Result<TableChanges> TableWriter::ChangesOf(const Relation& table,
                                            const sql::Database::WriteRows& rows) const {
  const log::Millis now{clock_.Now().value / 1000};
  TableChanges changes = NoChanges(table);
  if (table.table()->primary_key.empty()) {
    TRY(AddBagRecords(table, rows, now, changes));
  } else {
    AddKeyedRecords(*table.table(), rows, now, changes);
  }
  TRY(CheckSize(changes));
  return changes;
}

Result<WriteOutcome> TableWriter::Execute(const sql::WriteStatement& statement,
                                          const std::map<std::string, duckdb::Value>& parameters,
                                          const sql::QueryLimits& limits) {
  const auto found = publisher_.newest()->relations->Find(statement.target);
  if (found == nullptr || found->table() == nullptr) {
    return Error(Code::kNotFound, "table {} does not exist", Quoted(statement.target))
        .SqlState("42P01");
  }
  TRY(CheckWritable(*found));
  const auto table_lock = LockOf(found->log_topic());
  const std::lock_guard lock(*table_lock);
  TRY(CatchUp(*found));
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
  TRY(TableChanges changes, ChangesOf(*relation, rows));
  if (changes.empty()) return outcome;
  TRY(const ingest::Token token, AppendAndWait(*relation, "sql", changes));
  outcome.token = ingest::EncodeToken(token);
  return outcome;
}

Status TableWriter::Upsert(const std::string& table, const Chunks& rows) {
  const auto relation = publisher_.newest()->relations->Find(table);
  if (relation == nullptr || relation->table() == nullptr) {
    return Error(Code::kNotFound, "table {} does not exist", Quoted(table));
  }
  const catalog::TableDefinition& definition = *relation->table();
  CHECK(!definition.primary_key.empty()) << "rows are put in by key";
  CHECK(catalog::TableOfTopic(relation->object) == nullptr) << "it is a changelog's records";
  const auto table_lock = LockOf(relation->log_topic());
  const std::lock_guard lock(*table_lock);
  TableChanges records = NoChanges(*relation);
  for (size_t i = 0; i < rows.size(); ++i) {
    const log::Millis now{clock_.Now().value / 1000};
    const std::vector<std::string> keys =
        RowsAsJson(definition.schema, *rows[i], KeyColumns(definition));
    const std::vector<std::string> values = RowsAsJson(definition.schema, *rows[i]);
    for (size_t j = 0; j < keys.size(); ++j) records.Change(keys[j], std::nullopt, values[j], now);
    const bool last = i + 1 == rows.size();
    if (records.empty() || (!last && records.size() < kUpsertBytes)) continue;
    TRY(AppendAndWait(*relation, "sql", records));
  }
  return Ok();
}

}  // namespace millrace::runtime
