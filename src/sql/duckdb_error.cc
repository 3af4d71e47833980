#include "sql/duckdb_error.h"

#include <algorithm>
#include <charconv>

#include "base/utf8.h"
#include "rows/schema.h"
#include "sql/lexer.h"

namespace millrace::sql {
namespace {

using duckdb::ExceptionType;

std::string Extra(const duckdb::ErrorData& error, const std::string& key) {
  const auto found = error.ExtraInfo().find(key);
  return found == error.ExtraInfo().end() ? std::string() : found->second;
}

duckdb::optional_idx Position(const duckdb::ErrorData& error) {
  const std::string text = Extra(error, "position");
  uint64_t position = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), position);
  if (text.empty() || code != std::errc() || end != text.data() + text.size()) return {};
  return duckdb::optional_idx(position);
}

// What DuckDB appends for a person at its own shell: the quoted line, advice on its own catalog.
// It quotes values byte by byte, cut in the middle of a character too.
std::string PlainMessage(const duckdb::ErrorData& error) {
  std::string text = ValidUtf8(error.RawMessage());
  if (error.Type() == ExceptionType::OUT_OF_MEMORY) {  // it advises settings that a node has not
    return text.find("max_temp_directory_size") != std::string::npos
               ? "what of the query does not fit into memory needs more disk than it may take"
               : "the query needs more memory than ad-hoc queries have";
  }
  for (const std::string_view tail :
       {"\n\nLINE ", "\nLINE ", "\nCandidate bindings:", "\nCandidate functions:", "\nDid you mean",
        "\n\nCandidate", "\n\tCandidate"}) {
    text.resize(std::min(text.size(), text.find(tail)));
  }
  while (!text.empty() && std::string_view("\n !.").find(text.back()) != std::string_view::npos)
    text.pop_back();
  for (char& c : text) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  if (!text.empty() && text.size() > 1 && std::isupper(static_cast<unsigned char>(text[0])) &&
      std::islower(static_cast<unsigned char>(text[1]))) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

std::vector<std::string> SplitCandidates(const std::string& list) {
  std::vector<std::string> names;
  for (size_t at = 0; at < list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    std::string name = list.substr(at, comma - at);
    name.erase(0, name.find_first_not_of(" \""));
    name.resize(name.find_last_not_of(" \"") + 1);
    // DuckDB qualifies a candidate where it can: the column is what a person mistyped.
    if (const size_t dot = name.rfind('.'); dot != std::string::npos) name = name.substr(dot + 1);
    if (!name.empty()) names.push_back(name);
    at = comma + 1;
  }
  return names;
}

// The name in "Referenced column "x" not found …" and its kin.
std::string FirstQuoted(std::string_view text) {
  const size_t begin = text.find('"');
  const size_t end = begin == std::string_view::npos ? begin : text.find('"', begin + 1);
  if (end == std::string_view::npos) return {};
  return std::string(text.substr(begin + 1, end - begin - 1));
}

struct Meaning {
  Code code;
  std::string_view sqlstate;  // empty: follows from the code
};

constexpr std::string_view kNoColumnInTable = "does not have a column named ";

bool Says(const duckdb::ErrorData& error, std::string_view text) {
  return error.RawMessage().find(text) != std::string::npos;
}

bool IsMissingColumn(const duckdb::ErrorData& error) {
  return Extra(error, "error_subtype") == "COLUMN_NOT_FOUND" ||
         (error.Type() == ExceptionType::BINDER && Says(error, kNoColumnInTable));
}

bool IsMissingRelation(const duckdb::ErrorData& error) {
  return error.Type() == ExceptionType::CATALOG && Says(error, "Table with name ") &&
         Says(error, "does not exist");
}

bool IsMissingFunction(const duckdb::ErrorData& error) {
  return error.Type() == ExceptionType::CATALOG && Says(error, "unction with name ") &&
         Says(error, "does not exist");
}

Meaning MeaningOf(const duckdb::ErrorData& error) {
  const std::string subtype = Extra(error, "error_subtype");
  switch (error.Type()) {
    case ExceptionType::PARSER:
    case ExceptionType::SYNTAX:
      return {Code::kInvalidArgument, "42601"};
    case ExceptionType::CATALOG:
      if (IsMissingRelation(error)) return {Code::kNotFound, "42P01"};
      if (subtype == "MISSING_ENTRY") return {Code::kNotFound, "42704"};
      return {Code::kInvalidArgument, "42000"};
    case ExceptionType::BINDER:
      if (subtype == "NO_MATCHING_FUNCTION") return {Code::kInvalidArgument, "42883"};
      return {Code::kInvalidArgument, "42000"};
    case ExceptionType::CONVERSION:
    case ExceptionType::MISMATCH_TYPE:
    case ExceptionType::INVALID_TYPE:
    case ExceptionType::UNKNOWN_TYPE:
    case ExceptionType::DECIMAL:
      return {Code::kInvalidArgument, "22P02"};
    case ExceptionType::OUT_OF_RANGE:
      return {Code::kInvalidArgument, "22003"};
    case ExceptionType::DIVIDE_BY_ZERO:
      return {Code::kInvalidArgument, "22012"};
    case ExceptionType::NOT_IMPLEMENTED:
      return {Code::kNotSupported, ""};
    case ExceptionType::INTERRUPT:
      return {Code::kCancelled, ""};
    case ExceptionType::OUT_OF_MEMORY:
      return {Code::kTooLarge, "53200"};
    case ExceptionType::PERMISSION:
      return {Code::kNotSupported, "42501"};
    case ExceptionType::IO:
    case ExceptionType::HTTP:
    case ExceptionType::NETWORK:
      return {Code::kIo, ""};
    default:
      return {Code::kInvalidArgument, ""};
  }
}

Error Plain(const duckdb::ErrorData& error) {
  const Meaning meaning = MeaningOf(error);
  Error out(meaning.code, PlainMessage(error));
  if (!meaning.sqlstate.empty()) return std::move(out).SqlState(meaning.sqlstate);
  return out;
}

// "did you mean", from the list in the error's extra information, or from the one in its text.
std::string HintOf(const duckdb::ErrorData& error, const std::string& name) {
  if (error.Type() == ExceptionType::OUT_OF_MEMORY)
    return "a query with fewer rows, or more --memory";
  std::string hint = DidYouMean(name, SplitCandidates(Extra(error, "candidates")));
  const std::string& text = error.RawMessage();
  for (const std::string_view head : {"Candidate bindings:", "Did you mean"}) {
    const size_t at = text.find(head);
    if (!hint.empty() || at == std::string::npos) continue;
    std::string list = text.substr(at + head.size(), text.find('\n', at) - at - head.size());
    list.erase(
        std::remove_if(list.begin(), list.end(), [](char c) { return c == '?' || c == ':'; }),
        list.end());
    hint = DidYouMean(name, SplitCandidates(list));
  }
  return hint;
}

}  // namespace

Error AtPlaceOf(const duckdb::ErrorData& given, const Place& place, Error error) {
  const bool as_json = !given.RawMessage().empty() && given.RawMessage()[0] == '{';
  return place.Mark(std::move(error),
                    Position(as_json ? duckdb::ErrorData(given.RawMessage()) : given));
}

bool IsDefect(const duckdb::ErrorData& error) {
  return error.Type() == ExceptionType::INTERNAL || error.Type() == ExceptionType::FATAL;
}

Place Place::Of(const Origin& origin, std::string_view inner) {
  size_t begin = origin.text.find(inner, origin.begin);
  size_t prefix = 0;
  const size_t named_end = inner.rfind(kNamedSelectEnd);
  if (begin == std::string_view::npos && inner.starts_with(kNamedSelectBegin) &&
      named_end != std::string_view::npos) {
    prefix = kNamedSelectBegin.size();
    begin = origin.text.find(inner.substr(prefix, named_end - prefix), origin.begin);
  }
  return {origin, begin, prefix};
}

Place Place::OfWhole(std::string_view text) { return {Origin{"", text, 0, text.size()}, 0, 0}; }

Error Place::Mark(Error error, duckdb::optional_idx offset) const {
  if (begin == std::string_view::npos || !offset.IsValid() || offset.GetIndex() < prefix)
    return error;
  const size_t at = begin + offset.GetIndex() - prefix;
  if (at > origin.text.size()) return error;
  return std::move(error).At(PositionAt(origin.text, at, origin.file));
}

Error Place::MarkWord(Error error, const std::vector<std::string_view>& words) const {
  if (begin == std::string_view::npos) return error;
  const std::string_view piece = origin.text.substr(begin);
  const auto tokens = Lex(piece);
  if (!tokens.ok()) return error;
  for (const Token& token : *tokens) {
    const bool is_word =
        token.kind == Token::Kind::kWord &&
        std::any_of(words.begin(), words.end(), [&](std::string_view word) {
          return rows::EqualNames(piece.substr(token.begin, token.end - token.begin), word);
        });
    if (is_word)
      return std::move(error).At(PositionAt(origin.text, begin + token.begin, origin.file));
  }
  return error;
}

namespace {

std::string HintOfMissing(const std::string& name, const std::vector<std::string>& relations) {
  if (std::string similar = DidYouMean(name, relations); !similar.empty()) return similar;
  const std::string lower = rows::LowerName(name);
  if (lower.starts_with("millrace.") || lower.ends_with(".quarantine") || lower.ends_with(".late"))
    return "views and endpoints read streams, tables and views; system tables and what a stream "
           "set aside are for queries";
  return "";
}

}  // namespace

Error FromDuckDb(const duckdb::ErrorData& given, const Place& place,
                 const std::string& unknown_relation, const std::vector<std::string>& relations) {
  if (!given.RawMessage().empty() && given.RawMessage()[0] == '{') {
    // A connection that is told so reports as JSON: only then is the position kept.
    return FromDuckDb(duckdb::ErrorData(given.RawMessage()), place, unknown_relation, relations);
  }
  const duckdb::ErrorData& error = given;
  if (IsDefect(error)) {
    // A note for DuckDB's makers and a stack trace may follow the first line.
    const std::string text = ValidUtf8(error.RawMessage());
    return Error(Code::kInternal, "DuckDB met a defect of its own: {}",
                 text.substr(0, text.find('\n')))
        .Hint("another form of the statement may work");
  }
  if (IsMissingRelation(error) && !unknown_relation.empty()) {
    return place.Mark(Error(Code::kNotFound, "relation {} does not exist", Quoted(unknown_relation))
                          .SqlState("42P01")
                          .Hint(HintOfMissing(unknown_relation, relations)),
                      Position(error));
  }
  std::string name = Extra(error, "name");
  if (IsMissingColumn(error)) {
    if (const size_t at = error.RawMessage().find(kNoColumnInTable); at != std::string::npos) {
      name = FirstQuoted(std::string_view(error.RawMessage()).substr(at));
    } else if (name.empty()) {
      name = FirstQuoted(error.RawMessage());
    }
    return place.Mark(Error(Code::kNotFound, "column {} does not exist", Quoted(name))
                          .SqlState("42703")
                          .Hint(HintOf(error, name)),
                      Position(error));
  }
  if (IsMissingFunction(error) && !name.empty()) {
    return place.Mark(Error(Code::kNotFound, "function {}() does not exist", name)
                          .SqlState("42883")
                          .Hint(HintOf(error, name)),
                      Position(error));
  }
  if (name.empty()) name = FirstQuoted(error.RawMessage());
  return place.Mark(Plain(error).Hint(HintOf(error, name)), Position(error));
}

Error FromDuckDb(const duckdb::ErrorData& error, const Origin& origin, size_t sql_begin) {
  return FromDuckDb(error, Place{origin, sql_begin, 0}, "", {});
}

}  // namespace millrace::sql
