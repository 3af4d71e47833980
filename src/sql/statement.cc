#include "sql/statement.h"

#include <algorithm>

#include "rows/schema.h"
#include "sql/lexer.h"
#include "sql/parser_alter.h"
#include "sql/parser_create.h"
#include "sql/parser_cursor.h"
#include "sql/parser_duckdb.h"

namespace millrace::sql {
namespace {

using Variant = decltype(Statement::statement);

// Statements that other systems have, and what to say about them here.
struct Refusal {
  std::string_view word;
  std::string_view reason;
  std::string_view hint;
};
constexpr Refusal kRefusals[] = {
    {"ATTACH", "other databases cannot be attached", ""},
    {"DETACH", "other databases cannot be attached", ""},
    {"COPY", "COPY is for clients of the PostgreSQL protocol",
     "INSERT INTO … SELECT * FROM 'file.csv' reads a file"},
    {"EXPORT", "EXPORT is not available yet", ""},
    {"IMPORT", "IMPORT is not available yet", ""},
    {"PRAGMA", "the settings of the embedded DuckDB are fixed", ""},
    {"SET", "the settings of the embedded DuckDB are fixed", ""},
    {"RESET", "the settings of the embedded DuckDB are fixed", ""},
    {"USE", "there is one database and its schema is public", ""},
    {"INSTALL", "extensions of DuckDB cannot be installed", ""},
    {"LOAD", "extensions of DuckDB cannot be loaded", ""},
    {"CALL", "CALL is not available", "SELECT * FROM function(…) calls a table function"},
    {"VACUUM", "Millrace clears up by itself", ""},
    {"ANALYZE", "Millrace keeps no statistics to refresh",
     "EXPLAIN ANALYZE runs a query and says where its time went"},
    {"CHECKPOINT", "Millrace flushes by itself", ""},
    {"PREPARE", "prepared statements belong to the client protocol, not to SQL text", ""},
    {"EXECUTE", "prepared statements belong to the client protocol, not to SQL text", ""},
    {"DEALLOCATE", "prepared statements belong to the client protocol, not to SQL text", ""},
    {"BEGIN", "transactions are for clients of the PostgreSQL protocol: here each statement is one",
     ""},
    {"START", "transactions are for clients of the PostgreSQL protocol: here each statement is one",
     ""},
    {"COMMIT",
     "transactions are for clients of the PostgreSQL protocol: here each statement is one", ""},
    {"ROLLBACK",
     "transactions are for clients of the PostgreSQL protocol: here each statement is one", ""},
    {"ABORT", "transactions are for clients of the PostgreSQL protocol: here each statement is one",
     ""},
    {"END", "transactions are for clients of the PostgreSQL protocol: here each statement is one",
     ""},
    {"MERGE", "MERGE is not available yet", "INSERT … ON CONFLICT DO UPDATE inserts or updates"},
    {"GRANT", "users and rights are not available yet", ""},
    {"REVOKE", "users and rights are not available yet", ""},
    {"SUBSCRIBE", "SUBSCRIBE is for clients of the PostgreSQL protocol", ""},
    {"RUN", "jobs are not available yet", ""},
    {"REFRESH", "materialized views are always up to date", ""},
};

const std::vector<std::string>& Starters() {
  static const std::vector<std::string> words = {
      "CREATE",    "DROP",   "SHOW",    "DESCRIBE", "DESC",   "EXPLAIN", "REPLAY", "SELECT",
      "WITH",      "VALUES", "FROM",    "TABLE",    "INSERT", "UPDATE",  "DELETE", "TRUNCATE",
      "SUMMARIZE", "PIVOT",  "UNPIVOT", "(",        "ALTER",  "COMMENT"};
  return words;
}

bool StartsQuery(const Cursor& cursor) {
  for (std::string_view word :
       {"SELECT", "WITH", "VALUES", "FROM", "TABLE", "PIVOT", "UNPIVOT", "SUMMARIZE"}) {
    if (cursor.AtWord(word)) return true;
  }
  return cursor.AtSymbol('(');
}

// The macro's other words: FUNCTION for MACRO, MACRO TABLE for a table macro.
void SkipMacroWords(Cursor& cursor, catalog::Kind kind) {
  if (kind == catalog::Kind::kMacro && cursor.AtWord("TABLE") &&
      cursor.Peek(1).kind != Token::Kind::kEnd)
    cursor.Advance();
}

Result<DropStatement> ParseDrop(Cursor& cursor) {
  DropStatement drop;
  const bool materialized = cursor.Accept({"MATERIALIZED"});
  const Token kind = cursor.Peek();
  if (!materialized && kind.kind == Token::Kind::kWord &&
      IsLaterKind(NameOf(cursor.text(), kind))) {
    return cursor.At(kind.begin, Error(Code::kNotSupported, "DROP {}: not available yet",
                                       NameOf(cursor.text(), kind)));
  }
  const auto& words = KindWords();
  const auto found = std::find_if(words.begin(), words.end(),
                                  [&](const KindWord& w) { return cursor.AtWord(w.singular); });
  if (found == words.end() || (materialized && found->kind != catalog::Kind::kView)) {
    if (materialized) return cursor.Unexpected("VIEW", {"VIEW"});
    return cursor.Unexpected(
        "what to drop: STREAM, TABLE, MATERIALIZED VIEW, VIEW, INDEX, ENDPOINT, SOURCE, TYPE, "
        "MACRO or MODEL",
        SingularKinds());
  }
  cursor.Advance();
  drop.kind = found->kind;
  SkipMacroWords(cursor, drop.kind);
  if (cursor.Accept({"IF"})) {
    TRY(cursor.Expect({"EXISTS"}));
    drop.if_exists = true;
  }
  TRY(const PlacedName name,
      cursor.ExpectReference(fmt::format("the name of the {}", catalog::KindName(drop.kind))));
  drop.name = name.name;
  if (cursor.AtSymbol(',')) {
    return cursor.At(cursor.Peek().begin,
                     Error(Code::kNotSupported, "DROP takes one name at a time"));
  }
  if (cursor.Accept({"CASCADE"})) {
    drop.cascade = true;
  } else {
    cursor.Accept({"RESTRICT"});
  }
  TRY(cursor.ExpectEnd("CASCADE", {"CASCADE"}));
  return drop;
}

Result<ShowStatement> ParseShow(Cursor& cursor) {
  std::vector<std::string> plurals;
  cursor.Accept({"MATERIALIZED"});
  for (const KindWord& word : KindWords()) {
    plurals.emplace_back(word.plural);
    if (!cursor.Accept({word.plural})) continue;
    TRY(cursor.ExpectEnd("", {}));
    return ShowStatement{word.kind};
  }
  const Token& token = cursor.Peek();
  for (std::string_view later : {"SINKS", "JOBS", "CHECKS", "ALERTS", "CHARTS", "CONNECTIONS"}) {
    if (cursor.AtWord(later))
      return cursor.At(token.begin,
                       Error(Code::kNotSupported, "SHOW {}: not available yet", later));
  }
  return cursor.Unexpected(
      "what to show: STREAMS, TABLES, VIEWS, SOURCES, ENDPOINTS, INDEXES, TYPES, MACROS or "
      "MODELS",
      plurals);
}

Result<Variant> ParseDescribe(Cursor& cursor) {
  if (StartsQuery(cursor)) {
    cursor.Seek(0);
    TRY(auto foreign, ParseForeign(cursor, cursor.Rest()));
    return Variant(std::get<SelectStatement>(std::move(foreign)));
  }
  for (const KindWord& word : KindWords()) {
    if (cursor.AtWord(word.singular) && cursor.Peek(1).kind != Token::Kind::kEnd) {
      cursor.Advance();
      break;
    }
  }
  TRY(const PlacedName name, cursor.ExpectReference("the name of a stream, table or view"));
  TRY(cursor.ExpectEnd("", {}));
  return Variant(DescribeStatement{name.name});
}

Result<ExplainStatement> ParseExplain(Cursor& cursor) {
  ExplainStatement explain;
  explain.analyze = cursor.Accept({"ANALYZE"});
  if (cursor.Accept({"VIEW"})) {
    TRY(const PlacedName name, cursor.ExpectReference("the name of a view"));
    TRY(cursor.ExpectEnd("", {}));
    explain.view = name.name;
    return explain;
  }
  const size_t from = cursor.position();
  if (cursor.Accept({"CREATE"})) {
    const size_t what = cursor.Peek().begin;
    TRY(const CreateStatement create, ParseCreate(cursor));
    const auto* view = std::get_if<catalog::ViewDefinition>(&create.definition);
    if (view == nullptr || !view->materialized) {
      return cursor.At(
          what,
          Error(Code::kInvalidArgument,
                "expected CREATE MATERIALIZED VIEW after EXPLAIN: only its circuit can be shown"));
    }
  } else if (StartsQuery(cursor)) {
    TRY(const auto foreign, ParseForeign(cursor, cursor.Rest()));
    if (!std::holds_alternative<SelectStatement>(foreign)) {
      cursor.Seek(from);
      return cursor.Unexpected("a SELECT");
    }
  } else {
    return cursor.Unexpected("VIEW name, CREATE MATERIALIZED VIEW or SELECT",
                             {"ANALYZE", "VIEW", "CREATE", "SELECT", "WITH"});
  }
  cursor.Seek(from);
  const Cursor::Slice slice = cursor.Rest();
  explain.text = slice.text;
  explain.text_begin = slice.begin;
  return explain;
}

Result<ReplayStatement> ParseReplay(Cursor& cursor) {
  TRY(cursor.Expect({"STREAM"}));
  TRY(const PlacedName name, cursor.ExpectReference("the name of a stream"));
  TRY(cursor.ExpectEnd("", {}));
  return ReplayStatement{name.name};
}

template <typename T>
Result<Variant> Wrap(Result<T> parsed) {
  if (!parsed.ok()) return std::move(parsed).error();
  return Variant(std::move(parsed).value());
}

Result<Variant> ParseOne(Cursor& cursor) {
  if (cursor.Accept({"CREATE"})) return Wrap(ParseCreate(cursor));
  if (cursor.Accept({"DROP"})) return Wrap(ParseDrop(cursor));
  if (cursor.Accept({"SHOW"})) return Wrap(ParseShow(cursor));
  if (cursor.Accept({"DESCRIBE"}) || cursor.Accept({"DESC"})) return ParseDescribe(cursor);
  if (cursor.Accept({"EXPLAIN"})) return Wrap(ParseExplain(cursor));
  if (cursor.Accept({"REPLAY"})) return Wrap(ParseReplay(cursor));
  if (cursor.Accept({"COMMENT"})) return Wrap(ParseComment(cursor));
  if (cursor.Accept({"ALTER"})) return Wrap(ParseAlter(cursor));
  for (const Refusal& refusal : kRefusals) {
    if (!cursor.AtWord(refusal.word)) continue;
    return cursor.At(cursor.Peek().begin,
                     Error(Code::kNotSupported, "{}: {}", refusal.word, refusal.reason)
                         .Hint(std::string(refusal.hint)));
  }
  const std::vector<std::string>& starters = Starters();
  const bool known = cursor.AtSymbol('(') ||
                     std::any_of(starters.begin(), starters.end(),
                                 [&](const std::string& word) { return cursor.AtWord(word); });
  if (!known) return cursor.Unexpected("a statement such as CREATE, SELECT or INSERT", starters);
  TRY(auto foreign, ParseForeign(cursor, cursor.Rest()));
  return std::visit([](auto&& statement) { return Result<Variant>(Variant(std::move(statement))); },
                    std::move(foreign));
}

// The tokens of each statement.
std::vector<std::span<const Token>> Split(std::string_view text, const std::vector<Token>& tokens) {
  const auto is_end = [&](const Token& token) {
    return token.kind == Token::Kind::kEnd ||
           (token.kind == Token::Kind::kSymbol && text[token.begin] == ';');
  };
  std::vector<std::span<const Token>> parts;
  size_t from = 0;
  for (size_t to = 0; to < tokens.size(); ++to) {
    if (!is_end(tokens[to])) continue;
    if (to > from) parts.push_back(std::span(tokens).subspan(from, to - from));
    from = to + 1;
  }
  return parts;
}

// A type is there for the statements that follow its own.
void NoteType(const Statement& statement, catalog::NamedTypes& types) {
  const auto* create = std::get_if<CreateStatement>(&statement.statement);
  if (create == nullptr) return;
  const auto* type = std::get_if<catalog::TypeDefinition>(&create->definition);
  if (type != nullptr) types[rows::LowerName(type->name)] = {type->name, type->values};
}

}  // namespace

Result<std::vector<Statement>> Parse(std::string_view text, std::string_view file,
                                     const catalog::NamedTypes& given) {
  TRY(const std::vector<Token> tokens, Lex(text, file));
  catalog::NamedTypes types = given;
  std::vector<Statement> statements;
  for (const std::span<const Token>& part : Split(text, tokens)) {
    Cursor cursor(text, file, part, types);
    Statement statement;
    TRY(statement.statement, ParseOne(cursor));
    statement.begin = part.front().begin;
    statement.text = text.substr(statement.begin, part.back().end - statement.begin);
    NoteType(statement, types);
    statements.push_back(std::move(statement));
  }
  return statements;
}

catalog::NamedTypes TypesDeclared(std::string_view text) {
  catalog::NamedTypes types;
  const Result<std::vector<Token>> tokens = Lex(text);
  if (!tokens.ok()) return types;
  for (const std::span<const Token>& part : Split(text, *tokens)) {
    Cursor cursor(text, "", part, types);
    if (!cursor.Accept({"CREATE", "TYPE"}) && !cursor.Accept({"CREATE", "OR", "REPLACE", "TYPE"}))
      continue;
    cursor.Seek(0);
    Statement statement;
    Result<Variant> parsed = ParseOne(cursor);
    if (!parsed.ok()) continue;
    statement.statement = std::move(parsed).value();
    NoteType(statement, types);
  }
  return types;
}

catalog::NamedTypes TypesOf(const catalog::Catalog& catalog) {
  catalog::NamedTypes types;
  for (const catalog::Object& word : *catalog.vocabulary()) {
    const auto* type = std::get_if<catalog::TypeDefinition>(&word.definition);
    if (type != nullptr) types[rows::LowerName(type->name)] = {type->name, type->values};
  }
  return types;
}

std::string NormaliseText(std::string_view text) {
  const Result<std::vector<Token>> tokens = Lex(text);
  if (!tokens.ok()) return std::string(text);
  std::string out;
  size_t previous_end = 0;
  for (const Token& token : *tokens) {
    if (token.kind == Token::Kind::kEnd) break;
    if (!out.empty() && token.begin > previous_end) out += ' ';
    out += text.substr(token.begin, token.end - token.begin);
    previous_end = token.end;
  }
  return out;
}

}  // namespace millrace::sql
