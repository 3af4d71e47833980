// The Pipeline is the node's computation without its threads: sources, circuit, contents and the
// runtime's own state, moved on one step at a time. The step loop drives it live, recovery drives
// it from the journal; both give the same.
//
// Thread rule: one driver thread (recovery's, then the step loop's). What it publishes is shared
// with readers through Published.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "log/log.h"
#include "runtime/feeds.h"
#include "runtime/history_reader.h"
#include "runtime/journal.h"
#include "runtime/node_state.h"
#include "runtime/partition_reader.h"
#include "runtime/published.h"
#include "runtime/relation.h"
#include "runtime/stream_source.h"
#include "runtime/table_source.h"
#include "sql/database.h"
#include "state/store.h"
#include "stream/engine.h"

namespace millrace::runtime {

struct PipelineContext {
  log::Log* log;
  state::Store* store;
  sql::Database* database;
  Publisher* publisher;
  const schemas::Registry* registry;
  int workers;
  FeedLimits feed_limits;
  stream::Limits view_limits;  // of a view that has no memory_max of its own
  // What the contents of all tables and views may take in memory; beyond, they are on disk only.
  size_t content_bytes = size_t{1} << 30;
};

// One row of millrace.errors, as columns of the failures table: view, message, row.
rows::Types FailureTypes();

class Pipeline {
 public:
  static Result<std::unique_ptr<Pipeline>> Make(PipelineContext context);

  // ---- Catalog ----

  // How an object comes in.
  enum class Entry {
    kFresh,    // it follows what it reads from the next step on
    kRestart,  // the Store has its state
  };
  // Adds relations and their circuits; endpoints, indexes and plain views need nothing but the
  // catalog. `catalog` holds the object. `build`: the object belongs to it; 0: to none.
  Status Install(const catalog::Object& object, const catalog::Catalog& catalog, Entry entry,
                 uint64_t build = 0);
  // Before the objects of a build are installed for the first time, at the boundary from which on
  // they follow what they read: what came before is their history. Not at a restart.
  void BeginBuild(uint64_t number);
  // The change that began builds failed before it had happened.
  void ForgetBeginnings();
  // The next slice of about `rows` rows for the build whose turn it is; none: nothing to feed.
  std::optional<HistorySlice> NextHistory(int64_t rows) const;
  int64_t RowsOf(const HistorySlice& slice) const;
  // Builds that have all their history: what they made can be shown.
  std::vector<uint64_t> built() const;
  // What of each partition builds and tables of topics have yet to read, as of that state or now.
  std::map<log::PartitionId, log::Offset> HistoryNeeded(const NodeState& state) const;
  // Removes a relation with its state. REQUIRES: it was installed, nothing installed reads it.
  Status Uninstall(const catalog::Object& object);
  // The catalog in force from the next step on: what was altered goes on under its new definition,
  // indexes are made, readers see its relations.
  Status SetCatalog(catalog::CatalogPtr catalog);
  const catalog::CatalogPtr& catalog() const { return catalog_; }

  // ---- Steps ----

  const NodeState& state() const { return state_; }
  // At start: the state as of the Store's flushed step.
  void SetState(NodeState state) { state_ = std::move(state); }
  // The partitions that feed the circuit, with their readers.
  std::map<log::PartitionId, PartitionReader>& readers() { return readers_; }
  // Computes the step of `record` from the slices. An error leaves the pipeline unusable: the node
  // stops, and recovery starts it again.
  // `limit_factor`: how often the views' limits may be used up; 0: a step that is known not to fail
  // any view.
  Status Run(const StepRecord& record, std::vector<PartitionSlice> slices, double limit_factor = 1);
  // Views that have failed in the last step, by internal name: they and what stands on them show
  // the step before, and are to be halted before this one is published.
  struct Stopped {
    std::string root;  // the view that failed: itself, or one that it stands on
    std::string reason;
  };
  const std::map<std::string, Stopped>& stopped() const { return stopped_; }
  // What was running is halted before the next step, which it failed in when that ran first.
  Status Halt(const std::vector<std::string>& names);
  // Whether a step at `clock` would do something though no row has come: rows come or go
  // with the clock, or a watermark by which windows close moves because partitions fall idle.
  bool WantsStep(Micros clock) const;
  // What readers see after the last step.
  PublishedPtr Publishable() const;

  // Views whose history is all in go on with what they read, as one with other views; each step
  // ends with it, and so does a restart.
  void JoinComplete();
  // What has to be done before the catalog becomes `after`, while what it replaces is still there:
  // the feeds of replaced views get the difference.
  Status BeforeSwitch(const catalog::Catalog& after);
  Feeds& feeds() { return *feeds_; }

  // What changed since the last flush, for Store::BeginFlush.
  std::vector<state::Mutation> TakeDirty();
  // That flush has reached the disk.
  void NoteFlushed();
  // Drops rows of contents from memory that are on disk, where all take more than they may.
  void MakeRoom();
  // Only a flush makes room for contents.
  bool wants_flush() const { return wants_flush_; }
  // Brings some rows of contents back into memory, where there is room. False: nothing to do.
  bool Warm();
  // With the contents of tables and views as the state of their Outputs.
  std::vector<stream::OperatorStats> operator_stats() const;
  const std::shared_ptr<state::ViewTable>& failures() const { return failures_; }

 private:
  explicit Pipeline(PipelineContext context)
      : context_(context), feeds_(std::make_unique<Feeds>(context.feed_limits)) {}

  Status InstallStream(const std::shared_ptr<Relation>& relation, const catalog::Catalog& catalog,
                       Entry entry);
  Status MakeContent(Relation& relation, std::vector<size_t> key, Entry entry);
  Status InstallTable(const std::shared_ptr<Relation>& relation, const catalog::Catalog& catalog,
                      Entry entry);
  Status InstallView(const std::shared_ptr<Relation>& relation, const catalog::Catalog& catalog,
                     Entry entry, uint64_t build);
  Status AddHistory(const Relation& view, uint64_t build, const std::vector<std::string>& reads);
  Result<std::unique_ptr<HistoryReader>> TakeHistory(const HistorySlice& slice,
                                                     stream::StepInput& input);
  size_t ContentBytes() const;
  bool HasRoom() const;  // for contents that come back from disk
  void WarmOne(const Relation& relation, size_t rows_max);
  void FollowInParts(stream::StepInput& input) const;
  void ShareEqual();
  stream::Limits LimitsOf(const catalog::ViewDefinition& view) const;
  Status NoteStopped(stream::StepResult& result, double limit_factor);
  Status ReadBefore(const stream::StepResult& result);
  void StopUnreadable(const HistorySlice& slice, const HistoryReader& reader);
  void StopFailing(const stream::StepResult& result);
  void StopLarge(const stream::StepResult& result, double limit_factor);
  void StopDependents();
  void LeaveOutStopped(stream::StepResult& result);
  Status FeedDifference(const Relation& before, const Relation& after);
  Status RemoveHalted(const catalog::Catalog& catalog);
  Status Adopt(const catalog::Object& object, const catalog::Catalog& catalog);
  void AddReader(const Relation& relation, int32_t partition);
  // Tables of a topic that has more partitions now.
  Status GrowTablesOfTopics(const catalog::Catalog& catalog);
  // The other stream of its topic, where one takes it over from the other; else nullptr.
  const Relation* OtherOf(const Relation& relation) const;
  void LeaveTopic(const Relation& relation);
  void LeaveDoor(const Relation& relation);
  Status CloseWindows(double limit_factor);
  Status ApplyChanges(state::Step step, Micros clock, stream::StepResult& result);
  void ApplyFindings(const StreamSource& source, const stream::StepResult& result);
  void ApplyFindings(const TableSource& source);
  Status ApplyFailures(state::Step step, const stream::StepResult& result);
  void CountReads(const stream::StepResult& result);
  std::optional<Micros> WatermarkAt(const StreamSource& source, Micros clock) const;

  PipelineContext context_;
  std::unique_ptr<stream::Engine> engine_;
  std::unique_ptr<Feeds> feeds_;
  NodeState state_;
  catalog::CatalogPtr catalog_ = catalog::Catalog::Empty();
  std::map<std::string, std::shared_ptr<const Relation>> relations_;  // by internal name
  RelationsPtr visible_relations_ = std::make_shared<Relations>();    // by user's name, of catalog_
  std::map<std::string, std::unique_ptr<StreamSource>> stream_sources_;  // by internal name
  std::map<std::string, std::unique_ptr<TableSource>> table_sources_;    // by internal name
  std::map<log::PartitionId, PartitionReader> readers_;
  std::map<std::string, uint64_t> building_;  // internal names of what belongs to a build
  std::set<uint64_t> beginning_;              // builds that are being installed for the first time
  std::set<uint64_t> joined_;
  bool may_share_ = false;  // the circuit has changed: equal operators may have come together
  std::map<std::string, Stopped> stopped_;
  // Of the contents that the step under way changes, what it has read of them on disk.
  std::map<std::string, state::ViewTable::Before> before_;
  std::shared_ptr<state::ViewTable> failures_;
  bool wants_flush_ = false;
  size_t room_again_bytes_ = 0;    // no eviction before contents take this much
  std::set<state::TableId> warm_;  // contents of which no more comes from disk
};

}  // namespace millrace::runtime
