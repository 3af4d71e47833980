#include "schemas/json_schema.h"

#include <gtest/gtest.h>

namespace millrace::schemas::json_schema_test {
namespace {

std::vector<std::string> Problems(std::string_view reader, std::string_view writer) {
  const auto parse = [](std::string_view text) {
    auto schema = JsonSchema::Parse(text);
    EXPECT_TRUE(schema.ok()) << schema.error().ToString();
    return *schema;
  };
  return JsonReadProblems(*parse(reader), *parse(writer));
}
using Texts = std::vector<std::string>;

TEST(JsonSchema, SaysWhatIsNoSchema) {
  EXPECT_FALSE(JsonSchema::Parse("{").ok());
  EXPECT_EQ(JsonSchema::Parse("7").error().message(), "$: a schema is an object or a boolean");
  EXPECT_EQ(JsonSchema::Parse(R"({"properties": {"a": {"type": "int"}}})").error().message(),
            "$.properties.a: \"int\" is no type");
}

TEST(JsonCompatibility, ComparesWhatIsAccepted) {
  EXPECT_TRUE(Problems(R"({"type": "number"})", R"({"type": "integer", "title": "t"})").empty());
  EXPECT_EQ(Problems(R"({"type": "integer"})", R"({"type": "number"})"),
            Texts{"$: type number is not accepted any more"});
  EXPECT_TRUE(Problems("true", R"({"type": "integer"})").empty());
  EXPECT_EQ(Problems(R"({"type": "integer"})", "{}"), Texts{"$: the type is restricted now"});
  EXPECT_EQ(Problems(R"({"maximum": 5})", R"({"maximum": 6})"), Texts{"$: maximum is narrower"});
  EXPECT_EQ(Problems(R"({"enum": [1]})", R"({"enum": [1, "x"]})"),
            Texts{"$: \"x\" is gone from the enum"});
  EXPECT_EQ(Problems(R"({"pattern": "a"})", R"({"pattern": "b"})"),
            Texts{"$: keywords that are not compared have changed"});
}

TEST(JsonCompatibility, KnowsOpenAndClosedModels) {
  const char* const open = R"({"type": "object", "properties": {"a": {"type": "string"}}})";
  const char* const open_more =
      R"({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}})";
  EXPECT_EQ(Problems(open_more, open),
            Texts{"$.b: the property was added to an open content model"});
  EXPECT_TRUE(Problems(open, open_more).empty());
  const char* const closed = R"({"properties": {"a": {}}, "additionalProperties": false})";
  const char* const closed_more =
      R"({"properties": {"a": {}, "b": {"type": "string"}}, "additionalProperties": false})";
  EXPECT_TRUE(Problems(closed_more, closed).empty());
  EXPECT_EQ(Problems(closed, closed_more),
            Texts{"$.b: the property was removed from a closed content model"});
  EXPECT_EQ(Problems(closed, R"({"properties": {"a": {}}})"),
            Texts{"$: additional properties are restricted now"});
  EXPECT_EQ(Problems(R"({"required": ["a"]})", "{}"), Texts{"$: \"a\" is required now"});
  EXPECT_TRUE(Problems(R"({"required": ["a"], "properties": {"a": {"default": 1}}})",
                       R"({"properties": {"a": {}}})")
                  .empty());
}

}  // namespace
}  // namespace millrace::schemas::json_schema_test
