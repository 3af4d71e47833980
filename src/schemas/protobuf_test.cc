#include <gtest/gtest.h>

#include "schemas/protobuf_schema.h"
#include "schemas/schema.h"

namespace millrace::schemas::protobuf_test {
namespace {

std::shared_ptr<const ProtobufSchema> Parsed(std::string_view text) {
  auto schema = ProtobufSchema::Parse(text);
  EXPECT_TRUE(schema.ok()) << schema.error().ToString();
  return schema.ok() ? *schema : nullptr;
}

constexpr char kOrder[] = R"(syntax = "proto3"; package shop;
import "google/protobuf/timestamp.proto";
message Order { int64 id = 1; optional string note = 2; repeated string tags = 3; bool paid = 4;
  google.protobuf.Timestamp at = 5; message Line { uint32 n = 1; } repeated Line lines = 6; bytes raw = 7; }
message Other { string name = 1; })";

std::string Json(const std::vector<int32_t>& message, std::string_view bytes) {
  std::string out;
  const Status done = Parsed(kOrder)->ToJson(message, bytes, out);
  return done.ok() ? out : "error: " + done.error().message();
}

TEST(ProtobufSchema, WritesMessagesAsJson) {
  EXPECT_EQ(Json({}, "\x08\x96\x01\x1a\x01x\x2a\x02\x08\x01\x32\x02\x08\x05\x3a\x02hi"),
            R"({"id":150,"tags":["x"],"paid":false,"at":"1970-01-01T00:00:01Z",)"
            R"("lines":[{"n":5}],"raw":"aGk="})");
  EXPECT_EQ(Json({0}, ""), R"({"id":0,"tags":[],"paid":false,"lines":[],"raw":""})");
  EXPECT_EQ(Json({1}, "\x0a\x01q"), R"({"name":"q"})");
  EXPECT_EQ(Json({0, 0}, "\x08\x07"), R"({"n":7})");
  EXPECT_EQ(Json({2}, ""), "error: the schema has no message type 2");
  EXPECT_EQ(Json({}, "\x08"), "error: the bytes are no message shop.Order");
  EXPECT_EQ(Json({}, "\x1a\x7fx"), "error: the bytes are no message shop.Order");
  EXPECT_EQ(Json({}, "\x12\x01\xff"), "error: the bytes are no message shop.Order");
}

// Two bytes a message, and all of its defaults in the JSON.
TEST(ProtobufSchema, IsBoundedWhateverTheBytesSay) {
  std::string fields;
  for (int i = 1; i < 500; ++i)
    fields += fmt::format("int64 a_field_with_a_long_name_{0} = {0};", i);
  const auto schema = Parsed(fmt::format(
      "syntax = \"proto3\"; message A {{ repeated B b = 1; }} message B {{ {} }}", fields));
  std::string bytes;
  for (int i = 0; i < 1000; ++i) bytes += std::string("\x0a\x00", 2);
  std::string out;
  const Status done = schema->ToJson({}, bytes, out);
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().code(), Code::kTooLarge);
  EXPECT_LT(out.size(), size_t{2} << 20);
}

TEST(ProtobufSchema, IsTakenAsASerializedDescriptorToo) {
  const auto schema = Parsed(kOrder);
  const auto again = Parsed(schema->Serialized());
  EXPECT_TRUE(again->is_from_descriptor());
  EXPECT_FALSE(schema->is_from_descriptor());
  EXPECT_EQ(again->CanonicalText(), schema->CanonicalText());
  const auto kept = Schema::Parse(SchemaType::kProtobuf, schema->Serialized(), {});
  ASSERT_TRUE(kept.ok()) << kept.error().ToString();
  EXPECT_EQ((*kept)->TextOf("AA=="), schema->CanonicalText());
  EXPECT_EQ((*kept)->Serialized(""), schema->Serialized());
  // Each byte of it damaged: taken or refused, and what is taken can be read again as a text.
  const std::string text = schema->Serialized();
  size_t taken = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
    const auto parsed = Schema::Parse(SchemaType::kProtobuf, damaged, {});
    if (!parsed.ok()) continue;
    ++taken;
    EXPECT_TRUE(Schema::Parse(SchemaType::kProtobuf, (*parsed)->TextOf(damaged), {}).ok()) << i;
  }
  EXPECT_GT(taken, 0u);
  EXPECT_LT(taken, text.size());
}

TEST(ProtobufSchema, SaysWhereItIsWrong) {
  const auto why = [](std::string_view text) {
    const auto schema = ProtobufSchema::Parse(text);
    return schema.ok() ? "it is right" : schema.error().message();
  };
  EXPECT_EQ(why("syntax = \"proto3\";\nmessage A { in x = 1; }"), "A.x: \"in\" is not defined.");
  EXPECT_EQ(why("syntax = \"proto3\";\nmessage A { int32 x 1; }"),
            "schema.proto:2:21: Missing field number.");
  EXPECT_EQ(why("syntax = \"proto3\"; import \"none.proto\"; message A {}"),
            "none.proto: Import \"none.proto\" was not found or had errors.");
  EXPECT_EQ(why("syntax = \"proto3\";"), "the .proto text has no message");
  const auto imported =
      ProtobufSchema::Parse("syntax = \"proto3\"; import \"b.proto\"; message A { B b = 1; }",
                            {{"b.proto", "syntax = \"proto3\"; message B { int32 x = 1; }"}});
  ASSERT_TRUE(imported.ok()) << imported.error().ToString();
  std::string out;
  ASSERT_TRUE((*imported)->ToJson({}, "\x0a\x02\x08\x03", out).ok());
  EXPECT_EQ(out, R"({"b":{"x":3}})");
}

TEST(ProtobufSchema, EqualSchemasHaveEqualCanonicalTexts) {
  EXPECT_EQ(Parsed("syntax = \"proto3\"; message A { int32 x = 1; } // a comment")->CanonicalText(),
            Parsed("syntax = \"proto3\";\n\nmessage A {\n  int32 x = 1;\n}")->CanonicalText());
}

std::vector<std::string> Problems(std::string_view reader, std::string_view writer) {
  const auto file = [](std::string_view body) {
    return fmt::format("syntax = \"proto3\"; message A {{ {} }}", body);
  };
  return ProtobufReadProblems(*Parsed(file(reader)), *Parsed(file(writer)));
}

TEST(ProtobufCompatibility, ComparesByNumbersAndEncodings) {
  EXPECT_TRUE(Problems("int32 x = 1; string y = 2;", "int32 x = 1;").empty());
  EXPECT_TRUE(Problems("int32 x = 1;", "int32 x = 1; string y = 2;").empty());
  EXPECT_TRUE(Problems("uint64 renamed = 1;", "int32 x = 1;").empty());
  EXPECT_TRUE(Problems("repeated string x = 1;", "string x = 1;").empty());
  EXPECT_EQ(Problems("string x = 1;", "int32 x = 1;"),
            std::vector<std::string>{"A.x: string was int32"});
  EXPECT_EQ(Problems("repeated int32 x = 1;", "int32 x = 1;"),
            std::vector<std::string>{"A.x: the field is repeated now"});
  EXPECT_EQ(Problems("oneof o { int32 x = 1; int32 y = 2; }", "int32 x = 1; int32 y = 2;"),
            std::vector<std::string>{"A.o: several fields moved into a new oneof"});
  EXPECT_TRUE(Problems("oneof o { int32 x = 1; }", "int32 x = 1;").empty());
  EXPECT_EQ(Problems("oneof o { int32 x = 1; }", "oneof o { int32 x = 1; int32 y = 2; }"),
            std::vector<std::string>{"A.y: the field is gone from its oneof"});
}

}  // namespace
}  // namespace millrace::schemas::protobuf_test
