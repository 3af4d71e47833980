#include "sql/parser_values.h"

#include <cctype>
#include <charconv>
#include <cmath>

#include "catalog/sql_text.h"
#include "rows/schema.h"

namespace millrace::sql {
namespace {

const std::vector<std::string>& Units() {
  static const std::vector<std::string> units = {
      "MICROSECONDS", "MILLISECONDS", "SECONDS", "MINUTES",     "HOURS",       "DAYS",   "WEEKS",
      "MONTHS",       "QUARTERS",     "YEARS",   "MICROSECOND", "MILLISECOND", "SECOND", "MINUTE",
      "HOUR",         "DAY",          "WEEK",    "MONTH",       "QUARTER",     "YEAR"};
  return units;
}

bool IsUnit(std::string_view word) {
  for (const std::string& unit : Units()) {
    if (rows::EqualNames(unit, word)) return true;
  }
  return false;
}

Result<std::chrono::microseconds> FromInterval(const duckdb::Value& value, std::string_view text) {
  if (value.IsNull())
    return Error(Code::kInvalidArgument, "expected a length of time, got {}", text);
  const duckdb::interval_t interval = value.GetValue<duckdb::interval_t>();
  if (interval.months != 0) {
    return Error(Code::kInvalidArgument, "{} has no fixed length: months and years differ", text)
        .Hint("use days, such as '30 days'");
  }
  constexpr int64_t kDay = 86'400'000'000;
  int64_t days = 0;
  int64_t total = 0;
  if (__builtin_mul_overflow(static_cast<int64_t>(interval.days), kDay, &days) ||
      __builtin_add_overflow(days, interval.micros, &total)) {
    return Error(Code::kInvalidArgument, "{} is too long", text);
  }
  if (total < 0)
    return Error(Code::kInvalidArgument, "{} is negative; expected a length of time", text);
  return std::chrono::microseconds(total);
}

// The first word of `text` that is neither a number nor a unit, with the nearest unit.
std::string UnitHint(std::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    if (!std::isalpha(static_cast<unsigned char>(text[i]))) {
      ++i;
      continue;
    }
    size_t end = i;
    while (end < text.size() && std::isalpha(static_cast<unsigned char>(text[end]))) ++end;
    const std::string_view word = text.substr(i, end - i);
    if (!IsUnit(word)) {
      if (std::string hint = DidYouMeanWord(word, Units()); !hint.empty())
        return rows::LowerName(hint);
    }
    i = end;
  }
  return "";
}

}  // namespace

Result<std::chrono::microseconds> DurationFromText(std::string_view text) {
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  quoted += "'";
  const Result<duckdb::Value> value =
      catalog::ConstantFromSql(quoted, duckdb::LogicalType::INTERVAL);
  const bool has_unit = text.find_first_not_of("0123456789.+- ") != std::string_view::npos;
  if (!value.ok() || !has_unit) {
    Error error(Code::kInvalidArgument,
                "expected a length of time such as '30 seconds' or '7 days', got {}", quoted);
    return std::move(error).Hint(UnitHint(text));
  }
  return FromInterval(*value, quoted);
}

Result<std::chrono::microseconds> ExpectDuration(Cursor& cursor, std::string_view what) {
  const size_t begin = cursor.Peek().begin;
  if (cursor.Peek().kind == Token::Kind::kString) {
    TRY(const std::string text, cursor.ExpectString(what));
    Result<std::chrono::microseconds> duration = DurationFromText(text);
    if (!duration.ok()) return cursor.At(begin, std::move(duration).error());
    return duration;
  }
  const size_t from = cursor.position();
  if (!cursor.Accept({"INTERVAL"})) {
    return cursor.Unexpected(fmt::format("{} such as INTERVAL 10 SECONDS", what), {"INTERVAL"});
  }
  const Token amount = cursor.Peek();
  if (amount.kind != Token::Kind::kNumber && amount.kind != Token::Kind::kString) {
    return cursor.Unexpected("a number or a text such as '10 seconds' after INTERVAL");
  }
  cursor.Advance();
  const Token& unit = cursor.Peek();
  if (unit.kind == Token::Kind::kWord && IsUnit(NameOf(cursor.text(), unit))) {
    cursor.Advance();
  } else if (amount.kind == Token::Kind::kNumber) {
    return cursor.Unexpected("a unit of time such as SECONDS", Units());
  } else {
    cursor.Seek(from + 1);
    return ExpectDuration(cursor, what);  // INTERVAL '10 seconds'
  }
  const Cursor::Slice slice = cursor.Between(from, cursor.position());
  const Result<duckdb::Value> value =
      catalog::ConstantFromSql(slice.text, duckdb::LogicalType::INTERVAL);
  if (!value.ok()) return cursor.At(begin, Error(value.error()));
  Result<std::chrono::microseconds> duration = FromInterval(*value, slice.text);
  if (!duration.ok()) return cursor.At(begin, std::move(duration).error());
  return duration;
}

Result<int64_t> SizeFromText(std::string_view text) {
  static const std::map<std::string, int64_t> units = {{"", 1},
                                                       {"b", 1},
                                                       {"kb", 1'000},
                                                       {"mb", 1'000'000},
                                                       {"gb", 1'000'000'000},
                                                       {"tb", 1'000'000'000'000},
                                                       {"kib", 1LL << 10},
                                                       {"mib", 1LL << 20},
                                                       {"gib", 1LL << 30},
                                                       {"tib", 1LL << 40}};
  const Error wrong(Code::kInvalidArgument, "expected a size such as '10 GB' or '64 MiB', got '{}'",
                    text);
  double number = 0;
  const auto [rest, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc()) return wrong;
  std::string_view unit = text.substr(static_cast<size_t>(rest - text.data()));
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  const auto found = units.find(rows::LowerName(unit));
  if (found == units.end()) {
    return Error(wrong).Hint("the units are B, KB, MB, GB, TB, KiB, MiB, GiB and TiB");
  }
  const double bytes = number * static_cast<double>(found->second);
  constexpr double kMax = 9.2e18;  // just below the largest 64-bit number
  if (!std::isfinite(bytes) || bytes < 1 || bytes > kMax) return wrong;
  return static_cast<int64_t>(std::llround(bytes));
}

Result<std::vector<Option>> ExpectOptions(Cursor& cursor) {
  std::vector<Option> options;
  TRY(cursor.ExpectSymbol('(', "and options, such as (name = 'value')"));
  if (cursor.AcceptSymbol(')')) return options;
  do {
    Option option;
    option.name_begin = cursor.Peek().begin;
    if (cursor.Peek().kind != Token::Kind::kWord &&
        cursor.Peek().kind != Token::Kind::kQuotedName) {
      return cursor.Unexpected("the name of an option");
    }
    option.name = rows::LowerName(NameOf(cursor.text(), cursor.Peek()));
    cursor.Advance();
    for (const Option& other : options) {
      if (other.name != option.name) continue;
      return cursor.At(
          option.name_begin,
          Error(Code::kInvalidArgument, "option {} is given twice", option.name).SqlState("42601"));
    }
    TRY(cursor.ExpectSymbol('=', fmt::format("and a value after {}", option.name)));
    option.value_begin = cursor.Peek().begin;
    const Token value = cursor.Peek();
    if (value.kind == Token::Kind::kString) {
      TRY(option.value, cursor.ExpectString("a value"));
    } else if (value.kind == Token::Kind::kNumber || value.kind == Token::Kind::kWord) {
      option.value = cursor.text().substr(value.begin, value.end - value.begin);
      cursor.Advance();
    } else if (cursor.AtSymbol('-') && cursor.Peek(1).kind == Token::Kind::kNumber) {
      cursor.Advance();
      option.value = "-" + std::string(cursor.text().substr(
                               cursor.Peek().begin, cursor.Peek().end - cursor.Peek().begin));
      cursor.Advance();
    } else {
      return cursor.Unexpected(
          fmt::format("a value for {}: a text in single quotes, a number or a word", option.name));
    }
    options.push_back(std::move(option));
  } while (cursor.AcceptSymbol(','));
  TRY(cursor.ExpectSymbol(')', "or a comma after the option"));
  return options;
}

Status CheckOptionNames(const Cursor& cursor, const std::vector<Option>& options,
                        std::string_view of, const std::vector<std::string>& known,
                        const std::vector<std::string>& later) {
  for (const Option& option : options) {
    if (std::find(known.begin(), known.end(), option.name) != known.end()) continue;
    if (std::find(later.begin(), later.end(), option.name) != later.end()) {
      return cursor.At(
          option.name_begin,
          Error(Code::kNotSupported, "option {} of {} is not available yet", option.name, of));
    }
    std::string hint = DidYouMean(option.name, known);
    if (hint.empty()) {
      hint = known.empty() ? fmt::format("{} has no options", of)
                           : fmt::format("the options are {}", fmt::join(known, ", "));
    }
    return cursor.At(option.name_begin,
                     Error(Code::kInvalidArgument, "{} is no option of {}", Quoted(option.name), of)
                         .Hint(std::move(hint)));
  }
  return Ok();
}

Result<size_t> ChoiceOf(const Cursor& cursor, const Option& option,
                        const std::vector<std::string>& values) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (rows::EqualNames(values[i], option.value)) return i;
  }
  std::string list;
  for (const std::string& value : values) list += (list.empty() ? "'" : ", '") + value + "'";
  return cursor.At(option.value_begin,
                   Error(Code::kInvalidArgument, "option {}: expected {}{}, got '{}'", option.name,
                         values.size() > 1 ? "one of " : "", list, option.value)
                       .Hint(DidYouMean(option.value, values)));
}

Result<std::chrono::microseconds> DurationOf(const Cursor& cursor, const Option& option) {
  Result<std::chrono::microseconds> duration = DurationFromText(option.value);
  if (duration.ok() && duration->count() == 0) {
    duration = Error(Code::kInvalidArgument, "expected a length of time above zero");
  }
  if (duration.ok()) return duration;
  return cursor.At(option.value_begin, std::move(duration).error().With("option " + option.name));
}

Result<int64_t> SizeOf(const Cursor& cursor, const Option& option) {
  Result<int64_t> size = SizeFromText(option.value);
  if (size.ok()) return size;
  return cursor.At(option.value_begin, std::move(size).error().With("option " + option.name));
}

Result<std::chrono::microseconds> RetentionOf(const Cursor& cursor, const Option& option) {
  Result<std::chrono::microseconds> time = DurationOf(cursor, option);
  if (!time.ok() && SizeFromText(option.value).ok())
    return std::move(time).error().Hint("a size is retention_bytes = '10 GB'");
  return time;
}

std::vector<std::string> KnownOptions::All() const {
  std::vector<std::string> names = changeable;
  names.insert(names.end(), fixed.begin(), fixed.end());
  return names;
}

Status RefuseFixed(const Cursor& cursor, const KnownOptions& known, const std::string& name,
                   size_t begin) {
  if (std::find(known.fixed.begin(), known.fixed.end(), name) == known.fixed.end()) return Ok();
  return cursor.At(
      begin,
      Error(Code::kNotSupported, "the option {} of {} stays as it was created", name, known.of)
          .Hint(
              fmt::format("{} can be set{}", fmt::join(known.changeable, ", "), known.otherwise)));
}

Result<std::set<std::string>> ExpectOptionNames(Cursor& cursor, const KnownOptions& known) {
  std::set<std::string> names;
  TRY(cursor.ExpectSymbol('(', "and names of options, such as (retention)"));
  do {
    TRY(const PlacedName name, cursor.ExpectName("the name of an option"));
    const std::string lower = rows::LowerName(name.name);
    TRY(RefuseFixed(cursor, known, lower, name.begin));
    if (std::find(known.changeable.begin(), known.changeable.end(), lower) ==
        known.changeable.end()) {
      return cursor.At(name.begin, Error(Code::kNotFound, "{} has no option {}", known.of, lower)
                                       .Hint(DidYouMeanWord(lower, known.changeable))
                                       .SqlState("42704"));
    }
    names.insert(lower);
  } while (cursor.AcceptSymbol(','));
  TRY(cursor.ExpectSymbol(')', "or a comma after the option"));
  return names;
}

}  // namespace millrace::sql
