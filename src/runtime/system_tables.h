// The tables of schema millrace: what the node knows of itself, as rows.
// Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "log/log.h"
#include "rows/schema.h"
#include "runtime/operator_figures.h"
#include "runtime/published.h"

namespace millrace::runtime {

struct SystemTable {
  rows::Schema schema;
  std::function<std::vector<std::vector<duckdb::Value>>(const Published&)> rows;
};

class SystemTables {
 public:
  void Add(const std::string& name, SystemTable table) { tables_[name] = std::move(table); }
  // `name` with its schema, "millrace.views"; nullptr where there is none.
  const SystemTable* Find(std::string_view name) const;
  std::vector<std::string> names() const;

 private:
  std::map<std::string, SystemTable> tables_;
};

// What the tables need of the running node.
struct NodeWatch {
  std::function<std::vector<OperatorFigures>()> operators;
  std::function<std::vector<log::TopicInfo>()> topics;
  std::function<std::shared_ptr<const log::Cut>()> cut;
  std::function<Result<uint64_t>(log::PartitionId)> partition_bytes;
  std::shared_ptr<state::ViewTable> failures;
  std::function<std::vector<log::Damage>()> damage;
};
// Those of catalog_tables.h, and millrace.partitions, .operators, .watermarks, .ledger, .errors,
// .damage.
SystemTables MakeSystemTables(NodeWatch watch);

}  // namespace millrace::runtime
