#include "cli/settings.h"

#include <sys/sysinfo.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "http/cors.h"
#include "net/address.h"

namespace millrace::cli {

namespace {

constexpr int kWorkersMax = 256;
constexpr int kIoThreadsMax = 64;
constexpr uint64_t kMemoryBytesMin = 64ull << 20;
constexpr char kNoFile[] = "none";
constexpr uint64_t kColumnCacheBytesMin = 16ull << 20;
constexpr uint64_t kDiskReserveBytesMin = 16ull << 20;
constexpr uint64_t kQuotaBytesMin = 1'000;
constexpr double kMachineShare = 0.7;
constexpr double kViewStepSecondsMax = 86'400;

std::string DefaultMemory() {
  struct sysinfo info {};
  const uint64_t machine =
      sysinfo(&info) == 0 ? static_cast<uint64_t>(info.totalram) * info.mem_unit : 4ull << 30;
  return fmt::format("{}MiB",
                     static_cast<uint64_t>(static_cast<double>(machine) * kMachineShare) >> 20);
}

std::string OneACore(int max) {
  return std::to_string(std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, max));
}

std::string VariableOf(const std::string& name) {
  std::string variable = "MILLRACE_" + name;
  for (char& c : variable) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return variable;
}

std::string FlagOf(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return "--" + name;
}

Error Wrong(const char* name, const Setting& setting, std::string_view what) {
  return Error(Code::kInvalidArgument, "{} = {} ({}): {}", name, Quoted(setting.value),
               setting.origin, what);
}

Result<int> CountOf(const Settings& settings, const char* name, int max) {
  const Setting& setting = settings.at(name);
  const bool number = !setting.value.empty() && setting.value.size() <= 3 &&
                      setting.value.find_first_not_of("0123456789") == std::string::npos;
  const int count = number ? std::stoi(setting.value) : 0;
  if (count < 1 || count > max)
    return Wrong(name, setting, fmt::format("a number from 1 to {} is expected", max));
  return count;
}

}  // namespace

const std::vector<std::string>& SettingNames() {
  static const std::vector<std::string> names = {"auth",
                                                 "column_cache",
                                                 "data",
                                                 "disk_reserve",
                                                 "http",
                                                 "http_cors_origins",
                                                 "io_threads",
                                                 "kafka",
                                                 "kafka_advertised",
                                                 "kafka_auto_create",
                                                 "kafka_client_fetch_quota",
                                                 "kafka_client_produce_quota",
                                                 "kafka_stream_fetch_quota",
                                                 "kafka_stream_produce_quota",
                                                 "log_level",
                                                 "memory",
                                                 "name",
                                                 "pg",
                                                 "tls",
                                                 "tls_certificate",
                                                 "tls_key",
                                                 "view_step_seconds",
                                                 "workers"};
  return names;
}

Settings ResolveSettings(const std::map<std::string, std::string>& flags,
                         const std::map<std::string, std::string>& toml,
                         const std::string& project_folder) {
  const std::map<std::string, std::string> defaults = {{"http", "127.0.0.1:8080"},
                                                       {"http_cors_origins", "none"},
                                                       {"kafka", "127.0.0.1:9092"},
                                                       {"pg", "127.0.0.1:5432"},
                                                       {"kafka_advertised", "auto"},
                                                       {"kafka_auto_create", "on"},
                                                       {"kafka_client_fetch_quota", "off"},
                                                       {"kafka_client_produce_quota", "off"},
                                                       {"kafka_stream_fetch_quota", "off"},
                                                       {"kafka_stream_produce_quota", "off"},
                                                       {"data", project_folder + "/.millrace"},
                                                       {"workers", OneACore(kWorkersMax)},
                                                       {"io_threads", OneACore(kIoThreadsMax)},
                                                       {"memory", DefaultMemory()},
                                                       {"column_cache", "4GiB"},
                                                       {"disk_reserve", "auto"},
                                                       {"view_step_seconds", "10"},
                                                       {"log_level", "warning"},
                                                       {"tls", "auto"},
                                                       {"tls_certificate", kNoFile},
                                                       {"tls_key", kNoFile},
                                                       {"auth", "auto"}};
  Settings settings;
  for (const auto& [name, value] : defaults) {
    const std::string variable = VariableOf(name);
    const char* environment = std::getenv(variable.c_str());
    if (flags.contains(name)) {
      settings[name] = {flags.at(name), "flag " + FlagOf(name)};
    } else if (environment != nullptr && *environment != '\0') {
      settings[name] = {environment, "environment " + variable};
    } else if (toml.contains(name)) {
      settings[name] = {toml.at(name), project_folder + "/millrace.toml"};
    } else {
      settings[name] = {value, "default"};
    }
  }
  return settings;
}

Result<int> WorkersOf(const Settings& settings) {
  return CountOf(settings, "workers", kWorkersMax);
}

Result<int> IoThreadsOf(const Settings& settings) {
  return CountOf(settings, "io_threads", kIoThreadsMax);
}

Result<uint64_t> MemoryOf(const Settings& settings) {
  const Setting& memory = settings.at("memory");
  const auto bytes = ParseSize(memory.value);
  if (!bytes.ok()) return Wrong("memory", memory, "a size is expected, as 512MB or 2GiB");
  if (*bytes < kMemoryBytesMin) {
    return Wrong("memory", memory, fmt::format("at least {} MiB", kMemoryBytesMin >> 20));
  }
  return *bytes;
}

// `expected`: what there should be, for people.
static Result<uint64_t> SizeOrOff(const Settings& settings, const std::string& name,
                                  uint64_t bytes_min, const std::string& expected) {
  const Setting& size = settings.at(name);
  if (size.value == "off") return uint64_t{0};
  const auto bytes = ParseSize(size.value);
  if (!bytes.ok() || *bytes < bytes_min) return Wrong(name.c_str(), size, expected);
  return *bytes;
}

Result<uint64_t> ColumnCacheOf(const Settings& settings) {
  if (settings.at("column_cache").value == "0") return uint64_t{0};
  return SizeOrOff(settings, "column_cache", kColumnCacheBytesMin,
                   fmt::format("a size is expected, as 4GiB, at least {} MiB, or off",
                               kColumnCacheBytesMin >> 20));
}

Result<std::optional<uint64_t>> DiskReserveOf(const Settings& settings) {
  std::optional<uint64_t> reserve;
  if (settings.at("disk_reserve").value == "auto") return reserve;
  TRY(reserve, SizeOrOff(settings, "disk_reserve", kDiskReserveBytesMin,
                         fmt::format("a size is expected, as 4GiB, at least {} MiB, or auto or off",
                                     kDiskReserveBytesMin >> 20)));
  return reserve;
}

Result<uint64_t> QuotaOf(const Settings& settings, const std::string& name) {
  return SizeOrOff(
      settings, name, kQuotaBytesMin,
      fmt::format("bytes a second are expected, as 10MB, at least {}, or off", kQuotaBytesMin));
}

Result<double> ViewStepSecondsOf(const Settings& settings) {
  const Setting& seconds = settings.at("view_step_seconds");
  char* end = nullptr;
  const double value = std::strtod(seconds.value.c_str(), &end);
  if (seconds.value.empty() || *end != '\0' || !(value > 0 && value <= kViewStepSecondsMax)) {
    return Wrong("view_step_seconds", seconds,
                 fmt::format("a number above 0 and up to {} is expected", kViewStepSecondsMax));
  }
  return value;
}

Result<LogLevel> LogLevelOf(const Settings& settings) {
  static const std::map<std::string, LogLevel> levels = {{"debug", LogLevel::kDebug},
                                                         {"info", LogLevel::kInfo},
                                                         {"warning", LogLevel::kWarning},
                                                         {"error", LogLevel::kError},
                                                         {"off", LogLevel::kOff}};
  const Setting& level = settings.at("log_level");
  const auto found = levels.find(level.value);
  if (found == levels.end())
    return Wrong("log_level", level, "it is debug, info, warning, error or off");
  return found->second;
}

namespace {

// The setting `tls` where it names listeners: "http,kafka".
std::vector<std::string> NamedListeners(const std::string& text) {
  std::vector<std::string> names;
  std::istringstream rest(text);
  for (std::string name; std::getline(rest, name, ',');) names.push_back(name);
  return names;
}

Status CheckTls(const Settings& settings) {
  const Setting& tls = settings.at("tls");
  const Setting& certificate = settings.at("tls_certificate");
  const Setting& key = settings.at("tls_key");
  if ((certificate.value == kNoFile) != (key.value == kNoFile)) {
    const bool without_key = key.value == kNoFile;
    return Wrong(without_key ? "tls_certificate" : "tls_key", without_key ? certificate : key,
                 without_key ? "the file of its key is needed too: --tls-key"
                             : "the file of its certificate is needed too: --tls-certificate");
  }
  if (tls.value == "auto" || tls.value == "off") return Ok();
  const std::vector<std::string> names = NamedListeners(tls.value);
  for (const std::string& name : names) {
    if (name != "http" && name != "kafka" && name != "pg")
      return Wrong("tls", tls, "it is auto, off, or listeners: http, kafka, pg, as http,kafka");
  }
  if (!names.empty() && certificate.value == kNoFile)
    return Wrong("tls", tls, "a certificate and its key are needed: --tls-certificate, --tls-key");
  return Ok();
}

}  // namespace

bool SpeaksTls(const Settings& settings, const std::string& listener) {
  const std::string& tls = settings.at("tls").value;
  if (tls == "off") return false;
  if (tls == "auto") return settings.at("tls_certificate").value != kNoFile;
  const std::vector<std::string> names = NamedListeners(tls);
  return std::find(names.begin(), names.end(), listener) != names.end();
}

Status CheckSettings(const Settings& settings) {
  TRY(WorkersOf(settings));
  TRY(IoThreadsOf(settings));
  TRY(MemoryOf(settings));
  TRY(ColumnCacheOf(settings));
  TRY(DiskReserveOf(settings));
  TRY(ViewStepSecondsOf(settings));
  TRY(LogLevelOf(settings));
  TRY(CheckTls(settings));
  for (const char* kind : {"client_fetch", "client_produce", "stream_fetch", "stream_produce"}) {
    TRY(QuotaOf(settings, fmt::format("kafka_{}_quota", kind)));
  }
  const Setting& auto_create = settings.at("kafka_auto_create");
  if (auto_create.value != "on" && auto_create.value != "off")
    return Wrong("kafka_auto_create", auto_create, "on or off is expected");
  const Setting& origins = settings.at("http_cors_origins");
  const auto cors = http::Cors::Parse(origins.value);
  if (!cors.ok())
    return Wrong("http_cors_origins", origins, cors.error().message()).Hint(cors.error().hint());
  const Setting& auth = settings.at("auth");
  if (auth.value != "auto" && auth.value != "on" && auth.value != "off")
    return Wrong("auth", auth, "it is auto, on or off");
  for (const char* name : {"http", "kafka", "pg", "kafka_advertised"}) {
    const Setting& setting = settings.at(name);
    // "auto", of kafka_advertised: where it listens.
    if (setting.value == (name == std::string_view("kafka_advertised") ? "auto" : "off")) continue;
    const auto address = net::ParseAddress(setting.value);
    if (!address.ok()) return Wrong(name, setting, address.error().message());
  }
  return Ok();
}

Result<uint64_t> ParseSize(const std::string& text) {
  size_t digits = 0;
  while (digits < text.size() && std::isdigit(static_cast<unsigned char>(text[digits]))) ++digits;
  std::string unit;
  for (char c : text.substr(digits)) {
    if (c != ' ') unit += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  static const std::map<std::string, uint64_t> units = {{"", 1},
                                                        {"B", 1},
                                                        {"K", 1ull << 10},
                                                        {"KB", 1'000},
                                                        {"KIB", 1ull << 10},
                                                        {"M", 1ull << 20},
                                                        {"MB", 1'000'000},
                                                        {"MIB", 1ull << 20},
                                                        {"G", 1ull << 30},
                                                        {"GB", 1'000'000'000},
                                                        {"GIB", 1ull << 30}};
  const auto found = units.find(unit);
  const uint64_t number =
      digits == 0 || digits > 18 ? UINT64_MAX : std::stoull(text.substr(0, digits));
  if (number == UINT64_MAX || found == units.end() ||
      number > static_cast<uint64_t>(INT64_MAX) / found->second) {
    return Error(Code::kInvalidArgument, "{} is no size", Quoted(text))
        .Hint("as 512MB, 2GiB or a number of bytes");
  }
  return number * found->second;
}

}  // namespace millrace::cli
