// What a query reads: all relations, the quarantine and late rows of streams, and the system
// tables, at one pinned step. Thread-safe; the scans that it gives are not.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "ingest/row_checker.h"
#include "log/log.h"
#include "runtime/published.h"
#include "runtime/stream_history.h"
#include "runtime/system_tables.h"
#include "sql/column_copy.h"
#include "sql/database.h"

namespace millrace::column_cache {
class ColumnCache;
}

namespace millrace::runtime {

class NodeSnapshot final : public sql::Snapshot, public std::enable_shared_from_this<NodeSnapshot> {
 public:
  // `columns`: nullptr where there is no cache.
  NodeSnapshot(Publisher::Pin pin, const log::Log& log, sql::Database& database,
               const SystemTables& system_tables, column_cache::ColumnCache* columns)
      : pin_(std::move(pin)),
        log_(log),
        database_(database),
        system_tables_(system_tables),
        columns_(columns) {}

  int64_t step() const override { return published().state.step.value; }
  const catalog::Catalog& catalog() const override { return *published().catalog; }
  const Published& published() const { return pin_.published(); }
  Result<RelationShape> Shape(std::string_view name) const override;
  Result<std::unique_ptr<sql::RelationScan>> Scan(
      std::string_view name, const std::vector<size_t>& columns,
      const std::vector<Equality>& equalities) const override;
  std::shared_ptr<const sql::ColumnCopy> Copied(std::string_view name) const override;
  Result<std::unique_ptr<sql::RelationScan>> ScanBeyond(std::string_view name,
                                                        const std::vector<size_t>& columns,
                                                        const sql::ColumnCopy& copy) const override;

  // For the reader to know, where the view stands still: a scan of it says so by itself.
  void NoteHalt(const Relation& relation) const;
  // What the scans so far could not give, for the reader to know: records lost to damage on disk.
  std::vector<std::string> notices() const;
  void AddNotices(const std::vector<std::string>& notices) const;

 private:
  std::unique_ptr<sql::RelationScan> ScanStream(const std::shared_ptr<const Relation>& relation,
                                                const std::vector<size_t>& columns,
                                                std::vector<StreamHistory::Range> ranges) const;

  Publisher::Pin pin_;
  const log::Log& log_;
  sql::Database& database_;
  const SystemTables& system_tables_;
  column_cache::ColumnCache* const columns_;
  mutable std::mutex notices_mutex_;
  mutable std::set<std::string> notices_;
};

}  // namespace millrace::runtime
