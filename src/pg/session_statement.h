// What a statement is to a session: which of them the session answers itself, which go to the
// catalog's tables, which to the node. Pure functions, thread-safe.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "sql/lexer.h"

namespace millrace::pg {

// BEGIN, START TRANSACTION.
struct BeginBlock {
  std::optional<bool> read_only;
};
struct EndBlock {
  bool commit = true;
  bool chain = false;  // AND CHAIN
};
struct Savepoint {
  enum class What { kSet, kRelease, kGoBack };
  What what = What::kSet;
  std::string name;
};
struct SetVariable {
  std::string name;
  std::optional<std::string> value;  // none: DEFAULT
  bool local = false;
};
// SET TRANSACTION, SET SESSION CHARACTERISTICS AS TRANSACTION.
struct SetTransaction {
  bool of_session = false;
  std::optional<bool> read_only;
};
struct ShowVariable {
  std::string name;  // "all": all of them
};
struct ResetVariable {
  std::string name;  // empty: all
};
struct Discard {
  bool all = false;  // DISCARD ALL; else PLANS, SEQUENCES, TEMP, of which there are none
  std::string what;  // as the tag has it: "ALL"
};
struct Deallocate {
  std::string name;  // empty: all
};
struct DeclareCursor {
  std::string name;
  std::string query;  // with what stands before it blanked out
};
struct FetchCursor {
  std::string name;
  std::optional<uint64_t> count;  // none: all
  bool move = false;              // MOVE: the rows are skipped
};
struct CloseCursor {
  std::string name;  // empty: all
};
struct Subscribe {
  std::string relation;
  bool with_snapshot = false;
  std::optional<int64_t> from_step;
};
struct CopyOptions {
  enum class Format { kText, kCsv, kBinary };
  Format format = Format::kText;
  char delimiter = '\t';
  std::string null_text = "\\N";
  bool header = false;
  char quote = '"';
  char escape = '"';
  std::vector<std::string> force_quote;  // "*": all columns
};
struct Copy {
  std::string relation;  // empty: a query
  std::vector<std::string> columns;
  std::string query;  // the text between the parentheses, blanked before
  bool from = false;  // FROM STDIN; else TO STDOUT
  CopyOptions options;
};
// Does nothing, and says so with its tag: UNLISTEN.
struct Nothing {
  std::string tag;
};
// REFRESH MATERIALIZED VIEW: they always are.
struct Refresh {
  std::string view;
};
struct CatalogQuery {};
struct NodeStatement {
  enum class Kind {
    kRead,        // of rows: SELECT …
    kConstant,    // a SELECT that names no relation
    kShow,        // of definitions: SHOW VIEWS, DESCRIBE, EXPLAIN
    kWrite,       // INSERT, UPDATE, DELETE
    kDefinition,  // everything else
  };
  Kind kind = Kind::kRead;
};

using StatementKind =
    std::variant<NodeStatement, CatalogQuery, BeginBlock, EndBlock, Savepoint, SetVariable,
                 SetTransaction, ShowVariable, ResetVariable, Discard, Deallocate, DeclareCursor,
                 FetchCursor, CloseCursor, Subscribe, Copy, Nothing, Refresh>;

struct SessionStatement {
  // The statement, with what stands before it in the client's text blanked out, so that positions
  // in its errors are those of the whole text.
  std::string text;
  StatementKind kind;
};

// Whether it can be run in a block that has failed.
bool MendsBlock(const StatementKind& kind);

// Splits a text at its semicolons. Empty statements are left out. Errors are of the lexer.
Result<std::vector<std::string>> SplitStatements(std::string_view text);
// `text`: one of them. Errors: a statement of the session that cannot be understood (42601), or
// that is not here (0A000).
Result<SessionStatement> Classify(std::string text);

// Whether a text names what only the catalog's tables answer.
bool NamesCatalog(std::string_view text, const std::vector<sql::Token>& tokens);

}  // namespace millrace::pg
