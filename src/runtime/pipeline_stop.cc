// Views that fail: by their limits, by a row where they were told to stop, or because what is on
// disk of their contents is damaged.
#include <algorithm>

#include "runtime/pipeline.h"

namespace millrace::runtime {

namespace {

// What a row of a content takes beside its bytes, about: its entry and its places in the tables.
constexpr size_t kRowOverhead = 96;

size_t BytesOf(const rows::Batch& change, const rows::Types& types) {
  size_t row_bytes = kRowOverhead;
  for (const duckdb::LogicalType& type : types)
    row_bytes += duckdb::GetTypeIdSize(type.InternalType());
  return change.row_count() * row_bytes;
}

}  // namespace

stream::Limits Pipeline::LimitsOf(const catalog::ViewDefinition& view) const {
  stream::Limits limits = context_.view_limits;
  if (view.memory_max) limits.step_bytes = static_cast<size_t>(*view.memory_max);
  return limits;
}

// Leaves out what the step has for views that fail in it, so that they show the step before. The
// error: the step cannot be finished.
Status Pipeline::NoteStopped(stream::StepResult& result, double limit_factor) {
  for (const auto& [name, reason] : result.stopped) {
    stopped_.emplace(name, Stopped{name, fmt::format("{}: {}", reason.message(), reason.hint())});
  }
  StopFailing(result);
  if (limit_factor > 0) StopLarge(result, limit_factor);
  TRY(ReadBefore(result));
  if (stopped_.empty()) return Ok();
  StopDependents();
  LeaveOutStopped(result);
  return Ok();
}

void Pipeline::LeaveOutStopped(stream::StepResult& result) {
  const auto stopped = [&](const std::string& name) { return stopped_.contains(name); };
  std::erase_if(result.changes, [&](const auto& item) { return stopped(item.first); });
  std::erase_if(result.failures, [&](const auto& item) { return stopped(item.first); });
  std::erase_if(result.reads, [&](const auto& item) { return stopped(item.first.second); });
}

// What the step needs of the contents that it changes and has on disk only.
Status Pipeline::ReadBefore(const stream::StepResult& result) {
  before_.clear();
  for (const auto& [name, change] : result.changes) {
    const auto relation = relations_.find(name);
    if (relation == relations_.end() || relation->second->content == nullptr ||
        stopped_.contains(name))
      continue;
    auto before = relation->second->content->ReadBefore(change);
    if (before.ok()) {
      before_[name] = *std::move(before);
    } else if (relation->second->view() != nullptr && OnlyOfTheContent(before.error())) {
      stopped_.emplace(name,
                       Stopped{name, "its content cannot be read: " + before.error().message()});
    } else {
      return std::move(before).error().With("read the content of " + Quoted(name));
    }
  }
  return Ok();
}

// The build cannot go on without the slice.
void Pipeline::StopUnreadable(const HistorySlice& slice, const HistoryReader& reader) {
  const auto error = reader.unreadable();
  if (!error) return;
  for (const auto& [name, build] : building_) {
    if (build != slice.build) continue;
    stopped_.emplace(name, Stopped{name, "what it reads cannot be read: " + error->message()});
  }
}

void Pipeline::StopFailing(const stream::StepResult& result) {
  for (const auto& [name, failures] : result.failures) {
    const auto relation = relations_.find(name);
    if (relation == relations_.end() || relation->second->view() == nullptr) continue;
    if (relation->second->view()->on_error != catalog::ViewDefinition::OnError::kStop) continue;
    const auto came = std::find_if(failures.begin(), failures.end(),
                                   [](const auto& failure) { return failure.weight > 0; });
    if (came == failures.end()) continue;
    stopped_.emplace(name, Stopped{name, fmt::format("{} (on_error = 'stop'; the row: {})",
                                                     came->message, came->row)});
  }
}

void Pipeline::StopLarge(const stream::StepResult& result, double limit_factor) {
  for (const auto& [name, change] : result.changes) {
    const auto relation = relations_.find(name);
    if (relation == relations_.end() || relation->second->view() == nullptr) continue;
    const size_t limit = LimitsOf(*relation->second->view()).step_bytes;
    const size_t bytes = BytesOf(change, relation->second->content->types());
    if (static_cast<double>(bytes) <= static_cast<double>(limit) * limit_factor) continue;
    stopped_.emplace(
        name, Stopped{name, fmt::format("one step would change more than {} of its content: raise "
                                        "memory_max, or let the view give fewer rows",
                                        stream::SizeText(limit))});
  }
}

// What reads a view that failed has failed with it. Its root is the first on the way.
void Pipeline::StopDependents() {
  for (bool grown = true; grown;) {
    grown = false;
    for (const auto& [name, relation] : relations_) {
      if (relation->object.halt) continue;
      for (const std::string& read : relation->reads) {
        const auto found = stopped_.find(read);
        if (found == stopped_.end()) continue;
        const auto [entry, is_new] = stopped_.emplace(name, found->second);
        grown = grown || is_new || entry->second.root != found->second.root;
        entry->second = found->second;
        break;
      }
    }
  }
}

Status Pipeline::Halt(const std::vector<std::string>& names) {
  for (auto name = names.rbegin(); name != names.rend(); ++name) {
    const auto present = relations_.find(*name);
    if (present == relations_.end() || present->second->object.halt) continue;
    TRY(engine_->Remove(*name));
    auto relation = std::make_shared<Relation>(*present->second);
    relation->object.halt.emplace();
    present->second = std::move(relation);
  }
  return Ok();
}

}  // namespace millrace::runtime
