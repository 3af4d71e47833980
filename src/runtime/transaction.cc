#include "runtime/transaction.h"

#include <algorithm>
#include <set>

#include "ingest/token.h"
#include "rows/row_codec.h"
#include "runtime/node_impl.h"
#include "runtime/overlay_snapshot.h"
#include "runtime/row_text.h"

namespace millrace::runtime {

namespace {

// Of all rows that a transaction changes: they are appended as one.
constexpr size_t kTransactionBytesMax = 16 << 20;

Error Conflict(std::string_view what) {
  return Error(Code::kConflict, "could not serialize access: {}", what)
      .Hint("another client changed the same table; begin the transaction again")
      .SqlState("40001");
}

std::string TextOf(const sql::QueryResult& rows) {
  std::string text;
  for (const auto& chunk : rows.chunks) {
    for (size_t row = 0; row < chunk->size(); ++row) {
      for (size_t column = 0; column < chunk->ColumnCount(); ++column)
        text += chunk->GetValue(column, row).ToSQLString() + ",";
      text += '\n';
    }
  }
  return text;
}

void AddRows(const rows::Batch& batch, rows::Weight sign, rows::RowEncoder& encoder,
             TableDelta& delta, size_t& bytes) {
  for (const rows::Batch::Part& part : batch.parts) {
    const std::vector<std::string_view>& encoded = encoder.Encode(*part.rows);
    for (size_t row = 0; row < encoded.size(); ++row) {
      bytes += encoded[row].size();
      const auto at = delta.try_emplace(std::string(encoded[row]), 0).first;
      at->second += sign * part.weight(row);
      if (at->second == 0) delta.erase(at);
    }
  }
}

// The rows that came (`sign` 1) or went (-1), each as often as it did.
Result<rows::Batch> RowsOf(const TableDelta& delta, rows::Weight sign, const rows::Types& types) {
  rows::Batch batch;
  std::vector<std::string_view> rows;
  for (const auto& [row, weight] : delta) {
    for (rows::Weight i = 0; i < sign * weight; ++i) rows.push_back(row);
  }
  rows::RowDecoder decoder(types);
  for (size_t begin = 0; begin < rows.size(); begin += STANDARD_VECTOR_SIZE) {
    const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, rows.size() - begin);
    auto chunk = std::make_shared<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types);
    TRY(decoder.Decode(std::span(rows).subspan(begin, count), *chunk, 0));
    chunk->SetCardinality(count);
    batch.parts.push_back({std::move(chunk), {}});
  }
  return batch;
}

}  // namespace

Result<StatementResult> WriteTransaction::Execute(std::string_view text,
                                                  const StatementOptions& options) {
  return Do(std::string(text), nullptr, options);
}

Result<StatementResult> WriteTransaction::Insert(const std::string& relation,
                                                 const rows::Schema& schema, Chunks rows,
                                                 const StatementOptions& options) {
  std::string columns;
  for (const rows::Column& column : schema.columns)
    columns += (columns.empty() ? "" : ", ") + Quoted(column.name);
  auto given = std::make_shared<GivenRows>(GivenRows{schema, std::move(rows)});
  return Do(
      fmt::format("INSERT INTO {} ({}) SELECT * FROM {}", Quoted(relation), columns, kGivenRows),
      std::move(given), options);
}

Result<StatementResult> WriteTransaction::Do(std::string text,
                                             std::shared_ptr<const GivenRows> given,
                                             const StatementOptions& options) {
  if (changes_.snapshot == nullptr) changes_.snapshot = node_.TakeSnapshot();
  TRY(StatementResult result, Apply(text, given, options, changes_));
  done_.push_back({std::move(text), std::move(given), options, result.affected,
                   result.rows ? TextOf(*result.rows) : std::string()});
  return result;
}

Result<StatementResult> WriteTransaction::Apply(std::string_view text,
                                                std::shared_ptr<const GivenRows> given,
                                                const StatementOptions& options, Changes& changes) {
  const catalog::Catalog& catalog = changes.snapshot->catalog();
  TRY(const std::vector<sql::Statement> statements, sql::Parse(text, {}, sql::TypesOf(catalog)));
  const auto* write =
      statements.size() == 1 ? std::get_if<sql::WriteStatement>(&statements[0].statement) : nullptr;
  if (write == nullptr)
    return Error(Code::kInvalidArgument, "one INSERT, UPDATE or DELETE is expected");
  const auto relation = changes.snapshot->published().relations->Find(write->target);
  if (relation == nullptr || (relation->stream() == nullptr && relation->table() == nullptr)) {
    if (const catalog::Object* other = catalog.FindRelation(write->target)) {
      return Error(Code::kInvalidArgument, "{} is a {}; rows go into streams and tables",
                   Quoted(write->target), catalog::KindName(other->kind()))
          .SqlState("42809");
    }
    return Error(Code::kNotFound, "table {} does not exist", Quoted(write->target))
        .Hint(DidYouMean(write->target, catalog.RelationNames()))
        .SqlState("42P01");
  }
  TRY(CheckWritable(*relation));
  TRY(CheckSharesNoTopic(*relation, changes));
  std::set<std::string> streams;
  for (const auto& [stream, rows] : changes.streams) streams.insert(stream);
  const auto overlay = std::make_shared<OverlaySnapshot>(changes.snapshot, changes.tables,
                                                         std::move(streams), std::move(given));
  TRY(sql::Database::WriteRows rows,
      node_.database->EvaluateWrite(overlay, *write, options.parameters, options.limits()));
  TRY(relation->table() != nullptr ? AddToTable(*relation, rows, changes)
                                   : AddToStream(*relation, rows, changes));
  if (changes.bytes > kTransactionBytesMax) {
    return Error(Code::kTooLarge,
                 "the transaction changes more than request_bytes_max (16 MiB) of rows")
        .Hint("commit in between");
  }
  static constexpr const char* kTags[] = {"INSERT", "UPDATE", "DELETE"};
  StatementResult result;
  result.tag = kTags[static_cast<int>(write->what)];
  result.affected = rows.affected;
  result.step = changes.snapshot->step();
  if (!rows.returning.schema.columns.empty()) result.rows = std::move(rows.returning);
  return result;
}

// Each would be worked out without what the other changes.
Status WriteTransaction::CheckSharesNoTopic(const Relation& target, const Changes& changes) {
  if (catalog::TableOfTopic(target.object) == nullptr) return Ok();
  for (const auto& [name, delta] : changes.tables) {
    const auto other = changes.snapshot->published().relations->Find(name);
    if (other->topic() == target.topic() || other->log_topic() != target.log_topic()) continue;
    return Error(Code::kNotSupported,
                 "tables {} and {} stand on the same topic, of which a transaction changes one",
                 Quoted(other->object.name()), Quoted(target.object.name()))
        .Hint("commit in between")
        .SqlState("0A000");
  }
  return Ok();
}

Status WriteTransaction::AddToTable(const Relation& table, const sql::Database::WriteRows& rows,
                                    Changes& changes) {
  rows::RowEncoder encoder(table.shape.schema.types());
  TableDelta& delta = changes.tables[rows::LowerName(table.object.name())];
  AddRows(rows.remove, -1, encoder, delta, changes.bytes);
  AddRows(rows.insert, 1, encoder, delta, changes.bytes);
  return Ok();
}

Status WriteTransaction::AddToStream(const Relation& stream, const sql::Database::WriteRows& rows,
                                     Changes& changes) {
  std::vector<std::string> texts;
  for (const rows::Batch::Part& part : rows.insert.parts) {
    for (std::string& text : RowsAsJson(stream.stream()->schema, *part.rows)) {
      changes.bytes += text.size();
      texts.push_back(std::move(text));
    }
  }
  if (texts.empty()) return Ok();
  ingest::Request request;
  request.stream = stream.object.name();
  request.rows.assign(texts.begin(), texts.end());
  request.all_or_nothing = true;
  TRY(node_.ingest->Check(request));
  std::vector<std::string>& held = changes.streams[rows::LowerName(stream.object.name())];
  for (std::string& text : texts) held.push_back(std::move(text));
  return Ok();
}

std::shared_ptr<const WriteTransaction::Mark> WriteTransaction::MakeMark() const {
  return std::make_shared<const Mark>(Mark{changes_, done_.size()});
}

void WriteTransaction::GoBackTo(const Mark& mark) {
  changes_ = mark.changes;
  done_.resize(mark.done);
}

bool WriteTransaction::OutOfDate(const Published& newest) const {
  const state::Step before{changes_.snapshot->step()};
  return std::any_of(changes_.tables.begin(), changes_.tables.end(), [&](const auto& item) {
    const auto now = newest.relations->Find(item.first);
    const auto then = changes_.snapshot->published().relations->Find(item.first);
    return now == nullptr || now->topic() != then->topic() ||
           now->shape.schema.columns.size() != then->shape.schema.columns.size() ||
           now->content->LastChange(newest.state.step) > before;
  });
}

Status WriteTransaction::WorkOutAgain() {
  Changes again;
  again.snapshot = node_.TakeSnapshot();
  for (const Done& done : done_) {
    const Result<StatementResult> result = Apply(done.text, done.given, done.options, again);
    if (!result.ok()) return Conflict(result.error().message());
    if (result->affected != done.affected ||
        (result->rows ? TextOf(*result->rows) : std::string()) != done.returned)
      return Conflict("the rows that the transaction changes are others now");
  }
  changes_ = std::move(again);
  return Ok();
}

Result<std::string> WriteTransaction::Append() {
  struct Changed {
    std::shared_ptr<const Relation> table;
    int64_t records;
    std::vector<log::PartitionId> followed = {};
  };
  log::AppendRequest append;
  std::vector<Changed> changed;
  for (const auto& [name, delta] : changes_.tables) {
    const auto relation = changes_.snapshot->published().relations->Find(name);
    const rows::Types types = relation->shape.schema.types();
    sql::Database::WriteRows rows;
    TRY(rows.insert, RowsOf(delta, 1, types));
    TRY(rows.remove, RowsOf(delta, -1, types));
    TRY(TableChanges changes, node_.table_writer->ChangesOf(*relation, rows));
    Changed& table = changed.emplace_back(Changed{relation, changes.records()});
    for (TableAppend& part : changes.Finish()) {
      if (part.followed_at) table.followed.push_back(*part.followed_at);
      append.push_back(std::move(part.append));
    }
  }
  std::vector<ingest::Request> requests;
  for (const auto& [name, rows] : changes_.streams) {
    ingest::Request& request = requests.emplace_back();
    request.stream = name;
    request.rows.assign(rows.begin(), rows.end());
    request.all_or_nothing = true;
    request.source = "sql";
  }
  if (append.empty() && requests.empty()) return std::string();
  TRY(const std::string text, node_.ingest->AppendTogether(requests, std::move(append)));
  TRY(ingest::Token token, ingest::DecodeToken(text));
  for (const Changed& each : changed) {
    node_.table_writer->AddPlaces(each.followed, *each.table, token);
    node_.table_writer->CountAtDoor(*each.table, "sql", each.records);
  }
  return ingest::EncodeToken(token);
}

Result<StatementResult> WriteTransaction::Commit(std::chrono::milliseconds timeout) {
  StatementResult result;
  result.tag = "COMMIT";
  if (changes_.snapshot == nullptr) return result;
  std::map<log::TopicId, std::shared_ptr<std::mutex>> locks;  // in the order of the topics
  for (const auto& [name, delta] : changes_.tables) {
    const auto relation = changes_.snapshot->published().relations->Find(name);
    locks[relation->log_topic()] = node_.table_writer->LockOf(relation->log_topic());
  }
  std::vector<std::unique_lock<std::mutex>> held;
  for (const auto& [topic, mutex] : locks) held.emplace_back(*mutex);
  const PublishedPtr newest = node_.publisher.newest();
  for (const auto& [name, delta] : changes_.tables) {
    const auto then = changes_.snapshot->published().relations->Find(name);
    const auto now = newest->relations->Find(name);
    // The locks are those of the tables that there were.
    if (now == nullptr || now->topic() != then->topic())
      return Conflict(fmt::format("table {} was dropped meanwhile", Quoted(name)));
    TRY(node_.table_writer->CatchUp(*now));
  }
  if (OutOfDate(*node_.publisher.newest())) {
    TRY(WorkOutAgain());
  }
  TRY(result.token, Append());
  if (!result.token.empty()) {
    TRY(const ingest::Token token, ingest::DecodeToken(result.token));
    TRY(node_.AwaitVisible(token, timeout));
  }
  result.step = node_.publisher.newest()->state.step.value;
  return result;
}

}  // namespace millrace::runtime
