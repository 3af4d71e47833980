#include "pg/session_words.h"

#include <algorithm>

#include "pg/token_cursor.h"
#include "rows/schema.h"

namespace millrace::pg {

namespace {

constexpr const char* kVersion = "PostgreSQL 15.0 (Millrace) on x86_64-pc-linux-gnu, 64-bit";

// Most statements hold none of the words: they are not looked at any closer.
bool MayHoldSome(std::string_view text) {
  const std::string lower = rows::LowerName(text);
  for (const char* part :
       {"current_", "session_user", "version", "pg_backend_pid", kDatabaseName}) {
    if (lower.find(part) != std::string::npos) return true;
  }
  return false;
}

bool AtName(const TokenCursor& cursor, std::string_view name, size_t ahead) {
  return cursor.AtWord(name, ahead) ||
         cursor.TextOf(cursor.Peek(ahead)) == "\"" + std::string(name) + "\"";
}

// The database before a schema, as in "millrace"."public"."orders": there is only one.
bool AtDatabase(const TokenCursor& cursor) {
  return AtName(cursor, kDatabaseName, 0) && cursor.AtSymbol('.', 1) && cursor.AtSymbol('.', 3) &&
         (AtName(cursor, "public", 2) || AtName(cursor, kDatabaseName, 2));
}

// What the words at the cursor stand for, which is then behind them; none: something else.
Result<std::optional<std::string>> TakeWord(TokenCursor& cursor, const CatalogAsker& asker) {
  std::optional<std::string> none;
  const bool called = cursor.AtSymbol('(', 1);
  const bool called_bare = called && cursor.AtSymbol(')', 2);
  const auto take = [&](size_t tokens, std::string value) {
    for (size_t i = 0; i < tokens; ++i) cursor.Advance();
    return std::optional<std::string>(std::move(value));
  };
  for (const char* word : {"current_user", "session_user", "current_role"}) {
    if (cursor.AtWord(word) && (!called || called_bare))
      return take(called ? 3 : 1, SqlText(asker.user));
  }
  if (cursor.AtWord("current_catalog") && !called) return take(1, SqlText(kDatabaseName));
  if (cursor.AtWord("current_database") && called_bare) return take(3, SqlText(kDatabaseName));
  if (cursor.AtWord("current_schema") && (!called || called_bare))
    return take(called ? 3 : 1, SqlText("public"));
  if (cursor.AtWord("version") && called_bare) return take(3, SqlText(kVersion));
  if (cursor.AtWord("pg_backend_pid") && called_bare) return take(3, std::to_string(asker.process));
  if (cursor.AtWord("current_setting") && called && asker.variables != nullptr &&
      cursor.Peek(2).kind == sql::Token::Kind::kString && cursor.AtSymbol(')', 3)) {
    cursor.Advance();
    cursor.Advance();
    TRY(const std::string name, cursor.Value());
    cursor.Advance();
    TRY(const std::string value, asker.variables->Get(name));
    return std::optional<std::string>(SqlText(value));
  }
  return none;
}

}  // namespace

Result<std::string> WithSessionWords(std::string text, const CatalogAsker& asker,
                                     SessionWords words) {
  if (!MayHoldSome(text)) return text;
  TRY(const std::vector<sql::Token> tokens, sql::Lex(text));
  std::string out;
  size_t copied = 0;
  bool after_dot = false;
  for (TokenCursor cursor(text, tokens); !cursor.AtEnd();) {
    const size_t begin = cursor.Peek().begin;
    std::optional<std::string> value;
    if (!after_dot && AtDatabase(cursor)) {
      cursor.Advance();
      cursor.Advance();
      value = "";
    } else if (words == SessionWords::kAll && !after_dot && !cursor.AtSymbol('.', 1)) {
      TRY(value, TakeWord(cursor, asker));
    }
    if (!value) {
      after_dot = cursor.AtSymbol('.');
      cursor.Advance();
      continue;
    }
    after_dot = false;
    const size_t end = std::min(cursor.Peek().begin, text.size());
    out += text.substr(copied, begin - copied) + *value;
    // As wide as it was, where it can be: errors point at places behind it.
    const size_t width = end - begin;
    out += std::string(std::max<size_t>(width, value->size() + 1) - value->size(), ' ');
    copied = end;
  }
  return out + text.substr(copied);
}

}  // namespace millrace::pg
