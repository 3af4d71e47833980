#include "pg/time_zone_rules.h"

#include <map>
#include <mutex>

#include "duckdb.hpp"
#include "rows/schema.h"

namespace millrace::pg {

namespace {

// Before the first clocks were set by law.
constexpr int64_t kRulesBegin = -6'000'000'000;  // 1779
// No zone has changed its clocks twice within it.
constexpr int64_t kProbeSeconds = int64_t{7} * 86'400;

using Rules = TimeZone::Rules;

duckdb::unique_ptr<duckdb::MaterializedQueryResult> Run(duckdb::Connection& connection,
                                                        const std::string& sql) {
  auto result = connection.Query(sql);
  if (result->HasError()) result->ThrowError();
  return result;
}

// The offsets at moments, which `from` gives as rows of `s`.
Rules OffsetsAt(duckdb::Connection& connection, const std::string& zone, const std::string& from) {
  const auto result =
      Run(connection, fmt::format("SELECT s, CAST(epoch(timezone('{}', to_timestamp(s))) - s AS "
                                  "INTEGER) FROM {} ORDER BY s",
                                  zone, from));
  Rules offsets;
  for (duckdb::idx_t row = 0; row < result->RowCount(); ++row) {
    offsets.push_back({result->GetValue(0, row).GetValue<int64_t>(),
                       result->GetValue(1, row).GetValue<int32_t>()});
  }
  return offsets;
}

// Halves what lies between the last moment before each change and the first one behind it, of all
// changes at once, until they are neighbours.
Rules Narrowed(duckdb::Connection& connection, const std::string& zone, Rules before, Rules after) {
  for (int64_t span = kProbeSeconds; span > 1 && !before.empty(); span -= span / 2) {
    std::string middles;
    for (size_t i = 0; i < before.size(); ++i) {
      const int64_t middle = before[i].utc + (after[i].utc - before[i].utc) / 2;
      middles += fmt::format("{}({}::BIGINT)", i == 0 ? "" : ", ", middle);
    }
    const Rules found =
        OffsetsAt(connection, zone, fmt::format("(VALUES {}) AS middles(s)", middles));
    for (size_t i = 0; i < found.size(); ++i)
      (found[i].offset_seconds == before[i].offset_seconds ? before : after)[i] = found[i];
  }
  return after;
}

Rules Probed(duckdb::Connection& connection, const std::string& zone) {
  const Rules probes = OffsetsAt(
      connection, zone,
      fmt::format("range({}, {}, {}) AS probes(s)", kRulesBegin, kRulesEnd, kProbeSeconds));
  Rules before;
  Rules after;
  for (size_t i = 1; i < probes.size(); ++i) {
    if (probes[i].offset_seconds == probes[i - 1].offset_seconds) continue;
    before.push_back(probes[i - 1]);
    after.push_back(probes[i]);
  }
  Rules rules = Narrowed(connection, zone, std::move(before), std::move(after));
  rules.insert(rules.begin(), {INT64_MIN, probes.front().offset_seconds});
  return rules;
}

std::map<std::string, std::string> NamesByLowerCase(duckdb::Connection& connection) {
  std::map<std::string, std::string> names;
  const auto result = Run(connection, fmt::format("SELECT name FROM ({})", kZonesSql));
  for (duckdb::idx_t row = 0; row < result->RowCount(); ++row) {
    const std::string name = result->GetValue(0, row).ToString();
    names.emplace(rows::LowerName(name), name);
  }
  return names;
}

// What was asked for, by name: at most as many as there are zones.
struct Known {
  std::mutex mutex;
  std::map<std::string, std::string> names;                      // guarded by mutex
  std::map<std::string, std::shared_ptr<const Rules>> rules_of;  // guarded by mutex
};
Known& KnownZones() {
  static Known known;
  return known;
}

// DuckDB's exceptions end here.
template <typename Ask>
Status WithDuckDb(const Ask& ask) {
  try {
    duckdb::DBConfig config;
    config.SetOptionByName("threads", duckdb::Value::BIGINT(1));
    config.SetOptionByName("autoinstall_known_extensions", duckdb::Value::BOOLEAN(false));
    config.SetOptionByName("autoload_known_extensions", duckdb::Value::BOOLEAN(false));
    duckdb::DuckDB database(nullptr, &config);
    duckdb::Connection connection(database);
    ask(connection);
    return Ok();
  } catch (const std::exception& exception) {
    return Error(Code::kInternal, "read the time zones of DuckDB: {}",
                 duckdb::ErrorData(exception).RawMessage());
  }
}

}  // namespace

Result<std::optional<std::string>> ZoneNamed(std::string_view name) {
  Known& known = KnownZones();
  const std::lock_guard lock(known.mutex);
  if (known.names.empty())
    TRY(WithDuckDb([&](duckdb::Connection& duck) { known.names = NamesByLowerCase(duck); }));
  const auto found = known.names.find(rows::LowerName(name));
  if (found == known.names.end()) return std::optional<std::string>();
  return std::optional<std::string>(found->second);
}

Result<std::shared_ptr<const Rules>> RulesOf(const std::string& duckdb_name) {
  Known& known = KnownZones();
  const std::lock_guard lock(known.mutex);
  std::shared_ptr<const Rules>& rules = known.rules_of[duckdb_name];
  if (rules != nullptr) return rules;
  TRY(WithDuckDb([&](duckdb::Connection& duck) {
    rules = std::make_shared<const Rules>(Probed(duck, duckdb_name));
  }));
  return rules;
}

}  // namespace millrace::pg
