#include "sql/parser_vocabulary.h"

#include <set>

#include "rows/schema.h"
#include "sql/parser_duckdb.h"
#include "sql/statement.h"
#include "sql/window_tables.h"

namespace millrace::sql {
namespace {

constexpr size_t kEnumValuesMax = 65'536;  // what two bytes can number

Status CheckMacroName(const Cursor& cursor, const std::string& name) {
  if (!IsWindowTable(name)) return Ok();
  return cursor.At(cursor.Peek().begin,
                   Error(Code::kAlreadyExists, "there is a function {}() already", name)
                       .Hint("choose another name")
                       .SqlState("42723"));
}

}  // namespace

Result<catalog::TypeDefinition> ExpectTypeBody(Cursor& cursor, const std::string& name) {
  if (catalog::IsBuiltInType(name)) {
    return cursor.At(cursor.Peek().begin,
                     Error(Code::kAlreadyExists, "there is a type {} already", Quoted(name))
                         .Hint("choose another name")
                         .SqlState("42710"));
  }
  TRY(cursor.Expect({"AS"}));
  if (!cursor.AtWord("ENUM")) {
    return cursor.Unexpected("ENUM and its values", {"ENUM"})
        .Hint(
            "a type of one's own is an ENUM; STRUCT and other types are written where a column "
            "is declared");
  }
  cursor.Advance();
  TRY(cursor.ExpectSymbol('(', "and the values, such as ('new', 'paid')"));
  catalog::TypeDefinition type;
  type.name = name;
  std::set<std::string> seen;
  do {
    const size_t begin = cursor.Peek().begin;
    TRY(std::string value, cursor.ExpectString("a value in single quotes"));
    if (!seen.insert(value).second) {
      return cursor.At(
          begin,
          Error(Code::kInvalidArgument, "the value '{}' stands twice", value).SqlState("42710"));
    }
    if (seen.size() > kEnumValuesMax) {
      return cursor.At(begin, Error(Code::kTooLarge, "more than {} values", kEnumValuesMax));
    }
    type.values.push_back(std::move(value));
  } while (cursor.AcceptSymbol(','));
  TRY(cursor.ExpectSymbol(')', "or a comma after the value"));
  TRY(cursor.ExpectEnd("", {}));
  return type;
}

Result<catalog::MacroDefinition> ExpectMacroBody(Cursor& cursor, const std::string& name) {
  TRY(CheckMacroName(cursor, name));
  if (!cursor.AtSymbol('(')) return cursor.Unexpected("( and the parameters, or ()");
  const Cursor::Slice body = cursor.Rest();
  catalog::MacroDefinition macro;
  macro.name = name;
  macro.body = body.text;
  TRY(macro.table, CheckMacro(cursor, body));
  TRY(macro.reads, RelationsOfMacro(body.text));
  return macro;
}

}  // namespace millrace::sql
