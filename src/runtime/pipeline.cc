#include "runtime/pipeline.h"

#include <algorithm>
#include <set>

#include "base/coding.h"
#include "base/logging.h"
#include "base/utf8.h"
#include "runtime/tables.h"

namespace millrace::runtime {

namespace {
// An idle engine steps for what comes due by the clock no more often.
constexpr std::chrono::microseconds kClockResolution = std::chrono::milliseconds(100);
}  // namespace

rows::Types FailureTypes() {
  return {duckdb::LogicalType::VARCHAR, duckdb::LogicalType::VARCHAR, duckdb::LogicalType::VARCHAR};
}

Result<std::unique_ptr<Pipeline>> Pipeline::Make(PipelineContext context) {
  std::unique_ptr<Pipeline> pipeline(new Pipeline(context));
  stream::Engine::Options options;
  options.workers = context.workers;
  TRY(pipeline->engine_,
      stream::Engine::Start(options, *context.store, context.database->duckdb()));
  pipeline->failures_ =
      std::make_shared<state::ViewTable>(*pipeline->context_.store, kFailuresTable, FailureTypes());
  TRY(pipeline->failures_->Load(*context.store));
  // They stay in memory, all of them.
  TRY(pipeline->failures_->Warm(SIZE_MAX));
  TRY(pipeline->feeds_->Load(*context.store));
  return pipeline;
}

void Pipeline::AddReader(const Relation& relation, int32_t number) {
  const log::PartitionId partition{relation.topic(), number};
  const auto position = state_.positions.find(partition);
  const log::Offset next =
      position == state_.positions.end() ? log::Offset{0} : position->second.next;
  readers_.erase(partition);
  readers_.emplace(
      std::piecewise_construct, std::forward_as_tuple(partition),
      std::forward_as_tuple(*context_.log, log::PartitionId{relation.log_topic(), number},
                            partition, next));
}

Status Pipeline::Run(const StepRecord& record, std::vector<PartitionSlice> slices,
                     double limit_factor) {
  CHECK(record.step.value == state_.step.value + 1) << "steps are computed one after the other";
  stream::StepInput input;
  input.step = record.step;
  input.clock = record.clock;
  input.watermarks = state_.watermarks;
  input.limit_factor = limit_factor;

  std::map<log::TopicId, std::vector<PartitionSlice>> by_topic;
  for (PartitionSlice& slice : slices) by_topic[slice.partition.topic].push_back(std::move(slice));
  std::vector<StreamSource*> streams;
  std::vector<TableSource*> tables;
  for (const auto& [name, source] : stream_sources_) {
    const auto found = by_topic.find(source->relation().topic());
    if (found == by_topic.end()) continue;
    source->Prepare(std::move(found->second), state_, record.clock);
    input.sources[name] = source.get();
    streams.push_back(source.get());
  }
  for (const auto& [name, source] : table_sources_) {
    const auto found = by_topic.find(source->relation().topic());
    if (found == by_topic.end()) continue;
    source->Prepare(std::move(found->second));
    input.sources[name] = source.get();
    tables.push_back(source.get());
  }
  std::unique_ptr<HistoryReader> history;
  if (record.history) {
    TRY(history, TakeHistory(*record.history, input));
  }
  FollowInParts(input);
  for (const std::string& name : record.followed) {
    if (relations_.contains(name)) feeds_->Follow(name, record.step);
  }
  TRY(stream::StepResult result, engine_->Step(input));
  if (history != nullptr) StopUnreadable(*record.history, *history);
  TRY(NoteStopped(result, limit_factor));
  for (const std::string& lost : history == nullptr ? std::vector<std::string>() : history->lost())
    LOG_ERROR("views are built without lost records", "{}", lost);
  TRY(ApplyChanges(record.step, record.clock, result));
  for (const StreamSource* source : streams) ApplyFindings(*source, result);
  TRY(ApplyFailures(record.step, result));
  CountReads(result);

  state_.step = record.step;
  state_.clock = record.clock;
  state_.frame = std::max(state_.frame, record.frame);
  state_.catalog_version = record.catalog_version;
  for (const auto& [partition, end] : record.ends) {
    Position& position = state_.positions[partition];
    position.next = end;
    position.moved_at = record.clock;
  }
  for (const StreamSource* source : streams) {
    const Relation& relation = source->relation();
    for (size_t i = 0; i < source->findings().size(); ++i) {
      const auto position = state_.positions.find({relation.topic(), static_cast<int32_t>(i)});
      if (position != state_.positions.end())
        position->second.event_time_max = source->findings()[i].event_time_max;
    }
  }
  for (const TableSource* source : tables) ApplyFindings(*source);
  for (const auto& [edge, counts] : record.door) state_.door[edge] += counts;
  // A stream's partitions fall idle as time passes, so its watermark may move without rows.
  for (const auto& [name, source] : stream_sources_) {
    if (const auto watermark = WatermarkAt(*source, state_.clock))
      state_.watermarks[name] = *watermark;
  }
  JoinComplete();
  TRY(CloseWindows(limit_factor));
  ShareEqual();
  return Ok();
}

// What the watermarks close, now that all of the step's rows are in, is part of the same step.
Status Pipeline::CloseWindows(double limit_factor) {
  if (!engine_->WouldClose(state_.watermarks)) return Ok();
  stream::StepInput input;
  input.step = state_.step;
  input.clock = state_.clock;
  input.watermarks = state_.watermarks;
  input.limit_factor = limit_factor;
  FollowInParts(input);
  TRY(stream::StepResult result, engine_->Step(input));
  TRY(NoteStopped(result, limit_factor));
  TRY(ApplyChanges(state_.step, state_.clock, result));
  return ApplyFailures(state_.step, result);
}

std::optional<Micros> Pipeline::WatermarkAt(const StreamSource& source, Micros clock) const {
  const auto before = state_.watermarks.find(source.relation().internal_name);
  return WatermarkOf(
      *source.relation().stream(), source.relation().topic(), state_, clock,
      before == state_.watermarks.end() ? std::nullopt : std::optional<Micros>(before->second));
}

bool Pipeline::WantsStep(Micros clock) const {
  const auto due = engine_->next_due();
  if (due && *due <= clock && clock.value - state_.clock.value >= kClockResolution.count())
    return true;
  const std::set<std::string> closing = engine_->closing_streams();
  return std::any_of(closing.begin(), closing.end(), [&](const std::string& name) {
    const auto source = stream_sources_.find(name);
    const auto known = state_.watermarks.find(name);
    if (source == stream_sources_.end()) return false;
    const auto now = WatermarkAt(*source->second, clock);
    return now && (known == state_.watermarks.end() || known->second != *now);
  });
}

// A view whose content does not fit its change fails, with its dependents: they show the step
// before.
Status Pipeline::ApplyChanges(state::Step step, Micros clock, stream::StepResult& result) {
  const state::Step oldest_needed = context_.publisher->OldestNeeded();
  std::vector<std::string> applied;
  bool fits = true;
  for (const auto& [name, change] : result.changes) {
    const auto relation = relations_.find(name);
    if (relation == relations_.end() || relation->second->content == nullptr) {
      return Error(Code::kInternal, "the engine changed {}, which has no content", Quoted(name));
    }
    Status done = relation->second->content->Apply(step, change, before_.at(name), oldest_needed);
    if (done.ok()) {
      applied.push_back(name);
    } else if (relation->second->view() != nullptr && done.error().code() == Code::kInternal) {
      LOG_ERROR("a view's change does not fit its content", "view={} step={} error={}", name,
                step.value, done.error().message());
      stopped_.emplace(name, Stopped{name,
                                     "its change does not fit its content, which is a defect "
                                     "of Millrace: " +
                                         done.error().message()});
      fits = false;
    } else {
      return std::move(done).With("apply step to " + Quoted(name));
    }
  }
  before_.clear();
  if (!fits) {
    StopDependents();
    for (const std::string& name : applied) {
      if (stopped_.contains(name))
        relations_.at(name)->content->Revert(step, result.changes.at(name));
    }
    LeaveOutStopped(result);
  }
  for (const auto& [name, change] : result.changes)
    feeds_->Add(name, step, clock, change, relations_.at(name)->content->types());
  return Ok();
}

// Takes the duplicates, which only the engine knows, together with what the source excluded.
void Pipeline::ApplyFindings(const StreamSource& source, const stream::StepResult& result) {
  const Relation& relation = source.relation();
  std::vector<std::vector<Exclusions::Item>> items;
  for (const StreamSource::PartitionFindings& found : source.findings())
    items.push_back(found.exclusions);
  StreamBooks& books = state_.books[relation.internal_name];
  const auto duplicates = result.exclusions.find(relation.internal_name);
  if (duplicates != result.exclusions.end()) {
    for (const stream::Exclusion& duplicate : duplicates->second) {
      items[static_cast<size_t>(duplicate.partition)].push_back(
          {{duplicate.offset}, Reason::kDuplicate});
    }
  }
  for (size_t i = 0; i < items.size(); ++i) {
    const StreamSource::PartitionFindings& found = source.findings()[i];
    std::vector<Exclusions::Item>& of_partition = items[i];
    // A late row that is also a duplicate is a duplicate: it comes first, and the other goes.
    std::sort(of_partition.begin(), of_partition.end(),
              [](const Exclusions::Item& a, const Exclusions::Item& b) {
                return a.offset != b.offset ? a.offset < b.offset : a.reason < b.reason;
              });
    int64_t duplicate_count = 0;
    int64_t late_kept = found.late_kept;
    size_t kept = 0;
    for (size_t j = 0; j < of_partition.size(); ++j) {
      if (kept > 0 && of_partition[kept - 1].offset == of_partition[j].offset) {
        if (of_partition[j].reason == Reason::kLateKept) --late_kept;
        continue;
      }
      if (of_partition[j].reason == Reason::kDuplicate) ++duplicate_count;
      of_partition[kept++] = of_partition[j];
    }
    of_partition.resize(kept);
    relation.exclusions->Add(static_cast<int32_t>(i), of_partition);
    books.records += found.records + found.aborted;
    books.aborted += found.aborted;
    books.invalid += found.invalid;
    books.late_diverted += found.late_diverted;
    books.late_kept += late_kept;
    books.duplicates += duplicate_count;
    books.rows += found.records - found.invalid - found.late_diverted - duplicate_count;
  }
}

void Pipeline::ApplyFindings(const TableSource& source) {
  const Relation& relation = source.relation();
  const TableSource::Findings& found = source.findings();
  for (size_t i = 0; i < found.exclusions.size(); ++i)
    relation.exclusions->Add(static_cast<int32_t>(i), found.exclusions[i]);
  StreamBooks& books = state_.books[relation.internal_name];
  books.records += found.records + found.aborted;
  books.aborted += found.aborted;
  books.invalid += found.invalid;
  books.rows += found.records - found.invalid;
}

Status Pipeline::ApplyFailures(state::Step step, const stream::StepResult& result) {
  if (result.failures.empty()) return Ok();
  rows::BatchBuilder builder(FailureTypes());
  duckdb::DataChunk row;
  row.Initialize(duckdb::Allocator::DefaultAllocator(), FailureTypes(), 1);
  for (const auto& [name, failures] : result.failures) {
    const auto relation = relations_.find(name);
    const std::string view =
        relation == relations_.end() ? name : relation->second->object.kept_as();
    for (const stream::RowFailure& failure : failures) {
      row.Reset();
      row.SetValue(0, 0, duckdb::Value(view));
      // States of earlier releases have DuckDB's messages as they came, characters cut in two.
      row.SetValue(1, 0, duckdb::Value(ValidUtf8(failure.message)));
      row.SetValue(2, 0, duckdb::Value(ValidUtf8(failure.row)));
      row.SetCardinality(1);
      builder.AppendRow(row, 0, failure.weight);
    }
  }
  const rows::Batch change = rows::ConsolidateSorted(builder.Finish(), FailureTypes());
  return failures_->Apply(step, change, context_.publisher->OldestNeeded())
      .With("note failed rows");
}

// Only of streams: what comes from tables and views is changes, not records.
void Pipeline::CountReads(const stream::StepResult& result) {
  for (const auto& [edge, counts] : result.reads) {
    if (stream_sources_.contains(edge.first)) state_.reads[edge] += counts;
  }
}

PublishedPtr Pipeline::Publishable() const {
  auto published = std::make_shared<Published>();
  published->state = state_;
  published->catalog = catalog_;
  published->relations = visible_relations_;
  return published;
}

std::vector<state::Mutation> Pipeline::TakeDirty() {
  std::vector<state::Mutation> mutations;
  for (const auto& [name, relation] : relations_) {
    if (relation->content != nullptr) relation->content->TakeDirty(state_.step, mutations);
    if (relation->exclusions != nullptr) relation->exclusions->TakeDirty(mutations);
  }
  failures_->TakeDirty(state_.step, mutations);
  feeds_->TakeDirty(state_.clock, mutations);
  mutations.push_back({kNodeStateTable, kNodeStateKey, EncodeNodeState(state_)});
  return mutations;
}

std::vector<stream::OperatorStats> Pipeline::operator_stats() const {
  std::vector<stream::OperatorStats> all = engine_->stats();
  for (stream::OperatorStats& stats : all) {
    const auto made = relations_.find(stats.output);
    if (made == relations_.end() || made->second->content == nullptr) continue;
    const state::ViewTable& content = *made->second->content;
    const auto rows = static_cast<int64_t>(content.row_count());
    const auto cold = static_cast<int64_t>(content.cold_entry_count());
    stats.tables = {content.id()};
    stats.state = {.entries = rows,
                   .entries_in_memory = std::max(rows - cold, int64_t{0}),
                   .memory_bytes = content.memory_bytes()};
  }
  return all;
}

}  // namespace millrace::runtime
