#include "stream/plan.h"

#include "stream/engine_fixture.h"

namespace millrace::stream::plan_test {
namespace {

Plan FilterPlan(Oracle& oracle, const std::string& predicate, const std::string& source = "t") {
  Plan plan;
  const size_t input = plan.Add({Source{source}, {}, oracle.types(), oracle.names()});
  plan.Add({Filter{oracle.Bind({predicate})[0]}, {input}, oracle.types(), oracle.names()});
  return plan;
}

TEST(Plan, GivesEqualComputationsEqualTexts) {
  Oracle oracle("k INTEGER, x BIGINT");
  EXPECT_EQ(CanonicalText(FilterPlan(oracle, "x > 5"), 1),
            CanonicalText(FilterPlan(oracle, "x   >  5"), 1));
}

TEST(Plan, TellsConstantsColumnsFunctionsAndInputsApart) {
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR, r VARCHAR");
  std::set<std::string> texts;
  for (const char* predicate :
       {"x > 5", "x > 6", "x >= 5", "k > 5", "s = 'a'", "r = 'a'", "upper(s) = 'a'",
        "lower(s) = 'a'", "x BETWEEN 1 AND 5", "strptime(s, '%Y') > TIMESTAMP '2020-01-01'",
        "strptime(s, '%y') > TIMESTAMP '2020-01-01'"}) {
    EXPECT_TRUE(texts.insert(CanonicalText(FilterPlan(oracle, predicate), 1)).second) << predicate;
  }
  EXPECT_TRUE(texts.insert(CanonicalText(FilterPlan(oracle, "x > 5", "other"), 1)).second);
}

TEST(Plan, TellsGenerationsApartAndLeavesRoomForTheTablesOfANode) {
  Oracle oracle("k INTEGER, x BIGINT");
  const Plan plan = FilterPlan(oracle, "x > 5");
  EXPECT_NE(Fingerprint(plan, 1, 1), Fingerprint(plan, 1, 2));
  EXPECT_EQ(Fingerprint(plan, 1, 1), Fingerprint(plan, 1, 1));
  EXPECT_EQ(Fingerprint(plan, 1, 1) % kTablesPerNode, 0u);
}

TEST(Plan, TellsBindDataOfAggregatesApart) {
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  const auto text = [&](const std::string& call, const std::string& argument) {
    Node node;
    Aggregate aggregate{{0}, {oracle.Call(call, {argument})}};
    node.types = {duckdb::LogicalType::INTEGER, aggregate.calls[0].function->return_type};
    node.op = std::move(aggregate);
    return CanonicalText(OnePlan(oracle, std::move(node)), 1);
  };
  EXPECT_NE(text("string_agg(s, '+')", "s"), text("string_agg(s, '-')", "s"));
  EXPECT_NE(text("quantile_cont(x, 0.5)", "x"), text("quantile_cont(x, 0.9)", "x"));
  EXPECT_EQ(text("quantile_cont(x, 0.5)", "x"), text("quantile_cont(x, 0.5)", "x"));
}

TEST(Plan, ExplainsColumnsByName) {
  Oracle oracle("k INTEGER, x BIGINT");
  Node node;
  node.op = Aggregate{{0}, {oracle.Call("sum(x)", {"x"})}};
  node.types = {duckdb::LogicalType::INTEGER, duckdb::LogicalType::HUGEINT};
  node.names = {"k", "total"};
  EXPECT_EQ(Explain(OnePlan(oracle, std::move(node))),
            "#2 output out  (k INTEGER, total HUGEINT)\n"
            "  #1 aggregate by k: sum(x); state: one entry per group  (k INTEGER, total HUGEINT)\n"
            "    #0 source t  (k INTEGER, x BIGINT)\n");
}

}  // namespace
}  // namespace millrace::stream::plan_test
