// The subject of a stream shows its columns until clients register schemas there.
#include <gtest/gtest.h>

#include "schemas/testing.h"

namespace millrace::schemas::registry_streams_test {
namespace {

rows::Column Column(std::string name, bool not_null = false) {
  rows::Column column;
  column.name = std::move(name);
  column.type = duckdb::LogicalType::BIGINT;
  column.not_null = not_null;
  return column;
}

class RegistryStreamsTest : public WithRegistry {
 protected:
  struct Stream {
    uint64_t generation;
    SchemaType type = SchemaType::kAvro;
    std::vector<rows::Schema> versions;
  };

  void SetUp() override { Open(); }
  void Open() {
    OpenRegistry();
    registry_->Attach({[&] {
                         std::vector<std::string> subjects;
                         for (const auto& [name, stream] : streams_)
                           subjects.push_back(name + "-value");
                         return subjects;
                       },
                       [&](std::string_view subject) { return ColumnsOf(subject); }});
    Follow();
  }
  std::optional<StreamColumns> ColumnsOf(std::string_view subject) const {
    for (const auto& [name, stream] : streams_) {
      if (subject != name + "-value") continue;
      StreamColumns columns{name, stream.generation, stream.type, {}};
      for (const rows::Schema& version : stream.versions) columns.versions.push_back(&version);
      return columns;
    }
    return std::nullopt;
  }
  void Follow() {
    const Status followed = registry_->Follow(registry_->BeginHold());
    EXPECT_TRUE(followed.ok()) << followed.error().ToString();
  }
  // "version/id/owner …" of those that stand.
  std::string Versions(const std::string& subject) const {
    const auto state = registry_->state();
    const Subject* found = state->FindSubject(subject);
    std::string out;
    if (found == nullptr) return out;
    for (const auto& [number, version] : found->versions) {
      if (version.deleted) continue;
      out += fmt::format("{}{}/{}/{}", out.empty() ? "" : " ", number, version.schema->id,
                         version.stream ? "stream" : "client");
    }
    return out;
  }
  std::string Register(const std::string& subject, std::string_view fields) {
    const auto registered = registry_->Register(
        subject, {SchemaType::kAvro,
                  fmt::format(R"({{"type": "record", "name": "R", "fields": [{}]}})", fields),
                  {}});
    if (!registered.ok()) return registered.error().message();
    return fmt::format("{}/{}", registered->version, registered->schema->id);
  }

  std::map<std::string, Stream> streams_;
};

const char* const kA = R"({"name": "a", "type": "long"})";
const char* const kB = R"({"name": "b", "type": ["null", "long"], "default": null})";

TEST_F(RegistryStreamsTest, AVersionForEachChangeOfColumnsOverRestarts) {
  streams_["s"] = {7, SchemaType::kAvro, {{{Column("a")}}}};
  streams_["t"] = {8, SchemaType::kJson, {{{Column("a")}}, {{Column("b")}}}};
  Follow();
  EXPECT_EQ(Versions("s-value"), "1/1000000000/stream");
  EXPECT_EQ(Versions("t-value"), "1/1000000001/stream 2/1000000002/stream");
  streams_["s"].versions.push_back({{Column("a"), Column("b")}});
  streams_["s"].versions.push_back({{Column("a"), Column("b")}});  // another CHECK
  streams_["s"].versions.push_back({{Column("a")}});
  for (int i = 0; i < 2; ++i) {
    Follow();
    EXPECT_EQ(Versions("s-value"), "1/1000000000/stream 2/1000000003/stream 3/1000000000/stream");
    Open();
  }
  EXPECT_EQ(registry_->state()->next_id(), 1) << "clients' ids are others";
}

TEST_F(RegistryStreamsTest, ASchemaThatAClientRegistersTakesTheirPlaceAndBack) {
  streams_["s"] = {7, SchemaType::kAvro, {{{Column("a", true)}}}};
  Follow();
  EXPECT_TRUE(
      Register("s-value", kB)
          .starts_with(
              "Schema being registered is incompatible with stream \"s\", of which no record"));
  EXPECT_EQ(Register("s-value", R"({"name": "a", "type": "int"})"), "2/1");
  EXPECT_EQ(Versions("s-value"), "2/1/client");
  EXPECT_EQ(Register("s-value", kA), "3/2");
  streams_["s"].versions.push_back({{Column("a", true), Column("b")}});
  Follow();
  EXPECT_EQ(Versions("s-value"), "2/1/client 3/2/client");
  ASSERT_TRUE(registry_->Delete("s-value", {2}, false).ok());
  ASSERT_TRUE(registry_->Delete("s-value", {3}, false).ok());
  EXPECT_EQ(Versions("s-value"), "4/1000000001/stream") << "with the columns as they are now";
  Open();
  EXPECT_EQ(Versions("s-value"), "4/1000000001/stream");
  EXPECT_EQ(registry_->Delete("s-value", {4}, false).error().code(), Code::kNotSupported);
  ASSERT_TRUE(registry_->Delete("s-value", {1}, true).ok()) << "it does not stand";
  EXPECT_EQ(Versions("s-value"), "4/1000000001/stream");
}

TEST_F(RegistryStreamsTest, TheStreamsOwnSchemaIsNoClients) {
  streams_["s"] = {7, SchemaType::kAvro, {{{Column("a")}}}};
  Follow();
  const auto state = registry_->state();
  const StoredSchema& own = *state->FindSubject("s-value")->versions.at(1).schema;
  EXPECT_EQ(registry_->Register("s-value", {own.type, own.text, {}}).value().version, 1);
  EXPECT_EQ(Versions("s-value"), "1/1000000000/stream");
  EXPECT_EQ(registry_->Register("other", {own.type, own.text, {}}).value().schema->id, own.id);
}

TEST_F(RegistryStreamsTest, OfAStreamThatWentNothingStands) {
  streams_["s"] = {7, SchemaType::kAvro, {{{Column("a")}}}};
  streams_["t"] = {8, SchemaType::kAvro, {{{Column("b", true)}}}};
  Follow();
  EXPECT_EQ(Register("t-value", R"({"name": "b", "type": "int"})"), "2/1");
  streams_.clear();
  Follow();
  EXPECT_EQ(Versions("s-value"), "");
  EXPECT_EQ(Versions("t-value"), "2/1/client") << "what clients registered stays";
  const char* const other = R"({"name": "c", "type": ["null", "long"], "default": null})";
  EXPECT_EQ(Register("t-value", other), "3/2") << "nobody's columns are in the way";
  // Another stream of that name goes on with the numbers.
  streams_["s"] = {9, SchemaType::kProtobuf, {{{Column("a")}}}};
  streams_["s"].versions[0].columns[0].id = 1;
  Follow();
  EXPECT_EQ(Versions("s-value"), "2/1000000002/stream");
}

TEST_F(RegistryStreamsTest, IdsAndVersionsFromElsewhereAreImported) {
  streams_["s"] = {7, SchemaType::kAvro, {{{Column("a")}}}};
  Follow();
  ASSERT_TRUE(registry_->SetMode("s-value", Mode::kImport).ok());
  const GivenSchema given{SchemaType::kAvro, "\"int\"", {}};
  const auto imported = registry_->Register("s-value", given, 1, 1);
  ASSERT_TRUE(imported.ok()) << imported.error().ToString();
  EXPECT_EQ(Versions("s-value"), "1/1/client");
  EXPECT_EQ(registry_->Register("s-value", {SchemaType::kAvro, "\"long\"", {}}, 1'000'000'007, 2)
                .error()
                .code(),
            Code::kInvalidArgument);
}

TEST_F(RegistryStreamsTest, ComparesAsItWouldRegister) {
  streams_["s"] = {7, SchemaType::kAvro, {{{Column("a", true)}}}};
  Follow();
  const auto problems = [&](std::string_view type, std::optional<int32_t> version) {
    const auto schema = Schema::Parse(
        SchemaType::kAvro,
        fmt::format(R"({{"type":"record","name":"R","fields":[{{"name":"a","type":{}}}]}})", type),
        {});
    return registry_->Problems("s-value", **schema, version).size();
  };
  EXPECT_EQ(problems("\"string\"", 1), 0u) << "a text may be a number";
  EXPECT_EQ(problems("\"boolean\"", 1), 1u);
  EXPECT_EQ(problems("\"boolean\"", std::nullopt), 1u);
  EXPECT_EQ(Register("s-value", kA), "2/1");
  EXPECT_EQ(problems("\"string\"", std::nullopt), 1u) << "what clients wrote is a long";
  EXPECT_EQ(problems("\"string\"", 2), 1u);
}

}  // namespace
}  // namespace millrace::schemas::registry_streams_test
