// Plans and traces over HTTP, on a backend without an engine.
#include <simdjson.h>

#include "http/project_plan_json.h"
#include "http/testing.h"

namespace millrace::http::node_routes_test {
namespace {

TEST(ProjectRoute, AnswersThePlanOfTheFiles) {
  TestServer test;
  auto client = test.Client();
  const auto answer = client.Post("/v1/project/plan", "application/json",
                                  ProjectFilesBody({{"a \"b\".sql", "CREATE\n…"}}));
  ASSERT_EQ(answer->status, 200) << answer->body;
  ASSERT_NE(answer->Header("X-Millrace-Process"), nullptr);
  EXPECT_EQ(*answer->Header("X-Millrace-Process"), std::to_string(::getpid()));
  const auto plan = ParseProjectPlan(answer->body);
  ASSERT_TRUE(plan.ok()) << plan.error().ToString();
  ASSERT_EQ(plan->items.size(), 1u);
  const auto& item = plan->items.front();
  EXPECT_EQ(item.change.what, catalog::Difference::What::kDrop);
  EXPECT_EQ(item.change.kind, catalog::Kind::kStream);
  EXPECT_EQ(item.change.name, "a \"b\".sql");
  EXPECT_EQ(item.change.reason, "CREATE\n…");
  EXPECT_TRUE(item.change.loses_data);
  EXPECT_FALSE(item.change.backfill);
  EXPECT_EQ(item.rows_lost, 3);
  EXPECT_EQ(item.bytes_lost, 400);
  EXPECT_EQ(plan->notices, std::vector<std::string>{"a \"note\""});
}

TEST(ProjectRoute, NamesWhatIsWrong) {
  TestServer test;
  auto client = test.Client();
  const struct {
    const char* type;
    const char* body;
    int status;
    const char* expected;
  } cases[] = {
      {"application/json", "{", 400, "the request's JSON"},
      {"application/json", "[]", 400, "files is missing"},
      {"application/json", R"({"files": [{"text": ""}]})", 400, "a file has no path"},
      {"application/json", R"({"files": [{"path": "a", "text": 1}]})", 400, "a file has no text"},
      {"application/json", R"({"files": [{"path": "a.sql", "text": "wrong"}]})", 400,
       R"("file": "a.sql")"},
      {"text/plain", "{}", 415, "Content-Type"},
  };
  for (const auto& [type, body, status, expected] : cases) {
    const auto answer = client.Post("/v1/project/plan", type, body);
    EXPECT_EQ(answer->status, status) << body;
    EXPECT_NE(answer->body.find(expected), std::string::npos) << answer->body;
  }
}

TEST(ProjectPlanJson, RefusesWhatIsNoPlan) {
  for (const char* body :
       {"", "{}", R"({"items": [{}], "notices": []})", R"({"items": [], "notices": [1]})",
        R"({"items": [{"what": "x", "kind": "stream", "name": "n", "reason": "", "builds": true,
            "rows_to_read": 0, "bytes_to_read": 0, "rows_lost": 0, "bytes_lost": 0,
            "needs_allow_drop": false}], "notices": []})"}) {
    EXPECT_FALSE(ParseProjectPlan(body).ok()) << body;
  }
}

TEST(TraceRoute, AnswersOneRecordsWay) {
  TestServer test;
  auto client = test.Client();
  const auto answer = client.Get("/v1/trace/clicks/3/17");
  ASSERT_EQ(answer->status, 200) << answer->body;
  simdjson::dom::parser parser;
  simdjson::dom::element json;
  ASSERT_EQ(parser.parse(simdjson::padded_string(answer->body)).get(json), simdjson::SUCCESS)
      << answer->body;
  for (const char* part :
       {R"("partition": 3, "offset": 17)", R"("outcome": "duplicate")",
        R"("duplicate_of": {"partition": 1, "offset": 2})", R"("row": {"i":0,"name":"name"})",
        R"("step": 7)", R"("visible_step": 9)", R"("views": [{"name": "v", "passed": true}])"}) {
    EXPECT_NE(answer->body.find(part), std::string::npos) << part << " in " << answer->body;
  }
  EXPECT_EQ(client.Get("/v1/trace/none/3/17")->status, 404);
  EXPECT_EQ(client.Get("/v1/trace/clicks/x/17")->status, 400);
  EXPECT_EQ(client.Get("/v1/trace/clicks/99999999999/17")->status, 400);
  EXPECT_EQ(client.Get("/v1/trace/clicks/1/17?timeout=x")->status, 400);
}

}  // namespace
}  // namespace millrace::http::node_routes_test
