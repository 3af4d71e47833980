// The settings of a session, as SET, SHOW and ParameterStatus know them. Those of PostgreSQL that
// have one meaning here take that value only; a value that would change how things look, and does
// not, is refused.
//
// A value; not thread-safe.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pg/time_zone.h"

namespace millrace::pg {

inline constexpr const char* kServerVersion = "15.0 (Millrace)";
inline constexpr const char* kServerVersionNumber = "150000";
// Where a session has no statement_timeout of its own, and the longest that it may have.
inline constexpr std::chrono::milliseconds kStatementTimeout{60'000};
inline constexpr std::chrono::milliseconds kStatementTimeoutMax{600'000};

struct Variable {
  std::string name;  // as it is shown: "DateStyle"
  std::string value;
  std::string description;
};

class Variables {
 public:
  Variables();

  // Names compare without case. kNotFound 42704.
  Result<std::string> Get(std::string_view name) const;
  // 22023 (no such value), 0A000 (not here), 55P02 (cannot be changed).
  Status Set(std::string_view name, std::string value);
  Status Reset(std::string_view name);
  void ResetAll();
  // What a connection begins with, and RESET goes back to.
  void NoteDefaults() { defaults_ = values_; }

  std::vector<Variable> All() const;  // by name
  // Those that clients are told of when they change: name and value.
  std::vector<std::pair<std::string, std::string>> Reported() const;

  std::chrono::milliseconds statement_timeout() const { return statement_timeout_; }
  // 0: never.
  std::chrono::milliseconds idle_in_transaction_timeout() const { return idle_timeout_; }
  std::string after() const;
  const TimeZonePtr& time_zone() const { return time_zone_; }

  bool operator==(const Variables& other) const { return values_ == other.values_; }

 private:
  void Follow();

  std::map<std::string, std::string> values_;  // by lower-case name
  std::map<std::string, std::string> defaults_;
  std::chrono::milliseconds statement_timeout_ = kStatementTimeout;
  std::chrono::milliseconds idle_timeout_{0};
  TimeZonePtr time_zone_ = TimeZone::Utc();
};

// "100", "100ms", "2s", "1min": milliseconds where there is no unit. 22023.
Result<std::chrono::milliseconds> ParseDuration(std::string_view name, std::string_view text);

}  // namespace millrace::pg
