// Distinct keeps one copy of every row that is present at all.
//
//   out = Δ distinct(I(in)): for each row whose weight goes from w to w' in the step, [w' > 0] − [w
//   > 0]
//
// A row is its exact encoding: rows that SQL calls equal and that still differ (0.0 and −0.0) both
// stay. SELECT DISTINCT in the SQL sense is an Aggregate without calls. State: one weight per row.
// Cost: one look-up per different row of the step. Source: Budiu et al., "DBSP", VLDB 2023,
// section 4.2.
#include <cstring>

#include "rows/row_codec.h"
#include "stream/operator.h"

namespace millrace::stream {
namespace {

class DistinctOperator final : public Operator {
 public:
  explicit DistinctOperator(OperatorContext context)
      : types_(context.input_types[0]),
        weights_(context.state.Cells(context.table, sizeof(rows::Weight))),
        encoder_(types_) {}

  Result<rows::Batch> Step(StepContext&, std::span<const rows::Batch* const> inputs) override {
    if (inputs[0] == nullptr) return rows::Batch();
    const rows::Batch delta = rows::Consolidate(*inputs[0], types_);
    rows::BatchBuilder out(types_);
    for (const rows::Batch::Part& part : delta.parts) TRY(StepPart(part, out));
    return out.Finish();
  }

 private:
  Status StepPart(const rows::Batch::Part& part, rows::BatchBuilder& out) {
    keys_.clear();
    for (const std::string_view row : encoder_.Encode(*part.rows))
      keys_.push_back({row, rows::KeyHash(row)});
    TRY(weights_.FindOrCreate(keys_, cells_, created_));
    changed_.clear();
    changes_.clear();
    for (size_t i = 0; i < keys_.size(); ++i) {
      rows::Weight before;
      std::memcpy(&before, cells_[i], sizeof(before));
      const rows::Weight after = before + part.weight(i);
      weights_.Touch(cells_[i]);
      std::memcpy(cells_[i], &after, sizeof(after));
      if (after == 0) weights_.Erase(cells_[i]);
      if ((after > 0) == (before > 0)) continue;
      changed_.push_back(static_cast<duckdb::sel_t>(i));
      changes_.push_back(after > 0 ? 1 : -1);
    }
    out.Append(*part.rows, changed_.data(), changed_.size(), changes_.data());
    return Ok();
  }

  rows::Types types_;
  state::CellTable& weights_;
  rows::RowEncoder encoder_;
  std::vector<state::Key> keys_;
  std::vector<std::byte*> cells_;
  std::vector<uint8_t> created_;
  std::vector<duckdb::sel_t> changed_;
  std::vector<rows::Weight> changes_;
};

}  // namespace

std::unique_ptr<Operator> MakeDistinct(const Node&, OperatorContext context) {
  return std::make_unique<DistinctOperator>(std::move(context));
}

}  // namespace millrace::stream
