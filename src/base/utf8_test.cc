#include "base/utf8.h"

#include <gtest/gtest.h>

namespace millrace::utf8_test {
namespace {

TEST(Utf8, KeepsWhatIsValidAndMarksWhatIsNot) {
  const std::string mark = "\xEF\xBF\xBD";
  EXPECT_EQ(ValidUtf8(""), "");
  EXPECT_EQ(ValidUtf8("tea, ä, €, 🦆"), "tea, ä, €, 🦆");
  EXPECT_EQ(ValidUtf8(std::string("a\0b", 3)), std::string("a\0b", 3));
  EXPECT_EQ(ValidUtf8("a\xc3"), "a" + mark) << "cut in the middle";
  EXPECT_EQ(ValidUtf8("\xf0\x9f\xa6"), mark + mark + mark);
  EXPECT_EQ(ValidUtf8("\xff tea \x80"), mark + " tea " + mark);
  EXPECT_EQ(ValidUtf8("\xc0\xaf"), mark + mark) << "overlong";
  EXPECT_EQ(ValidUtf8("\xed\xa0\x80"), mark + mark + mark) << "a surrogate";
  EXPECT_EQ(ValidUtf8("\xf4\x90\x80\x80"), mark + mark + mark + mark) << "beyond U+10FFFF";
}

}  // namespace
}  // namespace millrace::utf8_test
