// Cursors of pages come back as they were, and nothing else is taken for one.
#include "runtime/page_cursor.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/random.h"

namespace millrace::runtime::page_cursor_test {
namespace {

using duckdb::LogicalType;
using duckdb::Value;

const rows::Types kTypes = {LogicalType::VARCHAR, LogicalType::DOUBLE, LogicalType::TIMESTAMP_TZ,
                            LogicalType::DECIMAL(38, 10), LogicalType::LIST(LogicalType::INTEGER)};

PageCursor Cursor() {
  PageCursor cursor;
  cursor.order = {Value("ü\n"), Value::DOUBLE(-0.1), Value(LogicalType::TIMESTAMP_TZ),
                  Value::DECIMAL(duckdb::hugeint_t(12345), 38, 10),
                  Value::LIST(LogicalType::INTEGER, {Value::INTEGER(1), Value()})};
  cursor.row_hash = 0xfedcba9876543210;
  cursor.repeated = 70'000;
  return cursor;
}

TEST(PageCursor, ComesBackAsItWas) {
  const auto bytes = EncodeCursor(Cursor(), kTypes, 7);
  ASSERT_TRUE(bytes.ok());
  const auto back = DecodeCursor(*bytes, kTypes, 7);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->row_hash, Cursor().row_hash);
  EXPECT_EQ(back->repeated, Cursor().repeated);
  for (size_t i = 0; i < kTypes.size(); ++i) {
    EXPECT_EQ(back->order[i].type(), kTypes[i]);
    EXPECT_TRUE(Value::NotDistinctFrom(back->order[i], Cursor().order[i])) << i;
  }
}

TEST(PageCursor, IsNoneWithAnotherSubjectAnyOtherByteOrLength) {
  const char* given = std::getenv("MILLRACE_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20261128;
  SCOPED_TRACE(testing::Message() << "MILLRACE_SEED=" << seed);
  Random random(seed);
  const std::string bytes = *EncodeCursor(Cursor(), kTypes, 7);
  const auto refused = [&](std::string_view changed, uint64_t subject = 7) {
    const auto decoded = DecodeCursor(changed, kTypes, subject);
    return !decoded.ok() && decoded.error().code() == Code::kInvalidArgument;
  };
  EXPECT_TRUE(refused(bytes, 8));
  EXPECT_TRUE(refused(""));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ (1 + random.Below(255)));
    EXPECT_TRUE(refused(changed)) << i;
    EXPECT_TRUE(refused(bytes.substr(0, i))) << i;
    EXPECT_TRUE(refused(bytes.substr(i + 1))) << i;
  }
  EXPECT_TRUE(refused(bytes + "x"));
  EXPECT_TRUE(refused(std::string(10'000, 'x')));
}

TEST(PageCursor, HoldsNoMoreThanAUrl) {
  PageCursor cursor;
  cursor.order = {Value(std::string(4'000, 'x'))};
  const auto bytes = EncodeCursor(cursor, {LogicalType::VARCHAR}, 7);
  ASSERT_FALSE(bytes.ok());
  EXPECT_EQ(bytes.error().code(), Code::kTooLarge);
}

}  // namespace
}  // namespace millrace::runtime::page_cursor_test
