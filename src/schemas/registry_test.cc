#include "schemas/registry.h"

#include <gtest/gtest.h>

#include <random>

#include "base/faulty_files.h"
#include "base/random.h"
#include "log/testing.h"

namespace millrace::schemas::registry_test {
namespace {

class RegistryTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open(RegistryLimits limits = {}) {
    registry_.reset();
    log_.reset();
    log::LogOptions options;
    options.files = files_.get();
    options.directory = "data";
    options.write_ahead_bytes_max = 16 << 20;
    options.request_bytes_max = 4 << 20;
    options.frame_bytes_target = 1 << 20;
    options.segment_bytes = 64 << 10;
    options.disk_reserve_bytes = 0;
    auto log = log::Log::Open(options);
    ASSERT_TRUE(log.ok()) << log.error().ToString();
    log_ = *std::move(log);
    auto registry = Registry::Open(*log_, limits);
    ASSERT_TRUE(registry.ok()) << registry.error().ToString();
    registry_ = *std::move(registry);
  }
  static GivenSchema Avro(std::string_view fields) {
    return {SchemaType::kAvro,
            fmt::format(R"({{"type": "record", "name": "R", "fields": [{}]}})", fields),
            {}};
  }
  // "version/id" or the error's code.
  std::string Register(const std::string& subject, const GivenSchema& schema) {
    const auto registered = registry_->Register(subject, schema);
    if (!registered.ok()) return std::string(CodeName(registered.error().code()));
    return fmt::format("{}/{}", registered->version, registered->schema->id);
  }

  std::unique_ptr<FaultyFiles> files_ = std::make_unique<FaultyFiles>();
  std::unique_ptr<log::Log> log_;
  std::unique_ptr<Registry> registry_;
};

const char* const kOne = R"({"name": "a", "type": "int"})";
const char* const kTwo =
    R"({"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": 0})";
const char* const kNoDefault = R"({"name": "a", "type": "int"}, {"name": "c", "type": "int"})";

TEST_F(RegistryTest, GivesEachSchemaOneIdAndEachSubjectItsVersions) {
  EXPECT_EQ(Register("s-value", Avro(kOne)), "1/1");
  EXPECT_EQ(Register("s-value", Avro(kOne)), "1/1");
  EXPECT_EQ(Register("s-value", Avro(kTwo)), "2/2");
  EXPECT_EQ(Register("t-value", Avro(kTwo)), "1/2");
  EXPECT_EQ(Register("s-value", Avro(kNoDefault)), "conflict");
  EXPECT_EQ(Register("s-value", {SchemaType::kAvro, "{", {}}), "invalid_argument");
  EXPECT_EQ(Register("", Avro(kOne)), "invalid_argument");
  const auto frame = registry_->state()->FindSchema(2)->frame;
  const Guid guid = registry_->state()->FindSchema(2)->guid;
  Open();
  EXPECT_EQ(registry_->state()->FindSchema(2)->frame, frame);
  EXPECT_EQ(registry_->state()->FindSchema(guid)->id, 2);
  EXPECT_EQ(Register("s-value", Avro(kOne)), "1/1");
  EXPECT_EQ(Register("u-value", {SchemaType::kJson, "{}", {}}), "1/3");
}

TEST_F(RegistryTest, HoldsEachLevelOfCompatibility) {
  ASSERT_EQ(Register("s", Avro(kTwo)), "1/1");
  ASSERT_EQ(Register("s", Avro(kOne)), "2/2");
  const auto at = [&](Compatibility level, std::string_view fields) {
    EXPECT_TRUE(registry_->SetCompatibility("s", level).ok());
    const auto parsed = registry_->state()->Parse(Avro(fields));
    return registry_->state()->Problems("s", *parsed->first, std::nullopt).size();
  };
  EXPECT_EQ(at(Compatibility::kNone, kNoDefault), 0u);
  EXPECT_EQ(at(Compatibility::kBackward, kNoDefault), 1u);
  EXPECT_EQ(at(Compatibility::kBackwardTransitive, kNoDefault), 2u);
  EXPECT_EQ(at(Compatibility::kForward, kNoDefault), 0u);
  EXPECT_EQ(at(Compatibility::kFull, kNoDefault), 1u);
  // Against version 1 alone a field with another type is wrong; the newest has no such field.
  const char* const retyped =
      R"({"name": "a", "type": "int"}, {"name": "b", "type": "string", "default": ""})";
  EXPECT_EQ(at(Compatibility::kBackward, retyped), 0u);
  EXPECT_EQ(at(Compatibility::kFullTransitive, retyped), 2u);
  Open();
  EXPECT_EQ(registry_->state()->CompatibilityOf("s"), Compatibility::kFullTransitive);
  EXPECT_TRUE(registry_->SetCompatibility("s", std::nullopt).ok());
  EXPECT_EQ(registry_->state()->CompatibilityOf("s"), Compatibility::kBackward);
}

TEST_F(RegistryTest, DeletingHidesVersionsAndKeepsSchemas) {
  ASSERT_EQ(Register("s", Avro(kOne)), "1/1");
  ASSERT_EQ(Register("s", Avro(kTwo)), "2/2");
  ASSERT_TRUE(registry_->Delete("s", {1, 2}, false).ok());
  EXPECT_FALSE(registry_->state()->FindSubject("s")->has_live());
  // Nothing is left that it would have to get on with.
  EXPECT_EQ(Register("s", Avro(kNoDefault)), "3/3");
  ASSERT_TRUE(registry_->Delete("s", {1, 2, 3}, true).ok());
  Open();
  EXPECT_EQ(registry_->state()->FindSubject("s"), nullptr);
  EXPECT_NE(registry_->state()->FindSchema(1), nullptr) << "values in streams name it";
  EXPECT_EQ(Register("s", Avro(kOne)), "4/1");
}

TEST_F(RegistryTest, ModesSayWhoMayRegister) {
  ASSERT_TRUE(registry_->SetMode("s", Mode::kReadOnly).ok());
  EXPECT_EQ(Register("s", Avro(kOne)), "not_supported");
  EXPECT_EQ(Register("t", Avro(kOne)), "1/1");
  EXPECT_FALSE(registry_->Register("t", Avro(kTwo), 70).ok());
  ASSERT_TRUE(registry_->SetMode("s", Mode::kImport).ok());
  const auto imported = registry_->Register("s", Avro(kTwo), 70, 5);
  ASSERT_TRUE(imported.ok()) << imported.error().ToString();
  EXPECT_EQ(imported->schema->id, 70);
  EXPECT_EQ(imported->version, 5);
  EXPECT_FALSE(registry_->Register("s", Avro(kNoDefault), 70).ok()) << "the id is taken";
  EXPECT_EQ(Register("u", Avro(kNoDefault)), "1/71");
}

TEST_F(RegistryTest, SchemasMayReferToOthers) {
  ASSERT_EQ(
      Register("point",
               {SchemaType::kAvro, R"({"type": "record", "name": "g.Point", "fields": []})", {}}),
      "1/1");
  const GivenSchema line{
      SchemaType::kAvro, R"({"type": "array", "items": "g.Point"})", {{"g.Point", "point", 1}}};
  EXPECT_EQ(Register("line", line), "1/2");
  EXPECT_EQ(registry_->state()->ReferrersOf("point", 1), std::vector<int32_t>{2});
  GivenSchema missing = line;
  missing.references[0].version = 2;
  EXPECT_EQ(Register("other", missing), "not_found");
  Open();
  EXPECT_EQ(Register("line", line), "1/2");
}

TEST_F(RegistryTest, HoldsItsLimits) {
  Open({.schemas_max = 1});
  EXPECT_EQ(Register("s", Avro(kOne)), "1/1");
  EXPECT_EQ(Register("s", Avro(kTwo)), "too_large");
  Open({.text_bytes_max = 200});
  EXPECT_EQ(Register("t", {SchemaType::kJson, "{}", {}}), "1/2");
  EXPECT_EQ(
      Register("t2", {SchemaType::kJson, R"({"title": ")" + std::string(200, 'x') + "\"}", {}}),
      "too_large");
  EXPECT_EQ(Register(std::string(2000, 's'), Avro(kOne)), "invalid_argument");
  const std::string long_text = "\"" + std::string(kSchemaBytesMax, 'x') + "\"";
  EXPECT_EQ(Register("s", {SchemaType::kJson, long_text, {}}), "too_large");
}

TEST_F(RegistryTest, GoesOnWithWhatDamageHasLeftAndGivesNoIdTwice) {
  ASSERT_EQ(Register("s", Avro(kOne)), "1/1");
  ASSERT_EQ(Register("t", Avro(kTwo)), "1/2");
  registry_.reset();
  ASSERT_TRUE(log_->Close().ok());
  log_.reset();
  // Within the batch of schema 1 and its version.
  ASSERT_TRUE(files_->FlipByte("data/log/__schemas/0/00000000000000000000.log", 100));
  Open();
  ASSERT_FALSE(registry_->damage().empty());
  EXPECT_EQ(registry_->state()->FindSchema(1), nullptr);
  ASSERT_NE(registry_->state()->FindSchema(2), nullptr);
  EXPECT_EQ(registry_->state()->FindSubject("s"), nullptr);
  const auto again = registry_->Register("s", Avro(kOne));
  ASSERT_TRUE(again.ok()) << again.error().ToString();
  EXPECT_GT(again->schema->id, 2);
}

TEST_F(RegistryTest, SurvivesPowerLossAtAnyMoment) {
  const uint64_t seed = log::SeedFromEnvironment(std::random_device{}());
  Random random(seed);
  std::map<std::string, std::string> acknowledged;  // by subject: "version/id"
  for (int round = 0; round < 20; ++round) {
    const std::string subject = fmt::format("s{}", random.Below(30));
    const std::string answer = Register(
        subject,
        Avro(fmt::format(R"({{"name": "f{}", "type": "int", "default": 0}})", random.Below(1000))));
    acknowledged[fmt::format("{} {}", subject, answer)] = answer;
    if (random.Below(3) > 0) continue;
    registry_.reset();
    log_.reset();
    files_ = files_->AfterPowerLoss({true, seed + static_cast<uint64_t>(round)});
    Open();
    for (const auto& [key, value] : acknowledged) {
      const size_t space = key.find(' ');
      const size_t slash = value.find('/');
      const Subject* found = registry_->state()->FindSubject(key.substr(0, space));
      ASSERT_NE(found, nullptr) << key;
      const auto version = found->versions.find(std::stoi(value.substr(0, slash)));
      ASSERT_NE(version, found->versions.end()) << key;
      EXPECT_EQ(version->second.schema->id, std::stoi(value.substr(slash + 1))) << key;
    }
  }
}

}  // namespace
}  // namespace millrace::schemas::registry_test
