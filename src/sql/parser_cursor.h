// Walks the tokens of one statement and says what was expected where something else stands.
// Not thread-safe.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/sql_text.h"
#include "sql/lexer.h"

namespace millrace::sql {

// A name and where it stands, for errors about it.
struct PlacedName {
  std::string name;
  size_t begin = 0;
};

class Cursor {
 public:
  // `tokens`: of one statement, at least one, none of them kEnd. `types`: the user's own; outlives
  // the cursor.
  Cursor(std::string_view text, std::string_view file, std::span<const Token> tokens,
         const catalog::NamedTypes& types);

  std::string_view text() const { return text_; }
  std::string_view file() const { return file_; }

  const catalog::NamedTypes& types() const { return types_; }
  // The user's own types that the statement has named so far, each once.
  const std::vector<std::string>& types_noted() const { return types_noted_; }
  void NoteType(const std::string& name);

  // The token at the cursor or after it; beyond the last one a kEnd token that stands where the
  // statement ends.
  const Token& Peek(size_t ahead = 0) const;
  bool AtEnd() const { return Peek().kind == Token::Kind::kEnd; }
  size_t position() const { return at_; }
  void Seek(size_t position) { at_ = position; }
  void Advance() { ++at_; }

  // Keywords are compared without case and never match a quoted name.
  bool AtWord(std::string_view word, size_t ahead = 0) const;
  bool AtSymbol(char symbol, size_t ahead = 0) const;
  // Takes all the words, or none of them.
  bool Accept(std::initializer_list<std::string_view> words);
  bool AcceptSymbol(char symbol);

  Status Expect(std::initializer_list<std::string_view> words);
  Status ExpectSymbol(char symbol, std::string_view why);
  // A name that is quoted or no reserved word. `what`: "a column name".
  Result<PlacedName> ExpectName(std::string_view what);
  // A name with or without schema: "public." and "main." are taken off, other parts joined by ".".
  Result<PlacedName> ExpectReference(std::string_view what);
  Result<std::string> ExpectString(std::string_view what);
  Result<int64_t> ExpectInteger(std::string_view what, int64_t min, int64_t max);
  Status ExpectEnd(std::string_view or_else, const std::vector<std::string>& candidates);

  // From an opening parenthesis at the cursor to behind its partner; the text between, without
  // white space at its ends.
  struct Slice {
    std::string text;
    size_t begin = 0;  // byte of its first character
  };
  Result<Slice> ExpectParenthesised(std::string_view what);

  // The text from the cursor's token to the last byte of the statement, and moves there.
  Slice Rest();
  // The text of the tokens [from, to).
  Slice Between(size_t from, size_t to) const;

  // "expected X, got Y" at the cursor, with the nearest candidate where one is near.
  Error Unexpected(std::string_view expected,
                   const std::vector<std::string>& candidates = {}) const;
  // The same error with the place of byte `offset`.
  Error At(size_t offset, Error error) const;

 private:
  std::string_view text_;
  std::string_view file_;
  std::span<const Token> tokens_;
  const catalog::NamedTypes& types_;
  std::vector<std::string> types_noted_;
  Token end_;
  size_t at_ = 0;
};

// How a reserved word is written where it is meant as a name.
std::string ReservedWordHint(std::string_view word);

// "did you mean SELECT?" style: as DidYouMean, for words of the language.
std::string DidYouMeanWord(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace millrace::sql
