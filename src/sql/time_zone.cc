#include "sql/time_zone.h"

#include "base/check.h"
#include "duckdb/main/client_config.hpp"
#include "duckdb/main/config.hpp"

namespace millrace::sql {

void SetTimeZone(duckdb::ClientContext& client, const std::string& zone) {
  duckdb::ExtensionOption option;
  CHECK(duckdb::DBConfig::GetConfig(client).TryGetExtensionOption("TimeZone", option))
      << "DuckDB without time zones";
  client.config.user_settings.SetUserSetting(option.setting_index.GetIndex(), duckdb::Value(zone));
}

}  // namespace millrace::sql
