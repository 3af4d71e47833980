// Hold: rows wait until the value of their column closes.
//
//   out = Δ { rows of I(in) whose value is closed }
//
// A row whose value is NULL never passes and is not kept.
// State: table + 0, rows by value; the time index. Cost: one look-up per row, when it comes and
// when it goes.
#include "rows/row_codec.h"
#include "stream/closing.h"
#include "stream/operator.h"
#include "stream/state_rows.h"

namespace millrace::stream {
namespace {

class HoldOperator final : public Operator {
 public:
  HoldOperator(const Node& node, const OperatorContext& context)
      : column_(std::get<Hold>(node.op).column),
        keys_({column_}, context.input_types[0]),
        encoder_(context.input_types[0]),
        table_(context.state.Bags(context.table, /*ordered=*/false)),
        closing_(node, context.input_types[0][column_], context),
        out_(context.input_types[0], /*numbered=*/false) {}

  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override {
    if (inputs[0] != nullptr) {
      for (const rows::Batch::Part& part : inputs[0]->parts) TRY(Keep(part));
    }
    TRY(const auto closed, closing_.Take(context));
    TRY(Release(closed));
    return out_.Take();
  }

 private:
  Status Keep(const rows::Batch::Part& part) {
    duckdb::DataChunk& rows = *part.rows;
    duckdb::UnifiedVectorFormat values;
    rows.data[column_].ToUnifiedFormat(rows.size(), values);
    const std::vector<state::Key>& keys = keys_.Read(rows);
    const std::vector<std::string_view>& encoded = encoder_.Encode(rows);
    TRY(table_.FindOrCreate(keys, groups_));
    opened_.clear();
    for (size_t i = 0; i < rows.size(); ++i) {
      if (!values.validity.RowIsValid(values.sel->get_index(i))) continue;
      if (table_.Size(groups_[i]) == 0)
        opened_.push_back({static_cast<duckdb::sel_t>(i), keys[i], {}});
      table_.Add(groups_[i], encoded[i], part.weight(i));
    }
    return closing_.Note(rows.data[column_], rows.size(), opened_);
  }

  Status Release(std::span<const TimeIndex::Entry> closed) {
    std::vector<state::Key> keys;
    for (const TimeIndex::Entry& entry : closed) keys.push_back(entry.key);
    TRY(table_.Find(keys, groups_));
    for (const state::BagTable::Group* group : groups_) {
      if (group == nullptr) continue;
      table_.Rows(group, entries_);
      for (const state::BagTable::Entry& entry : entries_) TRY(out_.Add(entry.row, entry.weight));
    }
    TRY(out_.Flush());
    return EraseGroups(table_, closed);
  }

  const ColumnIndex column_;
  KeyReader keys_;
  rows::RowEncoder encoder_;
  state::BagTable& table_;
  ClosingKeys closing_;
  StoredRows out_;
  // Scratch.
  std::vector<state::BagTable::Group*> groups_;
  std::vector<state::BagTable::Entry> entries_;
  std::vector<ClosingKeys::Opened> opened_;
};

}  // namespace

std::unique_ptr<Operator> MakeHold(const Node& node, OperatorContext context) {
  return std::make_unique<HoldOperator>(node, context);
}

}  // namespace millrace::stream
