#include "sql/parser_alter.h"

#include <algorithm>

#include "base/check.h"
#include "duckdb/parser/keyword_helper.hpp"
#include "rows/schema.h"
#include "sql/parser_columns.h"
#include "sql/parser_create.h"
#include "sql/parser_stream_options.h"
#include "sql/parser_types.h"
#include "sql/parser_view_options.h"

namespace millrace::sql {
namespace {

// relation.column, where the relation may stand in schema public or main.
Status ExpectColumn(Cursor& cursor, CommentStatement& comment) {
  const size_t begin = cursor.Peek().begin;
  std::vector<std::string> parts;
  do {
    TRY(PlacedName part, cursor.ExpectName("a column with its relation, such as clicks.price"));
    parts.push_back(std::move(part.name));
  } while (cursor.AcceptSymbol('.'));
  if (parts.size() == 3 &&
      (rows::EqualNames(parts[0], "public") || rows::EqualNames(parts[0], "main")))
    parts.erase(parts.begin());
  if (parts.size() != 2) {
    return cursor.At(begin, Error(Code::kInvalidArgument,
                                  "expected a column with its relation, such as clicks.price")
                                .SqlState("42601"));
  }
  comment.kind = catalog::Kind::kView;
  comment.name = std::move(parts[0]);
  comment.column = std::move(parts[1]);
  return Ok();
}

// A kind of object and the name of one of that kind.
Status ExpectObject(Cursor& cursor, CommentStatement& comment) {
  cursor.Accept({"MATERIALIZED"});
  for (const KindWord& word : KindWords()) {
    if (!cursor.Accept({word.singular})) continue;
    comment.kind = word.kind;
    TRY(const PlacedName name,
        cursor.ExpectReference(fmt::format("the name of the {}", catalog::KindName(word.kind))));
    comment.name = name.name;
    return Ok();
  }
  std::vector<std::string> kinds = SingularKinds();
  kinds.emplace_back("COLUMN");
  return cursor.Unexpected(
      "what the comment is on: STREAM, TABLE, VIEW, MATERIALIZED VIEW, COLUMN, TYPE, MACRO, "
      "INDEX, SOURCE or ENDPOINT",
      kinds);
}

// What ALTER STREAM, TABLE and so on cannot do yet, and what to do instead.
Error NotYet(const Cursor& cursor, const AlterStatement& alter) {
  const bool keeps_rows =
      alter.kind == catalog::Kind::kStream || alter.kind == catalog::Kind::kTable;
  return cursor.At(cursor.Peek().begin,
                   Error(Code::kNotSupported, "this change of a {} is not available yet",
                         catalog::KindName(alter.kind))
                       .Hint(keeps_rows ? "its columns and keys are those that it was created with"
                                        : fmt::format("CREATE OR REPLACE changes a {}",
                                                      catalog::KindName(alter.kind))));
}

// SET (option = value, …) and RESET (option, …) of a stream or view.
Result<AlterStatement::SetOptions> ExpectOptionsOf(Cursor& cursor, bool stream, bool reset) {
  AlterStatement::SetOptions set;
  if (!stream && reset) {
    TRY(set.names, ExpectViewSettingNames(cursor));
  } else if (!stream) {
    TRY(set.names, ExpectViewSettings(cursor, set.view_values));
  } else if (reset) {
    TRY(set.names, ExpectStreamOptionNames(cursor));
  } else {
    TRY(set.names, ExpectStreamOptions(cursor, set.values, /*created=*/false));
  }
  return set;
}

Result<std::string> ExpectCheck(Cursor& cursor) {
  TRY(const Cursor::Slice slice,
      cursor.ExpectParenthesised("a condition in parentheses after CHECK"));
  return slice.text;
}

Result<ColumnChange> ExpectAdd(Cursor& cursor) {
  if (cursor.Accept({"CHECK"})) {
    TRY(std::string expression, ExpectCheck(cursor));
    return ColumnChange(AddCheck{std::move(expression)});
  }
  cursor.Accept({"COLUMN"});
  AddColumn add;
  add.if_not_exists = cursor.Accept({"IF", "NOT", "EXISTS"});
  TRY(ColumnList list, ExpectOneColumn(cursor, catalog::Kind::kStream));
  add.column = std::move(list.schema.columns[0]);
  add.checks = std::move(list.checks);
  return ColumnChange(std::move(add));
}

Result<ColumnChange> ExpectDrop(Cursor& cursor) {
  if (cursor.Accept({"CHECK"})) {
    TRY(std::string expression, ExpectCheck(cursor));
    return ColumnChange(DropCheck{std::move(expression)});
  }
  if (cursor.Accept({"ALIAS"})) {
    TRY(PlacedName alias, cursor.ExpectName("the old name of a renamed column"));
    return ColumnChange(DropAlias{std::move(alias.name)});
  }
  cursor.Accept({"COLUMN"});
  DropColumn drop;
  drop.if_exists = cursor.Accept({"IF", "EXISTS"});
  TRY(PlacedName name, cursor.ExpectName("the name of a column"));
  drop.column = std::move(name.name);
  return ColumnChange(std::move(drop));
}

Result<ColumnChange> ExpectRenameColumn(Cursor& cursor) {
  cursor.Accept({"COLUMN"});
  TRY(PlacedName from, cursor.ExpectName("TO, or the name of a column"));
  TRY(cursor.Expect({"TO"}));
  TRY(PlacedName to, cursor.ExpectName("the new name of the column"));
  if (IsHidden(to.name)) {
    return cursor.At(to.begin, Error(Code::kInvalidArgument,
                                     "every stream has a hidden column {} already", Quoted(to.name))
                                   .SqlState("42701"));
  }
  return ColumnChange(RenameColumn{std::move(from.name), std::move(to.name)});
}

// c [SET DATA] TYPE t, SET DEFAULT v, DROP DEFAULT, SET NOT NULL, DROP NOT NULL.
Result<ColumnChange> ExpectAlterColumn(Cursor& cursor) {
  cursor.Accept({"COLUMN"});
  TRY(const PlacedName name, cursor.ExpectName("the name of a column"));
  AlterColumn alter;
  alter.column = name.name;
  using What = AlterColumn::What;
  if (cursor.Accept({"SET", "NOT", "NULL"})) {
    alter.what = What::kSetNotNull;
  } else if (cursor.Accept({"DROP", "NOT", "NULL"})) {
    alter.what = What::kDropNotNull;
  } else if (cursor.Accept({"DROP", "DEFAULT"})) {
    alter.what = What::kDropDefault;
  } else if (cursor.Accept({"SET", "DEFAULT"})) {
    alter.what = What::kSetDefault;
    if (cursor.AtEnd()) return cursor.Unexpected("a constant after DEFAULT");
    alter.constant = cursor.Rest().text;
  } else if (cursor.Accept({"SET", "DATA", "TYPE"}) || cursor.Accept({"TYPE"})) {
    TRY(alter.type, ExpectType(cursor, name));
  } else {
    return cursor.Unexpected(
        "TYPE, SET DATA TYPE, SET DEFAULT, DROP DEFAULT, SET NOT NULL or "
        "DROP NOT NULL",
        {"TYPE", "SET", "DROP"});
  }
  return ColumnChange(std::move(alter));
}

Result<ColumnChange> ExpectColumnChange(Cursor& cursor) {
  if (cursor.Accept({"ADD"})) return ExpectAdd(cursor);
  if (cursor.Accept({"DROP"})) return ExpectDrop(cursor);
  if (cursor.Accept({"ALTER"})) return ExpectAlterColumn(cursor);
  cursor.Advance();  // RENAME
  return ExpectRenameColumn(cursor);
}

bool AtColumnChange(const Cursor& cursor) {
  return cursor.AtWord("ADD") || cursor.AtWord("DROP") || cursor.AtWord("ALTER") ||
         cursor.AtWord("RENAME");
}

Status ExpectAction(Cursor& cursor, AlterStatement& alter) {
  const bool stream = alter.kind == catalog::Kind::kStream;
  if (cursor.Accept({"RENAME", "TO"})) {
    AlterStatement::Rename rename;
    TRY(rename.to, ExpectNewName(cursor, alter.kind));
    alter.action = std::move(rename);
  } else if (alter.kind == catalog::Kind::kView &&
             (cursor.AtWord("PAUSE") || cursor.AtWord("RESUME"))) {
    alter.action = AlterStatement::Hold{cursor.AtWord("PAUSE")};
    cursor.Advance();
  } else if ((stream || alter.kind == catalog::Kind::kView) &&
             (cursor.AtWord("SET") || cursor.AtWord("RESET"))) {
    const bool reset = cursor.AtWord("RESET");
    cursor.Advance();
    TRY(alter.action, ExpectOptionsOf(cursor, stream, reset));
  } else if (stream && cursor.AtWord("INTO")) {
    TRY(const int partitions, ExpectPartitions(cursor));
    alter.action = AlterStatement::SetPartitions{partitions};
  } else if (stream && AtColumnChange(cursor)) {
    TRY(alter.action, ExpectColumnChange(cursor));
    for (const std::string& type : cursor.types_noted())
      alter.uses.push_back({catalog::Kind::kType, type});
  } else {
    for (std::string_view word : {"ADD", "DROP", "ALTER", "RENAME", "SET"}) {
      if (cursor.AtWord(word)) return NotYet(cursor, alter);
    }
    if (stream) {
      return cursor.Unexpected("ADD, DROP, ALTER, RENAME, SET, RESET or INTO",
                               {"ADD", "DROP", "ALTER", "RENAME", "SET", "RESET", "INTO"});
    }
    if (alter.kind == catalog::Kind::kView)
      return cursor.Unexpected("RENAME TO, SET, RESET, PAUSE or RESUME",
                               {"RENAME", "SET", "RESET", "PAUSE", "RESUME"});
    return cursor.Unexpected("RENAME TO and the new name", {"RENAME"});
  }
  return cursor.ExpectEnd("", {});
}

}  // namespace

Result<AlterStatement> ParseAlter(Cursor& cursor) {
  AlterStatement alter;
  alter.materialized = cursor.Accept({"MATERIALIZED"});
  const std::pair<std::string_view, catalog::Kind> kinds[] = {
      {"STREAM", catalog::Kind::kStream},
      {"TABLE", catalog::Kind::kTable},
      {"VIEW", catalog::Kind::kView},
      {"ENDPOINT", catalog::Kind::kEndpoint},
      {"MODEL", catalog::Kind::kModel}};
  const auto found = std::find_if(std::begin(kinds), std::end(kinds),
                                  [&](const auto& kind) { return cursor.AtWord(kind.first); });
  if (alter.materialized && !cursor.AtWord("VIEW")) return cursor.Unexpected("VIEW", {"VIEW"});
  if (found == std::end(kinds)) {
    return cursor.Unexpected(
        "what to alter: STREAM, TABLE, VIEW, MATERIALIZED VIEW, ENDPOINT or MODEL",
        {"STREAM", "TABLE", "VIEW", "MATERIALIZED", "ENDPOINT", "MODEL"});
  }
  cursor.Advance();
  alter.kind = found->second;
  const std::string_view kind = catalog::KindName(alter.kind);
  TRY(const PlacedName name, cursor.ExpectReference(fmt::format("the name of the {}", kind)));
  alter.name = name.name;
  if (Status status = ExpectAction(cursor, alter); !status.ok()) {
    return std::move(status).error().With(fmt::format(
        "ALTER {}{} {}", alter.materialized ? "MATERIALIZED " : "", found->first, alter.name));
  }
  return alter;
}

std::string Renamed(std::string_view create, const std::string& name) {
  const Result<std::vector<Token>> tokens = Lex(create);
  CHECK(tokens.ok()) << "a statement of the catalog: " << create;
  const catalog::NamedTypes none;
  Cursor cursor(create, "", std::span(*tokens).first(tokens->size() - 1), none);
  cursor.Accept({"CREATE"});
  cursor.Accept({"OR", "REPLACE"});
  cursor.Accept({"MATERIALIZED"});
  cursor.Advance();  // the kind
  cursor.Accept({"IF", "NOT", "EXISTS"});
  const size_t begin = cursor.Peek().begin;
  while (cursor.AtSymbol('.', 1)) {  // public.x
    cursor.Advance();
    cursor.Advance();
  }
  return std::string(create.substr(0, begin)) + duckdb::KeywordHelper::WriteOptionallyQuoted(name) +
         std::string(create.substr(cursor.Peek().end));
}

Result<CommentStatement> ParseComment(Cursor& cursor) {
  CommentStatement comment;
  TRY(cursor.Expect({"ON"}));
  if (cursor.Accept({"COLUMN"})) {
    TRY(ExpectColumn(cursor, comment));
  } else {
    TRY(ExpectObject(cursor, comment));
  }
  TRY(cursor.Expect({"IS"}));
  if (!cursor.Accept({"NULL"})) {
    TRY(comment.text, cursor.ExpectString("a text in single quotes, or NULL"));
  }
  TRY(cursor.ExpectEnd("", {}));
  return comment;
}

}  // namespace millrace::sql
