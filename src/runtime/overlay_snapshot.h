// What a transaction sees: a step, with the rows that the transaction itself has changed in tables.
// What else would show them (views over those tables, streams that it writes to) is refused rather
// than shown without. Thread-safe; the scans that it gives are not.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "runtime/snapshot.h"
#include "runtime/transaction.h"

namespace millrace::runtime {

class OverlaySnapshot final : public sql::Snapshot {
 public:
  // `tables` outlives it and stays as it is. `streams`: lower-case names.
  OverlaySnapshot(std::shared_ptr<const NodeSnapshot> base, const TableDeltas& tables,
                  std::set<std::string> streams, std::shared_ptr<const GivenRows> given)
      : base_(std::move(base)),
        tables_(tables),
        streams_(std::move(streams)),
        given_(std::move(given)) {}

  int64_t step() const override { return base_->step(); }
  const catalog::Catalog& catalog() const override { return base_->catalog(); }
  Result<RelationShape> Shape(std::string_view name) const override;
  Result<std::unique_ptr<sql::RelationScan>> Scan(
      std::string_view name, const std::vector<size_t>& columns,
      const std::vector<Equality>& equalities) const override;
  std::shared_ptr<const sql::ColumnCopy> Copied(std::string_view name) const override;
  Result<std::unique_ptr<sql::RelationScan>> ScanBeyond(std::string_view name,
                                                        const std::vector<size_t>& columns,
                                                        const sql::ColumnCopy& copy) const override;

 private:
  Status CheckUntouched(std::string_view name) const;

  const std::shared_ptr<const NodeSnapshot> base_;
  const TableDeltas& tables_;
  const std::set<std::string> streams_;
  const std::shared_ptr<const GivenRows> given_;  // may be nullptr
};

}  // namespace millrace::runtime
