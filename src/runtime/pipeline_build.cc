// Views that are built from history while the steps go on.
#include <algorithm>

#include "base/logging.h"
#include "runtime/pipeline.h"

namespace millrace::runtime {

void Pipeline::BeginBuild(uint64_t number) {
  state_.builds[number].started = state_.clock;
  beginning_.insert(number);
}

void Pipeline::ForgetBeginnings() {
  for (const uint64_t number : beginning_) state_.builds.erase(number);
  beginning_.clear();
}

// Everything that has come so far is history; what comes from the next step on is followed.
Status Pipeline::AddHistory(const Relation& view, uint64_t build,
                            const std::vector<std::string>& reads) {
  BuildState& state = state_.builds.at(build);
  const auto cut = context_.log->DurableCut();
  for (const std::string& name : reads) {
    if (building_.contains(name)) continue;  // followed since its own first step
    const Relation& read = *relations_.at(name);
    BuildInput& input = state.inputs[name];
    if (read.stream() == nullptr) {
      input.content = true;
      input.parts_by = read.content->key();
      input.rows = static_cast<int64_t>(read.content->row_count());
      input.parts = input.rows == 0 ? state::ViewTable::kParts : 0;
      continue;
    }
    for (int32_t i = 0; i < read.partitions(); ++i) {
      const auto position = state_.positions.find({read.topic(), i});
      const log::Cut::End* available = cut->Find({read.topic(), i});
      if (position == state_.positions.end() || available == nullptr) continue;
      if (available->start.value > 0 &&
          view.view()->history == catalog::ViewDefinition::History::kFull) {
        return Error(Code::kConflict,
                     "view {} reads stream {}, whose first records are gone: those of partition {} "
                     "begin at offset {}",
                     Quoted(view.object.name()), Quoted(read.object.name()), i,
                     available->start.value)
            .Hint("WITH (history = 'available') builds it from what there is, 'none' from nothing")
            .SqlState("55000");
      }
      const log::Offset end = position->second.next;
      const log::Offset first = std::min(available->start, end);
      input.ranges[i] = {first, first, end};
    }
  }
  return Ok();
}

std::optional<HistorySlice> Pipeline::NextHistory(int64_t rows) const {
  for (const auto& [number, build] : catalog_->builds()) {
    const auto state = state_.builds.find(number);
    if (build.paused || state == state_.builds.end()) continue;
    if (auto slice = NextSlice(number, state->second, rows)) return slice;
  }
  return std::nullopt;
}

int64_t Pipeline::RowsOf(const HistorySlice& slice) const {
  return runtime::RowsOf(slice, state_.builds.at(slice.build));
}

Result<std::unique_ptr<HistoryReader>> Pipeline::TakeHistory(const HistorySlice& slice,
                                                             stream::StepInput& input) {
  const auto build = state_.builds.find(slice.build);
  const auto relation = relations_.find(slice.relation);
  if (build == state_.builds.end() || relation == relations_.end()) {
    return Error(Code::kCorruption, "the journal feeds build {} with {}, which is not there",
                 slice.build, slice.relation);
  }
  const BuildInput before = build->second.inputs[slice.relation];
  TRY(runtime::TakeSlice(slice, build->second));
  auto reader = MakeHistoryReader(*context_.log, relation->second, before, slice, context_.workers);
  input.history[{slice.build, slice.relation}].rows = reader.get();
  return reader;
}

// Of contents that are not all in, only the parts that are in are followed.
void Pipeline::FollowInParts(stream::StepInput& input) const {
  for (const auto& [number, build] : state_.builds) {
    for (const auto& [name, history] : build.inputs) {
      if (!history.content || history.parts >= state::ViewTable::kParts) continue;
      stream::StepInput::History& followed = input.history[{number, name}];
      followed.parts = history.parts;
      followed.parts_by = history.parts_by;
    }
  }
}

void Pipeline::JoinComplete() {
  for (const auto& [number, build] : state_.builds) {
    if (!build.complete() || !joined_.insert(number).second) continue;
    engine_->Join(number);
    may_share_ = true;
    LOG_INFO("views built from history", "build={} seconds={:.3f}", number,
             static_cast<double>(state_.clock.value - build.started.value) / 1e6);
  }
}

// Views that came at different times and compute the same keep one state from here on. It is part
// of the state which generation that is under; a restart that has lost it finds both states, and
// makes one of them again.
void Pipeline::ShareEqual() {
  if (!may_share_) return;
  may_share_ = false;
  for (auto& [view, generations] : engine_->ShareEqual()) {
    for (const auto& [fingerprint, generation] : generations)
      state_.shared[view][fingerprint] = generation;
  }
}

std::vector<uint64_t> Pipeline::built() const { return {joined_.begin(), joined_.end()}; }

std::map<log::PartitionId, log::Offset> Pipeline::HistoryNeeded(const NodeState& state) const {
  std::map<log::PartitionId, log::Offset> needed;
  for (const NodeState* of : {&state, &state_}) {
    for (const auto& [number, build] : of->builds) {
      for (const auto& [name, input] : build.inputs) {
        const auto relation = relations_.find(name);
        if (relation == relations_.end()) continue;
        for (const auto& [partition, range] : input.ranges) {
          if (range.next >= range.end) continue;
          const log::PartitionId id{relation->second->topic(), partition};
          const auto [entry, is_new] = needed.emplace(id, range.next);
          if (!is_new) entry->second = std::min(entry->second, range.next);
        }
      }
    }
    for (const auto& [name, relation] : relations_) {
      if (catalog::TableOfTopic(relation->object) == nullptr) continue;
      for (int32_t i = 0; i < relation->partitions(); ++i) {
        const auto position = of->positions.find({relation->topic(), i});
        const log::Offset next =
            position == of->positions.end() ? log::Offset{0} : position->second.next;
        const auto [entry, is_new] =
            needed.emplace(log::PartitionId{relation->log_topic(), i}, next);
        if (!is_new) entry->second = std::min(entry->second, next);
      }
    }
  }
  return needed;
}

}  // namespace millrace::runtime
