#include "log/append_problem.h"

#include <array>
#include <string_view>
#include <utility>

namespace millrace::log {
namespace {

// An error's SQLSTATE is the place for what its code does not say. Class MR is Millrace's own.
constexpr std::array<std::pair<AppendProblem, std::string_view>, 3> kStates = {{
    {AppendProblem::kOutOfOrderSequence, "MR001"},
    {AppendProblem::kInvalidProducerEpoch, "MR002"},
    {AppendProblem::kInvalidTransactionState, "MR003"},
}};

}  // namespace

std::optional<AppendProblem> AppendProblemOf(const Error& error) {
  for (const auto& [problem, state] : kStates) {
    if (error.sqlstate() == state) return problem;
  }
  return std::nullopt;
}

Error WithProblem(Error error, AppendProblem problem) {
  for (const auto& [known, state] : kStates) {
    if (known == problem) return std::move(error).SqlState(state);
  }
  return error;
}

}  // namespace millrace::log
