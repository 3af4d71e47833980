// The settings of a node, and where each came from: flag over environment (MILLRACE_HTTP, …) over
// millrace.toml over default.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/logging.h"
#include "base/result.h"

namespace millrace::cli {

struct Setting {
  std::string value;
  std::string
      origin;  // "flag --http", "environment MILLRACE_HTTP", "shop/millrace.toml", "default"
};
// By name: "http", "data", "workers", "memory", "tls_certificate", …
using Settings = std::map<std::string, Setting>;

// Names that millrace.toml may have.
const std::vector<std::string>& SettingNames();

// `flags` holds those that were given, `toml` those of the project's millrace.toml.
Settings ResolveSettings(const std::map<std::string, std::string>& flags,
                         const std::map<std::string, std::string>& toml,
                         const std::string& project_folder);

// What each says is possible: kInvalidArgument names setting, value and origin.
Status CheckSettings(const Settings& settings);
Result<int> WorkersOf(const Settings& settings);
Result<int> IoThreadsOf(const Settings& settings);  // of each listener
Result<uint64_t> MemoryOf(const Settings& settings);
// Bytes on disk; 0: off.
Result<uint64_t> ColumnCacheOf(const Settings& settings);
// Bytes on disk, 0: off; nullopt: auto.
Result<std::optional<uint64_t>> DiskReserveOf(const Settings& settings);
Result<double> ViewStepSecondsOf(const Settings& settings);
Result<LogLevel> LogLevelOf(const Settings& settings);
// Bytes a second of kafka_client_produce_quota and its like; 0: off.
Result<uint64_t> QuotaOf(const Settings& settings, const std::string& name);
// Whether a listener ("http", "kafka", "pg") speaks TLS: each where there is a certificate, unless
// the setting `tls` names some. REQUIRES: the settings have passed CheckSettings.
bool SpeaksTls(const Settings& settings, const std::string& listener);

// "512 MB", "2GiB", "1073741824" → bytes. kInvalidArgument.
Result<uint64_t> ParseSize(const std::string& text);

}  // namespace millrace::cli
