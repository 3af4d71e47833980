#include "runtime/overlay_snapshot.h"

#include "rows/row_codec.h"

namespace millrace::runtime {

namespace {

// The rows of a table less those that went, then those that came.
class OverlayScan final : public sql::RelationScan {
 public:
  OverlayScan(std::unique_ptr<sql::RelationScan> base, const TableDelta& delta, rows::Types types,
              std::vector<size_t> columns)
      : base_(std::move(base)),
        types_(std::move(types)),
        columns_(std::move(columns)),
        encoder_(types_),
        decoder_(types_) {
    for (const auto& [row, weight] : delta) {
      if (weight < 0) gone_.emplace(row, -weight);
      for (rows::Weight i = 0; i < weight; ++i) come_.push_back(row);
    }
    rows_.Initialize(duckdb::Allocator::DefaultAllocator(), types_);
  }

  Status Next(duckdb::DataChunk& out) override {
    out.SetCardinality(0);
    while (base_ != nullptr) {
      rows_.Reset();
      TRY(base_->Next(rows_));
      if (rows_.size() == 0) {
        base_.reset();
        break;
      }
      std::vector<duckdb::sel_t> kept = Kept();
      if (kept.empty()) continue;
      Give(kept, out);
      return Ok();
    }
    const size_t count = std::min<size_t>(come_.size() - next_, STANDARD_VECTOR_SIZE);
    if (count == 0) return Ok();
    rows_.Reset();
    TRY(decoder_.Decode(std::span(come_).subspan(next_, count), rows_, 0));
    rows_.SetCardinality(count);
    next_ += count;
    std::vector<duckdb::sel_t> all(count);
    for (size_t i = 0; i < count; ++i) all[i] = static_cast<duckdb::sel_t>(i);
    Give(all, out);
    return Ok();
  }

 private:
  std::vector<duckdb::sel_t> Kept() {
    std::vector<duckdb::sel_t> kept;
    rows_.Flatten();
    const std::vector<std::string_view>& encoded = encoder_.Encode(rows_);
    for (size_t row = 0; row < encoded.size(); ++row) {
      const auto gone = gone_.find(encoded[row]);
      if (gone != gone_.end() && gone->second > 0) {
        --gone->second;
      } else {
        kept.push_back(static_cast<duckdb::sel_t>(row));
      }
    }
    return kept;
  }

  void Give(std::vector<duckdb::sel_t>& rows, duckdb::DataChunk& out) {
    const duckdb::SelectionVector selection(rows.data());
    for (size_t i = 0; i < columns_.size(); ++i) {
      duckdb::VectorOperations::Copy(rows_.data[columns_[i]], out.data[i], selection, rows.size(),
                                     0, 0);
    }
    out.SetCardinality(rows.size());
  }

  std::unique_ptr<sql::RelationScan> base_;  // nullptr: at its end
  const rows::Types types_;
  const std::vector<size_t> columns_;
  rows::RowEncoder encoder_;
  rows::RowDecoder decoder_;
  duckdb::DataChunk rows_;
  std::map<std::string_view, rows::Weight> gone_;
  std::vector<std::string_view> come_;
  size_t next_ = 0;
};

// Rows that a statement brings along.
class GivenScan final : public sql::RelationScan {
 public:
  GivenScan(std::shared_ptr<const GivenRows> given, std::vector<size_t> columns)
      : given_(std::move(given)), columns_(std::move(columns)) {}
  Status Next(duckdb::DataChunk& out) override {
    out.SetCardinality(0);
    if (next_ == given_->chunks.size()) return Ok();
    duckdb::DataChunk& rows = *given_->chunks[next_++];
    for (size_t i = 0; i < columns_.size(); ++i) out.data[i].Reference(rows.data[columns_[i]]);
    out.SetCardinality(rows.size());
    return Ok();
  }

 private:
  const std::shared_ptr<const GivenRows> given_;
  const std::vector<size_t> columns_;
  size_t next_ = 0;
};

}  // namespace

Result<OverlaySnapshot::RelationShape> OverlaySnapshot::Shape(std::string_view name) const {
  if (given_ != nullptr && name == kGivenRows)
    return RelationShape{given_->schema, given_->schema.columns.size()};
  return base_->Shape(name);
}

Status OverlaySnapshot::CheckUntouched(std::string_view name) const {
  const auto refuse = [&](const std::string& touched) {
    return Error(Code::kNotSupported,
                 "{} shows {}, which this transaction has written to: it cannot be read before "
                 "COMMIT",
                 Quoted(name), Quoted(touched))
        .SqlState("25001");
  };
  std::set<std::string> touched = streams_;
  for (const auto& [table, delta] : tables_) touched.insert(table);
  const std::string stands_on = rows::LowerName(catalog().DependencyOf(name));
  if (touched.contains(stands_on)) return refuse(stands_on);
  for (const std::string& table : touched) {
    for (const std::string& dependent : catalog().DependentsOf(table)) {
      if (rows::LowerName(dependent) == stands_on) return refuse(table);
    }
  }
  return Ok();
}

Result<std::unique_ptr<sql::RelationScan>> OverlaySnapshot::Scan(
    std::string_view name, const std::vector<size_t>& columns,
    const std::vector<Equality>& equalities) const {
  if (given_ != nullptr && name == kGivenRows)
    return std::unique_ptr<sql::RelationScan>(std::make_unique<GivenScan>(given_, columns));
  const auto found = tables_.find(rows::LowerName(name));
  if (found == tables_.end()) {
    TRY(CheckUntouched(name));
    return base_->Scan(name, columns, equalities);
  }
  TRY(const RelationShape shape, base_->Shape(name));
  const rows::Types types = shape.schema.types();
  std::vector<size_t> all(types.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  TRY(auto base, base_->Scan(name, all, equalities));
  return std::unique_ptr<sql::RelationScan>(
      std::make_unique<OverlayScan>(std::move(base), found->second, types, columns));
}

std::shared_ptr<const sql::ColumnCopy> OverlaySnapshot::Copied(std::string_view name) const {
  const bool given = given_ != nullptr && name == kGivenRows;
  // A scan says what is wrong.
  return given || !CheckUntouched(name).ok() ? nullptr : base_->Copied(name);
}

Result<std::unique_ptr<sql::RelationScan>> OverlaySnapshot::ScanBeyond(
    std::string_view name, const std::vector<size_t>& columns, const sql::ColumnCopy& copy) const {
  TRY(CheckUntouched(name));
  return base_->ScanBeyond(name, columns, copy);
}

}  // namespace millrace::runtime
