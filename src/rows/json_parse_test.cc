#include "rows/json_parse.h"

#include <gtest/gtest.h>
#include <simdjson.h>

namespace millrace::rows::json_parse_test {

std::string Parsed(std::string_view text) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const Status parsed = ParseJson(text, parser, root);
  return parsed.ok() ? simdjson::minify(root) : parsed.error().message();
}

TEST(ParseJson, KeepsEachDigitOfIntegersThatNo64BitsHold) {
  EXPECT_EQ(Parsed("18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(Parsed("18446744073709551616"), R"("18446744073709551616")");
  EXPECT_EQ(Parsed("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(Parsed("-9223372036854775809"), R"("-9223372036854775809")");
  EXPECT_EQ(Parsed(R"({"a":[747669595737540263936,1],"b":{"c":-747669595737540263936}})"),
            R"({"a":["747669595737540263936",1],"b":{"c":"-747669595737540263936"}})");
}

TEST(ParseJson, LeavesAllElseAsItIs) {
  EXPECT_EQ(Parsed(R"([747669595737540263936,"747669595737540263936 \" 747669595737540263936\\"])"),
            R"(["747669595737540263936","747669595737540263936 \" 747669595737540263936\\"])");
  EXPECT_EQ(Parsed("[99999999999999999999,1.5,1e30,-2]"),
            R"(["99999999999999999999",1.5,1e+30,-2])");
  EXPECT_EQ(Parsed("[99999999999999999999.5,99999999999999999999]"),
            R"([1e+20,"99999999999999999999"])");
  EXPECT_EQ(Parsed("[1e400,-1.5e+999,1e-400,0.5]"), R"(["1e400","-1.5e+999",0.0,0.5])");
}

TEST(ParseJson, MakesNoJsonOfWhatIsNone) {
  for (const char* text :
       {"099999999999999999999", "-", "--99999999999999999999", "1-", "-099999999999999999999",
        "99999999999999999999-1", "[99999999999999999999",
        "99999999999999999999 99999999999999999999", "1e999e", "1.e999", "", "\"\\"}) {
    simdjson::dom::parser parser;
    simdjson::dom::element root;
    EXPECT_FALSE(ParseJson(text, parser, root).ok()) << text;
  }
  EXPECT_FALSE(Parsed(std::string_view()).empty());
}

}  // namespace millrace::rows::json_parse_test
