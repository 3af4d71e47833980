#include "catalog/sql_text.h"

#include <mutex>
#include <set>

#include "duckdb/common/error_data.hpp"
#include "duckdb/main/client_context.hpp"
#include "duckdb/parser/expression/cast_expression.hpp"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/keyword_helper.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/select_statement.hpp"
#include "rows/schema.h"

namespace millrace::catalog {
namespace {

// A DuckDB of its own, without threads, files or extensions: it resolves type names and folds
// constants.
class Scratch {
 public:
  static Scratch& Get() {
    static Scratch* const scratch = new Scratch;  // lives as long as the process
    return *scratch;
  }

  // Runs `f(connection)` alone; DuckDB's exceptions become errors.
  template <typename F>
  auto With(const F& f) -> decltype(f(std::declval<duckdb::Connection&>())) {
    const std::lock_guard<std::mutex> lock(mutex_);
    try {
      return f(connection_);
    } catch (const std::exception& e) {
      return Error(Code::kInvalidArgument, duckdb::ErrorData(e).RawMessage());
    }
  }

 private:
  Scratch() : database_(nullptr, Config().get()), connection_(database_) {}
  static std::unique_ptr<duckdb::DBConfig> Config() {
    auto config = std::make_unique<duckdb::DBConfig>();
    config->options.maximum_threads = 1;
    config->SetOptionByName("enable_external_access", duckdb::Value::BOOLEAN(false));
    return config;
  }

  std::mutex mutex_;
  duckdb::DuckDB database_;
  duckdb::Connection connection_;
};

const std::vector<std::string>& TypeNames() {
  static const std::vector<std::string> names = {
      "BOOLEAN",   "TINYINT",  "SMALLINT", "INTEGER",  "BIGINT",    "HUGEINT",     "UTINYINT",
      "USMALLINT", "UINTEGER", "UBIGINT",  "UHUGEINT", "DECIMAL",   "NUMERIC",     "FLOAT",
      "REAL",      "DOUBLE",   "VARCHAR",  "TEXT",     "STRING",    "CHAR",        "BLOB",
      "BYTEA",     "UUID",     "DATE",     "TIME",     "TIMESTAMP", "TIMESTAMPTZ", "DATETIME",
      "INTERVAL",  "JSON",     "ENUM",     "STRUCT",   "MAP",       "INT",         "LONG",
      "SHORT",     "BOOL",     "INT4",     "INT8"};
  return names;
}

// DuckDB adds its own suggestions and examples after the first line.
std::string FirstLine(const std::string& message) { return message.substr(0, message.find('\n')); }

bool IsClock(std::string_view name) {
  static const std::set<std::string> names = {"now",
                                              "current_timestamp",
                                              "localtimestamp",
                                              "current_date",
                                              "current_time",
                                              "today",
                                              "get_current_timestamp",
                                              "transaction_timestamp",
                                              "localtime",
                                              "get_current_time"};
  return names.contains(rows::LowerName(name));
}

// What literals of composite types and intervals are parsed to.
bool MakesConstant(const std::string& name) {
  static const std::set<std::string> names = {"-",
                                              "+",
                                              "list_value",
                                              "struct_pack",
                                              "row",
                                              "map",
                                              "array_value",
                                              "trunc",
                                              "to_years",
                                              "to_months",
                                              "to_weeks",
                                              "to_days",
                                              "to_hours",
                                              "to_minutes",
                                              "to_seconds",
                                              "to_milliseconds",
                                              "to_microseconds"};
  return names.contains(name);
}

Status RequireConstant(const duckdb::ParsedExpression& expression) {
  const auto clock = [](std::string_view name) {
    return Error(Code::kInvalidArgument,
                 "expected a constant, {} is not one: it changes with the clock", name)
        .Hint("the time at which a row came in is in its hidden column _ingested_at");
  };
  switch (expression.GetExpressionClass()) {
    case duckdb::ExpressionClass::CONSTANT:
    case duckdb::ExpressionClass::CAST:
      break;
    case duckdb::ExpressionClass::OPERATOR:
      if (expression.type != duckdb::ExpressionType::ARRAY_CONSTRUCTOR) {
        return Error(Code::kInvalidArgument, "expected a constant, not {}", expression.ToString());
      }
      break;
    case duckdb::ExpressionClass::FUNCTION: {
      const auto& function = expression.Cast<duckdb::FunctionExpression>();
      if (IsClock(function.function_name)) return clock(function.function_name + "()");
      if (!MakesConstant(function.function_name)) {
        return Error(Code::kInvalidArgument, "expected a constant, not the function {}",
                     function.function_name);
      }
      break;
    }
    case duckdb::ExpressionClass::COLUMN_REF: {
      const auto& column = expression.Cast<duckdb::ColumnRefExpression>();
      if (IsClock(column.GetColumnName())) return clock(column.GetColumnName());
      return Error(Code::kInvalidArgument, "expected a constant, not the name {}",
                   Quoted(column.GetColumnName()))
          .Hint("text stands in single quotes");
    }
    default:
      return Error(Code::kInvalidArgument, "expected a constant, not {}", expression.ToString());
  }
  Status status;
  duckdb::ParsedExpressionIterator::EnumerateChildren(expression,
                                                      [&](const duckdb::ParsedExpression& child) {
                                                        if (status.ok())
                                                          status = RequireConstant(child);
                                                      });
  return status;
}

}  // namespace

namespace {

Result<duckdb::LogicalType> TypeFrom(duckdb::Connection& connection, std::string_view text,
                                     const NamedTypes& named) {
  try {
    return connection.context->ParseLogicalType(std::string(text));
  } catch (const std::exception& e) {
    const duckdb::ErrorData data(e);
    const auto name = data.ExtraInfo().find("name");
    if (name == data.ExtraInfo().end()) {
      return Error(Code::kInvalidArgument, "{}", FirstLine(data.RawMessage()));
    }
    std::vector<std::string> known = TypeNames();
    for (const auto& [key, type] : named) known.push_back(type.name);
    return Error(Code::kNotFound, "type {} does not exist", Quoted(name->second))
        .Hint(DidYouMean(name->second, known))
        .SqlState("42704");
  }
}

}  // namespace

Result<duckdb::LogicalType> ParseType(std::string_view text, const NamedTypes& named) {
  return Scratch::Get().With([&](duckdb::Connection& connection) -> Result<duckdb::LogicalType> {
    Result<duckdb::LogicalType> type = TypeFrom(connection, text, named);
    if (type.ok() || named.empty() || type.error().code() != Code::kNotFound) return type;
    // The user's types are there for this transaction only.
    connection.BeginTransaction();
    bool made = true;
    for (const auto& [key, each] : named) {
      const auto result = connection.Query(
          fmt::format("CREATE TYPE {} AS {}", duckdb::KeywordHelper::WriteQuoted(each.name, '"'),
                      EnumText(each.values)));
      if (!result->HasError()) continue;
      type = Error(Code::kInternal, "type {}: {}", Quoted(each.name), result->GetError());
      made = false;
      break;
    }
    if (made) type = TypeFrom(connection, text, named);
    connection.Rollback();
    return type;
  });
}

bool IsBuiltInType(std::string_view name) { return ParseType(name).ok(); }

std::string EnumText(const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values)
    text += (text.empty() ? "" : ", ") + duckdb::Value(value).ToSQLString();
  return "ENUM(" + text + ")";
}

std::string TypeText(const duckdb::LogicalType& type) { return type.ToString(); }

Result<duckdb::Value> ConstantFromSql(std::string_view sql, const duckdb::LogicalType& type) {
  return Scratch::Get().With([&](duckdb::Connection& connection) -> Result<duckdb::Value> {
    const auto expressions = duckdb::Parser::ParseExpressionList(std::string(sql));
    if (expressions.size() != 1) return Error(Code::kInvalidArgument, "expected one constant");
    TRY(RequireConstant(*expressions[0]));
    const auto result =
        connection.Query(fmt::format("SELECT CAST(({}\n) AS {})", sql, TypeText(type)));
    if (result->HasError()) {
      return Error(Code::kInvalidArgument, "{}", FirstLine(result->GetErrorObject().RawMessage()));
    }
    return result->GetValue(0, 0);
  });
}

std::string ConstantText(const duckdb::Value& value) { return value.ToSQLString(); }

bool SameSelect(std::string_view a, std::string_view b) {
  if (a == b) return true;
  try {
    duckdb::Parser left;
    left.ParseQuery(std::string(a));
    duckdb::Parser right;
    right.ParseQuery(std::string(b));
    if (left.statements.size() != 1 || right.statements.size() != 1) return false;
    const auto& l = *left.statements[0];
    const auto& r = *right.statements[0];
    if (l.type != duckdb::StatementType::SELECT_STATEMENT || r.type != l.type) return false;
    return l.Cast<duckdb::SelectStatement>().Equals(r.Cast<duckdb::SelectStatement>());
  } catch (const std::exception&) {
    return false;  // not SQL: only equal bytes are equal
  }
}

bool SameExpression(std::string_view a, std::string_view b) {
  if (a == b) return true;
  try {
    const auto left = duckdb::Parser::ParseExpressionList(std::string(a));
    const auto right = duckdb::Parser::ParseExpressionList(std::string(b));
    return left.size() == 1 && right.size() == 1 && left[0]->Equals(*right[0]);
  } catch (const std::exception&) {
    return false;
  }
}

bool SameMacro(std::string_view a, std::string_view b) {
  if (a == b) return true;
  const auto text = [](std::string_view body) {
    duckdb::Parser parser;
    parser.ParseQuery("CREATE MACRO m" + std::string(body));
    return parser.statements.at(0)->ToString();
  };
  try {
    return text(a) == text(b);
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace millrace::catalog
