// UnionAll: out = ΔA + ΔB + … . Linear, no state.
#include "stream/operator.h"

namespace millrace::stream {
namespace {

class UnionAllOperator final : public Operator {
 public:
  Result<rows::Batch> Step(StepContext&, std::span<const rows::Batch* const> inputs) override {
    rows::Batch out;
    for (const rows::Batch* input : inputs) {
      if (input != nullptr) out.Append(*input);
    }
    return out;
  }
};

}  // namespace

std::unique_ptr<Operator> MakeUnionAll(const Node&, OperatorContext) {
  return std::make_unique<UnionAllOperator>();
}

}  // namespace millrace::stream
