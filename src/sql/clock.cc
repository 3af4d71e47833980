#include "sql/clock.h"

#include <set>

#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/expression_iterator.hpp"
#include "duckdb/planner/logical_operator_visitor.hpp"
#include "sql/plan_builder.h"
#include "sql/time_bounds.h"
#include "sql/view_planner.h"

namespace millrace::sql {
namespace {

using duckdb::ExpressionType;
using duckdb::LogicalType;

void NeverCalled(duckdb::DataChunk&, duckdb::ExpressionState&, duckdb::Vector&) {
  throw duckdb::InternalException("the clock has no value in a view");
}

duckdb::unique_ptr<duckdb::Expression> Placeholder(duckdb::optional_idx location) {
  duckdb::ScalarFunction function(kClockFunction, {}, LogicalType::TIMESTAMP, NeverCalled);
  function.SetVolatile();
  auto call = duckdb::make_uniq<duckdb::BoundFunctionExpression>(
      LogicalType::TIMESTAMP, std::move(function),
      duckdb::vector<duckdb::unique_ptr<duckdb::Expression>>(), nullptr);
  call->SetQueryLocation(location);
  return call;
}

bool IsClock(const duckdb::Expression& expression) {
  return expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION &&
         expression.Cast<duckdb::BoundFunctionExpression>().function.name == kClockFunction;
}

bool CallsNow(const duckdb::BoundFunctionExpression& call) {
  static const std::set<std::string> names = {
      "now",   "get_current_timestamp", "transaction_timestamp",
      "today", "current_date",          "current_localtimestamp"};
  return call.children.empty() && names.contains(call.function.name);
}

void ReplaceIn(duckdb::ClientContext& client, duckdb::unique_ptr<duckdb::Expression>& expression) {
  if (expression->GetExpressionClass() == duckdb::ExpressionClass::BOUND_FUNCTION &&
      CallsNow(expression->Cast<duckdb::BoundFunctionExpression>())) {
    const LogicalType type = expression->return_type;
    expression = duckdb::BoundCastExpression::AddCastToType(
        client, Placeholder(expression->GetQueryLocation()), type);
    return;
  }
  duckdb::ExpressionIterator::EnumerateChildren(
      *expression,
      [&](duckdb::unique_ptr<duckdb::Expression>& child) { ReplaceIn(client, child); });
}

// The clock as the one column.
stream::Expression OverColumn(const duckdb::Expression& expression) {
  auto copy = expression.Copy();
  const std::function<void(duckdb::unique_ptr<duckdb::Expression>&)> visit =
      [&](duckdb::unique_ptr<duckdb::Expression>& part) {
        if (IsClock(*part)) {
          part = duckdb::make_uniq<duckdb::BoundReferenceExpression>(LogicalType::TIMESTAMP, 0);
          return;
        }
        duckdb::ExpressionIterator::EnumerateChildren(*part, visit);
      };
  visit(copy);
  return Share(std::move(copy));
}

std::optional<std::chrono::microseconds> IntervalOf(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_CONSTANT ||
      expression.return_type.id() != duckdb::LogicalTypeId::INTERVAL) {
    return std::nullopt;
  }
  const duckdb::Value& value = expression.Cast<duckdb::BoundConstantExpression>().value;
  if (value.IsNull()) return std::nullopt;
  const auto interval = value.GetValue<duckdb::interval_t>();
  if (interval.months != 0) return std::nullopt;
  return std::chrono::microseconds(interval.days * duckdb::Interval::MICROS_PER_DAY +
                                   interval.micros);
}

bool IsMicros(const LogicalType& type) {
  return type.id() == duckdb::LogicalTypeId::TIMESTAMP ||
         type.id() == duckdb::LogicalTypeId::TIMESTAMP_TZ;
}

// Where the expression over the clock is the clock plus so much.
std::optional<std::chrono::microseconds> ShiftOf(const duckdb::Expression& expression) {
  if (!IsMicros(expression.return_type)) return std::nullopt;
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF)
    return std::chrono::microseconds(0);
  if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_CAST)
    return ShiftOf(*expression.Cast<duckdb::BoundCastExpression>().child);
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_FUNCTION)
    return std::nullopt;
  const auto& call = expression.Cast<duckdb::BoundFunctionExpression>();
  if (call.children.size() != 2 || (call.function.name != "+" && call.function.name != "-"))
    return std::nullopt;
  for (const size_t side : {size_t{0}, size_t{1}}) {
    const auto interval = IntervalOf(*call.children[1 - side]);
    if (!interval || (call.function.name == "-" && side == 1)) continue;
    const auto shift = ShiftOf(*call.children[side]);
    if (!shift) return std::nullopt;
    return call.function.name == "+" ? *shift + *interval : *shift - *interval;
  }
  return std::nullopt;
}

std::optional<ClockCondition> Compared(const duckdb::Expression& left, ExpressionType comparison,
                                       const duckdb::Expression& right) {
  if (ReadsClock(left)) {
    if (ReadsClock(right)) return std::nullopt;
    return Compared(right, duckdb::FlipComparisonExpression(comparison), left);
  }
  switch (comparison) {
    case ExpressionType::COMPARE_EQUAL:
    case ExpressionType::COMPARE_LESSTHAN:
    case ExpressionType::COMPARE_LESSTHANOREQUALTO:
    case ExpressionType::COMPARE_GREATERTHAN:
    case ExpressionType::COMPARE_GREATERTHANOREQUALTO:
      break;
    default:
      return std::nullopt;
  }
  ClockCondition condition{CopyOf(left), comparison, OverColumn(right), std::nullopt};
  if (left.return_type != right.return_type || !rows::IsKeyType(left.return_type))
    return std::nullopt;
  NodeTimes clock;
  clock.columns.emplace(0, EventTime("clock"));
  if (!TimesOf(*condition.of_clock, clock)) return std::nullopt;
  condition.shift = ShiftOf(*condition.of_clock);
  return condition;
}

}  // namespace

void ReplaceClock(duckdb::ClientContext& client, duckdb::LogicalOperator& plan) {
  duckdb::LogicalOperatorVisitor::EnumerateExpressions(
      plan,
      [&](duckdb::unique_ptr<duckdb::Expression>* expression) { ReplaceIn(client, *expression); });
  for (auto& child : plan.children) ReplaceClock(client, *child);
}

bool ReadsClock(const duckdb::Expression& expression) {
  if (IsClock(expression)) return true;
  bool found = false;
  duckdb::ExpressionIterator::EnumerateChildren(
      expression, [&](const duckdb::Expression& child) { found = found || ReadsClock(child); });
  return found;
}

const duckdb::Expression* ClockOutsideFilters(duckdb::LogicalOperator& plan) {
  const duckdb::Expression* found = nullptr;
  if (plan.type != duckdb::LogicalOperatorType::LOGICAL_FILTER) {
    duckdb::LogicalOperatorVisitor::EnumerateExpressions(
        plan, [&](duckdb::unique_ptr<duckdb::Expression>* expression) {
          if (found == nullptr && ReadsClock(**expression)) found = expression->get();
        });
  }
  for (size_t i = 0; found == nullptr && i < plan.children.size(); ++i)
    found = ClockOutsideFilters(*plan.children[i]);
  return found;
}

std::vector<stream::Expression> Conjuncts(const duckdb::Expression& expression) {
  std::vector<stream::Expression> out;
  const auto add = [&](duckdb::unique_ptr<duckdb::Expression> part) {
    for (stream::Expression& inner : Conjuncts(*part)) out.push_back(std::move(inner));
  };
  if (!ReadsClock(expression)) {
    out.push_back(CopyOf(expression));
  } else if (expression.GetExpressionType() == ExpressionType::CONJUNCTION_AND) {
    for (const auto& child : expression.Cast<duckdb::BoundConjunctionExpression>().children)
      add(child->Copy());
  } else if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_BETWEEN) {
    const auto& between = expression.Cast<duckdb::BoundBetweenExpression>();
    const auto compare = [&](ExpressionType comparison, const duckdb::Expression& bound) {
      add(duckdb::make_uniq<duckdb::BoundComparisonExpression>(comparison, between.input->Copy(),
                                                               bound.Copy()));
    };
    compare(between.lower_inclusive ? ExpressionType::COMPARE_GREATERTHANOREQUALTO
                                    : ExpressionType::COMPARE_GREATERTHAN,
            *between.lower);
    compare(between.upper_inclusive ? ExpressionType::COMPARE_LESSTHANOREQUALTO
                                    : ExpressionType::COMPARE_LESSTHAN,
            *between.upper);
  } else {
    out.push_back(CopyOf(expression));
  }
  return out;
}

std::optional<ClockCondition> ClockConditionOf(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_COMPARISON)
    return std::nullopt;
  const auto& comparison = expression.Cast<duckdb::BoundComparisonExpression>();
  return Compared(*comparison.left, comparison.GetExpressionType(), *comparison.right);
}

}  // namespace millrace::sql
