#include "pg/time_zone.h"

#include <gtest/gtest.h>

#include <random>

#include "duckdb.hpp"
#include "pg/parameter.h"
#include "pg/time_zone_rules.h"
#include "pg/value_encoder.h"

namespace millrace::pg::time_zone_test {
namespace {

TimeZonePtr Zone(std::string_view name) { return TimeZone::Find(name).value(); }

std::string Shown(const std::string& text, const TimeZone& zone) {
  const auto value = ValueOfText(duckdb::LogicalType::TIMESTAMP_TZ, text, zone);
  if (!value.ok()) return value.error().message();
  std::string out;
  AppendValueText(*value, zone, out);
  return out;
}

TEST(TimeZone, IsFoundByItsNameInAnyCaseAndByWholeHours) {
  EXPECT_EQ(Zone("europe/BERLIN")->name(), "Europe/Berlin");
  EXPECT_EQ(Zone("utc")->name(), "UTC");
  EXPECT_EQ(Zone("2")->name(), "<+02>-02");
  EXPECT_EQ(Zone("-5")->name(), "<-05>+05");
  EXPECT_EQ(Zone("2")->OffsetSecondsAt(0), 7200);
  EXPECT_EQ(Zone("UTC+3")->OffsetSecondsAt(0), -3 * 3600);
  EXPECT_EQ(Zone("+02:00")->OffsetSecondsAt(0), -2 * 3600);
  EXPECT_EQ(Zone("<+05>-5")->OffsetSecondsAt(0), 5 * 3600);
  EXPECT_EQ(Zone("EST5EDT")->name(), "EST5EDT");
  EXPECT_EQ(Zone("0")->OffsetSecondsAt(0), 0);
  for (const char* unknown :
       {"", "BST", "Nowhere/X", "200", "15", "-13", "5.5", "UTC+3:30", "<", "'"})
    EXPECT_EQ(TimeZone::Find(unknown).error().sqlstate(), "22023") << unknown;
}

TEST(TimeZone, TextsHaveTheOffsetOfTheirMoment) {
  const TimeZonePtr berlin = Zone("Europe/Berlin");
  EXPECT_EQ(Shown("2024-07-01 00:00:00+00", *berlin), "2024-07-01 02:00:00+02");
  EXPECT_EQ(Shown("2024-03-31 00:59:59.5+00", *berlin), "2024-03-31 01:59:59.5+01");
  EXPECT_EQ(Shown("2024-03-31 01:00:00+00", *berlin), "2024-03-31 03:00:00+02");
  EXPECT_EQ(Shown("1850-01-01 00:00:00+00", *berlin), "1850-01-01 00:53:28+00:53:28");
  EXPECT_EQ(Shown("0044-03-15 12:00:00+00 BC", *berlin), "0044-03-15 12:53:28+00:53:28 BC");
  EXPECT_EQ(Shown("9999-12-31 23:30:00+00", *berlin), "10000-01-01 00:30:00+01");
  EXPECT_EQ(Shown("infinity", *berlin), "infinity");
  EXPECT_EQ(Shown("-infinity", *berlin), "-infinity");
  EXPECT_EQ(Shown("2024-07-01 00:00:00+00", *Zone("Asia/Kathmandu")), "2024-07-01 05:45:00+05:45");
}

TEST(TimeZone, WhatClocksSkipIsReadByTheOffsetBeforeAndWhatTheyShowTwiceByTheOneAfter) {
  const TimeZonePtr berlin = Zone("Europe/Berlin");
  EXPECT_EQ(Shown("2024-03-31 02:30:00", *berlin), "2024-03-31 03:30:00+02");
  EXPECT_EQ(Shown("2024-10-27 02:30:00", *berlin), "2024-10-27 02:30:00+01");
  EXPECT_EQ(Shown("2024-07-01", *berlin), "2024-07-01 00:00:00+02");
  EXPECT_EQ(Shown("2024-07-01 12:00:00Z", *berlin), "2024-07-01 14:00:00+02");
  EXPECT_EQ(Shown("2024-07-01 12:00:00 America/New_York", *berlin), "2024-07-01 18:00:00+02");
  EXPECT_EQ(Shown("2024-07-01 12:00:00 Nowhere/X", *berlin),
            "time zone \"Nowhere/X\" not recognized");
}

// The rules are asked of DuckDB at some moments; they must say the same at all.
TEST(TimeZone, AgreesWithDuckDbAtAnyMoment) {
  const auto seed = static_cast<uint32_t>(std::random_device()());
  std::mt19937_64 random(seed);
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  for (const char* name : {"Europe/Berlin", "America/New_York", "Africa/Casablanca", "Pacific/Apia",
                           "Australia/Lord_Howe", "Asia/Kolkata", "UTC", "Europe/Dublin"}) {
    const TimeZonePtr zone = Zone(name);
    std::string moments;
    for (int i = 0; i < 2000; ++i) {
      std::uniform_int_distribution<int64_t> seconds(-8'000'000'000,
                                                     i < 1500 ? 4'500'000'000 : 30'000'000'000);
      moments += fmt::format("{}({}::BIGINT)", i == 0 ? "" : ", ", seconds(random));
    }
    const auto result =
        connection.Query(fmt::format("SELECT s, CAST(epoch(timezone('{}', to_timestamp(s))) - s AS "
                                     "INTEGER) FROM (VALUES {}) m(s)",
                                     name, moments));
    ASSERT_FALSE(result->HasError()) << result->GetError();
    for (duckdb::idx_t row = 0; row < result->RowCount(); ++row) {
      const auto utc = result->GetValue(0, row).GetValue<int64_t>();
      const int32_t offset = zone->OffsetSecondsAt(utc);
      ASSERT_EQ(offset, result->GetValue(1, row).GetValue<int32_t>())
          << name << " at " << utc << ", seed " << seed;
    }
  }
}

}  // namespace
}  // namespace millrace::pg::time_zone_test
