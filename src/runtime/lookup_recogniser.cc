#include "runtime/lookup_recogniser.h"

#include <algorithm>

#include "duckdb/parser/expression/between_expression.hpp"
#include "duckdb/parser/expression/cast_expression.hpp"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/comparison_expression.hpp"
#include "duckdb/parser/expression/conjunction_expression.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/expression/operator_expression.hpp"
#include "duckdb/parser/expression/parameter_expression.hpp"
#include "duckdb/parser/expression/star_expression.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"

namespace millrace::runtime {

namespace {

using duckdb::ExpressionType;
using duckdb::LogicalType;
using duckdb::LogicalTypeId;
using duckdb::ParsedExpression;

// A constant of the text in the column's type, where DuckDB would compare in that type too.
std::optional<duckdb::Value> ConstantIn(const LogicalType& type, duckdb::Value value) {
  if (value.IsNull()) return duckdb::Value(type);
  if (value.type() == type) return value;
  const bool numbers = value.type().IsIntegral() && type.IsIntegral();
  // What stands in quotes takes the type of the column.
  const bool text = value.type().id() == LogicalTypeId::VARCHAR &&
                    (type.id() == LogicalTypeId::DATE || type.id() == LogicalTypeId::TIMESTAMP ||
                     type.id() == LogicalTypeId::UUID);
  if ((!numbers && !text) || !value.DefaultTryCastAs(type)) return std::nullopt;
  return value;
}

class Recogniser {
 public:
  explicit Recogniser(const LookupContext& context) : context_(context) {}

  std::optional<KeyedLookup> Recognise(const duckdb::SelectNode& select) {
    if (!select.groups.group_expressions.empty() || !select.groups.grouping_sets.empty() ||
        select.aggregate_handling != duckdb::AggregateHandling::STANDARD_HANDLING ||
        select.having || select.qualify || select.sample || !select.cte_map.map.empty() ||
        !select.from_table || select.from_table->type != duckdb::TableReferenceType::BASE_TABLE) {
      return std::nullopt;
    }
    const auto& table = select.from_table->Cast<duckdb::BaseTableRef>();
    if (!table.schema_name.empty() || !table.catalog_name.empty() || table.sample ||
        table.at_clause || !table.column_name_alias.empty()) {
      return std::nullopt;
    }
    alias_ = table.alias.empty() ? table.table_name : table.alias;
    lookup_.relation = context_.relations.Find(table.table_name);
    if (lookup_.relation == nullptr || lookup_.relation->content == nullptr) return std::nullopt;
    if ((select.where_clause && !Where(*select.where_clause)) || !Columns(select) ||
        !Modifiers(select))
      return std::nullopt;
    return std::move(lookup_);
  }

 private:
  const rows::Schema& schema() const { return lookup_.relation->shape.schema; }

  // A column of the relation, or nullopt.
  std::optional<size_t> Column(const ParsedExpression& expression) const {
    if (expression.type != ExpressionType::COLUMN_REF) return std::nullopt;
    const auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
    if (names.size() > 2 || (names.size() == 2 && !rows::EqualNames(names[0], alias_)))
      return std::nullopt;
    return schema().Find(names.back());
  }

  // The parameter's name, as values are given by it. nullopt: it is none, or of another type. Of
  // another type the comparison would cast one side, which the key cannot.
  std::optional<std::string> Parameter(const ParsedExpression& expression,
                                       const LogicalType& type) {
    if (expression.type != ExpressionType::VALUE_PARAMETER) return std::nullopt;
    std::string name = expression.Cast<duckdb::ParameterExpression>().identifier;
    if (context_.declared != nullptr) {
      const auto found = std::find_if(
          context_.declared->begin(), context_.declared->end(),
          [&](const auto& parameter) { return rows::EqualNames(parameter.name, name); });
      if (found == context_.declared->end() || found->type != type) return std::nullopt;
      name = found->name;
    }
    const auto [known, added] = lookup_.parameters.emplace(name, type);
    if (known->second != type) return std::nullopt;
    return name;
  }

  // What a column of that type is compared with: a parameter or a constant, also cast to the type.
  std::optional<KeyedLookup::Operand> Operand(const ParsedExpression& expression,
                                              const LogicalType& type) {
    if (expression.type == ExpressionType::OPERATOR_CAST) {
      const auto& cast = expression.Cast<duckdb::CastExpression>();
      // The parser leaves types unbound; one that is no type of DuckDB's own stays so.
      const LogicalType target = cast.cast_type.IsUnbound()
                                     ? duckdb::UnboundType::TryDefaultBind(cast.cast_type)
                                     : cast.cast_type;
      if (cast.try_cast || target != type) return std::nullopt;
      return Operand(*cast.child, type);
    }
    if (expression.type == ExpressionType::VALUE_CONSTANT) {
      auto value = ConstantIn(type, expression.Cast<duckdb::ConstantExpression>().value);
      if (!value) return std::nullopt;
      return KeyedLookup::Operand{"", *std::move(value)};
    }
    auto name = Parameter(expression, type);
    if (!name) return std::nullopt;
    return KeyedLookup::Operand{*std::move(name), duckdb::Value()};
  }

  bool Where(const ParsedExpression& condition) {
    switch (condition.type) {
      case ExpressionType::CONJUNCTION_AND: {
        const auto& children = condition.Cast<duckdb::ConjunctionExpression>().children;
        return std::all_of(children.begin(), children.end(),
                           [&](const auto& child) { return Where(*child); });
      }
      case ExpressionType::COMPARE_EQUAL:
      case ExpressionType::COMPARE_LESSTHAN:
      case ExpressionType::COMPARE_LESSTHANOREQUALTO:
      case ExpressionType::COMPARE_GREATERTHAN:
      case ExpressionType::COMPARE_GREATERTHANOREQUALTO:
        return Comparison(condition.Cast<duckdb::ComparisonExpression>());
      case ExpressionType::COMPARE_BETWEEN: {
        const auto& between = condition.Cast<duckdb::BetweenExpression>();
        const auto column = Column(*between.input);
        return column &&
               Bound(*column, ExpressionType::COMPARE_GREATERTHANOREQUALTO, *between.lower) &&
               Bound(*column, ExpressionType::COMPARE_LESSTHANOREQUALTO, *between.upper);
      }
      case ExpressionType::COMPARE_IN:
        return In(condition.Cast<duckdb::OperatorExpression>());
      case ExpressionType::SUBQUERY:
        return AnyOfList(condition.Cast<duckdb::SubqueryExpression>());
      default:
        return false;
    }
  }

  bool Comparison(const duckdb::ComparisonExpression& comparison) {
    const auto left = Column(*comparison.left);
    const auto right = Column(*comparison.right);
    if (left.has_value() == right.has_value()) return false;
    const size_t column = left ? *left : *right;
    const ParsedExpression& other = left ? *comparison.right : *comparison.left;
    if (comparison.type != ExpressionType::COMPARE_EQUAL)
      return Bound(column,
                   left ? comparison.type : duckdb::FlipComparisonExpression(comparison.type),
                   other);
    auto operand = Operand(other, schema().columns[column].type);
    if (!operand) return false;
    return AddEqual({column, {*std::move(operand)}});
  }

  bool In(const duckdb::OperatorExpression& in) {
    const auto column = Column(*in.children[0]);
    if (!column) return false;
    KeyedLookup::Equal equal{*column, {}};
    for (size_t i = 1; i < in.children.size(); ++i) {
      auto operand = Operand(*in.children[i], schema().columns[*column].type);
      if (!operand) return false;
      equal.any_of.push_back(*std::move(operand));
    }
    return AddEqual(std::move(equal));
  }

  // column = ANY($1), which DuckDB's parser makes column = ANY (SELECT unnest($1)).
  bool AnyOfList(const duckdb::SubqueryExpression& any) {
    if (any.subquery_type != duckdb::SubqueryType::ANY ||
        any.comparison_type != ExpressionType::COMPARE_EQUAL || !any.child ||
        any.subquery->node->type != duckdb::QueryNodeType::SELECT_NODE)
      return false;
    const auto column = Column(*any.child);
    const auto& inner = any.subquery->node->Cast<duckdb::SelectNode>();
    if (!column || inner.select_list.size() != 1 || inner.where_clause ||
        !inner.modifiers.empty() || !inner.from_table ||
        inner.from_table->type != duckdb::TableReferenceType::EMPTY_FROM ||
        inner.select_list[0]->type != ExpressionType::FUNCTION)
      return false;
    const auto& unnest = inner.select_list[0]->Cast<duckdb::FunctionExpression>();
    if (!rows::EqualNames(unnest.function_name, "unnest") || unnest.children.size() != 1)
      return false;
    auto operand = Operand(*unnest.children[0], LogicalType::LIST(schema().columns[*column].type));
    if (!operand || operand->parameter.empty()) return false;
    return AddEqual({*column, {*std::move(operand)}, /*of_list=*/true});
  }

  bool AddEqual(KeyedLookup::Equal equal) {
    const bool known = std::any_of(lookup_.equals.begin(), lookup_.equals.end(),
                                   [&](const auto& each) { return each.column == equal.column; });
    if (known || (lookup_.range && lookup_.range->column == equal.column)) return false;
    lookup_.equals.push_back(std::move(equal));
    return true;
  }

  bool Bound(size_t column, ExpressionType comparison, const ParsedExpression& other) {
    auto operand = Operand(other, schema().columns[column].type);
    const bool known = std::any_of(lookup_.equals.begin(), lookup_.equals.end(),
                                   [&](const auto& each) { return each.column == column; });
    if (!operand || known) return false;
    if (!lookup_.range) lookup_.range = KeyedLookup::Range{column, {}, {}};
    if (lookup_.range->column != column) return false;
    const bool is_low = comparison == ExpressionType::COMPARE_GREATERTHAN ||
                        comparison == ExpressionType::COMPARE_GREATERTHANOREQUALTO;
    const bool inclusive = comparison == ExpressionType::COMPARE_GREATERTHANOREQUALTO ||
                           comparison == ExpressionType::COMPARE_LESSTHANOREQUALTO;
    auto& bound = is_low ? lookup_.range->low : lookup_.range->high;
    if (bound) return false;
    bound = KeyedLookup::Bound{*std::move(operand), inclusive};
    return true;
  }

  bool Columns(const duckdb::SelectNode& select) {
    for (const auto& expression : select.select_list) {
      if (expression->type == ExpressionType::STAR) {
        const auto& star = expression->Cast<duckdb::StarExpression>();
        if (star.columns || star.expr || !star.exclude_list.empty() || !star.replace_list.empty() ||
            !star.rename_list.empty() ||
            (!star.relation_name.empty() && !rows::EqualNames(star.relation_name, alias_))) {
          return false;
        }
        for (size_t i = 0; i < lookup_.relation->shape.visible; ++i)
          AddOutput(i, schema().columns[i].name);
        continue;
      }
      const auto column = Column(*expression);
      if (!column) return false;
      AddOutput(*column,
                expression->HasAlias() ? expression->GetAlias() : schema().columns[*column].name);
    }
    return true;
  }

  void AddOutput(size_t column, const std::string& name) {
    lookup_.output.push_back(column);
    rows::Column output = schema().columns[column];
    output.name = name;
    lookup_.schema.columns.push_back(std::move(output));
  }

  bool Modifiers(const duckdb::SelectNode& select) {
    for (const auto& modifier : select.modifiers) {
      if (modifier->type == duckdb::ResultModifierType::ORDER_MODIFIER) {
        for (const auto& order : modifier->Cast<duckdb::OrderModifier>().orders) {
          if (!AddOrder(order)) return false;
        }
      } else if (modifier->type != duckdb::ResultModifierType::LIMIT_MODIFIER ||
                 !Limit(modifier->Cast<duckdb::LimitModifier>())) {
        return false;
      }
    }
    return true;
  }

  bool AddOrder(const duckdb::OrderByNode& order) {
    const auto column = Column(*order.expression);
    if (!column) return false;
    // The name of another column of the answer goes before that of the relation's.
    const auto& names = order.expression->Cast<duckdb::ColumnRefExpression>().column_names;
    for (size_t i = 0; i < lookup_.output.size() && names.size() == 1; ++i) {
      if (rows::EqualNames(lookup_.schema.columns[i].name, names[0]) &&
          lookup_.output[i] != *column)
        return false;
    }
    lookup_.orders.push_back(
        {*column,
         {.descending = order.type == duckdb::OrderType::DESCENDING,
          .nulls_first = order.null_order == duckdb::OrderByNullType::NULLS_FIRST}});
    return true;
  }

  bool Limit(const duckdb::LimitModifier& limit) {
    if (limit.offset || !limit.limit) return false;
    if (limit.limit->type == ExpressionType::VALUE_CONSTANT) {
      duckdb::Value value = limit.limit->Cast<duckdb::ConstantExpression>().value;
      if (value.IsNull() || !value.type().IsIntegral() ||
          !value.DefaultTryCastAs(LogicalType::BIGINT) || value.GetValue<int64_t>() < 0)
        return false;
      lookup_.limit = value.GetValue<int64_t>();
      return true;
    }
    return LimitParameter(*limit.limit);
  }

  bool LimitParameter(const ParsedExpression& limit) {
    // An endpoint may declare it in another type of whole numbers.
    static const LogicalType kTypes[] = {LogicalType::BIGINT, LogicalType::INTEGER,
                                         LogicalType::SMALLINT, LogicalType::TINYINT,
                                         LogicalType::UINTEGER};
    for (const LogicalType& type : kTypes) {
      if (auto name = Parameter(limit, type)) {
        lookup_.limit_parameter = *std::move(name);
        return true;
      }
      if (context_.declared == nullptr) return false;
    }
    return false;
  }

  const LookupContext& context_;
  std::string alias_;
  KeyedLookup lookup_;
};

}  // namespace

std::optional<KeyedLookup> RecogniseSelect(const duckdb::SelectNode& select,
                                           const LookupContext& context) {
  return Recogniser(context).Recognise(select);
}

}  // namespace millrace::runtime
