#include <gtest/gtest.h>

#include <random>

#include "base/coding.h"
#include "base/random.h"
#include "log/testing.h"
#include "schemas/avro_compatibility.h"
#include "schemas/avro_json.h"
#include "schemas/avro_schema.h"

namespace millrace::schemas::avro_test {
namespace {

std::shared_ptr<const AvroSchema> Parsed(std::string_view text) {
  auto schema = AvroSchema::Parse(text);
  EXPECT_TRUE(schema.ok()) << schema.error().ToString();
  return schema.ok() ? *schema : nullptr;
}

std::string WhyWrong(std::string_view text) {
  const auto schema = AvroSchema::Parse(text);
  return schema.ok() ? "it is right" : schema.error().message();
}

std::string Json(std::string_view schema, std::string_view bytes) {
  std::string out;
  const Status done = AvroToJson(*Parsed(schema), bytes, out);
  return done.ok() ? out : "error: " + done.error().message();
}

constexpr char kOrder[] = R"({"type": "record", "name": "Order", "namespace": "shop", "fields": [
  {"name": "id", "type": "long"},
  {"name": "note", "type": ["null", "string"], "default": null},
  {"name": "tags", "type": {"type": "array", "items": "string"}},
  {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}},
  {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
  {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
  {"name": "more", "type": {"type": "map", "values": "Kind"}},
  {"name": "next", "type": ["null", "Order"], "default": null}]})";

std::string OrderBytes() {
  std::string bytes;
  PutZigzag(bytes, -7);
  PutZigzag(bytes, 1);
  PutZigzag(bytes, 3);
  bytes += "a\"b";
  PutZigzag(bytes, -2);  // a block with its size
  PutZigzag(bytes, 4);
  PutZigzag(bytes, 1);
  bytes += "x";
  PutZigzag(bytes, 1);
  bytes += "y";
  PutZigzag(bytes, 0);
  PutZigzag(bytes, 2);
  bytes += "\xfb\x2e";  // -1234
  PutZigzag(bytes, 1'325'376'000'123);
  PutZigzag(bytes, 1);
  PutZigzag(bytes, 1);
  PutZigzag(bytes, 1);
  bytes += "k";
  PutZigzag(bytes, 0);
  PutZigzag(bytes, 0);
  PutZigzag(bytes, 0);
  return bytes;
}

TEST(AvroJson, WritesEveryKindOfValue) {
  EXPECT_EQ(Json(kOrder, OrderBytes()),
            R"({"id":-7,"note":"a\"b","tags":["x","y"],"price":-12.34,)"
            R"("at":"2012-01-01T00:00:00.123Z","kind":"B","more":{"k":"A"},"next":null})");
  EXPECT_EQ(Json(R"("boolean")", "\x01"), "true");
  EXPECT_EQ(Json(R"("double")", std::string("\0\0\0\0\0\0\xf8\x7f", 8)), "\"NaN\"");
  EXPECT_EQ(Json(R"("float")", std::string("\0\0\x80\xff", 4)), "\"-Infinity\"");
  EXPECT_EQ(Json(R"({"type": "int", "logicalType": "date"})", "\x02"), "\"1970-01-02\"");
  EXPECT_EQ(Json(R"({"type": "int", "logicalType": "time-millis"})", "\x02"), "\"00:00:00.001\"");
  EXPECT_EQ(Json(R"({"type": "long", "logicalType": "local-timestamp-micros"})", "\x01"),
            "\"1969-12-31T23:59:59.999999\"");
  EXPECT_EQ(Json(R"({"type": "fixed", "name": "d", "size": 12, "logicalType": "duration"})",
                 std::string("\1\0\0\0\2\0\0\0\3\0\0\0", 12)),
            "\"1 months 2 days 3 milliseconds\"");
  EXPECT_EQ(Json(R"({"type": "fixed", "name": "u", "size": 16, "logicalType": "uuid"})",
                 "0123456789abcdef"),
            "\"30313233-3435-3637-3839-616263646566\"");
  EXPECT_EQ(Json(R"("bytes")",
                 "\x06"
                 "abc"),
            "\"YWJj\"");
}

TEST(AvroJson, RefusesBytesThatAreNoValue) {
  EXPECT_EQ(Json(R"("boolean")", "\x02"), "error: 2 is no boolean");
  EXPECT_EQ(Json(R"(["null", "int"])", "\x04"), "error: a union has no branch 2");
  EXPECT_EQ(Json(R"("int")", "\x02\x02"), "error: 1 bytes are left behind the value");
  EXPECT_EQ(Json(R"("string")", "\x02\xff"), "error: a string is not UTF-8");
  EXPECT_EQ(Json(R"({"type": "bytes", "logicalType": "decimal", "precision": 38})",
                 "\x22" + std::string(17, '\x11')),
            "error: a decimal of more than 38 digits");
  const std::string bytes = OrderBytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::string out;
    EXPECT_FALSE(AvroToJson(*Parsed(kOrder), std::string_view(bytes).substr(0, size), out).ok());
  }
}

TEST(AvroJson, IsBoundedWhateverTheBytesSay) {
  std::string many;
  PutZigzag(many, int64_t{1} << 60);  // nulls take no bytes
  EXPECT_EQ(Json(R"({"type": "array", "items": "null"})", many),
            "error: the value is too long as JSON for its size");
  const std::string deep(1000, '\x02');  // a list in a list in a list …
  EXPECT_EQ(Json(R"({"type": "record", "name": "L", "fields": [
                   {"name": "next", "type": ["null", "L"]}]})",
                 deep)
                .substr(0, 12),
            "error: next:");
}

TEST(AvroJson, NeverReadsBeyondDamagedBytes) {
  const auto schema = Parsed(kOrder);
  const uint64_t seed = log::SeedFromEnvironment(std::random_device{}());
  Random random(seed);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = OrderBytes();
    for (uint64_t flips = 1 + random.Below(3); flips > 0; --flips)
      bytes[random.Below(bytes.size())] = static_cast<char>(random.Below(256));
    bytes.resize(random.Below(bytes.size() + 1));
    std::string out;
    (void)AvroToJson(*schema, bytes, out);
  }
}

TEST(AvroSchema, SaysWhatIsWrong) {
  EXPECT_EQ(WhyWrong(R"({"type": "record", "name": "R"})"), "$: record R has no \"fields\"");
  EXPECT_EQ(
      WhyWrong(R"({"type": "record", "name": "R", "fields": [{"name": "a", "type": "intt"}]})"),
      "R.a: type \"intt\" is not known");
  EXPECT_EQ(WhyWrong(R"(["int", "int"])"), "$[1]: int stands twice in the union");
  EXPECT_EQ(WhyWrong(R"(["int", ["null"]])"), "$[1]: a union cannot hold a union directly");
  EXPECT_EQ(WhyWrong(R"({"type": "record", "name": "R", "fields":
                       [{"name": "a", "type": "int", "default": "x"}]})"),
            "R.a: default: \"x\" is no int");
  EXPECT_EQ(WhyWrong("{"),
            "the schema is not JSON: The JSON document has an improper structure: missing or "
            "superfluous commas, braces, missing keys, etc.");
  EXPECT_EQ(WhyWrong(R"({"type": "fixed", "name": "F", "size": 9999999})"),
            "$: fixed F: \"size\" must be 0 to 1048576");
}

std::vector<std::string> Problems(std::string_view reader, std::string_view writer) {
  return AvroReadProblems(*Parsed(reader), *Parsed(writer));
}

TEST(AvroCompatibility, FollowsTheResolutionRules) {
  const auto record = [](std::string_view fields) {
    return fmt::format(R"({{"type": "record", "name": "R", "fields": [{}]}})", fields);
  };
  const std::string one = record(R"({"name": "a", "type": "int"})");
  const std::string with_default =
      record(R"({"name": "a", "type": "int"}, {"name": "b", "type": "string", "default": ""})");
  const std::string without =
      record(R"({"name": "a", "type": "int"}, {"name": "b", "type": "string"})");
  EXPECT_TRUE(Problems(with_default, one).empty());
  EXPECT_TRUE(Problems(one, with_default).empty());
  EXPECT_EQ(Problems(without, one),
            std::vector<std::string>{"$.b: the field is new and has no default"});
  EXPECT_TRUE(Problems(record(R"({"name": "c", "type": "long", "aliases": ["a"]})"), one).empty());
  EXPECT_EQ(Problems(one, record(R"({"name": "a", "type": "long"})")),
            std::vector<std::string>{"$.a: long cannot be read as int"});
  EXPECT_TRUE(Problems(R"("bytes")", R"("string")").empty());
  EXPECT_TRUE(Problems(R"(["null", "long"])", R"("int")").empty());
  EXPECT_EQ(Problems(R"("int")", R"(["null", "int"])"),
            std::vector<std::string>{"$: null cannot be read as int"});
  EXPECT_EQ(Problems(R"({"type": "enum", "name": "E", "symbols": ["A"]})",
                     R"({"type": "enum", "name": "E", "symbols": ["A", "B"]})"),
            std::vector<std::string>{"$: symbol B is gone and enum E has no default"});
  EXPECT_TRUE(Problems(R"({"type": "enum", "name": "E", "symbols": ["A"], "default": "A"})",
                       R"({"type": "enum", "name": "E", "symbols": ["A", "B"]})")
                  .empty());
  // A type that holds itself does not go on for ever.
  EXPECT_TRUE(Problems(kOrder, kOrder).empty());
}

}  // namespace
}  // namespace millrace::schemas::avro_test
