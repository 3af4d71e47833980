// Recovery: from what is on disk to a pipeline that stands where the last journalled step left it.
//
// The Store is at its flushed step; the catalog in force then is rebuilt from the catalog topic,
// its objects are installed with the state that the Store has of them, and the journal's later
// steps are computed again, catalog changes between them included.
#pragma once

#include <functional>

#include "base/result.h"
#include "log/log.h"
#include "runtime/pipeline.h"

namespace millrace::runtime {

struct InternalTopics {
  log::TopicId journal;
  log::TopicId catalog;
};

// As the log has a retention.
std::optional<std::chrono::milliseconds> InMillis(
    const std::optional<std::chrono::microseconds>& time);

// What the log must know of a stream's or table's topic.
log::TopicConfig TopicConfigOf(const catalog::Object& object);
// Deletes the topics that no object of the catalog owns: of dropped ones, and of those that a crash
// cut off between making the topic and the record that names it. `flush` is called before the first
// one goes: steps that are not flushed may read it when they are computed again.
Status DeleteOrphans(log::Log& log, const catalog::Catalog& catalog,
                     const std::function<Status()>& flush);
// Gives the topics of altered streams their new retention and durability.
Status AlignTopics(log::Log& log, const catalog::Catalog& catalog);

// Finds or makes them.
Result<InternalTopics> OpenInternalTopics(log::Log& log);

// Afterwards the pipeline's state is that of the last journalled step, published.
Status Recover(log::Log& log, const state::Store& store, const InternalTopics& topics,
               Pipeline& pipeline, Publisher& publisher);

// The catalog that the topic's records add up to; empty where there is no such topic yet.
Result<catalog::CatalogPtr> ReadCatalog(const log::Log& log);

// The two halves of bringing the pipeline from its catalog to `after`. First what is new is
// installed beside the old, what it makes of builds that begin included; `installed`: gets what
// was, also where it fails.
Status InstallNew(Pipeline& pipeline, const catalog::CatalogPtr& after, Pipeline::Entry entry,
                  std::vector<catalog::Object>* installed = nullptr);
// Then what is gone or replaced is uninstalled, and `after` is in force.
Status SwitchCatalog(Pipeline& pipeline, const catalog::CatalogPtr& after);

}  // namespace millrace::runtime
