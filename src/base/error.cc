#include "base/error.h"

#include <algorithm>
#include <cctype>

namespace millrace {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return "invalid_argument";
    case Code::kNotFound:
      return "not_found";
    case Code::kAlreadyExists:
      return "already_exists";
    case Code::kConflict:
      return "conflict";
    case Code::kNotSupported:
      return "not_supported";
    case Code::kTooLarge:
      return "too_large";
    case Code::kOverloaded:
      return "overloaded";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kTimeout:
      return "timeout";
    case Code::kCancelled:
      return "cancelled";
    case Code::kCorruption:
      return "corruption";
    case Code::kIo:
      return "io";
    case Code::kInternal:
      return "internal";
  }
  return "unknown";
}

std::string_view Error::sqlstate() const {
  if (!sqlstate_.empty()) return sqlstate_;
  switch (code_) {
    case Code::kInvalidArgument:
      return "22023";
    case Code::kNotFound:
      return "42704";
    case Code::kAlreadyExists:
      return "42710";
    case Code::kConflict:
      return "2BP01";
    case Code::kNotSupported:
      return "0A000";
    case Code::kTooLarge:
      return "54000";
    case Code::kOverloaded:
      return "53400";
    case Code::kUnavailable:
      return "57P03";
    case Code::kTimeout:
      return "57014";
    case Code::kCancelled:
      return "57014";
    case Code::kCorruption:
      return "XX001";
    case Code::kIo:
      return "58030";
    case Code::kInternal:
      return "XX000";
  }
  return "XX000";
}

Error Error::With(std::string_view context) && {
  message_ = fmt::format("{}: {}", context, message_);
  return std::move(*this);
}

Error Error::At(SourcePosition position) && {
  position_ = std::move(position);
  return std::move(*this);
}

Error Error::Hint(std::string hint) && {
  hint_ = std::move(hint);
  return std::move(*this);
}

Error Error::SqlState(std::string_view sqlstate) && {
  sqlstate_ = sqlstate;
  return std::move(*this);
}

std::string Error::ToString() const {
  std::string out = message_;
  if (position_) {
    const std::string file = position_->file.empty() ? "line " : position_->file + ":";
    out += fmt::format(" ({}{}:{})", file, position_->line, position_->column);
    if (!position_->line_text.empty()) {
      const std::string number = fmt::format("{:5} | ", position_->line);
      out += fmt::format("\n{}{}\n", number, position_->line_text);
      out += std::string(number.size() - 2, ' ') + "| ";
      out += std::string(static_cast<size_t>(std::max(0, position_->column - 1)), ' ') + "^";
    }
  }
  if (!hint_.empty()) out += "\n  " + hint_;
  return out;
}

std::string Quoted(std::string_view name) {
  std::string out = "\"";
  for (char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

SourcePosition PositionAt(std::string_view text, size_t offset, std::string_view file) {
  offset = std::min(offset, text.size());
  const size_t before = offset == 0 ? std::string_view::npos : text.rfind('\n', offset - 1);
  const size_t begin = before == std::string_view::npos ? 0 : before + 1;
  const size_t end = std::min(text.find('\n', offset), text.size());
  SourcePosition position;
  position.file = file;
  position.line = 1 + static_cast<int>(
                          std::count(text.begin(), text.begin() + static_cast<long>(offset), '\n'));
  // UTF-8: continuation bytes are no columns of their own.
  const auto is_start = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  position.column =
      1 + static_cast<int>(std::count_if(text.begin() + static_cast<long>(begin),
                                         text.begin() + static_cast<long>(offset), is_start));
  position.line_text = text.substr(begin, end - begin);
  return position;
}

namespace {
// Levenshtein distance, letters compared without case.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = std::tolower(static_cast<unsigned char>(a[i - 1])) ==
                        std::tolower(static_cast<unsigned char>(b[j - 1]));
      const size_t substitute = diagonal + (same ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substitute, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}
}  // namespace

std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string* best = nullptr;
  size_t best_distance = std::max<size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = EditDistance(name, candidate);
    if (distance < best_distance) {
      best = &candidate;
      best_distance = distance;
    }
  }
  return best == nullptr ? "" : fmt::format("did you mean {}?", Quoted(*best));
}

}  // namespace millrace
