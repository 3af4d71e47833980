#include <gtest/gtest.h>

#include "http/registry_api.h"
#include "http/router.h"
#include "schemas/testing.h"

namespace millrace::http::registry_test {
namespace {

class RegistryApiTest : public schemas::WithRegistry {
 protected:
  void SetUp() override {
    schemas::WithRegistry::SetUp();
    for (const RegistryCall& call : RegistryCalls())
      router_.Add({std::string(call.pattern), std::string(call.method), {}, {}});
  }
  // "status body"
  std::string Ask(std::string_view method, std::string_view target, std::string body = "") {
    const size_t mark = target.find('?');
    const auto match = router_.Find(method, target.substr(0, mark));
    if (match.route == nullptr) return "no route";
    RegistryRequest request;
    request.segments = match.segments;
    if (mark != std::string_view::npos) request.parameters = *ParseQuery(target.substr(mark + 1));
    request.body = std::move(body);
    for (const RegistryCall& call : RegistryCalls()) {
      if (call.method != method || call.pattern != match.route->pattern) continue;
      const RegistryReply reply = call.answer(*registry_, request);
      return fmt::format("{} {}", reply.status, reply.body);
    }
    return "no call";
  }
  static std::string Avro(std::string_view type) {
    return fmt::format(R"({{"schema": "\"{}\""}})", type);
  }

  Router router_;
};

TEST_F(RegistryApiTest, RegistersLooksUpAndLists) {
  EXPECT_EQ(Ask("GET", "/subjects"), "200 []");
  const std::string given = Ask("POST", "/subjects/a%2Fb-value/versions", Avro("int"));
  EXPECT_TRUE(given.starts_with(R"(200 {"id":1,"version":1,"guid":)")) << given;
  EXPECT_EQ(given.find("schema"), std::string::npos) << "clients keep what they gave";
  const std::string first = Ask("POST", "/subjects/a%2Fb-value", Avro("int"));
  EXPECT_TRUE(first.starts_with(R"(200 {"subject":"a/b-value","version":1,"id":1,"guid":)"))
      << first;
  EXPECT_EQ(Ask("GET", "/subjects"), R"(200 ["a/b-value"])");
  EXPECT_EQ(Ask("GET", "/subjects?subjectPrefix=x"), "200 []");
  EXPECT_EQ(Ask("GET", "/subjects/a%2Fb-value/versions"), "200 [1]");
  EXPECT_EQ(Ask("GET", "/subjects/a%2Fb-value/versions/latest"), first);
  EXPECT_EQ(Ask("GET", "/subjects/a%2Fb-value/versions/1/schema"), "200 \"int\"");
  EXPECT_EQ(Ask("GET", "/schemas/ids/1/schema"), "200 \"int\"");
  EXPECT_EQ(Ask("GET", "/schemas/ids/1/versions"), R"(200 [{"subject":"a/b-value","version":1}])");
  EXPECT_EQ(Ask("GET", "/schemas/ids/1/subjects"), R"(200 ["a/b-value"])");
  EXPECT_EQ(Ask("GET", "/schemas/types"), R"(200 ["JSON","PROTOBUF","AVRO"])");
}

TEST_F(RegistryApiTest, ShowsAProtobufFileAsItsDescriptor) {
  const std::string body =
      R"({"schemaType": "PROTOBUF", "schema": "syntax = \"proto3\"; message A { int32 x = 1; }"})";
  ASSERT_EQ(Ask("POST", "/subjects/p/versions", body).substr(0, 3), "200");
  const std::string serialized = Ask("GET", "/schemas/ids/1/schema?format=serialized");
  EXPECT_EQ(serialized.find("proto3\";"), std::string::npos) << serialized;
  const std::string again = fmt::format(R"({{"schemaType": "PROTOBUF", "schema": "{}"}})",
                                        std::string_view(serialized).substr(4));
  const std::string found = Ask("POST", "/subjects/p", again);
  EXPECT_NE(found.find("message A {"), std::string::npos) << found;
  EXPECT_EQ(Ask("POST", "/subjects/p?format=serialized", again).find("message A {"),
            std::string::npos);
}

TEST_F(RegistryApiTest, AnswersErrorsByTheirCodes) {
  // The status and the API's own code, "200" alone where it worked.
  const auto code = [&](std::string_view method, std::string_view target, std::string body = "") {
    const std::string answer = Ask(method, target, std::move(body));
    const size_t at = answer.find("\"error_code\":");
    if (at == std::string::npos) return answer.substr(0, 3);
    return answer.substr(0, 4) + answer.substr(at + 13, answer.find(',') - at - 13);
  };
  EXPECT_EQ(code("GET", "/schemas/ids/7"), "404 40403");
  EXPECT_EQ(code("GET", "/schemas/ids/x"), "404 40403");
  EXPECT_EQ(code("GET", "/subjects/s/versions"), "404 40401");
  EXPECT_EQ(code("POST", "/subjects/s", Avro("int")), "404 40401");
  EXPECT_EQ(code("POST", "/subjects/s/versions", "{"), "422 42201");
  EXPECT_EQ(code("POST", "/subjects/s/versions", Avro("integer")), "422 42201");
  EXPECT_EQ(code("POST", "/subjects/s/versions", R"({"schema": "{}", "schemaType": "XML"})"),
            "422 42201");
  EXPECT_EQ(code("POST", "/subjects/s/versions", Avro("int")), "200");
  EXPECT_EQ(code("POST", "/subjects/s/versions", Avro("string")), "409 409");
  EXPECT_EQ(code("GET", "/subjects/s/versions/2"), "404 40402");
  EXPECT_EQ(code("GET", "/subjects/s/versions/0"), "422 42202");
  EXPECT_EQ(code("GET", "/subjects/s/versions/x"), "422 42202");
  EXPECT_EQ(code("POST", "/subjects/s", Avro("string")), "404 40403");
  EXPECT_EQ(code("DELETE", "/subjects/s?permanent=true"), "404 40405");
  EXPECT_EQ(code("DELETE", "/subjects/s/versions/1?permanent=true"), "404 40407");
  EXPECT_EQ(code("DELETE", "/subjects/s/versions/1"), "200");
  EXPECT_EQ(code("DELETE", "/subjects/s/versions/1"), "404 40406");
  EXPECT_EQ(code("DELETE", "/subjects/s"), "404 40404");
  EXPECT_EQ(Ask("GET", "/subjects"), "200 []");
  EXPECT_EQ(Ask("GET", "/subjects?deleted=true"), "200 [\"s\"]");
  EXPECT_EQ(Ask("DELETE", "/subjects/s?permanent=true"), "200 [1]");
  EXPECT_EQ(code("DELETE", "/subjects/s"), "404 40401");
}

TEST_F(RegistryApiTest, KeepsSettingsAndHoldsThem) {
  EXPECT_EQ(Ask("GET", "/config"), R"(200 {"compatibilityLevel":"BACKWARD"})");
  EXPECT_EQ(Ask("GET", "/config/s").substr(0, 23), R"(404 {"error_code":40408)");
  EXPECT_EQ(Ask("GET", "/config/s?defaultToGlobal=true"),
            R"(200 {"compatibilityLevel":"BACKWARD"})");
  EXPECT_EQ(Ask("PUT", "/config/s", R"({"compatibility": "LOUD"})").substr(0, 23),
            R"(422 {"error_code":42203)");
  EXPECT_EQ(Ask("PUT", "/config/s", R"({"compatibility": "forward"})"),
            R"(200 {"compatibility":"FORWARD"})");
  ASSERT_EQ(Ask("POST", "/subjects/s/versions", Avro("long")).substr(0, 3), "200");
  EXPECT_EQ(Ask("POST", "/compatibility/subjects/s/versions/latest?verbose=true", Avro("int")),
            R"(200 {"is_compatible":true,"messages":[]})");
  EXPECT_EQ(Ask("POST", "/compatibility/subjects/s/versions", Avro("double")),
            R"(200 {"is_compatible":false})");
  EXPECT_EQ(Ask("POST", "/compatibility/subjects/t/versions/latest", Avro("int")).substr(0, 23),
            R"(404 {"error_code":40401)");
  EXPECT_EQ(Ask("DELETE", "/config/s"), R"(200 {"compatibilityLevel":"FORWARD"})");
  EXPECT_EQ(Ask("GET", "/mode"), R"(200 {"mode":"READWRITE"})");
  EXPECT_EQ(Ask("PUT", "/mode", R"({"mode": "READONLY"})"), R"(200 {"mode":"READONLY"})");
  EXPECT_EQ(Ask("POST", "/subjects/t/versions", Avro("int")).substr(0, 23),
            R"(422 {"error_code":42205)");
  EXPECT_EQ(Ask("PUT", "/mode", R"({"mode": "IMPORT"})").substr(0, 23),
            R"(422 {"error_code":42205)");
  EXPECT_EQ(Ask("PUT", "/mode?force=true", R"({"mode": "IMPORT"})"), R"(200 {"mode":"IMPORT"})");
}

}  // namespace
}  // namespace millrace::http::registry_test
