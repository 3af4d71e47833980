#include "sql/parser_types.h"

#include "catalog/sql_text.h"
#include "rows/schema.h"

namespace millrace::sql {
namespace {

bool AtConstraint(const Cursor& cursor) {
  for (const std::string& word : ConstraintWords()) {
    if (cursor.AtWord(word)) return true;
  }
  return false;
}

// The types of docs/types.md.
bool IsStorable(const duckdb::LogicalType& type) {
  using Id = duckdb::LogicalTypeId;
  switch (type.id()) {
    case Id::BOOLEAN:
    case Id::TINYINT:
    case Id::SMALLINT:
    case Id::INTEGER:
    case Id::BIGINT:
    case Id::HUGEINT:
    case Id::UTINYINT:
    case Id::USMALLINT:
    case Id::UINTEGER:
    case Id::UBIGINT:
    case Id::UHUGEINT:
    case Id::DECIMAL:
    case Id::FLOAT:
    case Id::DOUBLE:
    case Id::VARCHAR:
    case Id::ENUM:
    case Id::UUID:
    case Id::BLOB:
    case Id::DATE:
    case Id::TIME:
    case Id::TIMESTAMP:
    case Id::TIMESTAMP_TZ:
    case Id::INTERVAL:
      return true;
    case Id::LIST:
      return IsStorable(duckdb::ListType::GetChildType(type));
    case Id::ARRAY:
      return IsStorable(duckdb::ArrayType::GetChildType(type));
    case Id::MAP:
      return IsStorable(duckdb::MapType::KeyType(type)) &&
             IsStorable(duckdb::MapType::ValueType(type));
    case Id::STRUCT:
      for (const auto& [name, child] : duckdb::StructType::GetChildTypes(type)) {
        if (!IsStorable(child)) return false;
      }
      return true;
    default:
      return false;
  }
}

// Moves behind the tokens that belong to a type or a constant: up to a comma or parenthesis of the
// list, or a constraint.
void SkipPart(Cursor& cursor) {
  int depth = 0;
  while (!cursor.AtEnd()) {
    if (depth == 0 && (cursor.AtSymbol(',') || cursor.AtSymbol(')') || AtConstraint(cursor)))
      return;
    if (cursor.AtSymbol('(') || cursor.AtSymbol('[') || cursor.AtSymbol('{')) ++depth;
    if (cursor.AtSymbol(')') || cursor.AtSymbol(']') || cursor.AtSymbol('}')) --depth;
    cursor.Advance();
  }
}

// Notes the user's own types among the tokens [from, position).
void NoteTypes(Cursor& cursor, size_t from) {
  const size_t end = cursor.position();
  for (cursor.Seek(from); cursor.position() < end; cursor.Advance()) {
    const Token& token = cursor.Peek();
    if (token.kind != Token::Kind::kWord && token.kind != Token::Kind::kQuotedName) continue;
    const auto found = cursor.types().find(rows::LowerName(NameOf(cursor.text(), token)));
    if (found != cursor.types().end()) cursor.NoteType(found->second.name);
  }
}

}  // namespace

const std::vector<std::string>& ConstraintWords() {
  static const std::vector<std::string> words = {
      "NOT",        "NULL",    "DEFAULT",   "CHECK",      "PRIMARY", "UNIQUE",
      "REFERENCES", "COLLATE", "GENERATED", "CONSTRAINT", "AS",      "FOREIGN"};
  return words;
}

bool IsHidden(std::string_view name) {
  for (std::string_view hidden :
       {"_partition", "_offset", "_ingested_at", "_timestamp", "_key", "_headers", "_late"}) {
    if (rows::EqualNames(name, hidden)) return true;
  }
  return false;
}

Result<duckdb::LogicalType> ExpectType(Cursor& cursor, const PlacedName& column) {
  const size_t from = cursor.position();
  SkipPart(cursor);
  if (cursor.position() == from)
    return cursor.Unexpected(fmt::format("the type of column {}", Quoted(column.name)));
  const Cursor::Slice slice = cursor.Between(from, cursor.position());
  Result<duckdb::LogicalType> type = catalog::ParseType(slice.text, cursor.types());
  if (type.ok()) NoteTypes(cursor, from);
  if (type.ok() && !IsStorable(*type)) {
    return cursor.At(slice.begin,
                     Error(Code::kNotSupported, "column {}: type {} is not available yet",
                           Quoted(column.name), catalog::TypeText(*type)));
  }
  if (type.ok()) return type;
  Error error = std::move(type).error();
  size_t place = slice.begin;
  const size_t end = cursor.position();
  for (cursor.Seek(from); cursor.position() < end; cursor.Advance()) {
    const Token& token = cursor.Peek();
    if (token.kind != Token::Kind::kWord) continue;
    if (error.message().find(Quoted(NameOf(cursor.text(), token))) == std::string::npos) continue;
    place = token.begin;
    break;
  }
  return cursor.At(place, std::move(error).With("column " + Quoted(column.name)));
}

Result<duckdb::Value> ExpectDefault(Cursor& cursor, const PlacedName& column,
                                    const duckdb::LogicalType& type) {
  const size_t from = cursor.position();
  if (cursor.AtEnd() || cursor.AtSymbol(',') || cursor.AtSymbol(')')) {
    return cursor.Unexpected("a constant after DEFAULT");
  }
  if (AtConstraint(cursor)) {
    cursor.Advance();  // DEFAULT NULL
  } else {
    SkipPart(cursor);
  }
  const Cursor::Slice slice = cursor.Between(from, cursor.position());
  Result<duckdb::Value> value = catalog::ConstantFromSql(slice.text, type);
  if (value.ok()) return value;
  return cursor.At(slice.begin,
                   std::move(value).error().With("DEFAULT of column " + Quoted(column.name)));
}

}  // namespace millrace::sql
