#include "sql/window_tables.h"

#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node/list.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "duckdb/parser/tableref/list.hpp"
#include "rows/schema.h"

namespace millrace::sql {
namespace {

// {0}: relation, {1}: column, {2} and {3}: intervals, or the partition of a session, {4}.
struct WindowTable {
  const char* name;
  const char* usage;
  size_t arguments;
  bool more;  // of any number: session()
  const char* select;
};

constexpr WindowTable kTables[] = {
    {"tumble", "tumble(relation, column, size)", 3, false,
     "SELECT *, time_bucket({2}, {1}) AS window_start, time_bucket({2}, {1}) + {2} AS window_end "
     "FROM {0}"},
    {"hop", "hop(relation, column, slide, size)", 4, false,
     "SELECT *, window_start + {3} AS window_end FROM (SELECT *, unnest(range(CAST(time_bucket({2},"
     " {1}) AS TIMESTAMP), CAST({1} AS TIMESTAMP) - {3}, -({2}))) AS window_start FROM {0})"},
    {"cumulate", "cumulate(relation, column, step, size)", 4, false,
     "SELECT *, CAST(time_bucket({3}, {1}) AS TIMESTAMP) AS window_start, "
     "unnest(range(CAST(time_bucket({3}, {1}) AS TIMESTAMP) + {3}, CAST({1} AS TIMESTAMP), "
     "-({2}))) AS window_end FROM {0}"},
    {"session", "session(relation, column, gap [, column, …])", 3, true,
     "SELECT * EXCLUDE (__session), min({1}) OVER (PARTITION BY {4}__session) AS window_start, "
     "max({1}) OVER (PARTITION BY {4}__session) + {2} AS window_end FROM (SELECT * EXCLUDE "
     "(__begins), sum(__begins) OVER (PARTITION BY {4}true ORDER BY {1}) AS __session FROM "
     "(SELECT *, CASE WHEN {1} <= lag({1}) OVER (PARTITION BY {4}true ORDER BY {1}) + {2} THEN 0 "
     "ELSE 1 END AS __begins FROM {0} WHERE {1} IS NOT NULL))"},
};

constexpr const char* kSessionCalls =
    "SELECT *, mr_session_start({1}, {2}) OVER (PARTITION BY {4}true) AS window_start, "
    "mr_session_end({1}, {2}) OVER (PARTITION BY {4}true) AS window_end FROM {0} WHERE {1} IS NOT "
    "NULL";

const WindowTable* FindTable(const std::string& name) {
  for (const WindowTable& table : kTables) {
    if (rows::EqualNames(table.name, name)) return &table;
  }
  return nullptr;
}

class Replacer {
 public:
  explicit Replacer(SessionForm session_form) : session_form_(session_form) {}

  Status Visit(duckdb::QueryNode& node) {
    for (auto& entry : node.cte_map.map) TRY(Visit(*entry.second->query->node));
    switch (node.type) {
      case duckdb::QueryNodeType::SELECT_NODE: {
        auto& select = node.Cast<duckdb::SelectNode>();
        for (auto& item : select.select_list) TRY(Visit(*item));
        for (auto& item : select.groups.group_expressions) TRY(Visit(*item));
        for (auto* item : {&select.where_clause, &select.having, &select.qualify}) {
          if (*item) TRY(Visit(**item));
        }
        if (select.from_table) TRY(Visit(select.from_table));
        break;
      }
      case duckdb::QueryNodeType::SET_OPERATION_NODE:
        for (auto& child : node.Cast<duckdb::SetOperationNode>().children) TRY(Visit(*child));
        break;
      case duckdb::QueryNodeType::RECURSIVE_CTE_NODE: {
        auto& recursive = node.Cast<duckdb::RecursiveCTENode>();
        TRY(Visit(*recursive.left));
        TRY(Visit(*recursive.right));
        break;
      }
      default:
        break;
    }
    Status status = Ok();
    duckdb::ParsedExpressionIterator::EnumerateQueryNodeModifiers(
        node, [&](duckdb::unique_ptr<duckdb::ParsedExpression>& child) {
          if (status.ok()) status = Visit(*child);
        });
    return status;
  }

 private:
  Status Visit(duckdb::unique_ptr<duckdb::TableRef>& ref) {
    switch (ref->type) {
      case duckdb::TableReferenceType::JOIN: {
        auto& join = ref->Cast<duckdb::JoinRef>();
        TRY(Visit(join.left));
        TRY(Visit(join.right));
        return join.condition ? Visit(*join.condition) : Ok();
      }
      case duckdb::TableReferenceType::SUBQUERY:
        return Visit(*ref->Cast<duckdb::SubqueryRef>().subquery->node);
      case duckdb::TableReferenceType::PIVOT:
        return Visit(ref->Cast<duckdb::PivotRef>().source);
      case duckdb::TableReferenceType::TABLE_FUNCTION:
        return Replace(ref);
      default:
        return Ok();
    }
  }

  Status Visit(duckdb::ParsedExpression& expression) {
    if (expression.GetExpressionClass() == duckdb::ExpressionClass::SUBQUERY) {
      TRY(Visit(*expression.Cast<duckdb::SubqueryExpression>().subquery->node));
    }
    Status status = Ok();
    duckdb::ParsedExpressionIterator::EnumerateChildren(expression,
                                                        [&](duckdb::ParsedExpression& child) {
                                                          if (status.ok()) status = Visit(child);
                                                        });
    return status;
  }

  Status Replace(duckdb::unique_ptr<duckdb::TableRef>& ref) {
    auto& call = ref->Cast<duckdb::TableFunctionRef>();
    if (call.function->GetExpressionClass() != duckdb::ExpressionClass::FUNCTION) return Ok();
    const auto& function = call.function->Cast<duckdb::FunctionExpression>();
    const WindowTable* table = FindTable(function.function_name);
    if (table == nullptr) return Ok();
    const auto& given = function.children;
    const bool names_relation =
        !given.empty() && given[0]->GetExpressionClass() == duckdb::ExpressionClass::COLUMN_REF;
    if (!names_relation || given.size() < table->arguments ||
        (!table->more && given.size() > table->arguments)) {
      return Error(Code::kInvalidArgument, "{}() takes other arguments: {}", table->name,
                   table->usage)
          .Hint("the relation and the column are names, sizes are intervals")
          .SqlState("42883");
    }
    std::vector<std::string> texts;
    for (const auto& argument : given) texts.push_back(argument->ToString());
    std::string partition;
    for (size_t i = table->arguments; i < texts.size(); ++i) partition += texts[i] + ", ";
    texts.resize(4);
    duckdb::Parser parser;
    const bool calls = session_form_ == SessionForm::kPlannerCalls && table->more;
    parser.ParseQuery(fmt::format(fmt::runtime(calls ? kSessionCalls : table->select), texts[0],
                                  texts[1], texts[2], texts[3], partition));
    auto replacement = duckdb::make_uniq<duckdb::SubqueryRef>(
        duckdb::unique_ptr_cast<duckdb::SQLStatement, duckdb::SelectStatement>(
            std::move(parser.statements[0])),
        call.alias.empty() ? std::string(table->name) : call.alias);
    replacement->column_name_alias = call.column_name_alias;
    replacement->sample = std::move(call.sample);
    ref = std::move(replacement);
    return Ok();
  }

  const SessionForm session_form_;
};

}  // namespace

bool IsWindowTable(const std::string& name) { return FindTable(name) != nullptr; }

Status ReplaceWindowTables(duckdb::QueryNode& query, SessionForm session_form) {
  return Replacer(session_form).Visit(query);
}

}  // namespace millrace::sql
