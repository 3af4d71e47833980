#include "sql/lexer.h"

#include "duckdb.hpp"

namespace millrace::sql {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWordStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}
bool IsWordPart(char c) { return IsWordStart(c) || IsDigit(c) || c == '$'; }

// Bytes of the white space at the front of `text`, 0 where there is none. Unicode spaces count as
// DuckDB's parser counts them.
size_t SpaceLength(std::string_view text) {
  const char c = text.front();
  if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v') return 1;
  if (text.starts_with("\xC2\xA0")) return 2;
  if (text.size() < 3) return 0;
  if (text.starts_with("\xE2\x80")) {
    const unsigned char third = static_cast<unsigned char>(text[2]);
    return (third >= 0x80 && third <= 0x8D) || third == 0xAF ? 3 : 0;
  }
  if (text.starts_with("\xE2\x81\x9F") || text.starts_with("\xE3\x80\x80") ||
      text.starts_with("\xEF\xBB\xBF")) {
    return 3;
  }
  return 0;
}

class Lexer {
 public:
  Lexer(std::string_view text, std::string_view file) : text_(text), file_(file) {}

  Result<std::vector<Token>> Run() {
    TRY(CheckBytes());
    while (true) {
      TRY(SkipSpace());
      if (at_ == text_.size()) break;
      TRY(Next());
    }
    tokens_.push_back({Token::Kind::kEnd, at_, at_});
    return std::move(tokens_);
  }

 private:
  char Peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  Error Fail(size_t where, std::string message) const {
    return Error(Code::kInvalidArgument, std::move(message))
        .At(PositionAt(text_, where, file_))
        .SqlState("42601");
  }

  Status CheckBytes() const {
    if (const size_t zero = text_.find('\0'); zero != std::string_view::npos) {
      return Fail(zero, "SQL holds no zero bytes");
    }
    if (duckdb::Value::StringIsValid(text_.data(), text_.size())) return Ok();
    return Error(Code::kInvalidArgument, "the text is not valid UTF-8").SqlState("22021");
  }

  Status SkipSpace() {
    while (at_ < text_.size()) {
      if (const size_t space = SpaceLength(text_.substr(at_)); space > 0) {
        at_ += space;
      } else if (Peek() == '-' && Peek(1) == '-') {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (Peek() == '/' && Peek(1) == '*') {
        TRY(SkipBlockComment());
      } else {
        break;
      }
    }
    return Ok();
  }

  Status SkipBlockComment() {
    const size_t begin = at_;
    int depth = 0;
    do {
      if (at_ >= text_.size())
        return Fail(begin, "the comment that begins here never ends: expected */");
      if (Peek() == '/' && Peek(1) == '*') {
        ++depth;
        at_ += 2;
      } else if (Peek() == '*' && Peek(1) == '/') {
        --depth;
        at_ += 2;
      } else {
        ++at_;
      }
    } while (depth > 0);
    return Ok();
  }

  void Add(Token::Kind kind, size_t begin) { tokens_.push_back({kind, begin, at_}); }

  Status Next() {
    const size_t begin = at_;
    const char c = Peek();
    if (c == '\'') return Quoted(begin, Token::Kind::kString, '\'', false);
    if (c == '"') return Quoted(begin, Token::Kind::kQuotedName, '"', false);
    if ((c == 'e' || c == 'E') && Peek(1) == '\'') {
      ++at_;
      return Quoted(begin, Token::Kind::kString, '\'', true);
    }
    if (IsWordStart(c)) {
      while (at_ < text_.size() && IsWordPart(Peek()) && SpaceLength(text_.substr(at_)) == 0) ++at_;
      Add(Token::Kind::kWord, begin);
      return Ok();
    }
    if (IsDigit(c) || (c == '.' && IsDigit(Peek(1)))) {
      Number(begin);
      return Ok();
    }
    if (c == '$') return Dollar(begin);
    ++at_;
    Add(c == '?' ? Token::Kind::kParameter : Token::Kind::kSymbol, begin);
    return Ok();
  }

  Status Quoted(size_t begin, Token::Kind kind, char quote, bool backslashes) {
    ++at_;
    while (at_ < text_.size()) {
      if (backslashes && Peek() == '\\') {
        at_ += 2;
      } else if (Peek() != quote) {
        ++at_;
      } else if (Peek(1) == quote) {
        at_ += 2;
      } else {
        ++at_;
        Add(kind, begin);
        return Ok();
      }
    }
    at_ = text_.size();
    return Fail(begin, fmt::format("the {} that begins here never ends: expected {}",
                                   kind == Token::Kind::kString ? "text" : "name", quote));
  }

  void Number(size_t begin) {
    if (Peek() == '0' && (Peek(1) == 'x' || Peek(1) == 'X')) {
      at_ += 2;
      while (std::isxdigit(static_cast<unsigned char>(Peek()))) ++at_;
      return Add(Token::Kind::kNumber, begin);
    }
    const auto digits = [this] {
      while (IsDigit(Peek()) || (Peek() == '_' && IsDigit(Peek(1)))) ++at_;
    };
    digits();
    if (Peek() == '.') {
      ++at_;
      digits();
    }
    if (Peek() == 'e' || Peek() == 'E') {
      const size_t sign = Peek(1) == '+' || Peek(1) == '-' ? 1 : 0;
      if (IsDigit(Peek(1 + sign))) {
        at_ += 1 + sign;
        digits();
      }
    }
    Add(Token::Kind::kNumber, begin);
  }

  // $1, $name, or the opening of $tag$ … $tag$.
  Status Dollar(size_t begin) {
    ++at_;
    if (IsDigit(Peek())) {
      while (IsDigit(Peek())) ++at_;
      Add(Token::Kind::kParameter, begin);
      return Ok();
    }
    while (at_ < text_.size() && IsWordPart(Peek()) && Peek() != '$') ++at_;
    if (Peek() == '$') {
      ++at_;
      const std::string_view tag = text_.substr(begin, at_ - begin);
      const size_t close = text_.find(tag, at_);
      if (close == std::string_view::npos) {
        return Fail(begin, fmt::format("the text that begins here never ends: expected {}", tag));
      }
      at_ = close + tag.size();
      Add(Token::Kind::kString, begin);
      return Ok();
    }
    Add(at_ == begin + 1 ? Token::Kind::kSymbol : Token::Kind::kParameter, begin);
    return Ok();
  }

  std::string_view text_;
  std::string_view file_;
  size_t at_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> Lex(std::string_view text, std::string_view file) {
  return Lexer(text, file).Run();
}

std::string StringOf(std::string_view text, const Token& token) {
  CHECK(token.kind == Token::Kind::kString) << "not a text";
  std::string_view body = text.substr(token.begin, token.end - token.begin);
  if (body.front() == '$') {
    const size_t tag = body.find('$', 1) + 1;
    return std::string(body.substr(tag, body.size() - 2 * tag));
  }
  CHECK(body.front() == '\'') << "an E'…' text";
  std::string out;
  for (size_t i = 1; i + 1 < body.size(); ++i) {
    out += body[i];
    if (body[i] == '\'') ++i;  // '' stands for one
  }
  return out;
}

std::string NameOf(std::string_view text, const Token& token) {
  const std::string_view body = text.substr(token.begin, token.end - token.begin);
  if (token.kind == Token::Kind::kWord) return std::string(body);
  CHECK(token.kind == Token::Kind::kQuotedName) << "not a name";
  std::string out;
  for (size_t i = 1; i + 1 < body.size(); ++i) {
    out += body[i];
    if (body[i] == '"') ++i;  // "" stands for one
  }
  return out;
}

std::string ParameterOf(std::string_view text, const Token& token) {
  CHECK(token.kind == Token::Kind::kParameter) << "not a parameter";
  return std::string(text.substr(token.begin + 1, token.end - token.begin - 1));
}

}  // namespace millrace::sql
