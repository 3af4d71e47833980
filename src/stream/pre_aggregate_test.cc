// Sums before the exchange: what several workers give is what one worker gives, to the byte, and
// a hot key costs its owner one row per sender.
#include "stream/pre_aggregate.h"

#include "base/random.h"
#include "stream/engine_fixture.h"

namespace millrace::stream::pre_aggregate_test {
namespace {

constexpr const char* kColumns =
    "k INTEGER, x BIGINT, f DOUBLE, s VARCHAR, b BOOLEAN, h HUGEINT, j BIGINT";

struct Call {
  std::string sql;
  std::string argument;
  bool distinct = false;
  bool filtered = false;
};

const std::vector<Call>& Calls() {
  static const std::vector<Call> calls = {
      {"count(*)", ""},
      {"count(x)", "x"},
      {"sum(x)", "x"},
      {"avg(x)", "x"},
      {"sum(f)", "f"},
      {"avg(f)", "f"},
      {"sum(h)", "h"},
      {"min(x)", "x"},
      {"max(f)", "f"},
      {"min(s)", "s"},
      {"max(s)", "s", false, true},
      {"count(s)", "s", true},
      {"sum(x)", "x", true},
      {"sum(f)", "f", true},
      {"count(s)", "s", true, true},
      {"sum(x)", "x", false, true},
  };
  return calls;
}

Plan PlanOf(Oracle& oracle, const std::vector<std::string>& groups, const std::vector<Call>& calls,
            bool insert_only) {
  Aggregate aggregate;
  Node node;
  for (const std::string& group : groups) {
    aggregate.groups.push_back(oracle.Column(group));
    node.types.push_back(oracle.types()[oracle.Column(group)]);
  }
  for (const Call& spec : calls) {
    AggregateCall call =
        oracle.Call(spec.sql, spec.argument.empty() ? std::vector<std::string>{}
                                                    : std::vector<std::string>{spec.argument});
    call.distinct = spec.distinct;
    if (spec.filtered) call.filter = oracle.Column("b");
    node.types.push_back(call.function->return_type);
    aggregate.calls.push_back(std::move(call));
  }
  node.op = std::move(aggregate);
  return OnePlan(oracle, std::move(node), insert_only);
}

// A step's rows: most of them of one key, with values at the edges of what a cell holds; some of
// the rows that are there are taken away.
rows::Batch HotChange(Oracle& oracle, Random& random, bool insert_only) {
  rows::Batch change;
  if (!insert_only && random.OneIn(2)) {
    const std::string some = fmt::format("FROM t WHERE hash(rowid) % 3 = {}", random.Below(3));
    change = rows::Negate(oracle.Query("SELECT * " + some));
    oracle.Run("DELETE " + some);
  }
  static const std::vector<std::string> kFloats = {"0.1",     "-0.1",  "1e300", "-1e300", "2e-310",
                                                   "1e-200",  "'inf'", "'nan'", "3.5",    "-0.0",
                                                   "7.25e10", "0.3",   "12.5",  "1e17",   "NULL"};
  std::string values;
  for (size_t rows = 20 + random.Below(100); rows > 0; --rows) {
    const uint64_t key = random.OneIn(5) ? 1 + random.Below(20) : 0;
    const bool is_huge = random.OneIn(40);
    values += fmt::format(
        "{}({}, {}, {}, {}, {}, {}, {})", values.empty() ? "" : ", ",
        key == 20 ? "NULL" : std::to_string(key),
        random.OneIn(8) ? "NULL" : std::to_string(static_cast<int64_t>(random.Below(19)) - 9),
        kFloats[random.Below(random.OneIn(6) ? kFloats.size() : 2)],
        random.OneIn(8) ? "NULL" : fmt::format("'{}'", random.Below(30)),
        random.OneIn(8)   ? "NULL"
        : random.OneIn(2) ? "true"
                          : "false",
        is_huge ? "170141183460469231731687303715884105727" : std::to_string(random.Below(5)),
        random.Below(3));
  }
  change.Append(oracle.Query("INSERT INTO t VALUES " + values + " RETURNING *"));
  return change;
}

std::string BytesOfStep(const StepResult& result, const rows::Types& types) {
  std::string bytes;
  for (const auto& [name, change] : result.changes) bytes += BytesOf(change, types);
  for (const auto& [name, failures] : result.failures) {
    for (const RowFailure& failure : failures)
      bytes += fmt::format("{} {} {}\n", failure.message, failure.row, failure.weight);
  }
  return bytes;
}

struct Regime {
  std::vector<std::string> groups;
  bool insert_only;
};

void ExpectTheBytesOfOneWorker(const Regime& regime, const std::vector<Call>& calls) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(fmt::format("MILLRACE_SEED={} groups={} insert_only={}", seed, regime.groups.size(),
                           regime.insert_only));
  std::vector<std::string> expected;
  size_t failures = 0;
  for (const auto& [workers, restarts] : {std::pair{1, false}, {2, false}, {4, false}, {2, true}}) {
    SCOPED_TRACE(fmt::format("workers={} restarts={}", workers, restarts));
    Oracle oracle(kColumns);
    TestEngine engine(oracle, PlanOf(oracle, regime.groups, calls, regime.insert_only), workers);
    Random random(seed);
    for (size_t step = 0; step < 12; ++step) {
      SCOPED_TRACE(step);
      const StepResult result = engine.Step(HotChange(oracle, random, regime.insert_only));
      failures += result.failures.size();
      const std::string bytes = BytesOfStep(result, engine.types());
      if (step == expected.size()) expected.push_back(bytes);
      ASSERT_EQ(bytes == expected[step], true);
      if (restarts && step % 3 == 2) engine.Restart(1 + static_cast<int>(step) % 4);
    }
  }
  EXPECT_GT(failures, 0u) << "no sum over HUGEINT failed: the rows do not test that";
}

TEST(PreAggregate, GivesTheBytesOfOneWorkerWhereRowsAreRetracted) {
  ExpectTheBytesOfOneWorker({{"k"}, false}, Calls());
}

TEST(PreAggregate, GivesTheBytesOfOneWorkerForInsertOnlyRows) {
  ExpectTheBytesOfOneWorker({{"k"}, true}, Calls());
}

TEST(PreAggregate, GivesTheBytesOfOneWorkerWithoutGroups) {
  ExpectTheBytesOfOneWorker({{}, false}, Calls());
}

TEST(PreAggregate, GivesTheBytesOfOneWorkerForSeveralGroupColumns) {
  ExpectTheBytesOfOneWorker({{"b", "k"}, false}, Calls());
}

uint64_t RowsIntoAggregate(const std::vector<std::string>& groups, const std::vector<Call>& calls,
                           const std::string& rows) {
  Oracle oracle(kColumns);
  TestEngine engine(oracle, PlanOf(oracle, groups, calls, false), 2);
  engine.Step(oracle.Query(rows));
  for (const OperatorStats& stats : engine.engine().stats()) {
    if (stats.description.starts_with("aggregate")) return stats.rows_in;
  }
  ADD_FAILURE() << "there is no aggregate";
  return 0;
}

const std::string kOneKey =
    "SELECT 7::INTEGER, i::BIGINT, i::DOUBLE, (i % 10)::VARCHAR, true, i::HUGEINT, i FROM "
    "range(10000) r(i)";

TEST(PreAggregate, AHotKeyCostsItsOwnerOneRowPerSender) {
  EXPECT_EQ(RowsIntoAggregate({"k"}, {Calls()[0], Calls()[2], Calls()[4]}, kOneKey), 2u);
  EXPECT_EQ(RowsIntoAggregate({}, {Calls()[0], Calls()[2]}, kOneKey), 2u);
}

TEST(PreAggregate, AHotKeysDifferentValuesCrossOnce) {
  const std::vector<Call> calls = {{"count(s)", "s", true}};
  // Ten values among the rows of both senders, and a cell from each.
  EXPECT_LE(RowsIntoAggregate({"k"}, calls, kOneKey), 2u * (1 + 10));
}

TEST(PreAggregate, RareKeysCrossAsTheyAre) {
  const std::string rows =
      "SELECT i::INTEGER, i, i::DOUBLE, 'a', true, i::HUGEINT, i FROM range(1000) r(i)";
  EXPECT_EQ(RowsIntoAggregate({"k"}, {Calls()[0], Calls()[2]}, rows), 1000u);
}

TEST(PreAggregate, LeavesCallsThatLookAtWholeRowsAlone) {
  Oracle oracle(kColumns);
  const Plan plan = PlanOf(oracle, {"k"}, {{"list(x)", "x"}}, false);
  EXPECT_EQ(PreAggregate::Make(plan.nodes[1], oracle.types(), false, 2), nullptr);
  const Plan by_float = PlanOf(oracle, {"f"}, {{"count(*)", ""}}, false);
  EXPECT_EQ(PreAggregate::Make(by_float.nodes[1], oracle.types(), false, 2), nullptr);
}

}  // namespace
}  // namespace millrace::stream::pre_aggregate_test
