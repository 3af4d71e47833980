#include "rows/json_split.h"

#include <emmintrin.h>

#include <array>
#include <cstring>

#include "rows/json_text.h"

namespace millrace::rows {
namespace {

// The first quote or backslash in [at, end), else end.
const char* FindQuote(const char* at, const char* end) {
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  for (; end - at >= 16; at += 16) {
    const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const int found = _mm_movemask_epi8(
        _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)));
    if (found != 0) return at + __builtin_ctz(static_cast<unsigned>(found));
  }
  while (at != end && *at != '"' && *at != '\\') ++at;
  return at;
}

// Which bytes matter outside of strings: braces, brackets and quotes.
constexpr std::array<bool, 256> kStructural = [] {
  std::array<bool, 256> table{};
  for (const char c : {'{', '}', '[', ']', '"'}) table[static_cast<uint8_t>(c)] = true;
  return table;
}();

const char* FindStructural(const char* at, const char* end) {
  while (at != end && !kStructural[static_cast<uint8_t>(*at)]) ++at;
  return at;
}

std::string Shown(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return byte >= 0x20 && byte < 0x7f ? fmt::format("'{}'", c) : fmt::format("byte 0x{:02x}", byte);
}

}  // namespace

JsonSplitter::JsonSplitter(JsonBody body, size_t row_bytes_max)
    : body_(body), row_bytes_max_(row_bytes_max) {}

Error JsonSplitter::Wrong(std::string_view what, char c) const {
  return Error(Code::kInvalidArgument, "row {} (byte {}): expected {}, found {}", rows_ + 1,
               at_ + 1, what, Shown(c));
}

Error JsonSplitter::TooLarge() const {
  return Error(Code::kTooLarge, "row {} (byte {}): larger than {} bytes", rows_ + 1, at_ + 1,
               row_bytes_max_);
}

// `tail` ends a row that may have begun in an earlier piece.
Status JsonSplitter::Emit(std::string_view tail, std::vector<std::string_view>& rows) {
  if (carry_.size() + tail.size() > row_bytes_max_) return TooLarge();
  std::string_view row = tail;
  if (!carry_.empty()) {
    // At most one row of a piece began before it, so that this does not happen twice in a call.
    completed_ = std::move(carry_);
    completed_ += tail;
    carry_.clear();
    row = completed_;
  }
  row = TrimJson(row);
  if (row.empty()) return Ok();
  rows.push_back(row);
  ++rows_;
  return Ok();
}

Status JsonSplitter::Keep(std::string_view tail) {
  if (carry_.size() + tail.size() > row_bytes_max_) return TooLarge();
  carry_ += tail;
  return Ok();
}

Status JsonSplitter::FeedLines(std::string_view piece, std::vector<std::string_view>& rows) {
  while (!piece.empty()) {
    const void* newline = std::memchr(piece.data(), '\n', piece.size());
    if (newline == nullptr) return Keep(piece);
    const auto size = static_cast<size_t>(static_cast<const char*>(newline) - piece.data());
    TRY(Emit(piece.substr(0, size), rows));
    at_ += size + 1;
    piece.remove_prefix(size + 1);
  }
  return Ok();
}

Result<JsonSplitter::Place> JsonSplitter::Outside(char c) {
  switch (place_) {
    case Place::kStart:
      if (c == '[') {
        array_ = true;
        return Place::kFirst;
      }
      [[fallthrough]];
    case Place::kBetween:
      if (c != '{') return Wrong("an object", c);
      return Place::kValue;
    case Place::kBehind:
      if (c == ',') return Place::kElement;
      if (c == ']') return Place::kClosed;
      return Wrong("',' or ']'", c);
    case Place::kFirst:
      if (c == ']') return Place::kClosed;
      [[fallthrough]];
    case Place::kElement:
      if (c == '{' || c == '[') return Place::kValue;
      if (c == ',' || c == ']' || c == '}' || c == ':') return Wrong("an object", c);
      scalar_string_ = c == '"';
      return Place::kScalar;
    default:
      return Wrong("the end", c);
  }
}

Status JsonSplitter::FeedAny(std::string_view piece, std::vector<std::string_view>& rows) {
  const char* const begin = piece.data();
  const char* const end = begin + piece.size();
  const char* at = begin;
  const char* row = begin;  // where the row being read begins in this piece
  const uint64_t base = at_;
  const auto place_of = [&](const char* p) { at_ = base + static_cast<uint64_t>(p - begin); };
  const auto finish_row = [&](const char* row_end) -> Status {
    place_of(row);
    TRY(Emit(std::string_view(row, static_cast<size_t>(row_end - row)), rows));
    place_ = array_ ? Place::kBehind : Place::kBetween;
    return Ok();
  };
  while (at != end) {
    switch (place_) {
      case Place::kValue:
        at = FindStructural(at, end);
        if (at == end) break;
        if (*at == '"') {
          place_ = Place::kString;
        } else if (*at == '{' || *at == '[') {
          ++depth_;
        } else if (--depth_ == 0) {
          TRY(finish_row(at + 1));
        }
        ++at;
        break;
      case Place::kString:
        at = FindQuote(at, end);
        if (at == end) break;
        place_ = *at == '\\' ? Place::kEscape : Place::kValue;
        // A string at the top of an array is a row by itself, though never an object.
        if (place_ == Place::kValue && scalar_string_) {
          scalar_string_ = false;
          TRY(finish_row(at + 1));
        }
        ++at;
        break;
      case Place::kEscape:
        place_ = Place::kString;
        ++at;
        break;
      case Place::kScalar:
        while (at != end && !IsSpace(*at) && *at != ',' && *at != ']') ++at;
        if (at != end) TRY(finish_row(at));
        break;
      default: {
        while (at != end && IsSpace(*at)) ++at;
        if (at == end) break;
        place_of(at);
        TRY(place_, Outside(*at));
        row = at;
        if (place_ == Place::kValue) depth_ = 1;
        if (place_ == Place::kScalar && scalar_string_) place_ = Place::kString;
        ++at;
      }
    }
  }
  const bool inside = place_ == Place::kValue || place_ == Place::kString ||
                      place_ == Place::kEscape || place_ == Place::kScalar;
  place_of(row);
  if (inside) TRY(Keep(std::string_view(row, static_cast<size_t>(end - row))));
  place_of(end);
  return Ok();
}

Result<std::vector<std::string_view>> JsonSplitter::Feed(std::string_view piece) {
  std::vector<std::string_view> rows;
  TRY(body_ == JsonBody::kLines ? FeedLines(piece, rows) : FeedAny(piece, rows));
  return rows;
}

Result<std::vector<std::string_view>> JsonSplitter::Finish() {
  std::vector<std::string_view> rows;
  if (body_ == JsonBody::kLines) {
    if (!carry_.empty()) TRY(Emit({}, rows));
    return rows;
  }
  if (place_ == Place::kStart || place_ == Place::kBetween || place_ == Place::kClosed) return rows;
  return Error(Code::kInvalidArgument, "row {} (byte {}): the body ends {}", rows_ + 1, at_ + 1,
               carry_.empty() ? "inside the array" : "inside the row");
}

}  // namespace millrace::rows
