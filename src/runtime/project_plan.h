// What applying a project would do: the difference between its files and a catalog, and what it
// costs. The catalog may be a running node's, or that of a directory that no node holds
// (offline_plan.h).
// Pure functions over values, but for the sizes of files.
#pragma once

#include <functional>
#include <vector>

#include "base/files.h"
#include "catalog/catalog.h"
#include "log/log.h"
#include "runtime/node.h"
#include "sql/database.h"

namespace millrace::runtime {

// What a relation of the catalog holds now. Bytes: of a stream in the log's files, of a table or
// view in memory.
struct RelationSize {
  int64_t rows = 0;
  int64_t bytes = 0;
};
using SizeOfRelation = std::function<Result<RelationSize>(const catalog::Object& object)>;

struct PlannedProject {
  catalog::Difference difference;
  ProjectPlan plan;
};

// Errors have their place in the project's files.
Result<PlannedProject> PlanProject(sql::Database& database, const catalog::Catalog& catalog,
                                   const SizeOfRelation& size_of,
                                   const std::vector<ProjectFile>& files);

// Bytes of the topic's segments. Those of the last tenths of a second may still be on their way
// there; a file that goes meanwhile counts nothing.
int64_t StreamBytes(Files& files, const log::Log& log, const std::string& directory,
                    log::TopicId topic);

}  // namespace millrace::runtime
