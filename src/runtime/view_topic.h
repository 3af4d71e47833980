// The writer of one view's topic of changes (view_changes.h). Not thread-safe.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "catalog/catalog.h"
#include "log/log.h"
#include "runtime/subscription.h"
#include "runtime/view_changes.h"

namespace millrace::runtime {

class ViewTopic {
 public:
  // `stop`: ends waiting for room in the log.
  ViewTopic(log::Log& log, log::TopicId topic, const std::atomic<bool>& stop)
      : log_(log), partition_{topic, 0}, stop_(stop) {}

  // As the catalog has it now: renames and replacements change it. REQUIRES: the name and key of
  // its topic are those of this one (ViewChanges::TopicName).
  void SetView(const catalog::Object& view);
  const std::string& view() const { return view_.name; }
  // Writes the next change, if there is one; false: there is none. kNotFound: the view is gone.
  Result<bool> Advance(const ViewChanges::Subscribe& subscribe);

 private:
  struct Record {
    std::optional<std::string> key;
    std::optional<std::string> value;
  };
  // How far the topic has come.
  struct Tail {
    state::Step step;
    bool more = false;     // the step has records that are missing
    bool content = false;  // of a content
    int64_t records = 0;   // of the step, where more are missing
  };

  bool compacted() const { return view_.changes == catalog::ViewDefinition::Changes::kUpsert; }
  Status Begin(const ViewChanges::Subscribe& subscribe);
  Status BeginContent();
  void SayVoid(state::Step step);
  Status EndContent(state::Step step);
  Result<std::optional<Tail>> ReadTail() const;
  // The steps up to `end` are whole: retention may free them.
  Status Release(log::Offset end);
  Result<int64_t> CountOfStep(log::Offset end, state::Step step) const;
  std::vector<Record> RecordsOf(const rows::Batch& change, state::Step step) const;
  Record EnvelopeOf(const std::string& key, const std::string* before, const std::string* after,
                    std::string_view op, state::Step step) const;
  Status Write(std::vector<Record> records, state::Step step, bool more);

  log::Log& log_;
  const log::PartitionId partition_;
  const std::atomic<bool>& stop_;
  catalog::ViewDefinition view_;
  std::unique_ptr<Subscription> subscription_;

  // While a content is being given: the newest of its records, not written yet, and the keys that
  // the topic has of rows that have not come again.
  bool content_ = false;
  bool void_before_ = false;  // it has to be said that what the topic holds is void
  std::vector<Record> held_;
  std::set<std::string, std::less<>> gone_;
  // Of the first step, where its first records are there already.
  int64_t skip_ = 0;
};

}  // namespace millrace::runtime
