#include "stream/distribution.h"

#include <algorithm>
#include <numeric>

#include "duckdb/planner/expression/bound_reference_expression.hpp"

namespace millrace::stream {
namespace {

Requirement ByKey(const std::vector<ColumnIndex>& columns) {
  if (columns.empty()) return {Requirement::Kind::kOneOwner, {}};
  return {Requirement::Kind::kColumns, columns};
}

struct RequirementOf {
  size_t input;
  template <typename Op>
  Requirement operator()(const Op&) const {
    return {};
  }
  Requirement operator()(const Join& op) const {
    return ByKey(input == 0 ? op.left_keys : op.right_keys);
  }
  Requirement operator()(const Aggregate& op) const { return ByKey(op.groups); }
  Requirement operator()(const TemporalFilter&) const { return {Requirement::Kind::kRow, {}}; }
  Requirement operator()(const Distinct&) const { return {Requirement::Kind::kRow, {}}; }
  Requirement operator()(const TopK& op) const { return ByKey(op.partition); }
  Requirement operator()(const AsofJoin& op) const {
    return ByKey(input == 0 ? op.left_keys : op.right_keys);
  }
  Requirement operator()(const Window& op) const { return ByKey(op.partition); }
  Requirement operator()(const Hold& op) const { return ByKey({op.column}); }
  Requirement operator()(const SessionWindow& op) const { return ByKey(op.partition); }
  Requirement operator()(const Deduplicate& op) const { return ByKey(op.keys); }
  Requirement operator()(const Upsert& op) const { return ByKey(op.keys); }
};

// The output columns that hold input column `column` unchanged.
std::vector<ColumnIndex> CopiesOf(const Project& project, ColumnIndex column) {
  std::vector<ColumnIndex> copies;
  for (size_t i = 0; i < project.expressions.size(); ++i) {
    const duckdb::Expression& expression = *project.expressions[i];
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::BOUND_REF &&
        expression.Cast<duckdb::BoundReferenceExpression>().index == column) {
      copies.push_back(i);
    }
  }
  return copies;
}

struct DistributionOf {
  const std::vector<Distribution>& inputs;

  Distribution Same() const { return inputs.empty() ? Distribution() : inputs[0]; }

  Distribution operator()(const Relation&) const { return Same(); }
  Distribution operator()(const Source&) const { return {}; }
  Distribution operator()(const Constant&) const {
    return AfterExchange({Requirement::Kind::kOneOwner, {}});
  }
  Distribution operator()(const Filter&) const { return Same(); }
  Distribution operator()(const TemporalFilter&) const { return Same(); }
  Distribution operator()(const Output&) const { return Same(); }
  Distribution operator()(const Negate&) const { return Same(); }
  Distribution operator()(const Unnest&) const { return WithoutRow(); }
  Distribution operator()(const FunctionRows&) const { return WithoutRow(); }
  Distribution operator()(const Distinct&) const { return Same(); }
  Distribution operator()(const TopK&) const { return WithoutRow(); }
  Distribution operator()(const Window&) const { return WithoutRow(); }
  Distribution operator()(const Hold&) const { return Same(); }
  Distribution operator()(const DropClosed&) const { return Same(); }
  Distribution operator()(const SessionWindow&) const { return WithoutRow(); }
  Distribution operator()(const Deduplicate&) const { return Same(); }
  Distribution operator()(const Upsert&) const { return WithoutRow(); }

  Distribution operator()(const Project& op) const {
    Distribution out;
    out.one_owner = inputs[0].one_owner;
    for (const auto& columns : inputs[0].by_columns) {
      std::vector<ColumnIndex> mapped;
      for (const ColumnIndex column : columns) {
        const auto copies = CopiesOf(op, column);
        if (copies.empty()) break;
        mapped.push_back(copies[0]);
      }
      if (mapped.size() == columns.size()) out.by_columns.push_back(std::move(mapped));
    }
    return out;
  }

  Distribution operator()(const UnionAll&) const {
    Distribution out = Same();
    for (const Distribution& input : inputs) {
      out.one_owner = out.one_owner && input.one_owner;
      out.by_row = out.by_row && input.by_row;
      std::erase_if(out.by_columns, [&](const auto& columns) {
        return std::find(input.by_columns.begin(), input.by_columns.end(), columns) ==
               input.by_columns.end();
      });
    }
    return out;
  }

  Distribution operator()(const Join& op) const {
    if (op.left_keys.empty()) return AfterExchange({Requirement::Kind::kOneOwner, {}});
    Distribution out;
    out.by_columns.push_back(op.left_keys);
    if (op.kind != JoinKind::kInner)
      return out;  // the right columns of a row without match are NULL
    std::vector<ColumnIndex> right = op.right_keys;
    for (ColumnIndex& column : right) column += left_width;
    out.by_columns.push_back(std::move(right));
    return out;
  }

  Distribution operator()(const AsofJoin& op) const {
    if (op.left_keys.empty()) return AfterExchange({Requirement::Kind::kOneOwner, {}});
    Distribution out;
    out.by_columns.push_back(op.left_keys);
    return out;
  }

  Distribution operator()(const Aggregate& op) const {
    if (op.groups.empty()) return AfterExchange({Requirement::Kind::kOneOwner, {}});
    std::vector<ColumnIndex> groups(op.groups.size());
    std::iota(groups.begin(), groups.end(), size_t{0});
    Distribution out;
    out.by_columns.push_back(std::move(groups));
    return out;
  }

  Distribution WithoutRow() const {
    Distribution out = Same();
    out.by_row = false;
    return out;
  }

  size_t left_width;
};

}  // namespace

Requirement Required(const Node& node, size_t input) {
  return std::visit(RequirementOf{input}, node.op);
}

bool Distribution::Meets(const Requirement& requirement) const {
  switch (requirement.kind) {
    case Requirement::Kind::kAnywhere:
      return true;
    case Requirement::Kind::kOneOwner:
      return one_owner;
    case Requirement::Kind::kRow:
      return by_row;
    case Requirement::Kind::kColumns:
      return std::find(by_columns.begin(), by_columns.end(), requirement.columns) !=
             by_columns.end();
  }
  return false;
}

Distribution OutputDistribution(const Node& node, const std::vector<Distribution>& inputs,
                                size_t left_width) {
  return std::visit(DistributionOf{inputs, left_width}, node.op);
}

Distribution AfterExchange(const Requirement& requirement) {
  Distribution out;
  out.one_owner = requirement.kind == Requirement::Kind::kOneOwner;
  out.by_row = requirement.kind == Requirement::Kind::kRow;
  if (requirement.kind == Requirement::Kind::kColumns)
    out.by_columns.push_back(requirement.columns);
  return out;
}

}  // namespace millrace::stream
