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

// As Log::PartitionBytes, of all partitions of the topic.
int64_t StreamBytes(const log::Log& log, log::TopicId topic);

}  // namespace millrace::runtime
