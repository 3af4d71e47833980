#include "sql/view_expansion.h"

#include <set>

#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node/list.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/list.hpp"
#include "rows/schema.h"
#include "sql/model_names.h"
#include "sql/window_tables.h"

namespace millrace::sql {
namespace {

constexpr char kMark = '\x01';
using Names = std::set<std::string>;  // of common table expressions in scope, lower case

// Gives every relation of a query the schema `schema_`, and takes away places in the text: they are
// of another text.
class Qualifier {
 public:
  explicit Qualifier(std::string schema) : schema_(std::move(schema)) {}

  void Visit(duckdb::QueryNode& node, Names ctes) {
    for (auto& entry : node.cte_map.map) {
      Names inner = ctes;
      // A recursive one sees itself.
      if (entry.second->query->node->type == duckdb::QueryNodeType::RECURSIVE_CTE_NODE) {
        inner.insert(rows::LowerName(entry.first));
      }
      Visit(*entry.second->query->node, inner);
      ctes.insert(rows::LowerName(entry.first));
    }
    const auto expression = [&](duckdb::unique_ptr<duckdb::ParsedExpression>& child) {
      Visit(*child, ctes);
    };
    switch (node.type) {
      case duckdb::QueryNodeType::SELECT_NODE: {
        auto& select = node.Cast<duckdb::SelectNode>();
        for (auto& item : select.select_list) Visit(*item, ctes);
        for (auto& item : select.groups.group_expressions) Visit(*item, ctes);
        for (auto* item : {&select.where_clause, &select.having, &select.qualify}) {
          if (*item) Visit(**item, ctes);
        }
        if (select.from_table) Visit(*select.from_table, ctes);
        break;
      }
      case duckdb::QueryNodeType::SET_OPERATION_NODE:
        for (auto& child : node.Cast<duckdb::SetOperationNode>().children) Visit(*child, ctes);
        break;
      case duckdb::QueryNodeType::RECURSIVE_CTE_NODE: {
        auto& recursive = node.Cast<duckdb::RecursiveCTENode>();
        ctes.insert(rows::LowerName(recursive.ctename));
        Visit(*recursive.left, ctes);
        Visit(*recursive.right, ctes);
        break;
      }
      default:
        complete_ = false;
    }
    duckdb::ParsedExpressionIterator::EnumerateQueryNodeModifiers(node, expression);
  }

  // False: the query has a part that this walk does not know.
  bool complete() const { return complete_; }

 private:
  void Visit(duckdb::TableRef& ref, const Names& ctes) {
    ref.query_location = duckdb::optional_idx();
    switch (ref.type) {
      case duckdb::TableReferenceType::BASE_TABLE:
        Qualify(ref.Cast<duckdb::BaseTableRef>(), ctes);
        break;
      case duckdb::TableReferenceType::JOIN: {
        auto& join = ref.Cast<duckdb::JoinRef>();
        Visit(*join.left, ctes);
        Visit(*join.right, ctes);
        if (join.condition) Visit(*join.condition, ctes);
        break;
      }
      case duckdb::TableReferenceType::SUBQUERY:
        Visit(*ref.Cast<duckdb::SubqueryRef>().subquery->node, ctes);
        break;
      case duckdb::TableReferenceType::PIVOT: {
        auto& pivot = ref.Cast<duckdb::PivotRef>();
        Visit(*pivot.source, ctes);
        for (auto& aggregate : pivot.aggregates) Visit(*aggregate, ctes);
        break;
      }
      case duckdb::TableReferenceType::TABLE_FUNCTION:
        Visit(*ref.Cast<duckdb::TableFunctionRef>().function, ctes);
        break;
      case duckdb::TableReferenceType::EXPRESSION_LIST:
        for (auto& row : ref.Cast<duckdb::ExpressionListRef>().values) {
          for (auto& value : row) Visit(*value, ctes);
        }
        break;
      case duckdb::TableReferenceType::EMPTY_FROM:
        break;
      default:
        complete_ = false;
    }
  }

  void Visit(duckdb::ParsedExpression& expression, const Names& ctes) {
    expression.SetQueryLocation(duckdb::optional_idx());
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) {
      Visit(*expression.Cast<duckdb::SubqueryExpression>().subquery->node, ctes);
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [&](duckdb::ParsedExpression& child) { Visit(child, ctes); });
  }

  void Qualify(duckdb::BaseTableRef& ref, const Names& ctes) {
    const bool bare = ref.catalog_name.empty() && ref.schema_name.empty();
    if (bare && ctes.contains(rows::LowerName(ref.table_name))) return;
    if (ref.alias.empty()) ref.alias = ref.table_name;
    const std::string& prefix = ref.catalog_name.empty() ? ref.schema_name : ref.catalog_name;
    if (!bare && !rows::EqualNames(prefix, "main") && !rows::EqualNames(prefix, "public")) {
      ref.table_name = prefix + "." + ref.table_name;
    }
    ref.catalog_name.clear();
    ref.schema_name = schema_;
  }

  std::string schema_;
  bool complete_ = true;
};

}  // namespace

std::string ExpandedName::Encode() const {
  std::string out;
  for (const std::string& view : views) out += kMark + view;
  return out;
}

std::optional<ExpandedName> ExpandedName::Decode(const std::string& schema) {
  if (schema.empty() || schema[0] != kMark) return std::nullopt;
  ExpandedName name;
  for (size_t at = 1; at <= schema.size();) {
    const size_t end = std::min(schema.find(kMark, at), schema.size());
    name.views.push_back(schema.substr(at, end - at));
    at = end + 1;
  }
  return name;
}

Result<duckdb::unique_ptr<duckdb::SubqueryRef>> ExpandView(const catalog::ViewDefinition& view,
                                                           const ExpandedName& outer,
                                                           SessionForm session_form) {
  ExpandedName path = outer;
  for (const std::string& on_the_way : path.views) {
    if (rows::EqualNames(on_the_way, view.name)) {
      return Error(Code::kConflict, "view {} reads itself", Quoted(view.name));
    }
  }
  path.views.push_back(rows::LowerName(view.name));
  duckdb::Parser parser;
  parser.ParseQuery(view.select);
  if (parser.statements.size() != 1 ||
      parser.statements[0]->type != duckdb::StatementType::SELECT_STATEMENT) {
    return Error(Code::kInvalidArgument, "view {} is not one SELECT", Quoted(view.name));
  }
  auto select = duckdb::unique_ptr_cast<duckdb::SQLStatement, duckdb::SelectStatement>(
      std::move(parser.statements[0]));
  TRY(ReplaceWindowTables(*select->node, session_form));
  NameModels(*select->node);
  Qualifier qualifier(path.Encode());
  qualifier.Visit(*select->node, {});
  if (!qualifier.complete()) {
    return Error(Code::kNotSupported,
                 "view {} holds a construct that cannot be read through a view", Quoted(view.name));
  }
  return duckdb::make_uniq<duckdb::SubqueryRef>(std::move(select), view.name);
}

}  // namespace millrace::sql
