// Negate: out = −Δin. Linear, no state.
#include "stream/operator.h"

namespace millrace::stream {
namespace {

class NegateOperator final : public Operator {
 public:
  Result<rows::Batch> Step(StepContext&, std::span<const rows::Batch* const> inputs) override {
    return inputs[0] == nullptr ? rows::Batch() : rows::Negate(*inputs[0]);
  }
};

}  // namespace

std::unique_ptr<Operator> MakeNegate(const Node&, OperatorContext) {
  return std::make_unique<NegateOperator>();
}

}  // namespace millrace::stream
