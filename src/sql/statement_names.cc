// Which relations a SELECT names: a walk over DuckDB's parse tree that knows the scope of WITH.
#include <algorithm>
#include <set>

#include "duckdb/common/error_data.hpp"
#include "duckdb/function/scalar_macro_function.hpp"
#include "duckdb/function/table_macro_function.hpp"
#include "duckdb/parser/common_table_expression_info.hpp"
#include "duckdb/parser/expression/cast_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_data/create_macro_info.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node/cte_node.hpp"
#include "duckdb/parser/query_node/recursive_cte_node.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/query_node/set_operation_node.hpp"
#include "duckdb/parser/statement/create_statement.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "duckdb/parser/tableref/expressionlistref.hpp"
#include "duckdb/parser/tableref/joinref.hpp"
#include "duckdb/parser/tableref/pivotref.hpp"
#include "duckdb/parser/tableref/showref.hpp"
#include "duckdb/parser/tableref/subqueryref.hpp"
#include "duckdb/parser/tableref/table_function_ref.hpp"
#include "rows/schema.h"
#include "sql/lexer.h"
#include "sql/model_names.h"
#include "sql/statement.h"

namespace millrace::sql {
namespace {

using Scope = std::set<std::string>;  // names that WITH defines, lower case

class NameWalk {
 public:
  void Node(duckdb::QueryNode& node, Scope scope) {
    for (auto& [name, info] : node.cte_map.map) {
      Node(*info->query->node, scope);
      scope.insert(rows::LowerName(name));
    }
    duckdb::ParsedExpressionIterator::EnumerateQueryNodeModifiers(
        node,
        [&](duckdb::unique_ptr<duckdb::ParsedExpression>& child) { Expression(*child, scope); });
    switch (node.type) {
      case duckdb::QueryNodeType::SELECT_NODE:
        Select(node.Cast<duckdb::SelectNode>(), scope);
        break;
      case duckdb::QueryNodeType::SET_OPERATION_NODE:
        for (auto& child : node.Cast<duckdb::SetOperationNode>().children) Node(*child, scope);
        break;
      case duckdb::QueryNodeType::RECURSIVE_CTE_NODE: {
        auto& recursive = node.Cast<duckdb::RecursiveCTENode>();
        Node(*recursive.left, scope);
        scope.insert(rows::LowerName(recursive.ctename));
        Node(*recursive.right, scope);
        break;
      }
      case duckdb::QueryNodeType::CTE_NODE: {
        auto& cte = node.Cast<duckdb::CTENode>();
        Node(*cte.query, scope);
        scope.insert(rows::LowerName(cte.ctename));
        Node(*cte.child, scope);
        break;
      }
      default:
        break;  // the parser makes no other
    }
  }

  void Expression(duckdb::ParsedExpression& expression, const Scope& scope) {
    switch (expression.GetExpressionClass()) {
      case duckdb::ExpressionClass::SUBQUERY: {
        auto& subquery = expression.Cast<duckdb::SubqueryExpression>();
        Node(*subquery.subquery->node, scope);
        if (subquery.child) Expression(*subquery.child, scope);
        return;
      }
      case duckdb::ExpressionClass::FUNCTION: {
        const auto& function = expression.Cast<duckdb::FunctionExpression>();
        functions_.insert(rows::LowerName(function.function_name));
        if (const auto model = ModelNamed(function)) models_.insert(rows::LowerName(*model));
        break;
      }
      case duckdb::ExpressionClass::CAST:
        types_ += expression.Cast<duckdb::CastExpression>().cast_type.ToString() + " ";
        break;
      default:
        break;
    }
    duckdb::ParsedExpressionIterator::EnumerateChildren(
        expression, [&](duckdb::ParsedExpression& child) { Expression(child, scope); });
  }

  std::vector<std::string> TakeNames() { return std::move(names_); }
  const std::set<std::string>& functions() const { return functions_; }  // lower case
  const std::set<std::string>& models() const { return models_; }        // lower case
  const std::string& types() const { return types_; }                    // of casts, as text

 private:
  void Select(duckdb::SelectNode& node, const Scope& scope) {
    if (node.from_table) Ref(*node.from_table, scope);
    for (auto& expression : node.select_list) Expression(*expression, scope);
    for (auto& expression : node.groups.group_expressions) Expression(*expression, scope);
    for (const auto* expression : {&node.where_clause, &node.having, &node.qualify}) {
      if (*expression) Expression(**expression, scope);
    }
  }

  void Ref(duckdb::TableRef& ref, const Scope& scope) {
    switch (ref.type) {
      case duckdb::TableReferenceType::BASE_TABLE: {
        const auto& base = ref.Cast<duckdb::BaseTableRef>();
        Name(base.schema_name, base.table_name, scope);
        break;
      }
      case duckdb::TableReferenceType::JOIN: {
        auto& join = ref.Cast<duckdb::JoinRef>();
        Ref(*join.left, scope);
        Ref(*join.right, scope);
        if (join.condition) Expression(*join.condition, scope);
        break;
      }
      case duckdb::TableReferenceType::SUBQUERY:
        Node(*ref.Cast<duckdb::SubqueryRef>().subquery->node, scope);
        break;
      case duckdb::TableReferenceType::TABLE_FUNCTION: {
        auto& function = ref.Cast<duckdb::TableFunctionRef>();
        if (function.function) Expression(*function.function, scope);
        if (function.subquery) Node(*function.subquery->node, scope);
        break;
      }
      case duckdb::TableReferenceType::EXPRESSION_LIST:
        for (auto& row : ref.Cast<duckdb::ExpressionListRef>().values) {
          for (auto& value : row) Expression(*value, scope);
        }
        break;
      case duckdb::TableReferenceType::PIVOT: {
        auto& pivot = ref.Cast<duckdb::PivotRef>();
        Ref(*pivot.source, scope);
        for (auto& column : pivot.pivots) {
          if (column.subquery) Node(*column.subquery, scope);
        }
        break;
      }
      case duckdb::TableReferenceType::SHOW_REF: {
        auto& show = ref.Cast<duckdb::ShowRef>();
        if (show.query) Node(*show.query, scope);
        break;
      }
      default:
        break;  // holds no names
    }
  }

  void Name(const std::string& schema, const std::string& table, const Scope& scope) {
    const bool is_default = rows::EqualNames(schema, "public") || rows::EqualNames(schema, "main");
    if (schema.empty() && scope.contains(rows::LowerName(table))) return;
    const std::string name = schema.empty() || is_default ? table : schema + "." + table;
    if (seen_.insert(rows::LowerName(name)).second) names_.push_back(name);
  }

  std::vector<std::string> names_;
  std::set<std::string> seen_;  // lower case
  std::set<std::string> functions_;
  std::set<std::string> models_;
  std::string types_;
};

void WalkMacro(NameWalk& walk, duckdb::MacroFunction& macro) {
  for (auto& [name, value] : macro.default_parameters) walk.Expression(*value, {});
  if (macro.type == duckdb::MacroType::TABLE_MACRO) {
    walk.Node(*macro.Cast<duckdb::TableMacroFunction>().query_node, {});
  } else {
    walk.Expression(*macro.Cast<duckdb::ScalarMacroFunction>().expression, {});
  }
}

// May throw DuckDB's exceptions.
void Walk(NameWalk& walk, std::string_view text, TextKind kind) {
  if (kind == TextKind::kExpression) {
    for (auto& expression : duckdb::Parser::ParseExpressionList(std::string(text)))
      walk.Expression(*expression, {});
    return;
  }
  duckdb::Parser parser;
  parser.ParseQuery((kind == TextKind::kMacro ? "CREATE MACRO m " : "") + std::string(text));
  for (const auto& statement : parser.statements) {
    if (statement->type == duckdb::StatementType::SELECT_STATEMENT)
      walk.Node(*statement->Cast<duckdb::SelectStatement>().node, {});
    if (kind != TextKind::kMacro) continue;
    auto& info = *statement->Cast<duckdb::CreateStatement>().info;
    for (auto& macro : info.Cast<duckdb::CreateMacroInfo>().macros) WalkMacro(walk, *macro);
  }
}

// Whether the text of types names this one.
bool NamesType(const std::string& types, const std::string& name) {
  const Result<std::vector<Token>> tokens = Lex(types);
  if (!tokens.ok()) return false;
  return std::any_of(tokens->begin(), tokens->end(), [&](const Token& token) {
    return (token.kind == Token::Kind::kWord || token.kind == Token::Kind::kQuotedName) &&
           rows::EqualNames(NameOf(types, token), name);
  });
}

bool IsNamed(const NameWalk& walk, const catalog::Object& word) {
  switch (word.kind()) {
    case catalog::Kind::kMacro:
      return walk.functions().contains(rows::LowerName(word.name()));
    case catalog::Kind::kModel:
      return walk.models().contains(rows::LowerName(word.name()));
    default:
      return NamesType(walk.types(), word.name());
  }
}

}  // namespace

Result<std::vector<std::string>> RelationsNamed(std::string_view select) {
  try {
    duckdb::Parser parser;
    parser.ParseQuery(std::string(select));
    NameWalk walk;
    for (const auto& statement : parser.statements) {
      if (statement->type != duckdb::StatementType::SELECT_STATEMENT) {
        return Error(Code::kInvalidArgument, "expected a SELECT").SqlState("42601");
      }
      walk.Node(*statement->Cast<duckdb::SelectStatement>().node, {});
    }
    return walk.TakeNames();
  } catch (const std::exception& e) {
    return Error(Code::kInvalidArgument, "{}", duckdb::ErrorData(e).RawMessage()).SqlState("42601");
  }
}

std::vector<catalog::Use> WordsNamed(std::string_view text, TextKind kind,
                                     const catalog::Vocabulary& vocabulary) {
  std::vector<catalog::Use> uses;
  if (vocabulary.empty() || text.empty()) return uses;
  NameWalk walk;
  try {
    Walk(walk, text, kind);
  } catch (const std::exception&) {
    return uses;
  }
  for (const catalog::Object& word : vocabulary) {
    if (IsNamed(walk, word)) uses.push_back({word.kind(), word.name()});
  }
  return uses;
}

Result<std::vector<std::string>> RelationsOfMacro(std::string_view body) {
  try {
    NameWalk walk;
    Walk(walk, body, TextKind::kMacro);
    return walk.TakeNames();
  } catch (const std::exception& e) {
    return Error(Code::kInvalidArgument, "{}", duckdb::ErrorData(e).RawMessage()).SqlState("42601");
  }
}

}  // namespace millrace::sql
