// CREATE [OR REPLACE] STREAM, TABLE, [MATERIALIZED] VIEW, INDEX, ENDPOINT, SOURCE, TYPE, MACRO,
// MODEL. Pure functions, thread-safe.
#pragma once

#include "base/result.h"
#include "sql/parser_cursor.h"
#include "sql/statement.h"

namespace millrace::sql {

// A kind of object as SQL names it.
struct KindWord {
  std::string_view singular;  // "STREAM"
  std::string_view plural;    // "STREAMS"
  catalog::Kind kind;
};
const std::vector<KindWord>& KindWords();
// What design and other systems know and this build does not have: the singular, and what to say.
bool IsLaterKind(std::string_view word);
std::vector<std::string> SingularKinds();

// A name that an object may take. Schemas other than the default one hold no objects made by these
// statements.
Result<std::string> ExpectNewName(Cursor& cursor, catalog::Kind kind);

// The cursor stands behind CREATE.
Result<CreateStatement> ParseCreate(Cursor& cursor);

}  // namespace millrace::sql
