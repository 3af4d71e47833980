// Our statements, parsed: text → Statement. What is inside AS SELECT …, and every plain DuckDB
// SELECT/INSERT/UPDATE/DELETE, is kept as text with its place, and bound by the planner. Pure
// functions, thread-safe.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "catalog/sql_text.h"

namespace millrace::sql {

// Where a statement stands, so that an error inside it can point at line and column of the user's
// file.
struct Origin {
  std::string file;           // empty: typed or sent
  std::string_view text;      // the whole text that was parsed
  size_t begin = 0, end = 0;  // of this statement within it
};

struct CreateStatement {
  catalog::Definition definition;  // views: schema and reads still empty, filled by the binder
  bool or_replace = false;
  bool if_not_exists = false;
  // Byte in the whole text where the inner SELECT begins, of a macro what stands behind its name,
  // of a model its path.
  size_t select_begin = 0;
  size_t topic_begin = 0;          // likewise, where the name of a table's topic stands
  std::vector<catalog::Use> uses;  // the user's own types that it declares columns by
};
struct DropStatement {
  catalog::Kind kind;
  std::string name;
  bool if_exists = false;
  bool cascade = false;
};
// COMMENT ON kind name IS 'text'.
struct CommentStatement {
  catalog::Kind kind;  // of COLUMN: kView, which stands for any relation
  std::string name;
  std::string column;  // COMMENT ON COLUMN: of the relation `name`
  std::string text;    // empty: IS NULL
};
// What ALTER STREAM does to columns and CHECKs.
struct AddColumn {
  rows::Column column;  // without id
  std::vector<catalog::Check> checks;
  bool if_not_exists = false;
};
struct DropColumn {
  std::string column;
  bool if_exists = false;
};
struct RenameColumn {
  std::string from;
  std::string to;
};
// The old name of a renamed column is no longer taken for it in records.
struct DropAlias {
  std::string alias;
};
struct AlterColumn {
  std::string column;
  enum class What { kSetType, kSetDefault, kDropDefault, kSetNotNull, kDropNotNull };
  What what = What::kSetType;
  duckdb::LogicalType type;  // kSetType
  std::string constant;      // kSetDefault: SQL text
};
struct AddCheck {
  std::string expression;
};
struct DropCheck {
  std::string expression;
};
using ColumnChange =
    std::variant<AddColumn, DropColumn, RenameColumn, DropAlias, AlterColumn, AddCheck, DropCheck>;
// ALTER kind name …
struct AlterStatement {
  catalog::Kind kind;
  bool materialized = false;  // ALTER MATERIALIZED VIEW
  std::string name;
  struct Rename {
    std::string to;
  };
  // SET (…) of a stream or of a view, whose values have the options in `names`.
  struct SetOptions {
    std::set<std::string> names;
    catalog::StreamDefinition values;
    catalog::ViewDefinition view_values;
  };
  // INTO n PARTITIONS of a stream.
  struct SetPartitions {
    int partitions;
  };
  // PAUSE and RESUME of a materialized view.
  struct Hold {
    bool pause;
  };
  std::variant<Rename, SetOptions, SetPartitions, Hold, ColumnChange> action;
  std::vector<catalog::Use> uses;  // the user's own types that it names
};
struct ShowStatement {
  catalog::Kind kind;
};
struct DescribeStatement {
  std::string name;
};
struct ExplainStatement {
  bool analyze = false;
  std::string view;  // EXPLAIN VIEW name; else empty
  std::string
      text;  // EXPLAIN CREATE MATERIALIZED VIEW … / EXPLAIN SELECT …: the text after EXPLAIN
  size_t text_begin = 0;
};
// INSERT, UPDATE, DELETE: the target and the DuckDB text.
struct WriteStatement {
  enum class What { kInsert, kUpdate, kDelete };
  What what;
  std::string target;
  std::string text;
};
struct SelectStatement {  // anything that DuckDB answers: SELECT, WITH, VALUES, FROM …
  std::string text;
};
struct ReplayStatement {  // internal form of `millrace replay STREAM`
  std::string stream;
};

struct Statement {
  std::variant<CreateStatement, DropStatement, ShowStatement, DescribeStatement, ExplainStatement,
               WriteStatement, SelectStatement, ReplayStatement, CommentStatement, AlterStatement>
      statement;
  std::string text;  // of this statement alone, without the semicolon
  size_t begin = 0;  // byte where it begins in the whole text
};

// Splits and parses a text of any number of statements. An error carries file, line, column and
// caret, says what was expected, and hints at the nearest keyword or type where one is near. `file`
// is for errors only. `types`: the user's own, besides those that the text itself creates.
Result<std::vector<Statement>> Parse(std::string_view text, std::string_view file = {},
                                     const catalog::NamedTypes& types = {});
// The types that a text creates, whatever else stands in it and whether that can be parsed.
catalog::NamedTypes TypesDeclared(std::string_view text);
catalog::NamedTypes TypesOf(const catalog::Catalog& catalog);

// The relations that a SELECT names anywhere, each once, as written ("public." and "main." taken
// off, other schemas kept); names that its WITH defines are none. Does not bind: a name may not
// exist. Enough to order the views of a project before they are bound.
Result<std::vector<std::string>> RelationsNamed(std::string_view select);

// What of `vocabulary` a SELECT, an expression, or what stands behind the name in CREATE MACRO
// names, each once. A text that cannot be parsed names nothing.
enum class TextKind { kSelect, kExpression, kMacro };
std::vector<catalog::Use> WordsNamed(std::string_view text, TextKind kind,
                                     const catalog::Vocabulary& vocabulary);
// The relations that the body of a macro names.
Result<std::vector<std::string>> RelationsOfMacro(std::string_view body);

// The text of a CREATE statement with another name for what it creates. REQUIRES: it is one.
std::string Renamed(std::string_view create, const std::string& name);

// An expression over a relation's columns, with one of them under another name.
std::string ColumnRenamed(std::string_view expression, std::string_view relation,
                          std::string_view from, std::string_view to);

// A statement's text on one line: comments gone, white space outside quotes a single space. For
// catalog::Object::text. A text that cannot be lexed comes back as it is.
std::string NormaliseText(std::string_view text);

}  // namespace millrace::sql
