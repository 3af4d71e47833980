// DropClosed: out = changes of in whose value is not closed as of this step. Linear, no state.
#include "stream/closing.h"
#include "stream/operator.h"
#include "stream/state_rows.h"

namespace millrace::stream {
namespace {

class DropClosedOperator final : public Operator {
 public:
  DropClosedOperator(const DropClosed& drop, const OperatorContext& context)
      : types_(context.input_types[0]),
        column_({drop.column}, types_),
        bound_(context.client, drop.bound, types_[drop.column]) {}

  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override {
    bound_.Moved(context.watermarks);
    rows::Batch out;
    if (inputs[0] == nullptr) return out;
    if (bound_.bytes().empty()) return *inputs[0];
    rows::BatchBuilder builder(types_);
    std::vector<duckdb::sel_t> open;
    std::vector<rows::Weight> weights;
    for (const rows::Batch::Part& part : inputs[0]->parts) {
      const std::vector<std::string_view>& values = encoder_.Encode(column_.Of(*part.rows));
      open.clear();
      weights.clear();
      for (size_t row = 0; row < part.rows->size(); ++row) {
        if (bound_.IsClosed(values[row])) continue;
        open.push_back(static_cast<duckdb::sel_t>(row));
        weights.push_back(part.weight(row));
      }
      if (open.size() == part.rows->size()) {
        out.parts.push_back(part);
      } else if (!open.empty()) {
        builder.Append(*part.rows, open.data(), open.size(), weights.data());
      }
    }
    out.Append(builder.Finish());
    return out;
  }

 private:
  const rows::Types types_;
  ColumnView column_;
  rows::KeyEncoder encoder_;
  BoundReader bound_;
};

}  // namespace

std::unique_ptr<Operator> MakeDropClosed(const Node& node, OperatorContext context) {
  return std::make_unique<DropClosedOperator>(std::get<DropClosed>(node.op), context);
}

}  // namespace millrace::stream
