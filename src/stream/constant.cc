// Constant: gives its rows once, in the first step after the node was added.
// State: one cell under the empty key, made when the rows were given, so that a restart does not
// give them again.
#include "stream/operator.h"

namespace millrace::stream {
namespace {

class ConstantOperator final : public Operator {
 public:
  ConstantOperator(const Constant& constant, OperatorContext context)
      : rows_(constant.rows),
        given_(context.owns_empty_key() ? &context.state.Cells(context.table, 1) : nullptr) {}

  Result<rows::Batch> Step(StepContext&, std::span<const rows::Batch* const>) override {
    if (given_ == nullptr) return rows::Batch();
    const state::Key key{{}, rows::KeyHash({})};
    std::vector<std::byte*> cells;
    std::vector<uint8_t> created;
    TRY(given_->FindOrCreate({&key, 1}, cells, created));
    if (!created[0]) return rows::Batch();
    given_->Touch(cells[0]);
    *cells[0] = std::byte{1};
    return rows_;
  }

 private:
  rows::Batch rows_;
  state::CellTable* given_;  // null on workers that do not own the empty key
};

}  // namespace

std::unique_ptr<Operator> MakeConstant(const Node& node, OperatorContext context) {
  return std::make_unique<ConstantOperator>(std::get<Constant>(node.op), std::move(context));
}

}  // namespace millrace::stream
