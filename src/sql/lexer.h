// SQL text → tokens with their exact places. The lexical rules are DuckDB's (PostgreSQL's):
// comments to the end of line and nested
// /* */, 'text' with '' inside, E'…' with backslashes, $tag$…$tag$, "names" with "" inside,
// numbers, $parameters. Pure functions, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::sql {

struct Token {
  enum class Kind {
    kWord,        // keyword or plain name
    kQuotedName,  // "name"
    kString,      // 'text', E'text', $tag$text$tag$
    kNumber,
    kParameter,  // $name, $1 or ?
    kSymbol,     // one character of punctuation or of an operator
    kEnd,        // after the last one; begin = end = size of the text
  };
  Kind kind;
  size_t begin;  // bytes
  size_t end;
};

// All tokens, kEnd last. Error: something that opens and never closes, at the place where it opens;
// a byte that no SQL holds.
Result<std::vector<Token>> Lex(std::string_view text, std::string_view file = {});

// What a kString token says, quotes off. REQUIRES: not an E'…' text, whose escapes are DuckDB's
// business.
std::string StringOf(std::string_view text, const Token& token);
// What a kWord or kQuotedName token names.
std::string NameOf(std::string_view text, const Token& token);
// The name of a kParameter token without "$"; empty for "?".
std::string ParameterOf(std::string_view text, const Token& token);

}  // namespace millrace::sql
