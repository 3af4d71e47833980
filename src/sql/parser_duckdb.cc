#include "sql/parser_duckdb.h"

#include <charconv>

#include "duckdb/common/error_data.hpp"
#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/parsed_data/create_info.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/statement/create_statement.hpp"
#include "duckdb/parser/statement/delete_statement.hpp"
#include "duckdb/parser/statement/insert_statement.hpp"
#include "duckdb/parser/statement/update_statement.hpp"
#include "duckdb/parser/tableref/basetableref.hpp"
#include "rows/schema.h"
#include "sql/model_names.h"

namespace millrace::sql {
namespace {

const std::vector<std::string>& Keywords() {
  static const std::vector<std::string> words = {
      "SELECT",    "FROM",   "WHERE",    "GROUP",     "ORDER",    "HAVING", "LIMIT",   "OFFSET",
      "JOIN",      "LEFT",   "RIGHT",    "INNER",     "OUTER",    "CROSS",  "USING",   "UNION",
      "DISTINCT",  "VALUES", "INSERT",   "INTO",      "UPDATE",   "DELETE", "BETWEEN", "EXISTS",
      "CASE",      "WHEN",   "THEN",     "ELSE",      "QUALIFY",  "WINDOW", "OVER",    "PARTITION",
      "INTERSECT", "EXCEPT", "INTERVAL", "RETURNING", "CONFLICT", "FILTER"};
  return words;
}

// Words that look like plain names and are none in DuckDB's grammar; it stumbles over what comes
// after them.
bool IsTakenForName(std::string_view word) {
  for (std::string_view taken :
       {"at", "by", "columns", "binary", "overlaps", "verbose", "generated", "freeze", "unpack"}) {
    if (rows::EqualNames(word, taken)) return true;
  }
  return false;
}

// The nearest keyword of the word at `offset` of the cursor's text, or of the one before it: DuckDB
// takes a misspelt keyword for an alias and stumbles over the next word.
std::string KeywordHint(const Cursor& cursor, size_t slice_begin, size_t offset) {
  Cursor walk = cursor;
  std::string before;
  std::string at;
  for (walk.Seek(0); !walk.AtEnd() && walk.Peek().begin <= offset; walk.Advance()) {
    const Token& token = walk.Peek();
    if (token.begin < slice_begin) continue;
    std::string& word = token.begin == offset ? at : before;
    word = token.kind == Token::Kind::kWord ? NameOf(walk.text(), token) : "";
  }
  if (IsTakenForName(before)) return ReservedWordHint(before);
  for (const std::string& word : {at, before}) {
    if (word.size() < 4) continue;
    if (std::string hint = DidYouMeanWord(word, Keywords()); !hint.empty()) return hint;
  }
  return "";
}

// The bytes of the first `characters` characters of a UTF-8 text.
size_t BytesOf(std::string_view text, size_t characters) {
  size_t at = 0;
  while (at < text.size() && characters > 0) {
    ++at;
    while (at < text.size() && (text[at] & 0xC0) == 0x80) ++at;
    --characters;
  }
  return at;
}

Error SyntaxError(const Cursor& cursor, const Cursor::Slice& slice,
                  const std::exception& exception) {
  const duckdb::ErrorData data(exception);
  const std::string message = data.RawMessage().substr(0, data.RawMessage().find('\n'));
  size_t offset = slice.begin;
  if (const auto position = data.ExtraInfo().find("position"); position != data.ExtraInfo().end()) {
    size_t inside = 0;
    const std::string& digits = position->second;
    std::from_chars(digits.data(), digits.data() + digits.size(), inside);
    const auto subtype = data.ExtraInfo().find("error_subtype");
    // The grammar counts characters, the rest of the parser bytes.
    const bool characters = subtype != data.ExtraInfo().end() && subtype->second == "SYNTAX_ERROR";
    offset += characters ? BytesOf(slice.text, inside) : std::min(inside, slice.text.size());
  }
  return cursor.At(offset, Error(Code::kInvalidArgument, "{}", message)
                               .Hint(KeywordHint(cursor, slice.begin, offset))
                               .SqlState("42601"));
}

// DuckDB's statements of the slice.
Result<duckdb::vector<duckdb::unique_ptr<duckdb::SQLStatement>>> ParseSlice(
    const Cursor& cursor, const Cursor::Slice& slice) {
  try {
    duckdb::Parser parser;
    parser.ParseQuery(slice.text);
    return std::move(parser.statements);
  } catch (const std::exception& e) {
    return SyntaxError(cursor, slice, e);
  }
}

bool IsPivot(const duckdb::SQLStatement& statement) {
  return statement.type == duckdb::StatementType::MULTI_STATEMENT;
}

Error PivotNeedsValues(const Cursor& cursor, const Cursor::Slice& slice) {
  return cursor.At(slice.begin,
                   Error(Code::kNotSupported,
                         "PIVOT without a list of values is not available: its columns "
                         "would depend on the rows")
                       .Hint("name the values: PIVOT t ON x IN ('a', 'b') USING sum(y)"));
}

Error NotSelect(const Cursor& cursor, const Cursor::Slice& slice) {
  return cursor.At(slice.begin,
                   Error(Code::kInvalidArgument, "expected a SELECT").SqlState("42601"));
}

// REQUIRES: the parts are of a table's name as it was written.
std::string Target(const std::string& schema, const std::string& table) {
  if (schema.empty() || rows::EqualNames(schema, "public") || rows::EqualNames(schema, "main"))
    return table;
  return schema + "." + table;
}

Result<std::string> TargetOf(const Cursor& cursor, const Cursor::Slice& slice,
                             const duckdb::TableRef& table) {
  if (table.type != duckdb::TableReferenceType::BASE_TABLE) {
    return cursor.At(slice.begin,
                     Error(Code::kInvalidArgument, "expected the name of a table to write to"));
  }
  const auto& base = table.Cast<duckdb::BaseTableRef>();
  return Target(base.schema_name, base.table_name);
}

Status CheckNames(const Cursor& cursor, const Cursor::Slice& slice, std::string_view what,
                  const duckdb::ParsedExpression& expression,
                  const std::vector<std::string>& columns) {
  const auto place = [&] {
    const auto location = expression.GetQueryLocation();
    return slice.begin +
           (location.IsValid() ? std::min<size_t>(location.GetIndex(), slice.text.size()) : 0);
  };
  switch (expression.GetExpressionClass()) {
    case duckdb::ExpressionClass::SUBQUERY:
      return cursor.At(place(),
                       Error(Code::kNotSupported, "{} judges a row by itself: no subquery", what));
    case duckdb::ExpressionClass::WINDOW:
      return cursor.At(place(), Error(Code::kNotSupported,
                                      "{} judges a row by itself: no window function", what));
    case duckdb::ExpressionClass::LAMBDA:
      return Ok();  // its parameters look like columns; the binder knows them apart
    case duckdb::ExpressionClass::COLUMN_REF: {
      const auto& reference = expression.Cast<duckdb::ColumnRefExpression>();
      if (reference.IsQualified()) return Ok();  // a struct's field, or qualified by the relation
      for (const std::string& column : columns) {
        if (rows::EqualNames(column, reference.GetColumnName())) return Ok();
      }
      return cursor.At(place(), Error(Code::kNotFound, "{}: column {} does not exist", what,
                                      Quoted(reference.GetColumnName()))
                                    .Hint(DidYouMean(reference.GetColumnName(), columns))
                                    .SqlState("42703"));
    }
    default:
      break;
  }
  Status status;
  duckdb::ParsedExpressionIterator::EnumerateChildren(
      expression, [&](const duckdb::ParsedExpression& child) {
        if (status.ok()) status = CheckNames(cursor, slice, what, child, columns);
      });
  return status;
}

}  // namespace

Status CheckSelect(const Cursor& cursor, const Cursor::Slice& select) {
  TRY(const auto statements, ParseSlice(cursor, select));
  if (statements.size() != 1) return NotSelect(cursor, select);
  if (IsPivot(*statements[0])) return PivotNeedsValues(cursor, select);
  if (statements[0]->type != duckdb::StatementType::SELECT_STATEMENT)
    return NotSelect(cursor, select);
  return Ok();
}

Status CheckExpression(const Cursor& cursor, const Cursor::Slice& expression, std::string_view what,
                       const std::vector<std::string>& columns) {
  duckdb::vector<duckdb::unique_ptr<duckdb::ParsedExpression>> parsed;
  try {
    parsed = duckdb::Parser::ParseExpressionList(expression.text);
  } catch (const std::exception& e) {
    // The place counts from a "SELECT " that DuckDB put before the expression.
    constexpr size_t kPrefix = 7;
    Cursor::Slice shifted{"SELECT " + expression.text,
                          expression.begin - std::min(expression.begin, kPrefix)};
    return SyntaxError(cursor, shifted, e);
  }
  for (auto& each : parsed) NameModels(each);
  if (parsed.size() != 1) {
    return cursor.At(expression.begin,
                     Error(Code::kInvalidArgument, "expected one condition, got {}", parsed.size())
                         .SqlState("42601"));
  }
  Cursor::Slice shifted{"SELECT " + expression.text,
                        expression.begin - std::min<size_t>(expression.begin, 7)};
  return CheckNames(cursor, shifted, what, *parsed[0], columns);
}

Result<bool> CheckMacro(const Cursor& cursor, const Cursor::Slice& body) {
  constexpr std::string_view kPrefix = "CREATE MACRO m ";
  Cursor::Slice whole{std::string(kPrefix) + body.text,
                      body.begin - std::min(body.begin, kPrefix.size())};
  TRY(const auto statements, ParseSlice(cursor, whole));
  if (statements.size() != 1 || statements[0]->type != duckdb::StatementType::CREATE_STATEMENT) {
    return cursor.At(body.begin,
                     Error(Code::kInvalidArgument, "expected one macro").SqlState("42601"));
  }
  const auto& info = *statements[0]->Cast<duckdb::CreateStatement>().info;
  return info.type == duckdb::CatalogType::TABLE_MACRO_ENTRY;
}

Result<std::variant<SelectStatement, WriteStatement>> ParseForeign(const Cursor& cursor,
                                                                   const Cursor::Slice& slice) {
  using Foreign = std::variant<SelectStatement, WriteStatement>;
  TRY(const auto statements, ParseSlice(cursor, slice));
  if (statements.size() != 1) {
    return cursor.At(slice.begin,
                     Error(Code::kInvalidArgument, "expected one statement").SqlState("42601"));
  }
  const duckdb::SQLStatement& statement = *statements[0];
  switch (statement.type) {
    case duckdb::StatementType::SELECT_STATEMENT:
      return Foreign(SelectStatement{slice.text});
    case duckdb::StatementType::INSERT_STATEMENT: {
      const auto& insert = statement.Cast<duckdb::InsertStatement>();
      return Foreign(WriteStatement{WriteStatement::What::kInsert,
                                    Target(insert.schema, insert.table), slice.text});
    }
    case duckdb::StatementType::UPDATE_STATEMENT: {
      TRY(std::string target,
          TargetOf(cursor, slice, *statement.Cast<duckdb::UpdateStatement>().table));
      return Foreign(WriteStatement{WriteStatement::What::kUpdate, std::move(target), slice.text});
    }
    case duckdb::StatementType::DELETE_STATEMENT: {
      TRY(std::string target,
          TargetOf(cursor, slice, *statement.Cast<duckdb::DeleteStatement>().table));
      return Foreign(WriteStatement{WriteStatement::What::kDelete, std::move(target), slice.text});
    }
    default:
      break;
  }
  if (IsPivot(statement)) return PivotNeedsValues(cursor, slice);
  return cursor.At(slice.begin, Error(Code::kNotSupported, "Millrace does not run {} statements",
                                      duckdb::StatementTypeToString(statement.type)));
}

}  // namespace millrace::sql
