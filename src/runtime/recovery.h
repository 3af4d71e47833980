// Recovery: from what is on disk to a pipeline that stands where the last journalled step left it.
//
// The Store is at its flushed step; the catalog in force then is rebuilt from the catalog topic,
// its objects are installed with the state that the Store has of them, and the journal's later
// steps are computed again, catalog changes between them included.
#pragma once

#include "base/result.h"
#include "log/log.h"
#include "runtime/pipeline.h"

namespace millrace::runtime {

struct InternalTopics {
  log::TopicId journal;
  log::TopicId catalog;
};

// Finds or makes them.
Result<InternalTopics> OpenInternalTopics(log::Log& log);

// Afterwards the pipeline's state is that of the last journalled step, published. Topics that the
// catalog does not know (a crash came between making them and the record that names them) are
// deleted.
Status Recover(log::Log& log, const state::Store& store, const InternalTopics& topics,
               Pipeline& pipeline, Publisher& publisher);

// The catalog that the topic's records add up to; empty where there is no such topic yet.
Result<catalog::CatalogPtr> ReadCatalog(const log::Log& log);

// Brings the pipeline from its catalog to `after`: uninstalls what is gone or replaced, installs
// what is new, as `entry` says.
Status InstallCatalog(Pipeline& pipeline, const catalog::CatalogPtr& after, Pipeline::Entry entry);

}  // namespace millrace::runtime
