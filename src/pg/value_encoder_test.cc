#include "pg/value_encoder.h"

#include <gtest/gtest.h>

#include <cmath>

#include "auth/crypto.h"
#include "duckdb/common/types/uuid.hpp"
#include "pg/message.h"
#include "pg/parameter.h"

namespace millrace::pg::value_encoder_test {
namespace {

using duckdb::LogicalType;
using duckdb::Value;

std::string TextOf(const Value& value) {
  std::string out;
  AppendValueText(value, *TimeZone::Utc(), out);
  return out;
}
std::string BinaryOf(const Value& value) {
  std::string out;
  AppendValueBinary(value, out);
  return auth::Hex(out);
}

// There and back again, in both formats.
void ExpectRoundTrip(const Value& value) {
  const uint32_t type = TypeOf(value.type()).oid;
  for (const int16_t format : {int16_t{0}, int16_t{1}}) {
    std::string bytes;
    format == 0 ? AppendValueText(value, *TimeZone::Utc(), bytes) : AppendValueBinary(value, bytes);
    const auto back = DecodeParameter(type, format, bytes, *TimeZone::Utc());
    ASSERT_TRUE(back.ok()) << value.ToString() << ": " << back.error().ToString();
    EXPECT_EQ(back->DefaultCastAs(value.type()), value) << bytes;
  }
}

TEST(ValueEncoder, TextIsPostgres) {
  EXPECT_EQ(TextOf(Value::BOOLEAN(true)), "t");
  EXPECT_EQ(TextOf(Value::TINYINT(-128)), "-128");
  EXPECT_EQ(TextOf(Value::UBIGINT(UINT64_MAX)), "18446744073709551615");
  EXPECT_EQ(TextOf(Value::HUGEINT(duckdb::hugeint_t(-5))), "-5");
  EXPECT_EQ(TextOf(Value::DOUBLE(0.1)), "0.1");
  EXPECT_EQ(TextOf(Value::DOUBLE(100000)), "100000");
  EXPECT_EQ(TextOf(Value::DOUBLE(1e15)), "1e+15");
  EXPECT_EQ(TextOf(Value::DOUBLE(123456789012345.0)), "123456789012345");
  EXPECT_EQ(TextOf(Value::DOUBLE(0.0001)), "0.0001");
  EXPECT_EQ(TextOf(Value::DOUBLE(-0.00001)), "-1e-05");
  EXPECT_EQ(TextOf(Value::DOUBLE(1.5e300)), "1.5e+300");
  EXPECT_EQ(TextOf(Value::DOUBLE(-0.0)), "-0");
  EXPECT_EQ(TextOf(Value::DOUBLE(NAN)), "NaN");
  EXPECT_EQ(TextOf(Value::DOUBLE(-INFINITY)), "-Infinity");
  EXPECT_EQ(TextOf(Value::FLOAT(1e6f)), "1e+06");
  EXPECT_EQ(TextOf(Value::FLOAT(123456.f)), "123456");
  EXPECT_EQ(TextOf(Value::DECIMAL(int64_t{-1990}, 10, 2)), "-19.90");
  EXPECT_EQ(TextOf(Value::BLOB_RAW(std::string("a\0\xff", 3))), "\\x6100ff");
  EXPECT_EQ(TextOf(Value::DATE(2024, 2, 29)), "2024-02-29");
  EXPECT_EQ(TextOf(Value::DATE(duckdb::date_t::infinity())), "infinity");
  EXPECT_EQ(TextOf(Value::DATE(duckdb::date_t(-719529))), "0002-12-31 BC");
  EXPECT_EQ(TextOf(Value::TIME(duckdb::dtime_t(86'399'999'999))), "23:59:59.999999");
  EXPECT_EQ(TextOf(Value::TIMESTAMP(duckdb::timestamp_t(-1))), "1969-12-31 23:59:59.999999");
  EXPECT_EQ(TextOf(Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(1'500'000))),
            "1970-01-01 00:00:01.5+00");
  EXPECT_EQ(TextOf(Value::TIMETZ(duckdb::dtime_tz_t(duckdb::dtime_t(0), -19'800))),
            "00:00:00-05:30");
  EXPECT_EQ(TextOf(Value::INTERVAL(0, 0, 0)), "00:00:00");
  EXPECT_EQ(TextOf(Value::INTERVAL(14, -3, 14'706'789'000)), "1 year 2 mons -3 days +04:05:06.789");
  EXPECT_EQ(TextOf(Value::INTERVAL(-1, 0, -1)), "-1 mons -00:00:00.000001");
  EXPECT_EQ(TextOf(Value::UUID("00112233-4455-6677-8899-aabbccddeeff")),
            "00112233-4455-6677-8899-aabbccddeeff");
}

TEST(ValueEncoder, ArraysAreQuotedAndListsOfListsAreJson) {
  const Value texts = Value::LIST(
      LogicalType::VARCHAR,
      {Value("a"), Value(LogicalType::VARCHAR), Value(""), Value("NULL"), Value("b,\"c\"\\")});
  EXPECT_EQ(TextOf(texts), R"({a,NULL,"","NULL","b,\"c\"\\"})");
  const Value nested = Value::LIST(LogicalType::LIST(LogicalType::INTEGER),
                                   {Value::LIST(LogicalType::INTEGER, {Value::INTEGER(1)})});
  EXPECT_EQ(TypeOf(nested.type()).oid, oid::kJsonb);
  EXPECT_EQ(TextOf(nested), "[[1]]");
  EXPECT_EQ(TextOf(Value::STRUCT({{"a", Value::INTEGER(1)}, {"b", Value("x")}})),
            R"({"a":1,"b":"x"})");
}

TEST(ValueEncoder, BinaryIsPostgres) {
  EXPECT_EQ(BinaryOf(Value::BOOLEAN(true)), "01");
  EXPECT_EQ(BinaryOf(Value::TINYINT(-2)), "fffe");
  EXPECT_EQ(BinaryOf(Value::INTEGER(1)), "00000001");
  EXPECT_EQ(BinaryOf(Value::UINTEGER(UINT32_MAX)), "00000000ffffffff");
  EXPECT_EQ(BinaryOf(Value::DOUBLE(1.0)), "3ff0000000000000");
  EXPECT_EQ(BinaryOf(Value::DATE(2000, 1, 2)), "00000001");
  EXPECT_EQ(BinaryOf(Value::TIMESTAMP(duckdb::timestamp_t::infinity())), "7fffffffffffffff");
  EXPECT_EQ(BinaryOf(Value::INTERVAL(1, 2, 3)), "00000000000000030000000200000001");
  // 12345.678 = 1 × 10000 + 2345 + 6780 / 10000
  EXPECT_EQ(BinaryOf(Value::DECIMAL(int64_t{12'345'678}, 18, 3)), "0003000100000003000109291a7c");
  EXPECT_EQ(BinaryOf(Value::DECIMAL(int64_t{0}, 18, 2)), "0000000000000002");
  EXPECT_EQ(BinaryOf(Value::DECIMAL(int64_t{-1}, 18, 4)), "0001ffff400000040001");
  EXPECT_EQ(BinaryOf(Value::UBIGINT(10'000)), "00010001000000000001");
  EXPECT_EQ(BinaryOf(Value::UUID("00112233-4455-6677-8899-aabbccddeeff")),
            "00112233445566778899aabbccddeeff");
  EXPECT_EQ(
      BinaryOf(Value::LIST(LogicalType::INTEGER, {Value::INTEGER(7), Value(LogicalType::INTEGER)})),
      "00000001000000010000001700000002000000010000000400000007ffffffff");
}

TEST(ValueEncoder, EveryTypeComesBackAtItsEdges) {
  const std::vector<Value> values = {
      Value::BOOLEAN(false),
      Value::TINYINT(INT8_MIN),
      Value::SMALLINT(INT16_MIN),
      Value::INTEGER(INT32_MIN),
      Value::BIGINT(INT64_MIN),
      Value::BIGINT(INT64_MAX),
      Value::UBIGINT(UINT64_MAX),
      Value::HUGEINT(duckdb::hugeint_t(1) * duckdb::hugeint_t(INT64_MAX) + duckdb::hugeint_t(99)),
      Value::FLOAT(1.17549435e-38f),
      Value::DOUBLE(4.9406564584124654e-324),
      Value::DOUBLE(1.7976931348623157e308),
      Value::DOUBLE(INFINITY),
      Value::DECIMAL(duckdb::hugeint_t(-123456789), 38, 10),
      Value(""),
      Value("zażółć 🎉 'quoted' \\"),
      Value::BLOB_RAW(std::string("\0\1\xfe\xff", 4)),
      Value::DATE(1, 1, 1),
      Value::DATE(9999, 12, 31),
      Value::TIME(duckdb::dtime_t(0)),
      Value::TIMETZ(duckdb::dtime_tz_t(duckdb::dtime_t(1), 3600)),
      Value::TIMESTAMP(duckdb::timestamp_t(-62'135'596'800'000'000)),
      Value::TIMESTAMP(duckdb::timestamp_t(253'402'300'799'999'999)),
      Value::TIMESTAMPTZ(duckdb::timestamp_tz_t(1)),
      Value::INTERVAL(-14, 3, -1),
      Value::UUID("ffffffff-ffff-ffff-ffff-ffffffffffff"),
      Value::LIST(LogicalType::BIGINT, {Value::BIGINT(1), Value(LogicalType::BIGINT)}),
      Value::LIST(LogicalType::VARCHAR, {Value("a\"b\\"), Value("null"), Value("")}),
      Value::LIST(LogicalType::INTEGER, duckdb::vector<Value>()),
  };
  for (const Value& value : values) {
    SCOPED_TRACE(value.type().ToString() + " " + value.ToString());
    ExpectRoundTrip(value);
  }
}

TEST(Parameter, RefusesWhatIsNoValueOfItsType) {
  EXPECT_EQ(DecodeParameter(oid::kInt4, 0, "abc", *TimeZone::Utc()).error().sqlstate(), "22P02");
  EXPECT_EQ(DecodeParameter(oid::kInt4, 1, "abc", *TimeZone::Utc()).error().sqlstate(), "22P03");
  EXPECT_EQ(DecodeParameter(oid::kBool, 0, "maybe", *TimeZone::Utc()).error().sqlstate(), "22P02");
  EXPECT_EQ(DecodeParameter(oid::kText, 0, "\xff", *TimeZone::Utc()).error().sqlstate(), "22021");
  EXPECT_EQ(DecodeParameter(600, 0, "(1,2)", *TimeZone::Utc()).error().sqlstate(), "0A000");
  EXPECT_EQ(DecodeParameter(oid::kBytea, 0, "\\xabc", *TimeZone::Utc()).error().sqlstate(),
            "22P02");
  EXPECT_TRUE(DecodeParameter(0, 0, "anything", *TimeZone::Utc()).ok());
  EXPECT_EQ(DecodeParameter(oid::kNumeric, 0, "1e3", *TimeZone::Utc())->GetValue<double>(), 1000);
  EXPECT_TRUE(DecodeParameter(oid::kBool, 0, " on ", *TimeZone::Utc())->GetValue<bool>());
}

}  // namespace
}  // namespace millrace::pg::value_encoder_test
