// Walks the tokens of one statement of a session. Not thread-safe.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sql/lexer.h"

namespace millrace::pg {

class TokenCursor {
 public:
  // Both outlive it. The last token is kEnd.
  TokenCursor(std::string_view text, const std::vector<sql::Token>& tokens)
      : text_(text), tokens_(tokens) {}

  const sql::Token& Peek(size_t ahead = 0) const;
  bool AtEnd() const { return Peek().kind == sql::Token::Kind::kEnd; }
  bool AtWord(std::string_view word, size_t ahead = 0) const;
  bool AtSymbol(char symbol, size_t ahead = 0) const;
  // Takes the words, if all of them come next.
  bool Accept(std::initializer_list<std::string_view> words);
  bool AcceptSymbol(char symbol);
  void Advance() { ++at_; }
  std::string_view TextOf(const sql::Token& token) const {
    return text_.substr(token.begin, token.end - token.begin);
  }

  Status Expect(std::initializer_list<std::string_view> words);
  Status ExpectSymbol(char symbol);
  Status ExpectEnd() const;
  // A plain word in lower case or a quoted name.
  Result<std::string> Name();
  // A name, "public." and the database before it taken off.
  Result<std::string> RelationName();
  // A text, number or word as a value.
  Result<std::string> Value();
  Result<int64_t> Integer();
  // The text from here to before the parenthesis that closes one which is open; then behind it.
  Result<std::string> UntilClosing();
  // Everything to the end, with what stands before it blanked out.
  std::string Rest() const;
  // 42601 at the next token.
  Error Unexpected(std::string_view expected) const;

 private:
  std::string_view text_;
  const std::vector<sql::Token>& tokens_;
  size_t at_ = 0;
};

// `text` as a literal of SQL, with its quotes.
std::string SqlText(std::string_view text);

// Line ends stay, every other character before byte `begin` becomes a space.
std::string Blanked(std::string_view text, size_t begin, size_t end);

}  // namespace millrace::pg
