#include "http/router.h"

#include <gtest/gtest.h>

#include "http/negotiation.h"
#include "http/text.h"
#include "http/url.h"

namespace millrace::http::router_test {
namespace {

Router TwoRoutes() {
  Router router;
  router.Add({"/healthz", "GET", {}, {}});
  router.Add({"/v1/streams/{name}", "POST", {}, {}});
  return router;
}

TEST(Router, FindsPatternsAndDecodesTheirSegments) {
  const Router router = TwoRoutes();
  const Router::Match match = router.Find("POST", "/v1/streams/a%20b%2Fc");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->pattern, "/v1/streams/{name}");
  EXPECT_EQ(match.segments, std::vector<std::string>{"a b/c"});
}

TEST(Router, AnswersHeadWhereThereIsGet) {
  const Router router = TwoRoutes();
  EXPECT_NE(router.Find("HEAD", "/healthz").route, nullptr);
}

TEST(Router, TellsAMissingPathFromAMethodThatIsNotTaken) {
  const Router router = TwoRoutes();
  for (const char* path :
       {"/", "/healthz/", "/v1/streams", "/v1/streams/", "/v1/streams/a/b", "/v1/streams/%zz"}) {
    const Router::Match match = router.Find("POST", path);
    EXPECT_EQ(match.route, nullptr) << path;
    EXPECT_EQ(match.allow, "") << path;
  }
  EXPECT_EQ(router.Find("POST", "/healthz").allow, "GET, HEAD");
  EXPECT_EQ(router.Find("GET", "/v1/streams/a").allow, "POST");
}

TEST(Router, GivesUnknownPathsToTheFallback) {
  Router router = TwoRoutes();
  router.SetFallback({"endpoint", "GET", {}, {}}, [](std::string_view path) {
    return path == "/known" ? std::string("GET, HEAD") : std::string();
  });
  ASSERT_NE(router.Find("GET", "/anything").route, nullptr);
  EXPECT_EQ(router.Find("GET", "/anything").route->pattern, "endpoint");
  EXPECT_EQ(router.Find("POST", "/known").allow, "GET, HEAD");
  EXPECT_EQ(router.Find("POST", "/unknown").allow, "");
}

TEST(Url, DecodesQueriesAndRefusesBrokenOnes) {
  const auto query = ParseQuery("a=1&b=x+y%26z&&c&a=2");
  ASSERT_TRUE(query.ok());
  EXPECT_EQ(*query, (QueryParameters{{"a", "1"}, {"b", "x y&z"}, {"c", ""}, {"a", "2"}}));
  for (const char* broken : {"a=%", "a=%4", "a=%zz", "a=%00"})
    EXPECT_FALSE(ParseQuery(broken).ok()) << broken;
}

TEST(Text, WritesJsonStringsThatAreValidWhateverTheBytes) {
  std::string out;
  AppendJsonString(out, "a\"\\\n\x01 \xc3\xa9 \xff\xed\xa0\x80 \xe2\x82");
  EXPECT_EQ(
      out,
      "\"a\\\"\\\\\\n\\u0001 \xc3\xa9 \xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd \xef\xbf\xbd"
      "\xef\xbf\xbd\"");
}

TEST(Negotiation, TakesTheBestLikedFormatAndTheFirstWhereNothingIsSaid) {
  EXPECT_EQ(Negotiate(std::nullopt, kFormats), Format::kJson);
  EXPECT_EQ(Negotiate("*/*", kFormats), Format::kJson);
  EXPECT_EQ(Negotiate("text/csv", kFormats), Format::kCsv);
  EXPECT_EQ(Negotiate("text/*", kFormats), Format::kCsv);
  EXPECT_EQ(Negotiate("application/json;q=0.1, application/x-ndjson", kFormats), Format::kNdjson);
  EXPECT_EQ(Negotiate("application/json;q=0, */*;q=0.5", kFormats), Format::kNdjson);
  EXPECT_EQ(Negotiate("TEXT/CSV;q=0.123", kFormats), Format::kCsv);
  EXPECT_EQ(Negotiate("text/html,application/xhtml+xml,*/*;q=0.8", kFormats), Format::kJson);
  EXPECT_EQ(Negotiate("text/html", kFormats), std::nullopt);
  EXPECT_EQ(Negotiate("text/csv;q=0", kFormats), std::nullopt);
}

TEST(Negotiation, GivesEventsOnlyToThoseWhoAskForThem) {
  for (const char* accept :
       {"text/event-stream", "TEXT/Event-Stream", "*/*;q=0.5, text/event-stream",
        "text/event-stream;q=0.3, application/json;q=0.2"})
    EXPECT_TRUE(WantsEvents(accept)) << accept;
  for (const char* accept : {"", "*/*", "text/*", "application/json, text/event-stream",
                             "text/event-stream;q=0", "text/event-stream;q=0.5, text/csv"})
    EXPECT_FALSE(WantsEvents(accept)) << accept;
  EXPECT_FALSE(WantsEvents(std::nullopt));
}

TEST(Negotiation, ListsWhatBodiesMayBe) {
  EXPECT_EQ(BodyFormat("Application/JSON; charset=utf-8").value(), Format::kJson);
  EXPECT_EQ(BodyFormat("application/x-ndjson").value(), Format::kNdjson);
  const auto unknown = BodyFormat("application/xml");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().hint().find("text/csv"), std::string::npos);
  EXPECT_FALSE(BodyFormat(std::nullopt).ok());
}

}  // namespace
}  // namespace millrace::http::router_test
