#include "pg/session_statement.h"

#include <algorithm>
#include <array>

#include "pg/set_statement.h"
#include "pg/token_cursor.h"
#include "rows/schema.h"
#include "sql/statement.h"

namespace millrace::pg {

namespace {

using Token = sql::Token;

Result<StatementKind> ParseBegin(TokenCursor& cursor) {
  if (cursor.Accept({"START"})) {
    TRY(cursor.Expect({"TRANSACTION"}));
  } else {
    cursor.Advance();
    if (!cursor.Accept({"TRANSACTION"})) cursor.Accept({"WORK"});
  }
  BeginBlock begin;
  TRY(TakeTransactionModes(cursor, begin.read_only));
  return StatementKind(begin);
}

Result<StatementKind> ParseSavepoint(TokenCursor& cursor, Savepoint::What what) {
  Savepoint savepoint;
  savepoint.what = what;
  TRY(savepoint.name, cursor.Name());
  TRY(cursor.ExpectEnd());
  return StatementKind(savepoint);
}

Result<StatementKind> ParseEnd(TokenCursor& cursor) {
  EndBlock end;
  end.commit = cursor.AtWord("COMMIT") || cursor.AtWord("END");
  cursor.Advance();
  if (cursor.AtWord("PREPARED"))
    return Error(Code::kNotSupported, "two-phase commit is not supported");
  if (!cursor.Accept({"TRANSACTION"})) cursor.Accept({"WORK"});
  if (!end.commit && cursor.Accept({"TO"})) {
    cursor.Accept({"SAVEPOINT"});
    return ParseSavepoint(cursor, Savepoint::What::kGoBack);
  }
  if (cursor.Accept({"AND"})) {
    const bool no = cursor.Accept({"NO"});
    TRY(cursor.Expect({"CHAIN"}));
    end.chain = !no;
  }
  TRY(cursor.ExpectEnd());
  return StatementKind(end);
}

Result<StatementKind> ParseShow(TokenCursor& cursor) {
  cursor.Advance();
  ShowVariable show;
  if (cursor.Accept({"TRANSACTION", "ISOLATION", "LEVEL"})) {
    show.name = "transaction_isolation";
  } else if (cursor.Accept({"TIME", "ZONE"})) {
    show.name = "TimeZone";
  } else if (cursor.Accept({"SESSION", "AUTHORIZATION"})) {
    show.name = "session_authorization";
  } else {
    TRY(show.name, cursor.Name());
    while (cursor.AcceptSymbol('.')) {
      TRY(const std::string more, cursor.Name());
      show.name += "." + more;
    }
  }
  TRY(cursor.ExpectEnd());
  return StatementKind(show);
}

// SHOW of what Millrace has, not of a variable.
bool IsMillraceShow(const TokenCursor& cursor) {
  for (const char* word :
       {"STREAMS", "TABLES", "VIEWS", "SOURCES", "SINKS", "JOBS", "ENDPOINTS", "INDEXES", "TYPES",
        "MACROS", "CHECKS", "ALERTS", "MATERIALIZED", "CHARTS", "MODELS", "CONNECTIONS"}) {
    if (cursor.AtWord(word, 1)) return true;
  }
  return false;
}

Result<StatementKind> ParseDeclare(TokenCursor& cursor) {
  cursor.Advance();
  DeclareCursor declare;
  TRY(declare.name, cursor.Name());
  while (!cursor.AtEnd() && !cursor.AtWord("CURSOR")) {
    if (!cursor.Accept({"BINARY"}) && !cursor.Accept({"INSENSITIVE"}) &&
        !cursor.Accept({"ASENSITIVE"}) && !cursor.Accept({"NO", "SCROLL"})) {
      if (cursor.AtWord("SCROLL"))
        return Error(Code::kNotSupported, "cursors only go forward")
            .Hint("DECLARE … NO SCROLL CURSOR");
      return cursor.Unexpected("CURSOR");
    }
  }
  TRY(cursor.Expect({"CURSOR"}));
  if (cursor.Accept({"WITH", "HOLD"}))
    return Error(Code::kNotSupported, "a cursor ends with its transaction")
        .Hint("DECLARE … CURSOR WITHOUT HOLD");
  cursor.Accept({"WITHOUT", "HOLD"});
  TRY(cursor.Expect({"FOR"}));
  declare.query = cursor.Rest();
  return StatementKind(declare);
}

Result<StatementKind> ParseFetch(TokenCursor& cursor) {
  FetchCursor fetch;
  fetch.move = cursor.AtWord("MOVE");
  cursor.Advance();
  fetch.count = 1;
  bool forward = false;
  if (cursor.Accept({"FORWARD"})) forward = true;
  if (cursor.Accept({"NEXT"})) {
    fetch.count = 1;
  } else if (cursor.Accept({"ALL"})) {
    fetch.count.reset();
  } else if (cursor.Peek().kind == Token::Kind::kNumber) {
    TRY(const int64_t count, cursor.Integer());
    fetch.count = static_cast<uint64_t>(count);
  } else if (!forward &&
             (cursor.AtWord("PRIOR") || cursor.AtWord("FIRST") || cursor.AtWord("LAST") ||
              cursor.AtWord("ABSOLUTE") || cursor.AtWord("RELATIVE") || cursor.AtWord("BACKWARD") ||
              cursor.AtSymbol('-'))) {
    return Error(Code::kNotSupported, "cursors only go forward").SqlState("55000");
  }
  if (!cursor.Accept({"FROM"})) cursor.Accept({"IN"});
  TRY(fetch.name, cursor.Name());
  TRY(cursor.ExpectEnd());
  return StatementKind(fetch);
}

Result<StatementKind> ParseClose(TokenCursor& cursor) {
  cursor.Advance();
  CloseCursor close;
  if (!cursor.Accept({"ALL"})) {
    TRY(close.name, cursor.Name());
  }
  TRY(cursor.ExpectEnd());
  return StatementKind(close);
}

Result<StatementKind> ParseSubscribe(TokenCursor& cursor) {
  cursor.Advance();
  Subscribe subscribe;
  TRY(cursor.Expect({"TO"}));
  TRY(subscribe.relation, cursor.RelationName());
  subscribe.with_snapshot = cursor.Accept({"WITH", "SNAPSHOT"});
  if (cursor.Accept({"FROM", "STEP"})) {
    TRY(subscribe.from_step, cursor.Integer());
  }
  TRY(cursor.ExpectEnd());
  if (subscribe.with_snapshot && subscribe.from_step)
    return Error(Code::kInvalidArgument,
                 "WITH SNAPSHOT begins with the content, FROM STEP with the changes after a step: "
                 "one of them")
        .SqlState("42601");
  return StatementKind(subscribe);
}

Result<StatementKind> ParseDeallocate(TokenCursor& cursor) {
  cursor.Advance();
  cursor.Accept({"PREPARE"});
  Deallocate deallocate;
  if (!cursor.Accept({"ALL"})) {
    TRY(deallocate.name, cursor.Name());
  }
  TRY(cursor.ExpectEnd());
  return StatementKind(deallocate);
}

Result<StatementKind> ParseDiscard(TokenCursor& cursor) {
  cursor.Advance();
  Discard discard;
  discard.all = cursor.AtWord("ALL");
  TRY(const std::string what, cursor.Name());
  for (const char* known : {"ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY"}) {
    if (rows::EqualNames(known, what)) discard.what = known;
  }
  if (discard.what.empty()) return cursor.Unexpected("ALL, PLANS, SEQUENCES or TEMP");
  TRY(cursor.ExpectEnd());
  return StatementKind(discard);
}

Result<char> OneByte(TokenCursor& cursor, std::string_view what) {
  TRY(const std::string value, cursor.Value());
  if (value.size() != 1)
    return Error(Code::kInvalidArgument, "COPY {} must be a single one-byte character", what)
        .SqlState("0A000");
  return value[0];
}

Status TakeCopyOption(TokenCursor& cursor, CopyOptions& options, bool& null_given,
                      bool& delimiter_given) {
  if (cursor.Accept({"FORMAT"})) {
    TRY(const std::string format, cursor.Value());
    if (rows::EqualNames(format, "text")) return Ok();
    if (rows::EqualNames(format, "csv")) {
      options.format = CopyOptions::Format::kCsv;
    } else if (rows::EqualNames(format, "binary")) {
      options.format = CopyOptions::Format::kBinary;
    } else {
      return Error(Code::kInvalidArgument, "COPY format {} not recognized", Quoted(format))
          .Hint("text, csv or binary");
    }
    return Ok();
  }
  if (cursor.Accept({"CSV"})) return options.format = CopyOptions::Format::kCsv, Ok();
  if (cursor.Accept({"BINARY"})) return options.format = CopyOptions::Format::kBinary, Ok();
  if (cursor.Accept({"HEADER"})) {
    options.header = true;
    if (cursor.AtWord("false") || cursor.AtWord("off")) options.header = false;
    for (const char* word : {"true", "on", "false", "off"}) cursor.Accept({word});
    return Ok();
  }
  if (cursor.Accept({"DELIMITER"}) || cursor.Accept({"DELIMITERS"})) {
    cursor.Accept({"AS"});
    delimiter_given = true;
    TRY(options.delimiter, OneByte(cursor, "delimiter"));
    return Ok();
  }
  if (cursor.Accept({"NULL"})) {
    cursor.Accept({"AS"});
    null_given = true;
    TRY(options.null_text, cursor.Value());
    return Ok();
  }
  if (cursor.Accept({"QUOTE"})) {
    cursor.Accept({"AS"});
    TRY(options.quote, OneByte(cursor, "quote"));
    return Ok();
  }
  if (cursor.Accept({"ESCAPE"})) {
    cursor.Accept({"AS"});
    TRY(options.escape, OneByte(cursor, "escape"));
    return Ok();
  }
  if (cursor.Accept({"ENCODING"})) {
    TRY(const std::string encoding, cursor.Value());
    if (rows::EqualNames(encoding, "utf8") || rows::EqualNames(encoding, "utf-8")) return Ok();
    return Error(Code::kNotSupported, "COPY reads and writes UTF8, not {}", Quoted(encoding));
  }
  if (cursor.Accept({"FORCE_QUOTE"}) || cursor.Accept({"FORCE", "QUOTE"})) {
    if (cursor.AcceptSymbol('*')) {
      options.force_quote = {"*"};
      return Ok();
    }
    TRY(cursor.ExpectSymbol('('));
    do {
      TRY(options.force_quote.emplace_back(), cursor.Name());
    } while (cursor.AcceptSymbol(','));
    return cursor.ExpectSymbol(')');
  }
  return cursor.Unexpected(
      "an option of COPY: FORMAT, HEADER, DELIMITER, NULL, QUOTE, ESCAPE, ENCODING, FORCE_QUOTE");
}

Result<StatementKind> ParseRefresh(TokenCursor& cursor) {
  TRY(cursor.Expect({"REFRESH", "MATERIALIZED", "VIEW"}));
  cursor.Accept({"CONCURRENTLY"});
  TRY(std::string view, cursor.RelationName());
  if (!cursor.Accept({"WITH", "DATA"})) cursor.Accept({"WITH", "NO", "DATA"});
  TRY(cursor.ExpectEnd());
  return StatementKind(Refresh{std::move(view)});
}

Result<StatementKind> ParseCopy(TokenCursor& cursor) {
  cursor.Advance();
  Copy copy;
  if (cursor.AcceptSymbol('(')) {
    TRY(copy.query, cursor.UntilClosing());
  } else {
    TRY(copy.relation, cursor.RelationName());
    if (cursor.AcceptSymbol('(')) {
      do {
        TRY(copy.columns.emplace_back(), cursor.Name());
      } while (cursor.AcceptSymbol(','));
      TRY(cursor.ExpectSymbol(')'));
    }
  }
  copy.from = cursor.AtWord("FROM");
  if (copy.from ? !copy.query.empty() : !cursor.AtWord("TO"))
    return cursor.Unexpected(copy.query.empty() ? "FROM or TO" : "TO");
  cursor.Advance();
  if (!cursor.Accept({copy.from ? "STDIN" : "STDOUT"})) {
    return Error(Code::kNotSupported, "COPY reads and writes no files of the server")
        .Hint(copy.from ? "FROM STDIN takes what the client sends (psql: \\copy)"
                        : "TO STDOUT sends to the client (psql: \\copy)");
  }
  cursor.Accept({"WITH"});
  bool null_given = false;
  bool delimiter_given = false;
  const bool listed = cursor.AcceptSymbol('(');
  while (!cursor.AtEnd() && !(listed && cursor.AtSymbol(')'))) {
    TRY(TakeCopyOption(cursor, copy.options, null_given, delimiter_given));
    if (listed && !cursor.AcceptSymbol(',')) break;
  }
  if (listed) TRY(cursor.ExpectSymbol(')'));
  if (cursor.AtWord("WHERE")) return Error(Code::kNotSupported, "COPY … WHERE is not supported");
  TRY(cursor.ExpectEnd());
  if (copy.options.format == CopyOptions::Format::kCsv) {
    if (!null_given) copy.options.null_text.clear();
    if (!delimiter_given) copy.options.delimiter = ',';
  }
  return StatementKind(copy);
}

Error NotSupported(std::string_view what, std::string hint = "") {
  return Error(Code::kNotSupported, "{} is not supported", what).Hint(std::move(hint));
}

// What PostgreSQL has and Millrace has not.
std::optional<Error> Refused(const TokenCursor& cursor) {
  if (cursor.AtWord("LISTEN") || cursor.AtWord("NOTIFY"))
    return NotSupported("LISTEN", "SUBSCRIBE TO view sends its changes");
  if (cursor.AtWord("LOCK")) return NotSupported("LOCK", "nothing needs to be locked");
  if (cursor.AtWord("PREPARE") || cursor.AtWord("EXECUTE"))
    return NotSupported("PREPARE as a statement", "use the client's own prepared statements");
  if (cursor.AtWord("DO")) return NotSupported("DO");
  return std::nullopt;
}

NodeStatement::Kind KindOf(const TokenCursor& cursor, std::string_view text) {
  using Kind = NodeStatement::Kind;
  for (const char* word : {"INSERT", "UPDATE", "DELETE"}) {
    if (cursor.AtWord(word)) return Kind::kWrite;
  }
  for (const char* word : {"SHOW", "DESCRIBE", "DESC", "EXPLAIN"}) {
    if (cursor.AtWord(word)) return Kind::kShow;
  }
  for (const char* word :
       {"SELECT", "WITH", "VALUES", "FROM", "TABLE", "PIVOT", "UNPIVOT", "SUMMARIZE"}) {
    if (!cursor.AtWord(word)) continue;
    const auto named = sql::RelationsNamed(text);
    return named.ok() && named->empty() ? Kind::kConstant : Kind::kRead;
  }
  if (cursor.AtSymbol('(')) return Kind::kRead;
  return Kind::kDefinition;
}

}  // namespace

bool MendsBlock(const StatementKind& kind) {
  const auto* savepoint = std::get_if<Savepoint>(&kind);
  return std::holds_alternative<EndBlock>(kind) ||
         (savepoint != nullptr && savepoint->what == Savepoint::What::kGoBack);
}

Result<std::vector<std::string>> SplitStatements(std::string_view text) {
  TRY(const std::vector<Token> tokens, sql::Lex(text));
  std::vector<std::string> statements;
  size_t begin = 0;
  size_t end = 0;
  bool empty = true;
  for (const Token& token : tokens) {
    const bool ends = token.kind == Token::Kind::kEnd ||
                      (token.kind == Token::Kind::kSymbol && text[token.begin] == ';');
    if (!ends) {
      if (empty) begin = token.begin;
      empty = false;
      end = token.end;
      continue;
    }
    if (!empty) statements.push_back(Blanked(text, begin, end));
    empty = true;
  }
  return statements;
}

Result<SessionStatement> Classify(std::string text) {
  TRY(const std::vector<Token> tokens, sql::Lex(text));
  TokenCursor cursor(text, tokens);
  SessionStatement statement;
  const auto at = [&](std::initializer_list<const char*> words) {
    return std::any_of(words.begin(), words.end(),
                       [&](const char* word) { return cursor.AtWord(word); });
  };
  if (auto refused = Refused(cursor)) return *std::move(refused);
  const auto parse = [&]() -> Result<StatementKind> {
    if (at({"BEGIN", "START"})) return ParseBegin(cursor);
    if (at({"COMMIT", "END", "ROLLBACK", "ABORT"})) return ParseEnd(cursor);
    if (cursor.Accept({"SAVEPOINT"})) return ParseSavepoint(cursor, Savepoint::What::kSet);
    if (cursor.Accept({"RELEASE"})) {
      cursor.Accept({"SAVEPOINT"});
      return ParseSavepoint(cursor, Savepoint::What::kRelease);
    }
    if (at({"SET"})) return ParseSet(cursor);
    if (at({"SHOW"}) && !IsMillraceShow(cursor)) return ParseShow(cursor);
    if (cursor.Accept({"RESET"})) {
      ResetVariable reset;
      if (cursor.Accept({"ALL"})) return StatementKind(reset);
      if (cursor.Accept({"SESSION", "AUTHORIZATION"}) || cursor.Accept({"ROLE"}))
        return StatementKind(Nothing{"RESET"});
      if (cursor.Accept({"TIME", "ZONE"})) return StatementKind(ResetVariable{"timezone"});
      TRY(reset.name, cursor.Name());
      while (cursor.AcceptSymbol('.')) {
        TRY(const std::string more, cursor.Name());
        reset.name += "." + more;
      }
      return StatementKind(reset);
    }
    if (at({"DISCARD"})) return ParseDiscard(cursor);
    if (at({"DEALLOCATE"})) return ParseDeallocate(cursor);
    if (at({"DECLARE"})) return ParseDeclare(cursor);
    if (at({"FETCH", "MOVE"})) return ParseFetch(cursor);
    if (at({"CLOSE"})) return ParseClose(cursor);
    if (at({"SUBSCRIBE"})) return ParseSubscribe(cursor);
    if (at({"COPY"})) return ParseCopy(cursor);
    if (at({"REFRESH"})) return ParseRefresh(cursor);
    if (at({"UNLISTEN"})) return StatementKind(Nothing{"UNLISTEN"});
    const bool query = at({"SELECT", "WITH", "VALUES", "TABLE"}) || cursor.AtSymbol('(');
    if (query && NamesCatalog(text, tokens)) return StatementKind(CatalogQuery());
    return StatementKind(NodeStatement{KindOf(cursor, text)});
  };
  TRY(statement.kind, parse());
  statement.text = std::move(text);
  return statement;
}

}  // namespace millrace::pg
