#include "fuzz/shrink.h"

#include <fmt/format.h>

#include <chrono>

#include "base/clock.h"

namespace millrace::fuzz {
namespace {

class Shrinker {
 public:
  Shrinker(Case made, const Failure& failure, Runner& runner, double seconds_max)
      : made_(std::move(made)),
        failure_(failure),
        runner_(runner),
        start_(Tick()),
        seconds_max_(seconds_max) {}

  Case Run() {
    bool smaller = true;
    while (smaller && !Late()) {
      smaller = Steps();
      smaller = QueryParts() || smaller;
      smaller = Rows() || smaller;
    }
    return std::move(made_);
  }

 private:
  bool Late() const { return SecondsSince(start_) > seconds_max_; }

  // Another failure (a relation that is gone) is not this one.
  bool Try(Case smaller) {
    if (Late()) return false;
    Counts ignored;
    const auto failure = runner_.Run(smaller, ignored, true);
    if (!failure || failure->kind != failure_.kind || failure->error != failure_.error)
      return false;
    made_ = std::move(smaller);
    return true;
  }

  bool Steps() {
    bool any = false;
    for (size_t i = made_.steps.size(); i-- > 0;) {
      if (i >= made_.steps.size()) continue;
      Case smaller = made_;
      smaller.steps.erase(smaller.steps.begin() + static_cast<long>(i));
      any = Try(std::move(smaller)) || any;
    }
    return any;
  }

  bool QueryParts() {
    bool any = false;
    for (size_t i = 0; i < made_.steps.size(); ++i) {
      if (made_.steps[i].kind != Step::Kind::kCreateView || !made_.steps[i].answer.empty())
        continue;
      for (bool again = true; again && !Late();) {
        again = false;
        for (const std::string& query : SmallerQueries(made_.steps[i].query)) {
          Case smaller = made_;
          smaller.steps[i].query = query;
          if (!Try(std::move(smaller))) continue;
          again = any = true;
          break;
        }
      }
    }
    return any;
  }

  bool Rows() {
    bool any = false;
    for (size_t i = 0; i < made_.steps.size(); ++i) {
      for (size_t row = made_.steps[i].change.rows.size(); row-- > 0;) {
        if (made_.steps[i].change.rows.size() < 2) break;
        Case smaller = made_;
        auto& rows = smaller.steps[i].change.rows;
        rows.erase(rows.begin() + static_cast<long>(row));
        any = Try(std::move(smaller)) || any;
      }
    }
    return any;
  }

  Case made_;
  const Failure failure_;
  Runner& runner_;
  const std::chrono::steady_clock::time_point start_;
  const double seconds_max_;
};

}  // namespace

Case Shrink(Case made, const Failure& failure, Runner& runner, double seconds_max) {
  return Shrinker(std::move(made), failure, runner, seconds_max).Run();
}

std::string AsSlt(const Case& made, const std::string& view, Runner& runner) {
  static constexpr const char* kKinds[] = {"", "", "", "", "a restart", "a kill", "a power loss"};
  std::string out;
  for (const Step& step : made.steps) {
    switch (step.kind) {
      case Step::Kind::kStatement:
      case Step::Kind::kCreateView:
      case Step::Kind::kDropView:
        out += "statement ok\n" + step.Sql() + "\n\n";
        break;
      case Step::Kind::kCheck:
        out += "# the views are compared\n\n";
        break;
      default:
        out += fmt::format("# {}\n\n", kKinds[static_cast<int>(step.kind)]);
    }
  }
  if (view.empty()) return out;
  out += "query T rowsort\nFROM " + view + "\n----\n";
  for (const std::string& line : runner.Answer(view)) out += line + "\n";
  return out;
}

}  // namespace millrace::fuzz
