#include "sql/parser_cursor.h"

#include <algorithm>
#include <charconv>

#include "duckdb/parser/keyword_helper.hpp"
#include "rows/schema.h"

namespace millrace::sql {
namespace {

// DuckDB takes these words for a name only in double quotes: also those, such as AT and LEFT, that
// may name a function.
bool IsReserved(const std::string& word) {
  const duckdb::KeywordCategory category =
      duckdb::KeywordHelper::KeywordCategoryType(rows::LowerName(word));
  return category == duckdb::KeywordCategory::KEYWORD_RESERVED ||
         category == duckdb::KeywordCategory::KEYWORD_TYPE_FUNC;
}

}  // namespace

Cursor::Cursor(std::string_view text, std::string_view file, std::span<const Token> tokens,
               const catalog::NamedTypes& types)
    : text_(text), file_(file), tokens_(tokens), types_(types) {
  CHECK(!tokens.empty()) << "an empty statement";
  end_ = {Token::Kind::kEnd, tokens.back().end, tokens.back().end};
}

void Cursor::NoteType(const std::string& name) {
  if (std::find(types_noted_.begin(), types_noted_.end(), name) == types_noted_.end())
    types_noted_.push_back(name);
}

const Token& Cursor::Peek(size_t ahead) const {
  return at_ + ahead < tokens_.size() ? tokens_[at_ + ahead] : end_;
}

bool Cursor::AtWord(std::string_view word, size_t ahead) const {
  const Token& token = Peek(ahead);
  return token.kind == Token::Kind::kWord &&
         rows::EqualNames(text_.substr(token.begin, token.end - token.begin), word);
}

bool Cursor::AtSymbol(char symbol, size_t ahead) const {
  const Token& token = Peek(ahead);
  return token.kind == Token::Kind::kSymbol && text_[token.begin] == symbol;
}

bool Cursor::Accept(std::initializer_list<std::string_view> words) {
  size_t ahead = 0;
  for (std::string_view word : words) {
    if (!AtWord(word, ahead++)) return false;
  }
  at_ += words.size();
  return true;
}

bool Cursor::AcceptSymbol(char symbol) {
  if (!AtSymbol(symbol)) return false;
  ++at_;
  return true;
}

Status Cursor::Expect(std::initializer_list<std::string_view> words) {
  for (std::string_view word : words) {
    if (!Accept({word})) return Unexpected(word, {std::string(word)});
  }
  return Ok();
}

Status Cursor::ExpectSymbol(char symbol, std::string_view why) {
  if (AcceptSymbol(symbol)) return Ok();
  return Unexpected(why.empty() ? std::string(1, symbol) : fmt::format("{} {}", symbol, why));
}

Result<PlacedName> Cursor::ExpectName(std::string_view what) {
  const Token& token = Peek();
  if (token.kind != Token::Kind::kWord && token.kind != Token::Kind::kQuotedName)
    return Unexpected(what);
  PlacedName name{NameOf(text_, token), token.begin};
  if (token.kind == Token::Kind::kWord && IsReserved(name.name)) {
    return Unexpected(what).Hint(ReservedWordHint(name.name));
  }
  if (name.name.empty())
    return At(token.begin, Error(Code::kInvalidArgument, "{} is empty", what).SqlState("42602"));
  if (name.name.find('\n') != std::string::npos) {
    return At(token.begin,
              Error(Code::kInvalidArgument, "{} holds a newline", what).SqlState("42602"));
  }
  Advance();
  return name;
}

Result<PlacedName> Cursor::ExpectReference(std::string_view what) {
  TRY(PlacedName reference, ExpectName(what));
  while (AcceptSymbol('.')) {
    TRY(const PlacedName part, ExpectName("a name after the dot"));
    const bool is_default =
        rows::EqualNames(reference.name, "public") || rows::EqualNames(reference.name, "main");
    reference.name = is_default ? part.name : reference.name + "." + part.name;
  }
  return reference;
}

Result<std::string> Cursor::ExpectString(std::string_view what) {
  const Token& token = Peek();
  if (token.kind != Token::Kind::kString) return Unexpected(what);
  if (text_[token.begin] == 'e' || text_[token.begin] == 'E') {
    return At(token.begin,
              Error(Code::kInvalidArgument, "expected {} in plain quotes, without escapes", what)
                  .SqlState("42601"));
  }
  Advance();
  return StringOf(text_, token);
}

Result<int64_t> Cursor::ExpectInteger(std::string_view what, int64_t min, int64_t max) {
  const Token& token = Peek();
  const std::string_view digits = text_.substr(token.begin, token.end - token.begin);
  if (token.kind != Token::Kind::kNumber) return Unexpected(what);
  int64_t value = 0;
  const auto [rest, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (problem != std::errc() || rest != digits.data() + digits.size() || value < min ||
      value > max) {
    return At(token.begin, Error(Code::kInvalidArgument, "expected {} from {} to {}, got {}", what,
                                 min, max, digits));
  }
  Advance();
  return value;
}

Status Cursor::ExpectEnd(std::string_view or_else, const std::vector<std::string>& candidates) {
  if (AtEnd()) return Ok();
  return Unexpected(or_else.empty() ? "the end of the statement"
                                    : fmt::format("{} or the end of the statement", or_else),
                    candidates);
}

Result<Cursor::Slice> Cursor::ExpectParenthesised(std::string_view what) {
  const size_t open = Peek().begin;
  TRY(ExpectSymbol('(', what));
  const size_t from = at_;
  for (int depth = 1; depth > 0; Advance()) {
    if (AtEnd()) {
      return At(open, Error(Code::kInvalidArgument, "the parenthesis that opens here is not closed")
                          .SqlState("42601"));
    }
    if (AtSymbol('(')) ++depth;
    if (AtSymbol(')')) --depth;
  }
  if (at_ - 1 == from) {
    Seek(from);
    return Unexpected(what);
  }
  return Between(from, at_ - 1);
}

Cursor::Slice Cursor::Rest() {
  const size_t from = at_;
  at_ = tokens_.size();
  return Between(from, at_);
}

Cursor::Slice Cursor::Between(size_t from, size_t to) const {
  if (from >= to) return {"", from < tokens_.size() ? tokens_[from].begin : end_.begin};
  const size_t begin = tokens_[from].begin;
  return {std::string(text_.substr(begin, tokens_[to - 1].end - begin)), begin};
}

Error Cursor::Unexpected(std::string_view expected,
                         const std::vector<std::string>& candidates) const {
  const Token& token = Peek();
  std::string got = "the end of the statement";
  std::string hint;
  if (token.kind != Token::Kind::kEnd) {
    constexpr size_t kShownMax = 40;  // bytes of a long text that an error repeats
    got = text_.substr(token.begin, token.end - token.begin);
    if (token.kind == Token::Kind::kWord) hint = DidYouMeanWord(got, candidates);
    if (got.size() > kShownMax) {
      size_t cut = kShownMax;
      while (cut > 0 && (got[cut] & 0xC0) == 0x80) --cut;  // not inside a character
      got = got.substr(0, cut) + "…";
    }
  }
  return At(token.begin, Error(Code::kInvalidArgument, "expected {}, got {}", expected, got)
                             .Hint(std::move(hint))
                             .SqlState("42601"));
}

Error Cursor::At(size_t offset, Error error) const {
  return std::move(error).At(PositionAt(text_, offset, file_));
}

std::string ReservedWordHint(std::string_view word) {
  return fmt::format("{} is a reserved word; as a name it stands in double quotes: {}", word,
                     Quoted(word));
}

std::string DidYouMeanWord(std::string_view word, const std::vector<std::string>& candidates) {
  if (word.size() < 3) return "";
  std::string hint = DidYouMean(word, candidates);
  std::erase(hint, '"');
  for (const std::string& candidate : candidates) {
    if (rows::EqualNames(word, candidate)) return "";  // it is the word, at the wrong place
  }
  return hint;
}

}  // namespace millrace::sql
