#include "sql/query_context.h"

#include <algorithm>

#include "base/check.h"
#include "duckdb/main/client_context.hpp"

namespace millrace::sql {
namespace {

// The chunks of an InlineRelation, the asked-for columns of them.
class InlineScan final : public RelationScan {
 public:
  InlineScan(const InlineRelation& relation, std::vector<size_t> columns)
      : relation_(relation), columns_(std::move(columns)) {}

  Status Next(duckdb::DataChunk& out) override {
    out.SetCardinality(0);
    if (next_ == relation_.chunks.size()) return Ok();
    duckdb::DataChunk& rows = *relation_.chunks[next_++];
    for (size_t i = 0; i < columns_.size(); ++i) out.data[i].Reference(rows.data[columns_[i]]);
    out.SetCardinality(rows.size());
    return Ok();
  }

 private:
  const InlineRelation& relation_;
  std::vector<size_t> columns_;
  size_t next_ = 0;
};

}  // namespace

QueryContext& QueryContext::Of(duckdb::ClientContext& context) {
  const auto state = context.registered_state->Get<QueryContext>("millrace");
  CHECK(state) << "connection without a QueryContext";
  return *state;  // the registry keeps it as long as the connection lives
}

Result<catalog::RelationShape> QueryContext::Shape(const std::string& name) const {
  if (const auto found = inline_relations.find(rows::LowerName(name));
      found != inline_relations.end()) {
    return found->second.shape;
  }
  if (snapshot != nullptr) return snapshot->Shape(name);
  const catalog::Object* object = catalog == nullptr ? nullptr : catalog->FindRelation(name);
  if (object == nullptr)
    return Error(Code::kNotFound, "relation {} does not exist", Quoted(name)).SqlState("42P01");
  return catalog::ShapeOf(*object);
}

Result<std::unique_ptr<RelationScan>> QueryContext::Scan(
    const std::string& name, const std::vector<size_t>& columns,
    const std::vector<Snapshot::Equality>& equalities) const {
  if (const auto found = inline_relations.find(rows::LowerName(name));
      found != inline_relations.end()) {
    return std::unique_ptr<RelationScan>(std::make_unique<InlineScan>(found->second, columns));
  }
  CHECK(snapshot != nullptr) << "a scan of " << name << " while planning";
  return snapshot->Scan(name, columns, equalities);
}

Result<std::unique_ptr<RelationScan>> QueryContext::ScanBeyond(const std::string& name,
                                                               const std::vector<size_t>& columns,
                                                               const ColumnCopy& copy) const {
  CHECK(snapshot != nullptr) << "a scan of " << name << " while planning";
  return snapshot->ScanBeyond(name, columns, copy);
}

std::shared_ptr<const ColumnCopy> QueryContext::CopyOf(const std::string& name) {
  if (without_copies || snapshot == nullptr || inline_relations.contains(rows::LowerName(name)))
    return nullptr;
  const auto [copy, fresh] = copies.try_emplace(name);
  if (fresh) copy->second = snapshot->Copied(name);
  return copy->second;
}

bool QueryContext::ReadsCopies() const {
  return std::any_of(copies.begin(), copies.end(),
                     [](const auto& item) { return item.second != nullptr; });
}

std::vector<std::string> QueryContext::RelationNames() const {
  return catalog == nullptr ? std::vector<std::string>() : catalog->RelationNames();
}

void QueryContext::SetScanError(Error error) {
  const std::lock_guard lock(scan_error_mutex_);
  if (!scan_error_) scan_error_ = std::move(error);
}

std::optional<Error> QueryContext::TakeScanError() {
  const std::lock_guard lock(scan_error_mutex_);
  std::optional<Error> error = std::move(scan_error_);
  scan_error_.reset();
  return error;
}

void QueryContext::Clear() {
  catalog = nullptr;
  snapshot = nullptr;
  inline_relations.clear();
  user.clear();
  row_numbers = false;
  copies.clear();
  without_copies = false;
  copies_failed = false;
  reads.clear();
  unknown_relation.clear();
  met_defect = false;
  session_form = SessionForm::kWindowFunctions;
  session_refused = false;
  model_error.reset();
  TakeScanError();
}

}  // namespace millrace::sql
