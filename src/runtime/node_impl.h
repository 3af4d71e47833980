// The parts of a Node, in the order in which they depend on each other.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/files.h"
#include "column_cache/column_cache.h"
#include "connectors/source.h"
#include "ingest/door_counters.h"
#include "ingest/stream_ingest.h"
#include "runtime/builds.h"
#include "runtime/catalog_change.h"
#include "runtime/endpoints.h"
#include "runtime/node.h"
#include "runtime/pipeline.h"
#include "runtime/prepared_lookup.h"
#include "runtime/published.h"
#include "runtime/recovery.h"
#include "runtime/seeds.h"
#include "runtime/snapshot.h"
#include "runtime/step_loop.h"
#include "runtime/stream_columns.h"
#include "runtime/system_tables.h"
#include "runtime/table_writer.h"
#include "runtime/view_changes.h"
#include "schemas/registry.h"

namespace millrace::runtime {

struct Node::Impl {
  NodeOptions options;
  std::unique_ptr<FileLock> lock;
  std::unique_ptr<log::Log> log;
  std::unique_ptr<schemas::Registry> schemas;
  std::unique_ptr<state::Store> store;
  std::unique_ptr<sql::Database> database;
  Publisher publisher;
  ingest::DoorCounters door;
  std::unique_ptr<Pipeline> pipeline;
  std::unique_ptr<StepLoop> loop;
  std::unique_ptr<CatalogChanger> changer;
  std::unique_ptr<ingest::Ingest> ingest;
  std::unique_ptr<StreamColumns> stream_columns;
  std::unique_ptr<column_cache::ColumnCache> columns;  // nullptr: there is none
  SystemTables system_tables;
  std::unique_ptr<TableWriter> table_writer;
  std::unique_ptr<TableRows> table_rows;
  std::unique_ptr<Seeds> seeds;
  std::unique_ptr<Builds> builds;
  std::unique_ptr<ViewChanges> view_changes;

  std::mutex definition_mutex;  // one change of the catalog at a time, from binding to its end
  mutable std::mutex endpoints_mutex;
  std::shared_ptr<const Endpoints> endpoints;
  std::mutex sources_mutex;
  std::map<std::string, std::pair<uint64_t, std::unique_ptr<connectors::Source>>>
      sources;  // by name, with generation
  std::atomic<bool> ready{false};
  std::atomic<bool> stopped{false};
  LookupCache lookups;

  Files& files() const { return options.files == nullptr ? Files::System() : *options.files; }
  Result<std::unique_ptr<Subscription>> Subscribe(std::string_view relation,
                                                  const SubscribeOptions& subscribe_options);
  std::shared_ptr<const NodeSnapshot> TakeSnapshot() {
    return std::make_shared<NodeSnapshot>(publisher.PinNewest(), *log, *database, system_tables,
                                          columns.get());
  }
  std::shared_ptr<const Endpoints> CurrentEndpoints() const {
    const std::lock_guard guard(endpoints_mutex);
    return endpoints;
  }
  // What the operators did and remember, read between two steps.
  std::vector<OperatorFigures> Operators();
  // Halts the views that have failed. On the step loop's thread.
  Status HaltStopped();
  // Waits until what the token names is visible; it is made durable at once, whatever the
  // durability of its streams.
  Status AwaitVisible(const ingest::Token& token, std::chrono::milliseconds timeout);
  // The health of the step loop, and turning producers away while it is too far behind.
  Status Admit() const;
  // After the catalog has changed: endpoints and sources follow it. REQUIRES: definition_mutex is
  // held.
  Status FollowCatalog();
  void Stop();
};

}  // namespace millrace::runtime
