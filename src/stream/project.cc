// Project: out = the expressions over each row of Δin, with its weight. Linear, no state.
#include "stream/expressions.h"
#include "stream/operator.h"

namespace millrace::stream {
namespace {

class ProjectOperator final : public Operator {
 public:
  ProjectOperator(const Project& project, OperatorContext context)
      : runner_(context.client, project.expressions) {}

  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override {
    rows::Batch out;
    if (inputs[0] == nullptr) return out;
    for (const rows::Batch::Part& part : inputs[0]->parts) {
      TRY(auto projected, runner_.Project(context, part));
      if (projected) out.parts.push_back(std::move(*projected));
    }
    return out;
  }

 private:
  ExpressionRunner runner_;
};

}  // namespace

std::unique_ptr<Operator> MakeProject(const Node& node, OperatorContext context) {
  return std::make_unique<ProjectOperator>(std::get<Project>(node.op), std::move(context));
}

}  // namespace millrace::stream
