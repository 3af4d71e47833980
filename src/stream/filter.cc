// Filter: out = rows of Δin whose predicate is true. Linear, no state.
#include "stream/expressions.h"
#include "stream/operator.h"

namespace millrace::stream {
namespace {

class FilterOperator final : public Operator {
 public:
  FilterOperator(const Filter& filter, OperatorContext context)
      : types_(context.input_types[0]), runner_(context.client, {filter.predicate}) {}

  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override {
    rows::Batch out;
    if (inputs[0] == nullptr) return out;
    rows::BatchBuilder builder(types_);
    bool copied = false;
    for (const rows::Batch::Part& part : inputs[0]->parts) {
      const size_t failed_before = context.failures.size();
      TRY(const auto* selected, runner_.Select(context, part));
      const size_t failed = context.failures.size() - failed_before;
      context.filtered += static_cast<int64_t>(part.rows->size() - selected->size() - failed);
      if (selected->size() == part.rows->size()) {
        out.parts.push_back(part);  // all pass: the chunk is shared
        continue;
      }
      if (selected->empty()) continue;
      weights_.clear();
      for (const duckdb::sel_t row : *selected) weights_.push_back(part.weight(row));
      builder.Append(*part.rows, selected->data(), selected->size(),
                     part.weights.empty() ? nullptr : weights_.data());
      copied = true;
    }
    if (copied) out.Append(builder.Finish());
    return out;
  }

 private:
  rows::Types types_;
  ExpressionRunner runner_;
  std::vector<rows::Weight> weights_;
};

}  // namespace

std::unique_ptr<Operator> MakeFilter(const Node& node, OperatorContext context) {
  return std::make_unique<FilterOperator>(std::get<Filter>(node.op), std::move(context));
}

}  // namespace millrace::stream
