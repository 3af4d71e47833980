#include "sql/plan_builder.h"

#include "base/check.h"
#include "duckdb/common/type_visitor.hpp"
#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/expression_iterator.hpp"

namespace millrace::sql {
namespace {

// Values of these types can be equal to SQL and still differ.
bool HasEqualsThatDiffer(const duckdb::LogicalType& type) {
  return duckdb::TypeVisitor::Contains(type, [](const duckdb::LogicalType& part) {
    switch (part.id()) {
      case duckdb::LogicalTypeId::FLOAT:
      case duckdb::LogicalTypeId::DOUBLE:
      case duckdb::LogicalTypeId::INTERVAL:
      case duckdb::LogicalTypeId::TIME_TZ:
        return true;
      default:
        return false;
    }
  });
}

// The columns that a projection of columns only gives; none for any other node.
std::optional<Columns> PassedColumns(const stream::Node& node) {
  const auto* project = std::get_if<stream::Project>(&node.op);
  if (project == nullptr) return std::nullopt;
  Columns columns;
  for (const auto& expression : project->expressions) {
    const auto column = AsColumn(*expression);
    if (!column) return std::nullopt;
    columns.push_back(*column);
  }
  return columns;
}

}  // namespace

std::optional<stream::ColumnIndex> AsColumn(const duckdb::Expression& expression) {
  if (expression.GetExpressionClass() != duckdb::ExpressionClass::BOUND_REF) return std::nullopt;
  return expression.Cast<duckdb::BoundReferenceExpression>().index;
}

stream::Expression Share(duckdb::unique_ptr<duckdb::Expression> expression) {
  return stream::Expression(expression.release());
}

stream::Expression Renumber(const duckdb::Expression& expression,
                            const std::function<stream::ColumnIndex(stream::ColumnIndex)>& number) {
  auto copy = expression.Copy();
  duckdb::ExpressionIterator::VisitExpressionMutable<duckdb::BoundReferenceExpression>(
      copy,
      [&](duckdb::BoundReferenceExpression& reference, duckdb::unique_ptr<duckdb::Expression>&) {
        reference.index = number(reference.index);
      });
  return Share(std::move(copy));
}

stream::Expression All(const std::vector<stream::Expression>& predicates) {
  if (predicates.empty()) return nullptr;
  auto all = predicates[0]->Copy();
  for (size_t i = 1; i < predicates.size(); ++i) {
    all = duckdb::make_uniq<duckdb::BoundConjunctionExpression>(
        duckdb::ExpressionType::CONJUNCTION_AND, std::move(all), predicates[i]->Copy());
  }
  return Share(std::move(all));
}

NodeId PlanBuilder::Add(stream::Node node, Key key) {
  node.names.resize(node.types.size());
  Close(node);
  times_.push_back(
      TimesOf(node, TimesOfInputs(node), node.inputs.empty() ? 0 : width(node.inputs[0])));
  keys_.push_back(std::move(key));
  return plan_.Add(std::move(node));
}

NodeId PlanBuilder::AddRelation(stream::Node node, NodeTimes times) {
  node.names.resize(node.types.size());
  times_.push_back(std::move(times));
  keys_.push_back(std::nullopt);
  return plan_.Add(std::move(node));
}

std::vector<const NodeTimes*> PlanBuilder::TimesOfInputs(const stream::Node& node) const {
  std::vector<const NodeTimes*> times;
  for (const size_t input : node.inputs) times.push_back(&times_[input]);
  return times;
}

// Lets watermarks close the node's state where one of its keys has a bound.
void PlanBuilder::Close(stream::Node& node) {
  const auto inputs = TimesOfInputs(node);
  const auto closing = ClosingOf(node, inputs, emit_on_close_);
  if (!closing) {
    const bool keeps_rows = std::holds_alternative<stream::Join>(node.op) ||
                            std::holds_alternative<stream::Window>(node.op) ||
                            std::holds_alternative<stream::SessionWindow>(node.op) ||
                            std::holds_alternative<stream::AsofJoin>(node.op);
    node.grows = keeps_rows && std::any_of(inputs.begin(), inputs.end(),
                                           [](const NodeTimes* input) { return input->grows; });
    return;
  }
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const stream::ColumnIndex column = closing->columns[i];
    if (times_[node.inputs[i]].columns.at(column).table_may_change)
      node.inputs[i] = DropClosed(node.inputs[i], column);
  }
  node.closing = closing->closing;
  if (auto* aggregate = std::get_if<stream::Aggregate>(&node.op))
    aggregate->at_close = emit_on_close_;
}

NodeId PlanBuilder::DropClosed(NodeId input, stream::ColumnIndex column) {
  stream::DropClosed drop{column, times_[input].columns.at(column).bound};
  return Add({std::move(drop), {input}, types(input), names(input)}, keys_[input]);
}

stream::Expression PlanBuilder::Column(NodeId node, stream::ColumnIndex column) const {
  return Share(duckdb::make_uniq<duckdb::BoundReferenceExpression>(names(node)[column],
                                                                   types(node)[column], column));
}

NodeId PlanBuilder::Project(NodeId input, std::vector<stream::Expression> expressions,
                            std::vector<std::string> names) {
  if (const auto passed = PassedColumns(plan_.nodes[input])) {
    for (auto& expression : expressions) {
      expression =
          Renumber(*expression, [&](stream::ColumnIndex column) { return (*passed)[column]; });
    }
    input = plan_.nodes[input].inputs[0];
  }
  stream::Node node;
  Columns place_of(width(input), SIZE_MAX);
  bool identity = expressions.size() == width(input);
  for (size_t i = 0; i < expressions.size(); ++i) {
    node.types.push_back(expressions[i]->return_type);
    const auto column = AsColumn(*expressions[i]);
    identity = identity && column == i && names[i] == this->names(input)[i];
    if (column && place_of[*column] == SIZE_MAX) place_of[*column] = i;
  }
  if (identity) return input;
  Key key = keys_[input];
  for (size_t i = 0; key && i < key->size(); ++i) {
    const size_t place = place_of[(*key)[i]];
    if (place == SIZE_MAX) {
      key.reset();
    } else {
      (*key)[i] = place;
    }
  }
  node.op = stream::Project{std::move(expressions)};
  node.inputs = {input};
  node.names = std::move(names);
  return Add(std::move(node), std::move(key));
}

NodeId PlanBuilder::Select(NodeId input, const Columns& columns) {
  std::vector<stream::Expression> expressions;
  std::vector<std::string> selected_names;
  for (const stream::ColumnIndex column : columns) {
    expressions.push_back(Column(input, column));
    selected_names.push_back(names(input)[column]);
  }
  return Project(input, std::move(expressions), std::move(selected_names));
}

NodeId PlanBuilder::Filter(NodeId input, const std::vector<stream::Expression>& predicates) {
  if (predicates.empty()) return input;
  return Add({stream::Filter{All(predicates)}, {input}, types(input), names(input)}, keys_[input]);
}

NodeId PlanBuilder::DistinctRows(NodeId input) {
  Columns all(width(input));
  bool by_value = false;
  for (size_t i = 0; i < all.size(); ++i) {
    all[i] = i;
    by_value = by_value || HasEqualsThatDiffer(types(input)[i]);
  }
  stream::Node node{stream::Distinct{}, {input}, types(input), names(input)};
  if (by_value) node.op = stream::Aggregate{all, {}};
  return Add(std::move(node), all);
}

PlanBuilder::Extended PlanBuilder::Extend(NodeId input,
                                          const std::vector<stream::Expression>& expressions) {
  std::vector<stream::Expression> all;
  std::vector<std::string> all_names = names(input);
  for (size_t i = 0; i < width(input); ++i) all.push_back(Column(input, i));
  Extended extended;
  for (const auto& expression : expressions) {
    if (const auto column = AsColumn(*expression)) {
      extended.columns.push_back(*column);
      continue;
    }
    extended.columns.push_back(all.size());
    all_names.push_back(expression->GetName());
    all.push_back(expression);
  }
  extended.node =
      all.size() == width(input) ? input : Project(input, std::move(all), std::move(all_names));
  return extended;
}

NodeId PlanBuilder::NoRows(const rows::Types& types, const std::vector<std::string>& names) {
  return Add({stream::Constant{}, {}, types, names}, Columns());
}

stream::Plan PlanBuilder::Finish(NodeId root, const std::string& name) const {
  std::vector<bool> needed(plan_.nodes.size(), false);
  needed[root] = true;
  for (size_t i = root + 1; i-- > 0;) {
    if (!needed[i]) continue;
    for (const size_t input : plan_.nodes[i].inputs) needed[input] = true;
  }
  stream::Plan out;
  std::vector<size_t> number(plan_.nodes.size(), SIZE_MAX);
  for (size_t i = 0; i <= root; ++i) {
    if (!needed[i]) continue;
    stream::Node node = plan_.nodes[i];
    for (size_t& input : node.inputs) input = number[input];
    number[i] = out.Add(std::move(node));
  }
  out.Add({stream::Output{name}, {number[root]}, types(root), names(root)});
  return out;
}

}  // namespace millrace::sql
