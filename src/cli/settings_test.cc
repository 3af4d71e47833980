#include "cli/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "cli/config.h"

namespace millrace::cli::settings_test {
namespace {

using ::testing::HasSubstr;

class SettingsTest : public ::testing::Test {
 protected:
  void SetUp() override { ::unsetenv("MILLRACE_HTTP"); }
  void TearDown() override { ::unsetenv("MILLRACE_HTTP"); }
};

TEST_F(SettingsTest, FlagGoesOverEnvironmentOverTomlOverDefault) {
  EXPECT_EQ(ResolveSettings({}, {}, "shop")["http"].value, "127.0.0.1:8080");
  EXPECT_EQ(ResolveSettings({}, {}, "shop")["http"].origin, "default");
  const std::map<std::string, std::string> toml = {{"http", "127.0.0.1:1"}};
  EXPECT_EQ(ResolveSettings({}, toml, "shop")["http"].value, "127.0.0.1:1");
  EXPECT_EQ(ResolveSettings({}, toml, "shop")["http"].origin, "shop/millrace.toml");
  ::setenv("MILLRACE_HTTP", "127.0.0.1:2", 1);
  EXPECT_EQ(ResolveSettings({}, toml, "shop")["http"].value, "127.0.0.1:2");
  EXPECT_EQ(ResolveSettings({}, toml, "shop")["http"].origin, "environment MILLRACE_HTTP");
  EXPECT_EQ(ResolveSettings({{"http", "off"}}, toml, "shop")["http"].value, "off");
  EXPECT_EQ(ResolveSettings({{"http", "off"}}, toml, "shop")["http"].origin, "flag --http");
  ::setenv("MILLRACE_HTTP", "", 1);  // set to nothing is not set
  EXPECT_EQ(ResolveSettings({}, toml, "shop")["http"].value, "127.0.0.1:1");
}

TEST_F(SettingsTest, DefaultsAreValuesThatPass) {
  const Settings settings = ResolveSettings({}, {}, "shop");
  EXPECT_EQ(settings.at("data").value, "shop/.millrace");
  EXPECT_TRUE(CheckSettings(settings).ok());
  EXPECT_GE(WorkersOf(settings).value(), 1);
  EXPECT_GE(MemoryOf(settings).value(), 64u << 20);
}

TEST_F(SettingsTest, EveryListenerSpeaksTlsWhereThereIsACertificateUnlessSomeAreNamed) {
  using Flags = std::map<std::string, std::string>;
  const auto resolved = [](Flags flags, bool with_certificate = true) {
    if (with_certificate) flags.merge(Flags{{"tls_certificate", "c.pem"}, {"tls_key", "k.pem"}});
    return ResolveSettings(flags, {}, "shop");
  };
  EXPECT_FALSE(SpeaksTls(resolved({}, false), "http"));
  EXPECT_TRUE(SpeaksTls(resolved({}), "http"));
  EXPECT_TRUE(SpeaksTls(resolved({}), "kafka"));
  EXPECT_TRUE(SpeaksTls(resolved({{"tls", "http,kafka"}}), "kafka"));
  EXPECT_FALSE(SpeaksTls(resolved({{"tls", "http"}}), "kafka"));
  EXPECT_FALSE(SpeaksTls(resolved({{"tls", "off"}}), "http"));
  for (const char* good : {"auto", "off", "http", "kafka", "http,kafka"})
    EXPECT_TRUE(CheckSettings(resolved({{"tls", good}})).ok()) << good;
  EXPECT_FALSE(CheckSettings(resolved({{"tls", "http,smtp"}})).ok());
  EXPECT_FALSE(CheckSettings(resolved({{"tls", "http"}}, false)).ok());
  const Status alone = CheckSettings(resolved({{"tls_certificate", "c.pem"}}, false));
  ASSERT_FALSE(alone.ok());
  EXPECT_THAT(alone.error().message(), HasSubstr("flag --tls-certificate"));
}

TEST_F(SettingsTest, OriginsOfPagesAreCheckedWithWhereTheyCameFrom) {
  for (const char* good : {"none", "*", "https://app.example,http://localhost:5173"})
    EXPECT_TRUE(CheckSettings(ResolveSettings({{"http_cors_origins", good}}, {}, "shop")).ok());
  const Status wrong =
      CheckSettings(ResolveSettings({{"http_cors_origins", "app.example"}}, {}, "shop"));
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().message(), HasSubstr("flag --http-cors-origins"));
  EXPECT_THAT(wrong.error().hint(), HasSubstr("https://app.example"));
}

TEST_F(SettingsTest, QuotasAreBytesASecondOrOff) {
  const std::string name = "kafka_client_produce_quota";
  EXPECT_EQ(QuotaOf(ResolveSettings({}, {}, "shop"), name).value(), 0u);
  EXPECT_EQ(QuotaOf(ResolveSettings({{name, "10MB"}}, {}, "shop"), name).value(), 10'000'000u);
  for (const char* wrong : {"fast", "0", "999", "on"}) {
    const Status status = CheckSettings(ResolveSettings({{name, wrong}}, {}, "shop"));
    ASSERT_FALSE(status.ok()) << wrong;
    EXPECT_THAT(status.error().message(), HasSubstr("flag --kafka-client-produce-quota"));
  }
}

TEST_F(SettingsTest, AWrongValueIsNamedWithWhereItCameFrom) {
  const struct {
    const char* name;
    const char* value;
  } wrong[] = {{"workers", "0"},     {"workers", "257"},   {"workers", "-1"},  {"workers", "two"},
               {"io_threads", "0"},  {"io_threads", "65"}, {"workers", "1e2"}, {"memory", "much"},
               {"memory", "1kB"},    {"memory", "1 TBB"},  {"http", "8080"},   {"http", "here"},
               {"http", "1.1.1.1:x"}};
  const Status level = CheckSettings(ResolveSettings({{"log_level", "loud"}}, {}, "shop"));
  ASSERT_FALSE(level.ok());
  EXPECT_THAT(level.error().message(), HasSubstr("log_level = \"loud\" (flag --log-level)"));
  EXPECT_EQ(LogLevelOf(ResolveSettings({{"log_level", "info"}}, {}, "shop")).value(),
            LogLevel::kInfo);
  const struct {
    const char* value;
  } wrong_seconds[] = {{"0"}, {"-1"}, {"ten"}, {"1s"}, {"nan"}, {"1e9"}};
  for (const auto& [value] : wrong_seconds) {
    const Status status =
        CheckSettings(ResolveSettings({{"view_step_seconds", value}}, {}, "shop"));
    ASSERT_FALSE(status.ok()) << value;
    EXPECT_THAT(status.error().message(), HasSubstr("flag --view-step-seconds"));
  }
  for (const char* size : {"1MiB", "5 %", "-1"}) {
    const Status status = CheckSettings(ResolveSettings({{"disk_reserve", size}}, {}, "shop"));
    ASSERT_FALSE(status.ok()) << size;
    EXPECT_THAT(status.error().message(), HasSubstr("flag --disk-reserve"));
  }
  EXPECT_EQ(DiskReserveOf(ResolveSettings({}, {}, "shop")).value(), std::nullopt);
  EXPECT_EQ(DiskReserveOf(ResolveSettings({{"disk_reserve", "off"}}, {}, "shop")).value(), 0u);
  EXPECT_EQ(DiskReserveOf(ResolveSettings({{"disk_reserve", "2GiB"}}, {}, "shop")).value(),
            2ull << 30);
  for (const char* size : {"1MiB", "much", "-1", "on"}) {
    const Status status = CheckSettings(ResolveSettings({{"column_cache", size}}, {}, "shop"));
    ASSERT_FALSE(status.ok()) << size;
    EXPECT_THAT(status.error().message(), HasSubstr("flag --column-cache"));
  }
  EXPECT_EQ(ColumnCacheOf(ResolveSettings({{"column_cache", "off"}}, {}, "shop")).value(), 0u);
  EXPECT_EQ(ColumnCacheOf(ResolveSettings({}, {}, "shop")).value(), 4ull << 30);
  for (const auto& [name, value] : wrong) {
    const Status status = CheckSettings(ResolveSettings({{name, value}}, {}, "shop"));
    ASSERT_FALSE(status.ok()) << name << " = " << value;
    std::string flag = std::string("flag --") + name;
    std::replace(flag.begin(), flag.end(), '_', '-');
    EXPECT_THAT(status.error().message(), HasSubstr(flag));
    EXPECT_THAT(status.error().message(), HasSubstr(value));
  }
}

TEST_F(SettingsTest, TheTableHasAValueAndItsOriginInEachLine) {
  const std::string text = SettingsText(ResolveSettings({{"workers", "3"}}, {}, "shop"));
  EXPECT_THAT(text, HasSubstr("\nworkers                     3 "));
  EXPECT_THAT(text, HasSubstr("  flag --workers\n"));
  EXPECT_THAT(text, HasSubstr("data                        shop/.millrace"));
}

TEST(ParseSize, TakesDecimalAndBinaryUnits) {
  const struct {
    const char* text;
    uint64_t bytes;
  } sizes[] = {{"0", 0},
               {"1073741824", 1ull << 30},
               {"512 MB", 512'000'000},
               {"2GiB", 2ull << 30},
               {"2g", 2ull << 30},
               {"3K", 3 << 10},
               {"1kb", 1000},
               {"7b", 7}};
  for (const auto& [text, bytes] : sizes) EXPECT_EQ(ParseSize(text).value(), bytes) << text;
  for (const char* text :
       {"", "GB", "1.5GB", "-1", "1TB", "99999999999999999999", "9999999999GB"}) {
    EXPECT_FALSE(ParseSize(text).ok()) << text;
  }
}

}  // namespace
}  // namespace millrace::cli::settings_test
