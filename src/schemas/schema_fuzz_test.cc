// Damaged values and damaged schemas against the readers of Avro, Protobuf and JSON Schema.
// MILLRACE_SEED repeats the same mutations, MILLRACE_FUZZ_SECONDS says how long to go on (default
// 10, for each test).
#include <gtest/gtest.h>

#include <random>

#include "base/coding.h"
#include "base/fuzzing.h"
#include "log/testing.h"
#include "schemas/json_text.h"
#include "schemas/schema.h"

namespace millrace::schemas::schema_fuzz_test {
namespace {

constexpr size_t kJsonBytesMax = size_t{64} << 20;

struct Example {
  SchemaType type;
  std::string text;
  std::vector<std::string> values;
};

// A value of the Avro schema below.
std::string AvroValue() {
  std::string bytes;
  PutZigzag(bytes, 1'234'567);
  PutZigzag(bytes, 1);  // of the union: the text
  PutZigzag(bytes, 4);
  bytes += "n\"te";
  PutZigzag(bytes, -2);  // a block of two, with its size
  PutZigzag(bytes, 4);
  PutZigzag(bytes, 1);
  bytes += "x";
  PutZigzag(bytes, 1);
  bytes += "y";
  PutZigzag(bytes, 0);
  PutZigzag(bytes, 2);
  bytes += "\xfb\x2e";
  PutZigzag(bytes, 1'325'376'000'123);
  PutZigzag(bytes, 1);
  PutZigzag(bytes, 1);
  PutZigzag(bytes, 1);
  bytes += "k";
  bytes += std::string(16, '\7');
  PutZigzag(bytes, 0);
  bytes += std::string("\0\0\0\0\0\0\xf8\x7f", 8);
  PutZigzag(bytes, 0);
  return bytes;
}

// A value of the Protobuf schema below.
std::string ProtobufValue() {
  // The field's number and wire type in one byte, then its length and bytes.
  const auto part = [](uint8_t tag, const std::string& bytes) {
    return std::string{static_cast<char>(tag), static_cast<char>(bytes.size())} + bytes;
  };
  const std::string number = std::string("\x08\x05", 2);  // field 1: 5
  const std::string fixed = "\x19" + std::string("\1\2\3\4\5\6\7\x08", 8);
  const std::string weight = "\x11" + std::string("\0\0\0\0\0\0\xf8\x7f", 8);
  return number + part(0x12, "n") + part(0x1a, "x") + part(0x1a, "") +
         part(0x22, part(0x0a, "k") + weight) + part(0x2a, number) +
         part(0x32, number + "\x10\x03" + fixed) + part(0x3a, "hi") +
         part(0x42, std::string("\0\1", 2)) + part(0x4a, number);
}

std::vector<Example> Examples() {
  const std::string avro = R"({"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "long"},
    {"name": "note", "type": ["null", "string"], "default": null},
    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
    {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10,
                               "scale": 2}},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
    {"name": "more", "type": {"type": "map", "values": {"type": "fixed", "name": "F", "size": 16}}},
    {"name": "weight", "type": "double"},
    {"name": "next", "type": ["null", "Order"], "default": null}]})";
  const std::string protobuf = R"(syntax = "proto3"; package shop;
import "google/protobuf/timestamp.proto";
message Order { int64 id = 1; optional string note = 2; repeated string tags = 3;
  map<string, double> more = 4; google.protobuf.Timestamp at = 5;
  message Line { uint32 n = 1; sint64 z = 2; fixed64 f = 3; } repeated Line lines = 6;
  bytes raw = 7; enum Kind { A = 0; B = 1; } repeated Kind kinds = 8; Order next = 9; })";
  const std::string json = R"({"type": "object", "required": ["id"], "properties": {
    "id": {"type": "integer", "minimum": 0}, "note": {"type": ["string", "null"]},
    "tags": {"type": "array", "items": {"enum": ["a", "b"]}}}, "additionalProperties": false})";
  return {{SchemaType::kAvro, avro, {AvroValue()}},
          {SchemaType::kProtobuf, protobuf, {ProtobufValue()}},
          {SchemaType::kJson, json, {R"({"id": 1, "note": null, "tags": ["a", "b"]})"}}};
}

bool IsRefusal(const Status& status) {
  const Code code = status.error().code();
  return code == Code::kCorruption || code == Code::kTooLarge || code == Code::kInvalidArgument;
}

// In memory of exactly that size: a byte too far is seen.
void Read(const Schema& schema, const std::string& bytes, uint64_t& read) {
  const std::vector<char> exact(bytes.begin(), bytes.end());
  std::string out;
  const Status done = schema.ToJson({}, {exact.data(), exact.size()}, out);
  ASSERT_LE(out.size(), kJsonBytesMax);
  if (!done.ok()) {
    ASSERT_TRUE(IsRefusal(done)) << done.error().ToString();
    return;
  }
  ++read;
  if (schema.type() == SchemaType::kJson)
    return;  // the text as it is, which the row's reader judges
  ASSERT_TRUE(OrderedJson(out, /*avro=*/false).ok()) << out;
}

TEST(SchemaFuzz, DamagedValuesAreRefusedOrReadAsJson) {
  const uint64_t seed = log::SeedFromEnvironment(std::random_device()());
  Random random(seed);
  const auto until = FuzzUntil();
  uint64_t cases = 0;
  uint64_t read = 0;
  std::vector<std::pair<std::shared_ptr<const Schema>, std::vector<std::string>>> examples;
  for (const Example& example : Examples()) {
    const auto schema = Schema::Parse(example.type, example.text, {});
    ASSERT_TRUE(schema.ok()) << schema.error().ToString();
    for (const std::string& value : example.values) {
      std::string out;
      const Status done = (*schema)->ToJson({}, value, out);
      ASSERT_TRUE(done.ok()) << SchemaTypeName(example.type) << ": " << done.error().ToString();
    }
    examples.emplace_back(*schema, example.values);
  }
  for (; cases < 20'000 || std::chrono::steady_clock::now() < until; ++cases) {
    const auto& [schema, values] = examples[cases % examples.size()];
    std::string bytes = values[random.Below(values.size())];
    Mutate(bytes, random);
    ASSERT_NO_FATAL_FAILURE(Read(*schema, bytes, read)) << "case " << cases;
  }
  std::fprintf(stderr, "%llu cases, %llu of them read\n", static_cast<unsigned long long>(cases),
               static_cast<unsigned long long>(read));
}

TEST(SchemaFuzz, DamagedSchemasAreRefusedOrStandForThemselves) {
  const uint64_t seed = log::SeedFromEnvironment(std::random_device()());
  Random random(seed);
  const auto until = FuzzUntil();
  const std::vector<Example> examples = Examples();
  uint64_t cases = 0;
  uint64_t parsed = 0;
  uint64_t read = 0;
  for (; cases < 3'000 || std::chrono::steady_clock::now() < until; ++cases) {
    const Example& example = examples[cases % examples.size()];
    std::string text = example.text;
    Mutate(text, random);
    const auto schema = Schema::Parse(example.type, text, {});
    if (!schema.ok()) {
      ASSERT_TRUE(IsRefusal(schema.error())) << schema.error().ToString() << "\n" << text;
      continue;
    }
    ++parsed;
    const auto again = Schema::Parse(example.type, (*schema)->canonical(), {});
    ASSERT_TRUE(again.ok()) << again.error().ToString() << "\n" << (*schema)->canonical();
    ASSERT_EQ((*again)->canonical(), (*schema)->canonical()) << text;
    ASSERT_TRUE(ReadProblems(**schema, **again).empty()) << text;
    std::string bytes = example.values[random.Below(example.values.size())];
    Mutate(bytes, random);
    ASSERT_NO_FATAL_FAILURE(Read(**schema, bytes, read)) << "case " << cases << "\n" << text;
  }
  std::fprintf(stderr, "%llu cases, %llu of them schemas\n", static_cast<unsigned long long>(cases),
               static_cast<unsigned long long>(parsed));
}

}  // namespace
}  // namespace millrace::schemas::schema_fuzz_test
