// Aggregates against DuckDB's own answer over the accumulated input, after every step.
#include <cmath>

#include "base/random.h"
#include "stream/engine_fixture.h"

namespace millrace::stream::aggregate_test {
namespace {

constexpr const char* kColumns =
    "k INTEGER, x BIGINT, d DECIMAL(12,2), f DOUBLE, s VARCHAR, b BOOLEAN, h HUGEINT, ts "
    "TIMESTAMP, n SMALLINT";

struct Case {
  std::string sql;  // as the oracle runs it
  std::vector<std::string> arguments;
};

// What DuckDB leaves open (the order of list and first) is written out for the oracle as the engine
// decides it.
const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {"count(*)", {}},
      {"count(x)", {"x"}},
      {"sum(x)", {"x"}},
      {"avg(x)", {"x"}},
      {"sum(d)", {"d"}},
      {"avg(d)", {"d"}},
      {"sum(f)", {"f"}},
      {"avg(f)", {"f"}},
      {"sum(h)", {"h"}},
      {"avg(h)", {"h"}},
      {"avg(n)", {"n"}},
      {"sum(n)", {"n"}},
      {"avg(ts)", {"ts"}},
      {"min(x)", {"x"}},
      {"max(s)", {"s"}},
      {"min(s)", {"s"}},
      {"max(d)", {"d"}},
      {"min(f)", {"f"}},
      {"count(DISTINCT s)", {"s"}},
      {"sum(DISTINCT x)", {"x"}},
      {"count(x) FILTER (WHERE b)", {"x"}},
      {"sum(x) FILTER (WHERE b)", {"x"}},
      {"max(x) FILTER (WHERE b)", {"x"}},
      {"list(x ORDER BY x)", {"x"}},
      {"first(s ORDER BY s)", {"s"}},
      {"string_agg(s, '+' ORDER BY x DESC, s)", {"s"}},
      {"median(x)", {"x"}},
      {"bool_and(b)", {"b"}},
      {"bit_xor(x) FILTER (WHERE b)", {"x"}},
      {"list(DISTINCT n ORDER BY n)", {"n"}},
      {"arg_min(s, x ORDER BY s, x)", {"s", "x"}},
  };
  return cases;
}

AggregateCall CallOf(Oracle& oracle, const Case& test) {
  AggregateCall call = oracle.Call(test.sql, test.arguments);
  if (test.sql.find("DISTINCT") != std::string::npos) call.distinct = true;
  if (test.sql.find("FILTER") != std::string::npos) call.filter = oracle.Column("b");
  if (test.sql.starts_with("string_agg")) {
    call.orders = {{oracle.Column("x"), {true, false}}, {oracle.Column("s"), {}}};
  }
  return call;
}

Plan AggregatePlan(Oracle& oracle, const std::vector<std::string>& groups,
                   const std::vector<Case>& cases, bool insert_only) {
  Aggregate aggregate;
  Node node;
  for (const std::string& group : groups) {
    aggregate.groups.push_back(oracle.Column(group));
    node.types.push_back(oracle.types()[oracle.Column(group)]);
    node.names.push_back(group);
  }
  for (const Case& test : cases) {
    aggregate.calls.push_back(CallOf(oracle, test));
    node.types.push_back(aggregate.calls.back().function->return_type);
    node.names.push_back(test.sql);
  }
  node.op = std::move(aggregate);
  return OnePlan(oracle, std::move(node), insert_only);
}

std::string Query(const std::vector<std::string>& groups, const std::vector<Case>& cases) {
  std::string list;
  std::string by;
  for (const std::string& group : groups) {
    list += group + ", ";
    by += (by.empty() ? " GROUP BY " : ", ") + group;
  }
  for (size_t i = 0; i < cases.size(); ++i) list += (i ? ", " : "") + cases[i].sql;
  return "SELECT " + list + " FROM t" + by;
}

std::string RandomRow(Random& random) {
  const auto maybe = [&](const std::string& text) { return random.OneIn(6) ? "NULL" : text; };
  const int64_t x = static_cast<int64_t>(random.Below(9)) - 4;
  const std::string big = random.OneIn(3) ? "9223372036854775807" : std::to_string(x);
  return fmt::format("({}, {}, {}, {}, {}, {}, {}, {}, {})", maybe(std::to_string(random.Below(4))),
                     maybe(big), maybe(fmt::format("{}.25", x * 1000)),
                     maybe(fmt::format("{}.5", x)),
                     maybe(fmt::format("'{}'", static_cast<char>('a' + random.Below(5)))),
                     maybe(random.OneIn(2) ? "true" : "false"),
                     maybe(fmt::format("{}::HUGEINT * 1000000000000000000", x)),
                     maybe(fmt::format("TIMESTAMP '2024-01-0{} 10:00:00.{:06}'",
                                       1 + random.Below(8), random.Below(999999))),
                     maybe(std::to_string(x * 7)));
}

// Inserts random rows into t, takes some away, and returns the change.
rows::Batch RandomChange(Oracle& oracle, Random& random, bool insert_only) {
  rows::Batch change;
  if (!insert_only && random.OneIn(2)) {
    const std::string some = fmt::format("FROM t WHERE hash(rowid) % 3 = {}", random.Below(3));
    change = rows::Negate(oracle.Query("SELECT * " + some));
    oracle.Run("DELETE " + some);
  }
  if (!insert_only && random.OneIn(12)) {
    change.Append(rows::Negate(oracle.Query("SELECT * FROM t")));
    oracle.Run("DELETE FROM t");
  }
  std::string values;
  for (size_t rows = random.Below(12); rows > 0; --rows)
    values += (values.empty() ? "" : ", ") + RandomRow(random);
  if (!values.empty())
    change.Append(oracle.Query("INSERT INTO t VALUES " + values + " RETURNING *"));
  return change;
}

void ExpectEqual(const Content& engine, const Content& oracle, const std::string& what) {
  EXPECT_EQ(engine.size(), oracle.size()) << what;
  EXPECT_TRUE(engine == oracle) << what;
}

struct Regime {
  std::vector<std::string> groups;
  int workers;
  bool insert_only;
  bool restarts;
};

void RunAgainstOracle(const Regime& regime, const std::vector<Case>& cases, int steps) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(fmt::format("MILLRACE_SEED={} workers={} insert_only={} restarts={} {}", seed,
                           regime.workers, regime.insert_only, regime.restarts,
                           Query(regime.groups, cases)));
  Random random(seed);
  Oracle oracle(kColumns);
  TestEngine engine(oracle, AggregatePlan(oracle, regime.groups, cases, regime.insert_only),
                    regime.workers);
  Content content;
  for (int step = 0; step < steps && !testing::Test::HasFailure(); ++step) {
    SCOPED_TRACE(step);
    StepResult result =
        engine.Step(step == 0 ? rows::Batch() : RandomChange(oracle, random, regime.insert_only));
    EXPECT_TRUE(result.failures.empty());
    AddTo(content, result.changes["out"], engine.types());
    Content expected;
    AddTo(expected, oracle.Query(Query(regime.groups, cases)), engine.types());
    ExpectEqual(content, expected, Query(regime.groups, cases));
    if (regime.restarts && random.OneIn(3)) engine.Restart(1 + static_cast<int>(random.Below(3)));
  }
}

TEST(Aggregate, EqualsDuckDbForEachCallAloneUnderRandomChanges) {
  for (const Case& test : Cases()) RunAgainstOracle({{"k"}, 1, false, false}, {test}, 6);
}

TEST(Aggregate, EqualsDuckDbForAllCallsTogetherWithRestartsAndOtherNumbersOfWorkers) {
  RunAgainstOracle({{"k"}, 2, false, true}, Cases(), 40);
}

TEST(Aggregate, EqualsDuckDbForInsertOnlyInputs) {
  RunAgainstOracle({{"k"}, 2, true, true}, Cases(), 25);
}

TEST(Aggregate, EqualsDuckDbWithoutGroupsAndShowsOneRowFromTheFirstStepOn) {
  RunAgainstOracle({{}, 2, false, true}, Cases(), 25);
}

TEST(Aggregate, EqualsDuckDbForSeveralGroupColumnsOfAnyType) {
  RunAgainstOracle({{"s", "d", "b"}, 2, false, true}, {Cases()[0], Cases()[2]}, 25);
}

TEST(Aggregate, WithoutCallsIsSelectDistinct) {
  RunAgainstOracle({{"f", "k"}, 2, false, true}, {}, 25);
}

TEST(Aggregate, EmitsNothingWhenTheResultOfAGroupStaysTheSame) {
  Oracle oracle(kColumns);
  TestEngine engine(oracle, AggregatePlan(oracle, {"k"}, {Case{"min(x)", {"x"}}}, false), 1);
  const auto row = [&](int k, int x) {
    return oracle.Query(fmt::format(
        "SELECT {}::INTEGER, {}::BIGINT, NULL::DECIMAL(12,2), NULL::DOUBLE, NULL::VARCHAR, "
        "NULL::BOOLEAN, NULL::HUGEINT, NULL::TIMESTAMP, NULL::SMALLINT",
        k, x));
  };
  EXPECT_EQ(engine.Step(row(1, 5)).changes["out"].row_count(), 1u);
  EXPECT_TRUE(engine.Step(row(1, 7)).changes.empty());  // min stays 5
  EXPECT_EQ(engine.Step(row(1, 3)).changes["out"].row_count(), 2u);
}

TEST(Aggregate, ReportsAnOverflowingSumAndHealsWhenItIsTakenBack) {
  Oracle oracle(kColumns);
  TestEngine engine(oracle, AggregatePlan(oracle, {"k"}, {Case{"sum(h)", {"h"}}}, false), 1);
  const auto row = oracle.Query(
      "SELECT 1::INTEGER, NULL::BIGINT, NULL::DECIMAL(12,2), NULL::DOUBLE, NULL::VARCHAR, "
      "NULL::BOOLEAN, "
      "170141183460469231731687303715884105727::HUGEINT, NULL::TIMESTAMP, NULL::SMALLINT");
  EXPECT_EQ(engine.Step(row).changes["out"].row_count(), 1u);
  StepResult failing = engine.Step(row);
  ASSERT_EQ(failing.failures["out"].size(), 1u);
  EXPECT_EQ(failing.failures["out"][0].weight, 1);
  EXPECT_EQ(failing.changes["out"].row_count(), 1u);  // the group's row is taken back
  StepResult healed = engine.Step(rows::Negate(row));
  ASSERT_EQ(healed.failures["out"].size(), 1u);
  EXPECT_EQ(healed.failures["out"][0].weight, -1);
  EXPECT_EQ(healed.changes["out"].row_count(), 1u);
}

TEST(Aggregate, ShowsTheFirstOfEqualKeysThatDiffer) {
  Oracle oracle("f DOUBLE");
  TestEngine engine(oracle, AggregatePlan(oracle, {"f"}, {Case{"count(*)", {}}}, false), 1);
  const auto plus = oracle.Query("SELECT 0.0::DOUBLE");
  const auto minus = oracle.Query("SELECT -0.0::DOUBLE");
  Content there;
  Content other;
  AddTo(there, engine.Step(plus).changes["out"], engine.types());
  AddTo(there, engine.Step(minus).changes["out"], engine.types());
  ASSERT_EQ(there.size(), 1u);
  // The same rows in the other order show the same.
  TestEngine reversed(oracle, AggregatePlan(oracle, {"f"}, {Case{"count(*)", {}}}, false), 1);
  AddTo(other, reversed.Step(minus).changes["out"], engine.types());
  AddTo(other, reversed.Step(plus).changes["out"], engine.types());
  EXPECT_TRUE(there == other);
}

}  // namespace
}  // namespace millrace::stream::aggregate_test
