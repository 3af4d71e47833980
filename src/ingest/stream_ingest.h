// The Ingest of a node: see ingest.h for what it promises.
#pragma once

#include <functional>
#include <memory>

#include "base/clock.h"
#include "catalog/catalog.h"
#include "ingest/door_counters.h"
#include "ingest/ingest.h"
#include "log/log.h"
#include "schemas/registry.h"
#include "sql/database.h"

namespace millrace::ingest {

struct IngestContext {
  log::Log* log;
  sql::Database* database;
  Clock* clock;
  DoorCounters* door;
  std::function<catalog::CatalogPtr()> catalog;  // the newest; any thread
  std::function<Status()> admit;     // kOverloaded while the engine is too far behind; any thread
  const schemas::Registry* schemas;  // that values may name
};

// Makes the internal topics where they are missing and reads the remembered answers. All of
// `context` outlives the result.
Result<std::unique_ptr<Ingest>> MakeIngest(IngestContext context);

}  // namespace millrace::ingest
