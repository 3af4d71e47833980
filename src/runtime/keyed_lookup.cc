#include "runtime/keyed_lookup.h"

#include <algorithm>

#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/comparison_expression.hpp"
#include "duckdb/parser/expression/conjunction_expression.hpp"
#include "duckdb/parser/expression/constant_expression.hpp"
#include "duckdb/parser/expression/parameter_expression.hpp"
#include "duckdb/parser/expression/star_expression.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"

namespace millrace::runtime {

namespace {

using duckdb::ExpressionType;
using duckdb::ParsedExpression;

class Recogniser {
 public:
  Recogniser(const catalog::EndpointDefinition& endpoint, const Relations& relations)
      : endpoint_(endpoint), relations_(relations) {}

  std::optional<KeyedLookup> Recognise(const duckdb::SelectNode& select) {
    if (!select.groups.group_expressions.empty() || select.having || select.qualify ||
        select.sample || !select.cte_map.map.empty() || !select.where_clause ||
        !select.from_table || select.from_table->type != duckdb::TableReferenceType::BASE_TABLE) {
      return std::nullopt;
    }
    const auto& table = select.from_table->Cast<duckdb::BaseTableRef>();
    if (!table.schema_name.empty() || !table.catalog_name.empty() || table.sample ||
        !table.column_name_alias.empty()) {
      return std::nullopt;
    }
    alias_ = table.alias.empty() ? table.table_name : table.alias;
    lookup_.relation = relations_.Find(table.table_name);
    if (lookup_.relation == nullptr || lookup_.relation->content == nullptr) return std::nullopt;
    if (!Where(*select.where_clause) || !Columns(select) || !Modifiers(select)) return std::nullopt;
    SortKey();
    return std::move(lookup_);
  }

 private:
  // A column of the relation, or nullopt.
  std::optional<size_t> Column(const ParsedExpression& expression) const {
    if (expression.type != ExpressionType::COLUMN_REF) return std::nullopt;
    const auto& names = expression.Cast<duckdb::ColumnRefExpression>().column_names;
    if (names.size() > 2 || (names.size() == 2 && !rows::EqualNames(names[0], alias_)))
      return std::nullopt;
    return lookup_.relation->shape.schema.Find(names.back());
  }

  const catalog::EndpointDefinition::Parameter* Parameter(
      const ParsedExpression& expression) const {
    if (expression.type != ExpressionType::VALUE_PARAMETER) return nullptr;
    const std::string& name = expression.Cast<duckdb::ParameterExpression>().identifier;
    const auto found =
        std::find_if(endpoint_.parameters.begin(), endpoint_.parameters.end(),
                     [&](const auto& parameter) { return rows::EqualNames(parameter.name, name); });
    return found == endpoint_.parameters.end() ? nullptr : &*found;
  }

  bool Where(const ParsedExpression& condition) {
    if (condition.type == ExpressionType::CONJUNCTION_AND) {
      const auto& children = condition.Cast<duckdb::ConjunctionExpression>().children;
      return std::all_of(children.begin(), children.end(),
                         [&](const auto& child) { return Where(*child); });
    }
    if (condition.type != ExpressionType::COMPARE_EQUAL) return false;
    const auto& comparison = condition.Cast<duckdb::ComparisonExpression>();
    auto column = Column(*comparison.left);
    const auto* parameter = Parameter(*comparison.right);
    if (!column || parameter == nullptr) {
      column = Column(*comparison.right);
      parameter = Parameter(*comparison.left);
    }
    // Of another type the comparison would cast one side, which the key cannot.
    if (!column || parameter == nullptr ||
        lookup_.relation->shape.schema.columns[*column].type != parameter->type)
      return false;
    if (std::find(lookup_.key_columns.begin(), lookup_.key_columns.end(), *column) !=
        lookup_.key_columns.end())
      return false;
    lookup_.key_columns.push_back(*column);
    lookup_.key_parameters.push_back(parameter->name);
    return true;
  }

  bool Columns(const duckdb::SelectNode& select) {
    const rows::Schema& schema = lookup_.relation->shape.schema;
    for (const auto& expression : select.select_list) {
      if (expression->type == ExpressionType::STAR) {
        const auto& star = expression->Cast<duckdb::StarExpression>();
        if (star.columns || star.expr || !star.exclude_list.empty() || !star.replace_list.empty() ||
            !star.rename_list.empty() ||
            (!star.relation_name.empty() && !rows::EqualNames(star.relation_name, alias_))) {
          return false;
        }
        for (size_t i = 0; i < lookup_.relation->shape.visible; ++i)
          AddOutput(i, schema.columns[i].name);
        continue;
      }
      const auto column = Column(*expression);
      if (!column) return false;
      AddOutput(*column,
                expression->HasAlias() ? expression->GetAlias() : schema.columns[*column].name);
    }
    return true;
  }

  void AddOutput(size_t column, const std::string& name) {
    lookup_.output.push_back(column);
    rows::Column output = lookup_.relation->shape.schema.columns[column];
    output.name = name;
    lookup_.schema.columns.push_back(std::move(output));
  }

  bool Modifiers(const duckdb::SelectNode& select) {
    for (const auto& modifier : select.modifiers) {
      if (modifier->type == duckdb::ResultModifierType::ORDER_MODIFIER) {
        for (const auto& order : modifier->Cast<duckdb::OrderModifier>().orders) {
          const auto column = Column(*order.expression);
          if (!column) return false;
          lookup_.orders.push_back(
              {*column,
               {.descending = order.type == duckdb::OrderType::DESCENDING,
                .nulls_first = order.null_order == duckdb::OrderByNullType::NULLS_FIRST}});
        }
      } else if (modifier->type == duckdb::ResultModifierType::LIMIT_MODIFIER) {
        const auto& limit = modifier->Cast<duckdb::LimitModifier>();
        if (limit.offset || !limit.limit) return false;
        if (const auto* parameter = Parameter(*limit.limit)) {
          lookup_.limit_parameter = parameter->name;
        } else if (limit.limit->type == ExpressionType::VALUE_CONSTANT) {
          duckdb::Value value = limit.limit->Cast<duckdb::ConstantExpression>().value;
          if (value.IsNull() || !value.DefaultTryCastAs(duckdb::LogicalType::BIGINT)) return false;
          lookup_.limit = value.GetValue<int64_t>();
        } else {
          return false;
        }
      } else {
        return false;
      }
    }
    return true;
  }

  // Indexes are by columns in rising order, so that WHERE a = … AND b = … and the other way round
  // share one.
  void SortKey() {
    std::vector<std::pair<size_t, std::string>> key;
    for (size_t i = 0; i < lookup_.key_columns.size(); ++i)
      key.emplace_back(lookup_.key_columns[i], lookup_.key_parameters[i]);
    std::sort(key.begin(), key.end());
    for (size_t i = 0; i < key.size(); ++i) {
      lookup_.key_columns[i] = key[i].first;
      lookup_.key_parameters[i] = key[i].second;
    }
  }

  const catalog::EndpointDefinition& endpoint_;
  const Relations& relations_;
  std::string alias_;
  KeyedLookup lookup_;
};

}  // namespace

std::unique_ptr<duckdb::QueryNode> ParseSelect(const std::string& select) {
  duckdb::Parser parser;
  try {
    parser.ParseQuery(select);
  } catch (const std::exception&) {
    return nullptr;
  }
  if (parser.statements.size() != 1 ||
      parser.statements[0]->type != duckdb::StatementType::SELECT_STATEMENT)
    return nullptr;
  return std::move(parser.statements[0]->Cast<duckdb::SelectStatement>().node);
}

std::optional<KeyedLookup> RecogniseKeyedLookup(const catalog::EndpointDefinition& endpoint,
                                                const Relations& relations) {
  const auto node = ParseSelect(endpoint.select);
  if (node == nullptr || node->type != duckdb::QueryNodeType::SELECT_NODE) return std::nullopt;
  return Recogniser(endpoint, relations).Recognise(node->Cast<duckdb::SelectNode>());
}

bool HasOrder(const std::string& select) {
  const auto node = ParseSelect(select);
  return node != nullptr &&
         std::any_of(node->modifiers.begin(), node->modifiers.end(), [](const auto& modifier) {
           return modifier->type == duckdb::ResultModifierType::ORDER_MODIFIER;
         });
}

}  // namespace millrace::runtime
