#include "pg/variables.h"

#include <algorithm>
#include <charconv>

#include "rows/schema.h"

namespace millrace::pg {

namespace {

// What a value may be.
enum class Rule {
  kAny,       // it has no effect that anybody could see
  kOnly,      // the default only: another would change what is sent
  kReadOnly,  // of the server
  kBool,
  kDuration,
  kEncoding,
  kDateStyle,
  kTimeZone,
  kIsolation,
  kName,  // application_name
};

struct Known {
  const char* name;
  const char* value;
  Rule rule;
  bool reported;
  const char* description;
};

constexpr Known kKnown[] = {
    {"application_name", "", Rule::kName, true, "Name of the client, for the log."},
    {"bytea_output", "hex", Rule::kOnly, false, "Output format of bytea."},
    {"check_function_bodies", "on", Rule::kBool, false, "No effect."},
    {"client_encoding", "UTF8", Rule::kEncoding, true, "Encoding of the client."},
    {"client_min_messages", "notice", Rule::kAny, false, "No effect."},
    {"DateStyle", "ISO, MDY", Rule::kDateStyle, true, "Format of dates: ISO."},
    {"default_tablespace", "", Rule::kAny, false, "No effect."},
    {"default_table_access_method", "heap", Rule::kAny, false, "No effect."},
    {"default_transaction_deferrable", "off", Rule::kBool, false, "No effect."},
    {"default_transaction_isolation", "repeatable read", Rule::kIsolation, false,
     "Transactions read one step whatever level is asked for."},
    {"default_transaction_read_only", "off", Rule::kBool, true,
     "Whether transactions only read where they do not say."},
    {"extra_float_digits", "1", Rule::kAny, false, "Floats are always shown exactly."},
    {"geqo", "on", Rule::kBool, false, "No effect."},
    {"idle_in_transaction_session_timeout", "60s", Rule::kDuration, false,
     "A session that waits longer within a transaction ends."},
    {"in_hot_standby", "off", Rule::kReadOnly, true, ""},
    {"integer_datetimes", "on", Rule::kReadOnly, true, ""},
    {"IntervalStyle", "postgres", Rule::kOnly, true, "Format of intervals."},
    {"is_superuser", "on", Rule::kReadOnly, true, ""},
    {"jit", "off", Rule::kBool, false, "No effect."},
    {"lc_collate", "C", Rule::kReadOnly, false, ""},
    {"lc_ctype", "C.UTF-8", Rule::kReadOnly, false, ""},
    {"lc_messages", "C", Rule::kAny, false, "No effect."},
    {"lc_monetary", "C", Rule::kAny, false, "No effect."},
    {"lc_numeric", "C", Rule::kAny, false, "No effect."},
    {"lc_time", "C", Rule::kAny, false, "No effect."},
    {"lock_timeout", "0", Rule::kAny, false, "No effect: nothing is locked."},
    {"max_identifier_length", "63", Rule::kReadOnly, false, ""},
    {"max_index_keys", "32", Rule::kReadOnly, false, ""},
    {"millrace.after", "", Rule::kAny, false,
     "A write's token: statements wait until it is visible."},
    {"row_security", "on", Rule::kBool, false, "No effect."},
    {"search_path", "\"$user\", public", Rule::kAny, false,
     "No effect: names are looked up in public."},
    {"server_encoding", "UTF8", Rule::kReadOnly, true, ""},
    {"server_version", kServerVersion, Rule::kReadOnly, true, ""},
    {"server_version_num", kServerVersionNumber, Rule::kReadOnly, false, ""},
    {"session_authorization", "", Rule::kReadOnly, true, ""},
    {"ssl_renegotiation_limit", "0", Rule::kAny, false, "No effect."},
    {"standard_conforming_strings", "on", Rule::kOnly, true, "Backslashes in texts are letters."},
    {"statement_timeout", "60s", Rule::kDuration, false,
     "A statement that takes longer is ended; 0: after ten minutes."},
    {"synchronous_commit", "on", Rule::kAny, false, "No effect: writes are always durable."},
    {"TimeZone", "UTC", Rule::kTimeZone, true, "Time zone of timestamps with time zone."},
    {"transaction_deferrable", "off", Rule::kBool, false, "No effect."},
    {"transaction_isolation", "repeatable read", Rule::kIsolation, false,
     "Transactions read one step whatever level is asked for."},
    {"transaction_read_only", "off", Rule::kBool, false, "Whether this transaction only reads."},
    {"work_mem", "4MB", Rule::kAny, false, "No effect."},
    {"xmloption", "content", Rule::kAny, false, "No effect."},
};

const Known* Find(std::string_view name) {
  const auto found = std::find_if(std::begin(kKnown), std::end(kKnown), [&](const Known& known) {
    return rows::EqualNames(known.name, name);
  });
  return found == std::end(kKnown) ? nullptr : found;
}

std::string Letters(std::string_view text) {
  std::string out;
  for (const char c : rows::LowerName(text)) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) out += c;
  }
  return out;
}

Error BadValue(const Known& known, std::string_view value) {
  return Error(Code::kInvalidArgument, "invalid value for parameter {}: {}", Quoted(known.name),
               Quoted(value));
}

Error NotHere(const Known& known, std::string_view value, std::string_view hint) {
  return Error(Code::kNotSupported, "{} = {} is not supported", known.name, Quoted(value))
      .Hint(std::string(hint));
}

// The value as it is kept.
Result<std::string> Checked(const Known& known, const std::string& value) {
  const std::string lower = rows::LowerName(value);
  switch (known.rule) {
    case Rule::kAny:
    case Rule::kName:
      return value;
    case Rule::kOnly:
      if (rows::EqualNames(value, known.value)) return std::string(known.value);
      return NotHere(known, value, fmt::format("it is always {}", Quoted(known.value)));
    case Rule::kReadOnly:
      return Error(Code::kInvalidArgument, "parameter {} cannot be changed", Quoted(known.name))
          .SqlState("55P02");
    case Rule::kBool:
      for (const char* on : {"on", "true", "t", "yes", "1"}) {
        if (lower == on) return std::string("on");
      }
      for (const char* off : {"off", "false", "f", "no", "0"}) {
        if (lower == off) return std::string("off");
      }
      return BadValue(known, value);
    case Rule::kDuration:
      TRY(ParseDuration(known.name, value));
      return value;
    case Rule::kEncoding:
      if (Letters(value) == "utf8" || Letters(value) == "unicode") return std::string("UTF8");
      return NotHere(known, value, "texts are UTF8");
    case Rule::kDateStyle: {
      if (lower.find("sql") == std::string::npos && lower.find("german") == std::string::npos &&
          lower.find("postgres") == std::string::npos) {
        for (const char* order : {"dmy", "ymd"}) {
          if (lower.find(order) == std::string::npos) continue;
          return NotHere(known, value, "dates are read as ISO 8601 has them");
        }
        if (lower.find("iso") != std::string::npos || lower.find("mdy") != std::string::npos)
          return std::string("ISO, MDY");
      }
      return NotHere(known, value, "dates are shown as ISO 8601 has them");
    }
    case Rule::kTimeZone: {
      TRY(const TimeZonePtr zone, TimeZone::Find(value));
      return zone->name();
    }
    case Rule::kIsolation:
      for (const char* level :
           {"read uncommitted", "read committed", "repeatable read", "serializable"}) {
        if (lower == level) return lower;
      }
      return BadValue(known, value);
  }
  return value;
}

bool IsCustom(std::string_view name) {
  return name.find('.') != std::string_view::npos && !name.starts_with('.') &&
         !rows::LowerName(name).starts_with("millrace.");
}

}  // namespace

Result<std::chrono::milliseconds> ParseDuration(std::string_view name, std::string_view text) {
  int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  std::string unit =
      Letters(std::string_view(end, static_cast<size_t>(text.data() + text.size() - end)));
  static const std::map<std::string, int64_t> kUnits = {
      {"", 1}, {"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  const auto found = kUnits.find(unit);
  constexpr int64_t kMax = 1'000'000'000;
  if (error != std::errc() || found == kUnits.end() || count < 0 || count > kMax / found->second) {
    return Error(Code::kInvalidArgument, "invalid value for parameter {}: {}", Quoted(name),
                 Quoted(text))
        .Hint("as 500, 500ms, 30s or 2min");
  }
  return std::chrono::milliseconds(count * found->second);
}

Variables::Variables() {
  for (const Known& known : kKnown) values_[rows::LowerName(known.name)] = known.value;
  defaults_ = values_;
  Follow();
}

Result<std::string> Variables::Get(std::string_view name) const {
  const auto found = values_.find(rows::LowerName(name));
  if (found != values_.end()) return found->second;
  std::vector<std::string> names;
  for (const Known& known : kKnown) names.emplace_back(known.name);
  return Error(Code::kNotFound, "unrecognized configuration parameter {}", Quoted(name))
      .Hint(DidYouMean(name, names))
      .SqlState("42704");
}

Status Variables::Set(std::string_view name, std::string value) {
  constexpr size_t kValueBytesMax = 8 << 10;
  constexpr size_t kCustomMax = 100;
  if (value.size() > kValueBytesMax)
    return Error(Code::kTooLarge, "the value of {} has more than {} bytes", Quoted(name),
                 kValueBytesMax);
  const std::string key = rows::LowerName(name);
  const Known* known = Find(name);
  if (known == nullptr) {
    if (!IsCustom(name)) {
      TRY(Get(name));
    } else if (!values_.contains(key) && values_.size() > std::size(kKnown) + kCustomMax) {
      return Error(Code::kTooLarge, "a session has at most {} parameters of its own", kCustomMax);
    }
    values_[key] = std::move(value);
    return Ok();
  }
  // The session's own name, which only Start knows, may be put in once.
  if (known->rule == Rule::kReadOnly && key == "session_authorization" && values_[key].empty()) {
    values_[key] = std::move(value);
    return Ok();
  }
  TRY(values_[key], Checked(*known, value));
  Follow();
  return Ok();
}

Status Variables::Reset(std::string_view name) {
  TRY(Get(name));
  const std::string key = rows::LowerName(name);
  const auto found = defaults_.find(key);
  if (found == defaults_.end()) {
    values_.erase(key);
  } else {
    values_[key] = found->second;
  }
  Follow();
  return Ok();
}

void Variables::ResetAll() {
  values_ = defaults_;
  Follow();
}

void Variables::Follow() {
  // All were checked when they were set.
  const auto timeout = ParseDuration("statement_timeout", values_["statement_timeout"]);
  statement_timeout_ = timeout.ok() ? *timeout : kStatementTimeout;
  if (statement_timeout_.count() == 0 || statement_timeout_ > kStatementTimeoutMax)
    statement_timeout_ = kStatementTimeoutMax;
  const auto idle = ParseDuration("idle_in_transaction_session_timeout",
                                  values_["idle_in_transaction_session_timeout"]);
  idle_timeout_ = idle.ok() ? *idle : std::chrono::milliseconds(0);
  const std::string& zone = values_["timezone"];
  if (zone == time_zone_->name()) return;
  const auto found = TimeZone::Find(zone);
  time_zone_ = found.ok() ? *found : TimeZone::Utc();
}

std::string Variables::after() const { return values_.at("millrace.after"); }

std::vector<Variable> Variables::All() const {
  std::vector<Variable> all;
  for (const auto& [key, value] : values_) {
    const Known* known = Find(key);
    all.push_back(
        {known == nullptr ? key : known->name, value, known == nullptr ? "" : known->description});
  }
  return all;
}

std::vector<std::pair<std::string, std::string>> Variables::Reported() const {
  std::vector<std::pair<std::string, std::string>> reported;
  for (const Known& known : kKnown) {
    if (known.reported) reported.emplace_back(known.name, values_.at(rows::LowerName(known.name)));
  }
  return reported;
}

}  // namespace millrace::pg
