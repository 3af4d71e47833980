#include "kafka_groups/error_code.h"

#include <gtest/gtest.h>

namespace millrace::kafka::error_code_test {
namespace {

TEST(ErrorCode, HasKafkasNumbersAndNames) {
  EXPECT_EQ(static_cast<int>(ErrorCode::kNone), 0);
  EXPECT_EQ(static_cast<int>(ErrorCode::kRebalanceInProgress), 27);
  EXPECT_EQ(static_cast<int>(ErrorCode::kUnstableOffsetCommit), 88);
  EXPECT_EQ(ErrorName(ErrorCode::kUnknownServerError), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(ErrorName(ErrorCode::kNone), "NONE");
  EXPECT_EQ(ErrorName(ErrorCode::kUnknownMemberId), "UNKNOWN_MEMBER_ID");
  EXPECT_EQ(ErrorName(ErrorCode::kMemberIdRequired), "MEMBER_ID_REQUIRED");
  EXPECT_EQ(ErrorName(ErrorCode::kTransactionAbortable), "TRANSACTION_ABORTABLE");
}

TEST(ErrorCode, NamesANumberThatKafkaDoesNotHaveAsUnknown) {
  EXPECT_EQ(ErrorName(static_cast<ErrorCode>(9999)), "UNKNOWN_SERVER_ERROR");
  EXPECT_EQ(ErrorName(static_cast<ErrorCode>(-2)), "UNKNOWN_SERVER_ERROR");
}

}  // namespace
}  // namespace millrace::kafka::error_code_test
