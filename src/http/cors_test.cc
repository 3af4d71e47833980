// Pages of other origins: what is said to browsers, and what not.
#include "http/cors.h"

#include "http/testing.h"

namespace millrace::http::cors_test {
namespace {

std::string Ask(const TestServer& test, std::string_view method, std::string_view target,
                std::string_view headers) {
  RawClient client(test.server->address());
  client.Send(fmt::format("{} {} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{}\r\n", method,
                          target, headers));
  return client.ReceiveUntil();
}

ServerOptions Allowing(std::string_view origins) {
  ServerOptions options;
  options.cors = *Cors::Parse(origins);
  return options;
}

constexpr std::string_view kPreflight =
    "Origin: https://app.example\r\nAccess-Control-Request-Method: PUT\r\n"
    "Access-Control-Request-Headers: authorization\r\n";
constexpr std::string_view kAllowed = "Access-Control-Allow-Origin: https://app.example\r\n";

TEST(Cors, ParsesOriginsAndNothingElse) {
  for (const char* good :
       {"none", "*", "https://app.example", "http://localhost:5173,https://app.example",
        "https://APP.example , http://[::1]:80"})
    EXPECT_TRUE(Cors::Parse(good).ok()) << good;
  for (const char* wrong :
       {"", "app.example", "https://", "https://app.example/", "https://app.example/x", "null",
        "ftp://app.example", "https://a:b", "https://a:", "https://user@a", "https://*.example",
        "https://a,,https://b", "*,https://a", "https://a:123456", "https://a b"})
    EXPECT_FALSE(Cors::Parse(wrong).ok()) << wrong;
  const Cors cors = *Cors::Parse("https://APP.example,http://localhost:5173");
  EXPECT_TRUE(cors.Allows("https://app.example"));
  EXPECT_TRUE(cors.Allows("http://localhost:5173"));
  for (const char* other : {"http://app.example", "https://app.example:8443", "http://localhost",
                            "https://app.example.evil", "null", ""})
    EXPECT_FALSE(cors.Allows(other)) << other;
}

TEST(Cors, SaysNothingWhereNoneIsAllowed) {
  TestServer test;
  const std::string got = Ask(test, "GET", "/users/1", "Origin: https://app.example\r\n");
  EXPECT_EQ(got.find("Access-Control"), std::string::npos) << got;
  EXPECT_EQ(got.find("Vary: Origin"), std::string::npos) << got;
  const std::string preflight = Ask(test, "OPTIONS", "/users/1", kPreflight);
  EXPECT_EQ(preflight.find("Access-Control"), std::string::npos) << preflight;
}

TEST(Cors, AnswersAllowedOriginsAlsoWithErrors) {
  TestServer test(Allowing("https://app.example"));
  for (const char* target : {"/users/1", "/users/1?colour=red", "/nothing"}) {
    const std::string got = Ask(test, "GET", target, "Origin: https://app.example\r\n");
    EXPECT_NE(got.find(kAllowed), std::string::npos) << got;
    EXPECT_NE(got.find("Access-Control-Expose-Headers: Allow, ETag,"), std::string::npos) << got;
    EXPECT_NE(got.find("Vary: Origin\r\n"), std::string::npos) << got;
    EXPECT_EQ(got.find("Credentials"), std::string::npos) << got;
  }
  for (const char* other : {"Origin: https://other.example\r\n", ""}) {
    const std::string got = Ask(test, "GET", "/users/1", other);
    EXPECT_TRUE(got.starts_with("HTTP/1.1 200")) << got;
    EXPECT_EQ(got.find("Access-Control"), std::string::npos) << got;
    EXPECT_NE(got.find("Vary: Origin\r\n"), std::string::npos) << got;
  }
}

TEST(Cors, AnswersPreflightsOfAllowedOrigins) {
  TestServer test(Allowing("https://app.example"));
  for (const char* target : {"/v1/sql", "/nothing"}) {
    const std::string got = Ask(test, "OPTIONS", target, kPreflight);
    EXPECT_TRUE(got.starts_with("HTTP/1.1 204")) << got;
    EXPECT_NE(got.find(kAllowed), std::string::npos) << got;
    EXPECT_NE(got.find("Access-Control-Allow-Methods: GET, HEAD, POST, PUT, DELETE\r\n"),
              std::string::npos);
    EXPECT_NE(got.find("Access-Control-Allow-Headers: Accept, Authorization,"), std::string::npos);
    EXPECT_NE(got.find("Access-Control-Max-Age: 600\r\n"), std::string::npos) << got;
  }
  std::string other(kPreflight);
  other.replace(other.find("app"), 3, "bad");
  EXPECT_EQ(Ask(test, "OPTIONS", "/v1/sql", other).find("Access-Control"), std::string::npos);
  // An OPTIONS that is no preflight is answered as ever.
  const std::string plain = Ask(test, "OPTIONS", "/v1/sql", "Origin: https://app.example\r\n");
  EXPECT_NE(plain.find("Allow: POST, OPTIONS\r\n"), std::string::npos) << plain;
}

TEST(Cors, ForAllNeedsNoVary) {
  TestServer test(Allowing("*"));
  const std::string got = Ask(test, "GET", "/users/1", "Origin: null\r\n");
  EXPECT_NE(got.find("Access-Control-Allow-Origin: *\r\n"), std::string::npos) << got;
  EXPECT_EQ(got.find("Vary: Origin"), std::string::npos) << got;
}

TEST(Cors, AllowedOriginsMayOpenWebSockets) {
  TestServer test(Allowing("https://app.example"));
  const auto open = [&](std::string_view origin) {
    RawClient client(test.server->address());
    client.Send(fmt::format(
        "GET /users/1 HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Origin: {}\r\n\r\n",
        origin));
    return client.ReceiveUntil("\r\n\r\n");
  };
  EXPECT_TRUE(open("https://app.example").starts_with("HTTP/1.1 101"));
  EXPECT_TRUE(open("http://h").starts_with("HTTP/1.1 101"));
  EXPECT_TRUE(open("https://other.example").starts_with("HTTP/1.1 403"));
}

}  // namespace
}  // namespace millrace::http::cors_test
