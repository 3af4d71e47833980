#include "ingest/schema_values.h"

#include <gtest/gtest.h>

#include "base/coding.h"
#include "schemas/testing.h"

namespace millrace::ingest::schema_values_test {
namespace {

using schemas::SchemaType;
using Part = SchemaValues::Part;

constexpr std::string_view kTwoMessages =
    "syntax = \"proto3\"; message A { string a = 1; } message B { int64 b = 1; }";

class SchemaValuesTest : public schemas::WithRegistry {
 protected:
  void SetUp() override {
    schemas::WithRegistry::SetUp();
    avro_ = Register(SchemaType::kAvro, "\"string\"");
    proto_ = Register(SchemaType::kProtobuf, kTwoMessages);
  }
  schemas::StoredSchemaPtr Register(SchemaType type, std::string_view text) {
    const auto registered = registry_->Register("s", {type, std::string(text), {}});
    if (registered.ok()) return registered->schema;
    EXPECT_TRUE(registry_->SetCompatibility("s", schemas::Compatibility::kNone).ok());
    return registry_->Register("s", {type, std::string(text), {}}).value().schema;
  }
  static std::string ById(const schemas::StoredSchema& schema, std::string_view rest = "") {
    std::string bytes(1, '\0');
    PutBig(bytes, schema.id);
    return bytes.append(rest);
  }
  static std::string ByGuid(const schemas::StoredSchema& schema, std::string_view rest = "") {
    std::string bytes(1, '\1');
    bytes.append(reinterpret_cast<const char*>(schema.guid.data()), schema.guid.size());
    return bytes.append(rest);
  }
  // The part's JSON, "none" where it names no schema, "!" and the reason where it is no value.
  std::string Json(Part part, std::optional<std::string_view> bytes,
                   const std::vector<log::Header>& headers, log::FrameSequence frame = kNextFrame) {
    log::RecordBatchBuilder builder;
    const auto none = std::optional<std::string_view>();
    builder.Add(part == Part::kKey ? bytes : none, part == Part::kValue ? bytes : none, {},
                headers);
    const std::string batch = builder.Finish();
    log::RecordCursor records =
        log::RecordBatchView::Parse(batch, log::CrcCheck::kAlreadyVerified).value().records();
    EXPECT_TRUE(records.Next());
    SchemaValues values(registry_.get());
    const auto json = values.JsonOf(part, Record(records.record(), frame));
    if (!json) return "none";
    return json->ok() ? **json : "!" + json->error().message();
  }
  std::string Value(std::optional<std::string_view> bytes,
                    const std::vector<log::Header>& headers = {}) {
    return Json(Part::kValue, bytes, headers);
  }

  schemas::StoredSchemaPtr avro_, proto_;
};

TEST_F(SchemaValuesTest, TheSchemaIsNamedInFrontOfTheValueOrInAHeader) {
  const std::string id = ById(*avro_);
  const std::string guid = ByGuid(*avro_);
  EXPECT_EQ(Value(id + "\x04hi"), "\"hi\"");
  EXPECT_EQ(Value(guid + "\x04hi"), "\"hi\"");
  EXPECT_EQ(Value("\x04hi", {{"__value_schema_id", id}}), "\"hi\"");
  EXPECT_EQ(Value("\x04hi", {{"a", "b"}, {"__value_schema_id", guid}}), "\"hi\"");
  EXPECT_EQ(Value("\x04hi", {{"__key_schema_id", id}}), "none");
  EXPECT_EQ(Json(Part::kKey, "\x04hi", {{"__key_schema_id", guid}}), "\"hi\"");
  EXPECT_EQ(Json(Part::kKey, "\x04hi", {{"__value_schema_id", guid}}), "none");
  EXPECT_EQ(Value("{}"), "none");
  EXPECT_EQ(Value(std::nullopt, {{"__value_schema_id", id}}), "none") << "there is no value";
}

TEST_F(SchemaValuesTest, AHeaderCountsBeforeTheFirstBytesAndTheLastHeaderBeforeOthers) {
  const std::string id = ById(*avro_);
  // An empty text: its bytes begin as an id does.
  EXPECT_EQ(Value(std::string(1, '\0'), {{"__value_schema_id", id}}), "\"\"");
  EXPECT_EQ(Value("\x04hi", {{"__value_schema_id", "?"}, {"__value_schema_id", id}}), "\"hi\"");
}

TEST_F(SchemaValuesTest, AMessageOfAProtobufFileIsNamedBehindTheId) {
  // B, the second one.
  EXPECT_EQ(Value(ById(*proto_, "\x02\x02") + "\x08\x05"), R"({"b":5})");
  EXPECT_EQ(Value("\x08\x05", {{"__value_schema_id", ByGuid(*proto_, "\x02\x02")}}), R"({"b":5})");
  const std::string first(1, '\0');
  EXPECT_EQ(Value("\n\1x", {{"__value_schema_id", ById(*proto_, first)}}), R"({"a":"x"})");
  EXPECT_EQ(Value("\n\1x", {{"__value_schema_id", ById(*proto_)}}).front(), '!');
}

TEST_F(SchemaValuesTest, WhatIsNoIdOrNoValueSaysWhy) {
  for (const auto& header : {std::optional<std::string_view>(), std::optional<std::string_view>(""),
                             std::optional<std::string_view>("12345678901234567"),
                             std::optional<std::string_view>(std::string_view("\0\0\0", 3))}) {
    EXPECT_TRUE(Value("{}", {{"__value_schema_id", header}}).starts_with("!the header __value_s"));
  }
  schemas::StoredSchema unknown = *avro_;
  unknown.id = 77;
  EXPECT_EQ(Value("\x04hi", {{"__value_schema_id", ById(unknown)}}),
            "!schema 77 is not registered");
  EXPECT_EQ(Value("\x04h", {{"__value_schema_id", ById(*avro_)}}).substr(0, 10), "!schema 1:");
  EXPECT_EQ(Value(std::string_view("\0\0", 2)),
            "!the value begins as one that names a schema, and is too short");
}

TEST_F(SchemaValuesTest, ASchemaIsKnownToRecordsOfLaterFramesOnly) {
  const auto at = [&](uint64_t frame) {
    return Json(Part::kValue, "\x04hi", {{"__value_schema_id", ById(*avro_)}}, {frame});
  };
  EXPECT_EQ(at(avro_->frame.value + 1), "\"hi\"");
  EXPECT_EQ(at(avro_->frame.value), "!schema 1 is not registered");
}

}  // namespace
}  // namespace millrace::ingest::schema_values_test
