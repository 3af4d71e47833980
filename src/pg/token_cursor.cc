#include "pg/token_cursor.h"

#include <algorithm>
#include <charconv>

#include "rows/schema.h"

namespace millrace::pg {

using Kind = sql::Token::Kind;

const sql::Token& TokenCursor::Peek(size_t ahead) const {
  return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
}

bool TokenCursor::AtWord(std::string_view word, size_t ahead) const {
  const sql::Token& token = Peek(ahead);
  return token.kind == Kind::kWord && rows::EqualNames(TextOf(token), word);
}

bool TokenCursor::AtSymbol(char symbol, size_t ahead) const {
  const sql::Token& token = Peek(ahead);
  return token.kind == Kind::kSymbol && text_[token.begin] == symbol;
}

bool TokenCursor::Accept(std::initializer_list<std::string_view> words) {
  size_t ahead = 0;
  for (const std::string_view word : words) {
    if (!AtWord(word, ahead++)) return false;
  }
  at_ += words.size();
  return true;
}

bool TokenCursor::AcceptSymbol(char symbol) {
  if (!AtSymbol(symbol)) return false;
  ++at_;
  return true;
}

Error TokenCursor::Unexpected(std::string_view expected) const {
  const sql::Token& token = Peek();
  const std::string found =
      AtEnd() ? "the end" : Quoted(text_.substr(token.begin, token.end - token.begin));
  return Error(Code::kInvalidArgument, "syntax error at or near {}: expected {}", found, expected)
      .At(PositionAt(text_, token.begin))
      .SqlState("42601");
}

Status TokenCursor::Expect(std::initializer_list<std::string_view> words) {
  for (const std::string_view word : words) {
    if (!Accept({word})) return Unexpected(word);
  }
  return Ok();
}

Status TokenCursor::ExpectSymbol(char symbol) {
  if (AcceptSymbol(symbol)) return Ok();
  return Unexpected(std::string_view(&symbol, 1));
}

Status TokenCursor::ExpectEnd() const { return AtEnd() ? Ok() : Unexpected("the end"); }

Result<std::string> TokenCursor::Name() {
  const sql::Token& token = Peek();
  if (token.kind != Kind::kWord && token.kind != Kind::kQuotedName) return Unexpected("a name");
  ++at_;
  const std::string name = sql::NameOf(text_, token);
  return token.kind == Kind::kWord ? rows::LowerName(name) : name;
}

Result<std::string> TokenCursor::RelationName() {
  TRY(std::string name, Name());
  while (AcceptSymbol('.')) {
    TRY(const std::string next, Name());
    const bool outer = rows::EqualNames(name, "public") || rows::EqualNames(name, "main") ||
                       rows::EqualNames(name, "millrace.public");
    name = outer ? next : name + "." + next;
  }
  return name;
}

Result<std::string> TokenCursor::Value() {
  std::string sign;
  if (AtSymbol('-') && Peek(1).kind == Kind::kNumber) {
    sign = "-";
    ++at_;
  }
  const sql::Token& value = Peek();
  switch (value.kind) {
    case Kind::kString: {
      ++at_;
      const std::string_view text = TextOf(value);
      return text.starts_with('\'') || text.starts_with('$')
                 ? sql::StringOf(text_, value)
                 : std::string(text.substr(2, text.size() - 3));
    }
    case Kind::kNumber:
    case Kind::kWord:
      ++at_;
      return sign + std::string(TextOf(value));
    case Kind::kQuotedName:
      ++at_;
      return sql::NameOf(text_, value);
    default:
      return Unexpected("a value");
  }
}

Result<int64_t> TokenCursor::Integer() {
  const sql::Token& token = Peek();
  const std::string_view text = TextOf(token);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (token.kind != Kind::kNumber || error != std::errc() || end != text.data() + text.size())
    return Unexpected("a number");
  ++at_;
  return value;
}

Result<std::string> TokenCursor::UntilClosing() {
  const size_t begin = Peek().begin;
  int depth = 1;
  while (!AtEnd()) {
    if (AtSymbol('(')) ++depth;
    if (AtSymbol(')') && --depth == 0) {
      std::string inner = Blanked(text_, begin, Peek().begin);
      ++at_;
      return inner;
    }
    ++at_;
  }
  return Unexpected(")");
}

std::string TokenCursor::Rest() const { return Blanked(text_, Peek().begin, text_.size()); }

std::string Blanked(std::string_view text, size_t begin, size_t end) {
  std::string out;
  out.reserve(end);
  // A character of several bytes counts once where positions are counted.
  for (const char c : text.substr(0, begin)) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;
    out += c == '\n' ? '\n' : ' ';
  }
  out += text.substr(begin, end - begin);
  return out;
}

std::string SqlText(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') out += '\'';
    out += c;
  }
  return out + "'";
}

}  // namespace millrace::pg
