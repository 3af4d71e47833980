#include "runtime/trace.h"

#include <algorithm>

#include "catalog/stream_versions.h"
#include "ingest/ingest.h"
#include "ingest/row_checker.h"
#include "runtime/journal.h"
#include "runtime/node_impl.h"

namespace millrace::runtime {

namespace {

using Outcome = RecordTrace::Outcome;

Result<std::shared_ptr<const Relation>> FindStream(const Published& published,
                                                   std::string_view name) {
  auto relation = published.relations->Find(name);
  if (relation != nullptr && relation->stream() != nullptr) return relation;
  const catalog::Object* object = published.catalog->Find(name);
  if (object != nullptr) {
    return Error(Code::kInvalidArgument, "{} is a {}, not a stream", Quoted(name),
                 catalog::KindName(object->kind()));
  }
  std::vector<std::string> streams;
  for (const catalog::Object* other : published.catalog->OfKind(catalog::Kind::kStream)) {
    streams.push_back(other->name());
  }
  return Error(Code::kNotFound, "stream {} does not exist", Quoted(name))
      .Hint(DidYouMean(name, streams));
}

class Tracer {
 public:
  Tracer(Node::Impl& node, std::shared_ptr<const NodeSnapshot> snapshot,
         std::shared_ptr<const Relation> relation, const StatementOptions& options)
      : node_(node),
        snapshot_(std::move(snapshot)),
        relation_(std::move(relation)),
        options_(options) {}

  Result<RecordTrace> Trace(int32_t partition, log::Offset offset) {
    trace_.stream = relation_->object.name();
    trace_.partition = partition;
    trace_.offset = offset;
    id_ = {relation_->topic(), partition};
    TRY(CheckPlace());
    TRY(ReadRecord());
    TRY(Judge());
    TRY(FindStep());
    if (trace_.outcome == Outcome::kDuplicate) TRY(FindFirst());
    ListViews();
    return std::move(trace_);
  }

 private:
  const NodeState& state() const { return snapshot_->published().state; }

  Status CheckPlace() {
    const int32_t partitions = relation_->partitions();
    if (trace_.partition < 0 || trace_.partition >= partitions) {
      return Error(Code::kInvalidArgument, "stream {} has no partition {}", Quoted(trace_.stream),
                   trace_.partition)
          .Hint(partitions == 1 ? "it has one partition, 0"
                                : fmt::format("its partitions are 0 to {}", partitions - 1));
    }
    const auto cut = node_.log->DurableCut();
    const log::Cut::End* end = cut->Find(id_);
    if (end == nullptr) {
      return Error(Code::kNotFound, "stream {} was dropped meanwhile", Quoted(trace_.stream));
    }
    trace_.start = end->start;
    trace_.end = end->end;
    if (trace_.offset.value < 0 || trace_.offset >= end->end) {
      return Error(Code::kNotFound, "{}/{}/{} is not there: the partition ends before offset {}",
                   trace_.stream, trace_.partition, trace_.offset.value, end->end.value);
    }
    if (trace_.offset < end->start) {
      return Error(Code::kNotFound,
                   "{}/{}/{} is no longer there: retention has freed what lies before offset {}",
                   trace_.stream, trace_.partition, trace_.offset.value, end->start.value);
    }
    return Ok();
  }

  Status ReadRecord() {
    for (const log::TopicInfo& topic : node_.log->Topics()) {
      if (topic.id == id_.topic) trace_.topic = topic.name;
    }
    TRY(read_, node_.log->Read(id_, {.from = trace_.offset,
                                     .until = trace_.offset + 1,
                                     .bytes_max = 1,
                                     .unpack = true,
                                     .committed_only = true}));
    for (const log::DamagedRange& damaged : read_.damaged) {
      if (damaged.first > trace_.offset || damaged.last < trace_.offset) continue;
      trace_.outcome = Outcome::kDamaged;
      trace_.error = damaged.reason;
      return Ok();
    }
    for (const log::ReadBatch& batch : read_.batches) {
      log::RecordCursor records = batch.view().records();
      while (records.Next()) {
        if (records.record().offset != trace_.offset) continue;
        TakeRecord(batch, records.record());
        return Ok();
      }
    }
    return Error(Code::kInternal, "{}/{}/{} was not found in the log", trace_.stream,
                 trace_.partition, trace_.offset.value);
  }

  void TakeRecord(const log::ReadBatch& batch, const log::RecordView& record) {
    record_.emplace(record, batch.frame);
    trace_.appended_at = batch.clock;
    trace_.timestamp = record.timestamp;
    if (record.key) trace_.key = std::string(*record.key);
    trace_.key_bytes = record.key.value_or(std::string_view()).size();
    trace_.value = std::string(record.value.value_or(std::string_view()));
    trace_.value_bytes = trace_.value.size();
    for (log::HeaderCursor headers = record.headers(); headers.Next();) {
      const log::Header& header = headers.header();
      if (header.key == ingest::kSourceHeader && header.value) trace_.source = *header.value;
    }
  }

  // What the step decided; where none has yet, what the bytes are all the same.
  Status Judge() {
    if (trace_.outcome == Outcome::kDamaged) return Ok();
    const auto position = state().positions.find(id_);
    taken_ = position != state().positions.end() && trace_.offset < position->second.next;
    if (taken_) {
      trace_.outcome = Outcome::kRow;
      const auto excluded =
          relation_->exclusions->Read(id_.partition, trace_.offset, trace_.offset + 1);
      if (!excluded.empty()) trace_.outcome = OutcomeOf(excluded.front().reason);
    }
    const catalog::VersionRange version =
        catalog::VersionAt(*relation_->stream(), id_.partition, trace_.offset.value);
    TRY(const auto checker,
        ingest::RowChecker::Make(*snapshot_->published().catalog, *version.schema, *version.checks,
                                 *node_.database, relation_->format()));
    rows::Decoded decoded = checker->Decode(std::span(&*record_, 1));
    if (!decoded.errors.empty()) {
      trace_.error = decoded.errors.front().message;
      trace_.error_column = decoded.errors.front().column;
      return Ok();
    }
    trace_.row.schema = *version.schema;
    for (auto& chunk : decoded.chunks) trace_.row.chunks.push_back(std::move(chunk));
    return Ok();
  }

  static Outcome OutcomeOf(Reason reason) {
    switch (reason) {
      case Reason::kDuplicate:
        return Outcome::kDuplicate;
      case Reason::kInvalid:
        return Outcome::kInvalid;
      case Reason::kLateDiverted:
        return Outcome::kLateDiverted;
      case Reason::kLateKept:
        return Outcome::kLateKept;
    }
    return Outcome::kRow;
  }

  // The step whose ends are the first to lie behind the record. It was journalled after the record
  // was appended, so the search begins there.
  Status FindStep() {
    trace_.visible_step = state().step.value;
    if (!taken_) {
      trace_.step_unknown = "no visible step has taken it yet";
      return Ok();
    }
    const auto topic = node_.log->FindTopic(kJournalTopic);
    if (!topic) return Error(Code::kInternal, "there is no journal");
    const log::PartitionId journal{topic->id, 0};
    const auto cut = node_.log->DurableCut();
    const log::Offset start = cut->Find(journal)->start;
    TRY(const log::Offset from, node_.log->OffsetForAppendTime(journal, trace_.appended_at));
    if (from == start && start.value > 0) {
      // The step that took it may lie before what is left.
      trace_.step_unknown = fmt::format("the journal begins at step {}", start.value + 1);
      return Ok();
    }
    const Status searched =
        ReadJournal(*node_.log, topic->id, from, [&](log::Offset, StepRecord record) -> Status {
          for (const auto& [partition, end] : record.ends) {
            if (partition != id_ || end <= trace_.offset) continue;
            trace_.step = record.step.value;
            return Error(Code::kCancelled, "found");  // ends the walk
          }
          return Ok();
        });
    if (!searched.ok() && searched.error().code() != Code::kCancelled) return searched;
    if (!trace_.step) trace_.step_unknown = "the journal does not name it";
    return Ok();
  }

  // The row of the same key. It is known where there is one only: with WITHIN a key may have more.
  Status FindFirst() {
    if (trace_.row.row_count() != 1) {
      trace_.duplicate_of_unknown = "the record cannot be decoded";
      return Ok();
    }
    std::string condition;
    std::map<std::string, duckdb::Value> parameters;
    for (const std::string& column : relation_->stream()->deduplicate->columns) {
      const std::string name = std::to_string(parameters.size() + 1);
      condition += fmt::format("{}{} IS NOT DISTINCT FROM ${}", condition.empty() ? "" : " AND ",
                               Quoted(column), name);
      const rows::Schema& now = relation_->stream()->schema;
      const size_t index = *trace_.row.schema.FindId(now.columns[*now.Find(column)].id);
      parameters[name] = trace_.row.chunks.front()->GetValue(index, 0);
    }
    const std::string select = fmt::format("SELECT _partition, _offset FROM {} WHERE {} LIMIT 2",
                                           Quoted(trace_.stream), condition);
    const auto found = node_.database->Query(snapshot_, select, parameters, options_.limits());
    if (!found.ok()) {
      if (found.error().code() != Code::kTimeout) return found.error();
      trace_.duplicate_of_unknown = "the search took too long";
      return Ok();
    }
    if (found->row_count() == 1) {
      const duckdb::DataChunk& chunk = *found->chunks.front();
      trace_.duplicate_of = {chunk.GetValue(0, 0).GetValue<int32_t>(),
                             {chunk.GetValue(1, 0).GetValue<int64_t>()}};
      return Ok();
    }
    trace_.duplicate_of_unknown = found->row_count() == 0
                                      ? "retention has freed the first record of its key"
                                      : "several rows have its key";
    return Ok();
  }

  // All views move together, so those of the visible step have passed every step before.
  void ListViews() {
    for (const catalog::Object* object :
         snapshot_->published().catalog->DependentObjects(trace_.stream)) {
      const auto* view = std::get_if<catalog::ViewDefinition>(&object->definition);
      if (view != nullptr && view->materialized) trace_.views.push_back({view->name, taken_});
    }
  }

  Node::Impl& node_;
  const std::shared_ptr<const NodeSnapshot> snapshot_;
  const std::shared_ptr<const Relation> relation_;
  const StatementOptions& options_;
  log::PartitionId id_;
  bool taken_ = false;
  log::ReadResult read_;                  // holds what record_ borrows
  std::optional<ingest::Record> record_;  // where it was read
  RecordTrace trace_;
};

}  // namespace

std::string_view OutcomeName(RecordTrace::Outcome outcome) {
  switch (outcome) {
    case Outcome::kInFlight:
      return "in flight";
    case Outcome::kRow:
      return "row";
    case Outcome::kDuplicate:
      return "duplicate";
    case Outcome::kLateKept:
      return "late, kept";
    case Outcome::kLateDiverted:
      return "late, diverted";
    case Outcome::kInvalid:
      return "invalid";
    case Outcome::kDamaged:
      return "damaged";
  }
  return "unknown";
}

Result<RecordTrace> TraceRecord(Node::Impl& node, std::string_view stream, int32_t partition,
                                log::Offset offset, const StatementOptions& options) {
  auto snapshot = node.TakeSnapshot();
  TRY(auto relation, FindStream(snapshot->published(), stream));
  return Tracer(node, std::move(snapshot), std::move(relation), options).Trace(partition, offset);
}

}  // namespace millrace::runtime
