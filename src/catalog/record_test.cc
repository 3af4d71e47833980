// The catalog's log record: every kind comes back, damage is found, version 1 is still read.
#include "catalog/catalog.h"

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/random.h"
#include "catalog/sql_text.h"

namespace millrace::catalog::record_test {
namespace {

uint64_t Seed() {
  const char* text = std::getenv("MILLRACE_SEED");
  return text == nullptr ? 20260101 : std::strtoull(text, nullptr, 10);
}

rows::Column MakeColumn(std::string name, const std::string& type) {
  rows::Column column;
  column.name = std::move(name);
  column.type = ParseType(type).value();
  return column;
}

Object Stream(const std::string& name) {
  StreamDefinition stream;
  stream.name = name;
  stream.schema.columns = {MakeColumn("id", "BIGINT"), MakeColumn("at", "TIMESTAMP")};
  Object object;
  object.definition = stream;
  object.from_project = true;
  return object;
}

Change Make(Object object) { return Create{.object = std::move(object), .replace = false}; }
Change Remove(std::string name, Kind kind) { return Drop{std::move(name), kind}; }

std::vector<Change> EveryKind() {
  const std::string odd = "na\"me'; -- \n\xC3\xA9\xF0\x9F\x98\x80\x01";
  StreamDefinition stream;
  stream.name = odd;
  rows::Column column = MakeColumn(odd, "DECIMAL(10,2)");
  column.not_null = true;
  column.default_value = ConstantFromSql("12.50", column.type).value();
  column.id = 7;
  stream.schema.columns = {column,
                           MakeColumn("e", "ENUM('a', 'b''c')"),
                           MakeColumn("s", "STRUCT(\"x y\" INTEGER, l VARCHAR[])"),
                           MakeColumn("j", "JSON"),
                           MakeColumn("m", "MAP(VARCHAR, DOUBLE)"),
                           MakeColumn("a", "INTEGER[3]")};
  const std::vector<std::pair<std::string, std::string>> defaults = {
      {"VARCHAR", "'it''s\n'"},
      {"TIMESTAMP", "'2020-01-02 03:04:05.678901'"},
      {"TIMESTAMPTZ", "'2020-01-02 03:04:05+02'"},
      {"BLOB", "'\\x00\\xFF'"},
      {"INTERVAL", "INTERVAL 3 DAYS"},
      {"DOUBLE", "'nan'"},
      {"FLOAT", "0.1"},
      {"UUID", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"},
      {"HUGEINT", "170141183460469231731687303715884105727"},
      {"INTEGER", "NULL"},
      {"BOOLEAN", "true"},
      {"DATE", "DATE '2020-01-01'"},
      {"VARCHAR[]", "['a', NULL, 'b''c']"},
      {"STRUCT(a INTEGER, b VARCHAR)", "{'a': 1, 'b': 'x'}"},
      {"BIGINT", "-9223372036854775808"},
      {"TIME", "'12:34:56'"}};
  for (const auto& [type, text] : defaults) {
    rows::Column with_default =
        MakeColumn("c" + std::to_string(stream.schema.columns.size()), type);
    with_default.default_value = ConstantFromSql(text, with_default.type).value();
    stream.schema.columns.push_back(std::move(with_default));
  }
  stream.checks = {{"a > 0"}, {odd}};
  stream.watermark = {"at", std::chrono::seconds(10)};
  stream.deduplicate = {{"a", "b"}, std::chrono::hours(24)};
  stream.partition_by = {"a"};
  stream.partitions = 8;
  stream.on_invalid = StreamDefinition::OnInvalid::kReject;
  stream.late = StreamDefinition::Late::kDivert;
  stream.retention = std::chrono::hours(1);
  stream.retention_bytes = 10;
  stream.durability = {Durability::Kind::kInterval, std::chrono::milliseconds(50)};
  stream.storage = {.timestamps = Storage::Timestamps::kBroker,
                    .compact = true,
                    .delete_retention = std::chrono::hours(2),
                    .max_message_bytes = 5000,
                    .segment_bytes = 1 << 20,
                    .segment_age = std::chrono::hours(3)};
  stream.earlier = {{stream.schema, {{"b > 0"}}, 5, {0, 1, 2, 3, 4, 5, 6, 1LL << 40}}};
  stream.earlier[0].schema.columns.pop_back();
  stream.schema.columns[0].aliases = {"old", odd};
  TableDefinition table{"t",
                        stream.schema,
                        {{"x"}},
                        {"a", "b"},
                        "seed.csv",
                        "my.events",
                        TableDefinition::Format::kDebezium};
  ViewDefinition view{.name = "v",
                      .materialized = true,
                      .select = odd,
                      .schema = stream.schema,
                      .reads = {"t", odd},
                      .on_error = ViewDefinition::OnError::kStop,
                      .history = ViewDefinition::History::kNone,
                      .emit_on_close = true,
                      .changes = ViewDefinition::Changes::kAppend,
                      .key = {"a", odd},
                      .memory_max = 77,
                      .retention = std::chrono::hours(2),
                      .retention_bytes = 20};
  EndpointDefinition endpoint;
  endpoint.name = "e";
  endpoint.path = "/a/{n}";
  endpoint.parameters = {{"n", duckdb::LogicalType::INTEGER, duckdb::Value::INTEGER(10), "n > 0"},
                         {"m", duckdb::LogicalType::VARCHAR, std::nullopt, ""}};
  endpoint.select = "SELECT $n";
  endpoint.reads = {"v"};
  std::vector<Change> changes = {Remove(odd, Kind::kEndpoint)};
  for (Definition definition :
       {Definition(stream), Definition(table), Definition(view),
        Definition(IndexDefinition{"i", "v", {"a"}}),
        Definition(SourceDefinition{"src", odd, "datagen", {{"rows_per_second", "10"}, {odd, ""}}}),
        Definition(endpoint), Definition(TypeDefinition{odd, {"a", odd, ""}}),
        Definition(MacroDefinition{odd, true, odd, {"t"}}),
        Definition(ModelDefinition{odd, odd, odd, 1'000})}) {
    Object object;
    object.definition = std::move(definition);
    object.text = odd;
    object.file = "a.sql";
    object.line = 12;
    object.from_project = true;
    object.generation = 99;
    object.topic_id = 1ull << 60;
    object.comments = {odd, {{"a", odd}, {"b", "x"}}};
    object.uses = {{Kind::kMacro, odd}, {Kind::kType, "mood"}};
    object.identity = odd;
    object.bound_as_of = 98;
    if (object.kind() == Kind::kTable) {
      changes.push_back(Alter{odd, object});
      continue;
    }
    changes.push_back(Create{.object = object, .replace = changes.size() % 2 == 0});
  }
  return changes;
}

TEST(CatalogRecord, ComesBackAsItWasForEveryKindNameAndType) {
  const std::vector<Change> changes = EveryKind();
  const std::string bytes = EncodeChanges(42, changes);
  const auto decoded = DecodeChanges(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  EXPECT_EQ(decoded->first, 42u);
  EXPECT_EQ(EncodeChanges(42, decoded->second), bytes);
  const auto& before = std::get<StreamDefinition>(std::get<Create>(changes[1]).object.definition);
  const auto& after =
      std::get<StreamDefinition>(std::get<Create>(decoded->second[1]).object.definition);
  ASSERT_EQ(after.schema.columns.size(), before.schema.columns.size());
  for (size_t i = 0; i < before.schema.columns.size(); ++i) {
    const rows::Column& was = before.schema.columns[i];
    const rows::Column& is = after.schema.columns[i];
    SCOPED_TRACE(was.name + " " + was.type.ToString());
    EXPECT_EQ(was.type, is.type);
    ASSERT_EQ(was.default_value.has_value(), is.default_value.has_value());
    if (was.default_value) {
      EXPECT_TRUE(duckdb::Value::NotDistinctFrom(*was.default_value, *is.default_value));
    }
  }
  EXPECT_EQ(after.watermark->delay, std::chrono::seconds(10));
  EXPECT_EQ(after.late, StreamDefinition::Late::kDivert);
  EXPECT_EQ(*after.retention_bytes, 10);
  EXPECT_EQ(after.durability, before.durability);
  EXPECT_EQ(after.storage, before.storage);
}

TEST(CatalogRecord, OpensTheBytesOfVersionOne) {
  // A record as the first release wrote it: CREATE of source "d" into "s", catalog version 3.
  const std::string body(
      "\x01\x03\x01\x01\x04\x01"
      "d\x01"
      "s\x07"
      "datagen\x00\x01"
      "x\x01"
      "f\x04\x01\x03\x00",
      26);
  std::string bytes = body;
  PutFixed<uint32_t>(bytes, Crc32c(body));
  const auto decoded = DecodeChanges(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  const Object& object = std::get<Create>(decoded->second.at(0)).object;
  EXPECT_EQ(std::get<SourceDefinition>(object.definition).into, "s");
  EXPECT_EQ(object.line, 2);
  EXPECT_EQ(object.generation, 3u);
}

TEST(CatalogRecord, OpensTheBytesOfVersionTwo) {
  // ALTER of type "t", an ENUM of "a" and "b", with a comment; it was called "o" before.
  const std::string body(
      "\x02\x04\x01\x04\x01t\x06\x01t\x02\x01\x61\x01\x62\x01x\x00\x02\x00\x03\x00"
      "\x01\x63\x01\x01k\x01v\x00\x01o",
      31);
  std::string bytes = body;
  PutFixed<uint32_t>(bytes, Crc32c(body));
  const auto decoded = DecodeChanges(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  EXPECT_EQ(decoded->first, 4u);
  const Alter& alter = std::get<Alter>(decoded->second.at(0));
  EXPECT_EQ(alter.kind(), Kind::kType);
  EXPECT_EQ(alter.name, "t");
  const auto& type = std::get<TypeDefinition>(alter.object.definition);
  EXPECT_EQ(type.values, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(alter.object.line, 1);
  EXPECT_EQ(alter.object.generation, 3u);
  EXPECT_EQ(alter.object.comments, (Comments{"c", {{"k", "v"}}}));
  EXPECT_EQ(alter.object.kept_as(), "o");
  EXPECT_FALSE(alter.object.halt.has_value());
}

TEST(CatalogRecord, OpensTablesOfVersionFive) {
  // They end with the seed: topic and format came later.
  TableDefinition table;
  table.name = "t";
  table.primary_key = {"k"};
  table.seed = "the seed";
  Object object;
  object.definition = table;
  object.generation = 3;
  std::string bytes = EncodeChanges(3, {Create{object, false}});
  bytes.resize(bytes.size() - 4);
  bytes.erase(bytes.find(table.seed) + table.seed.size(), 2);
  bytes[0] = 5;
  PutFixed<uint32_t>(bytes, Crc32c(bytes));
  const auto decoded = DecodeChanges(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  const Object& read = std::get<Create>(decoded->second.at(0)).object;
  EXPECT_EQ(std::get<TableDefinition>(read.definition).seed, table.seed);
  EXPECT_EQ(std::get<TableDefinition>(read.definition).topic, "");
  EXPECT_EQ(TableOfTopic(read), nullptr);
  EXPECT_EQ(read.generation, 3u);
}

TEST(CatalogRecord, OpensViewsOfVersionSeven) {
  // They end with the key: retention came later.
  ViewDefinition view;
  view.name = "v";
  view.changes = ViewDefinition::Changes::kAppend;
  view.key = {"the key"};
  Object object;
  object.definition = view;
  object.text = "the text";
  std::string bytes = EncodeChanges(3, {Create{object, false}});
  bytes.resize(bytes.size() - 4);
  bytes.erase(bytes.find(view.key[0]) + view.key[0].size(), 2);
  bytes[0] = 7;
  PutFixed<uint32_t>(bytes, Crc32c(bytes));
  const auto decoded = DecodeChanges(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  const Object& read = std::get<Create>(decoded->second.at(0)).object;
  EXPECT_EQ(read.text, object.text);
  EXPECT_EQ(std::get<ViewDefinition>(read.definition).key, view.key);
  EXPECT_FALSE(std::get<ViewDefinition>(read.definition).retention.has_value());
}

TEST(CatalogRecord, OpensTheBytesOfVersionNine) {
  // It had no models, and all else as it is now.
  ViewDefinition view;
  view.name = "v";
  view.retention_bytes = 77;
  Object object;
  object.definition = view;
  object.uses = {{Kind::kMacro, "m"}};
  std::string bytes = EncodeChanges(3, {Create{object, false}});
  bytes.resize(bytes.size() - 4);
  bytes[0] = 9;
  PutFixed<uint32_t>(bytes, Crc32c(bytes));
  const auto decoded = DecodeChanges(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  const Object& read = std::get<Create>(decoded->second.at(0)).object;
  EXPECT_EQ(read.uses, object.uses);
  EXPECT_EQ(std::get<ViewDefinition>(read.definition).retention_bytes, 77);
}

TEST(CatalogRecord, OpensStreamsOfVersionSix) {
  // They end with the format: durability and storage came later.
  StreamDefinition stream;
  stream.name = "s";
  stream.format = StreamDefinition::Format::kRaw;
  Object object;
  object.definition = stream;
  object.text = "the text";
  std::string bytes = EncodeChanges(3, {Create{object, false}});
  bytes.resize(bytes.size() - 4);
  constexpr size_t kDurability = 2, kStorage = 6;
  const size_t end = bytes.find(object.text) - 1;  // a length stands before the text
  bytes.erase(end - kDurability - kStorage, kDurability + kStorage);
  bytes[0] = 6;
  PutFixed<uint32_t>(bytes, Crc32c(bytes));
  const auto decoded = DecodeChanges(bytes);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  const Object& read = std::get<Create>(decoded->second.at(0)).object;
  EXPECT_EQ(read.text, object.text);
  EXPECT_EQ(std::get<StreamDefinition>(read.definition).format, StreamDefinition::Format::kRaw);
  EXPECT_EQ(std::get<StreamDefinition>(read.definition).durability, Durability());
}

TEST(CatalogRecord, IsCorruptWhenAnyByteChangesOrIsMissing) {
  const std::string bytes = EncodeChanges(1, {Make(Stream("s"))});
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x40);
    const auto changed = DecodeChanges(damaged);
    ASSERT_FALSE(changed.ok()) << i;
    EXPECT_EQ(changed.error().code(), Code::kCorruption);
    const auto cut = DecodeChanges(std::string_view(bytes).substr(0, i));
    ASSERT_FALSE(cut.ok()) << i;
    EXPECT_EQ(cut.error().code(), Code::kCorruption);
  }
}

TEST(CatalogRecord, OfAnyBytesUnderAValidChecksumNeverCrashes) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(seed);
  Random random(seed);
  const std::string valid = EncodeChanges(1, EveryKind());
  const std::string body = valid.substr(0, valid.size() - 4);
  for (int round = 0; round < 150; ++round) {
    std::string damaged = body;
    for (uint64_t edits = 1 + random.Below(4); edits > 0; --edits) {
      const size_t at = random.Below(damaged.size());
      if (random.OneIn(4)) {
        damaged.resize(at + 1);
      } else {
        damaged[at] = static_cast<char>(random.Next());
      }
    }
    PutFixed<uint32_t>(damaged, Crc32c(damaged));
    const auto decoded = DecodeChanges(damaged);
    if (!decoded.ok()) {
      EXPECT_EQ(decoded.error().code(), Code::kCorruption);
    }
  }
}

}  // namespace
}  // namespace millrace::catalog::record_test
