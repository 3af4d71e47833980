// Smaller queries, made on DuckDB's parse tree: it knows what the parts are, and how they print.
#include "duckdb/common/enums/expression_type.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/expression/window_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/query_node/set_operation_node.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/joinref.hpp"
#include "duckdb/parser/tableref/subqueryref.hpp"
#include "fuzz/shrink.h"

namespace millrace::fuzz {
namespace {

using Parts = duckdb::vector<duckdb::unique_ptr<duckdb::ParsedExpression>>;

// Takes one part away, the n-th that there is.
class Cut {
 public:
  explicit Cut(int nth) : left_(nth) {}

  bool done() const { return done_; }

  void Node(duckdb::unique_ptr<duckdb::QueryNode>& node) {
    if (!node->cte_map.map.empty() && Here()) return node->cte_map.map.clear();
    for (auto& entry : node->cte_map.map) Node(entry.second->query->node);
    if (node->type == duckdb::QueryNodeType::SET_OPERATION_NODE) {
      auto& set = node->Cast<duckdb::SetOperationNode>();
      for (auto& child : set.children) {
        if (Here()) {
          auto kept = std::move(child);
          node = std::move(kept);
          return;
        }
        Node(child);
        if (done_) return;
      }
    }
    if (node->type == duckdb::QueryNodeType::SELECT_NODE) Select(node);
  }

 private:
  bool Here() {
    if (done_ || left_-- > 0) return false;
    return done_ = true;
  }

  void Select(duckdb::unique_ptr<duckdb::QueryNode>& node) {
    auto& select = node->Cast<duckdb::SelectNode>();
    // A SELECT from one nested query: that query.
    if (select.from_table && select.from_table->type == duckdb::TableReferenceType::SUBQUERY &&
        Here()) {
      auto inner = std::move(select.from_table->Cast<duckdb::SubqueryRef>().subquery->node);
      node = std::move(inner);
      return;
    }
    for (auto* condition : {&select.where_clause, &select.having, &select.qualify}) {
      if (*condition && Here()) return condition->reset();
    }
    if (!select.modifiers.empty() && Here()) return select.modifiers.clear();
    if (select.from_table) Table(select.from_table);
    for (size_t i = 0; i < select.select_list.size() && select.select_list.size() > 1; ++i) {
      if (Here()) {
        select.select_list.erase(select.select_list.begin() + static_cast<long>(i));
        return;
      }
    }
    for (auto& item : select.select_list) Simplify(item);
    if (select.where_clause) Simplify(select.where_clause);
    if (select.having) Simplify(select.having);
    for (auto& group : select.groups.group_expressions) Simplify(group);
  }

  void Table(duckdb::unique_ptr<duckdb::TableRef>& table) {
    if (done_) return;
    if (table->type == duckdb::TableReferenceType::SUBQUERY)
      return Node(table->Cast<duckdb::SubqueryRef>().subquery->node);
    if (table->type != duckdb::TableReferenceType::JOIN) return;
    auto& join = table->Cast<duckdb::JoinRef>();
    for (auto* side : {&join.left, &join.right}) {
      if (Here()) {
        auto kept = std::move(*side);
        table = std::move(kept);
        return;
      }
      Table(*side);
      if (done_) return;
    }
    if (join.condition) Simplify(join.condition);
  }

  void Simplify(duckdb::unique_ptr<duckdb::ParsedExpression>& expression) {
    if (done_) return;
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY)
      Node(expression->Cast<duckdb::SubqueryExpression>().subquery->node);
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::FUNCTION) {
      auto& call = expression->Cast<duckdb::FunctionExpression>();
      if (call.filter && Here()) return call.filter.reset();
    }
    // What a window or an aggregate orders by stays: without it the answer would be open.
    Parts* direct = nullptr;
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::WINDOW)
      direct = &expression->Cast<duckdb::WindowExpression>().children;
    if (expression->GetExpressionClass() == duckdb::ExpressionClass::FUNCTION)
      direct = &expression->Cast<duckdb::FunctionExpression>().children;
    duckdb::unique_ptr<duckdb::ParsedExpression> kept;
    const auto child = [&](duckdb::unique_ptr<duckdb::ParsedExpression>& part) {
      if (!part || done_) return;
      if (Here()) {
        kept = part->Copy();
      } else {
        Simplify(part);
      }
    };
    if (direct != nullptr) {
      for (auto& part : *direct) child(part);
    } else {
      duckdb::ParsedExpressionIterator::EnumerateChildren(*expression, child);
    }
    if (!kept) return;
    const std::string alias = expression->GetAlias();
    expression = std::move(kept);
    expression->SetAlias(alias);
  }

  int left_;
  bool done_ = false;
};

}  // namespace

std::vector<std::string> SmallerQueries(const std::string& sql) {
  std::vector<std::string> smaller;
  try {
    for (int nth = 0; nth < 500; ++nth) {
      duckdb::Parser parser;
      parser.ParseQuery(sql);
      if (parser.statements.size() != 1 ||
          parser.statements[0]->type != duckdb::StatementType::SELECT_STATEMENT)
        return smaller;
      auto& select = parser.statements[0]->Cast<duckdb::SelectStatement>();
      Cut cut(nth);
      cut.Node(select.node);
      if (!cut.done()) break;
      smaller.push_back(select.ToString());
    }
  } catch (const std::exception&) {
    // What the parser does not take (EMIT ON WINDOW CLOSE) stays as it is.
  }
  return smaller;
}

}  // namespace millrace::fuzz
