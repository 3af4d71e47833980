// The engine as a whole: sharing, exchanges, determinism, failures, history, removal.
#include "stream/engine.h"

#include "base/random.h"
#include "state/view_table.h"
#include "stream/engine_fixture.h"

namespace millrace::stream::engine_test {
namespace {

using duckdb::LogicalType;

const std::vector<std::string> kNames = {"k", "x", "s"};

// t → filter → project → { aggregate by key → out, distinct → out2, join with the aggregate → top 2
// → out3 }.
Plan WidePlan(Oracle& oracle) {
  Plan plan;
  const rows::Types& row = oracle.types();
  const size_t source = plan.Add({Source{"t"}, {}, row, kNames});
  const size_t filter = plan.Add({Filter{oracle.Bind({"x > -3"})[0]}, {source}, row, kNames});
  const rows::Types projected = {LogicalType::INTEGER, LogicalType::BIGINT, LogicalType::VARCHAR};
  const size_t project =
      plan.Add({Project{oracle.Bind({"k", "x * 2", "upper(s)"})}, {filter}, projected, kNames});
  Aggregate aggregate{
      {0},
      {oracle.Call("count(*)", {}), oracle.Call("sum(x)", {"x"}), oracle.Call("min(s)", {"s"})}};
  const rows::Types grouped = {LogicalType::INTEGER, LogicalType::BIGINT, LogicalType::HUGEINT,
                               LogicalType::VARCHAR};
  const size_t group =
      plan.Add({std::move(aggregate), {project}, grouped, {"k", "n", "total", "least"}});
  plan.Add({Output{"out"}, {group}, grouped, {}});
  const size_t distinct = plan.Add({Distinct{}, {project}, projected, kNames});
  plan.Add({Output{"out2"}, {distinct}, projected, {}});
  rows::Types joined = projected;
  joined.insert(joined.end(), grouped.begin(), grouped.end());
  const size_t join =
      plan.Add({Join{JoinKind::kLeft, {1}, {1}, {false}, nullptr}, {project, group}, joined, {}});
  TopK top{{0}, {{1, {true, false}}}, 2, 0, false};
  const size_t best = plan.Add({std::move(top), {join}, joined, {}});
  plan.Add({Output{"out3"}, {best}, joined, {}});
  return plan;
}

rows::Batch Change(Oracle& oracle, Random& random) {
  rows::Batch change;
  if (random.OneIn(2)) {
    const std::string some = fmt::format("FROM t WHERE hash(rowid) % 4 = {}", random.Below(4));
    change = rows::Negate(oracle.Query("SELECT * " + some));
    oracle.Run("DELETE " + some);
  }
  std::string values;
  for (size_t rows = random.Below(30); rows > 0; --rows) {
    values += fmt::format(
        "{}({}, {}, {})", values.empty() ? "" : ", ",
        random.OneIn(9) ? "NULL" : std::to_string(random.Below(6)),
        static_cast<int64_t>(random.Below(12)) - 4,
        random.OneIn(9) ? "NULL" : fmt::format("'{}'", static_cast<char>('a' + random.Below(4))));
  }
  if (!values.empty())
    change.Append(oracle.Query("INSERT INTO t VALUES " + values + " RETURNING *"));
  return change;
}

std::string ResultBytes(const StepResult& result, const Plan& plan) {
  std::string bytes;
  for (const auto& [name, change] : result.changes) {
    for (const Node& node : plan.nodes) {
      const auto* output = std::get_if<Output>(&node.op);
      if (output != nullptr && output->name == name)
        bytes += name + "\n" + BytesOf(change, node.types);
    }
  }
  return bytes;
}

TEST(Engine, GivesTheSameBytesAtOneTwoAndFourWorkersAndAfterRestarts) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(fmt::format("MILLRACE_SEED={}", seed));
  std::vector<std::string> expected;
  for (const auto& [workers, restarts] : {std::pair{1, false}, {2, false}, {4, false}, {2, true}}) {
    SCOPED_TRACE(fmt::format("workers={} restarts={}", workers, restarts));
    Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
    const Plan plan = WidePlan(oracle);
    TestEngine engine(oracle, plan, workers);
    Random random(seed);
    for (size_t step = 0; step < 25; ++step) {
      SCOPED_TRACE(step);
      const std::string bytes = ResultBytes(engine.Step(Change(oracle, random)), plan);
      if (step == expected.size()) expected.push_back(bytes);
      ASSERT_EQ(bytes == expected[step], true);
      if (restarts && step % 4 == 3) engine.Restart(1 + static_cast<int>(step) % 3);
    }
  }
}

TEST(Engine, EqualsDuckDbForFilterProjectAndDistinct) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(fmt::format("MILLRACE_SEED={}", seed));
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  const Plan plan = WidePlan(oracle);
  TestEngine engine(oracle, plan, 2);
  Random random(seed);
  Content content;
  const rows::Types types = {LogicalType::INTEGER, LogicalType::BIGINT, LogicalType::VARCHAR};
  for (int step = 0; step < 25; ++step) {
    SCOPED_TRACE(step);
    AddTo(content, engine.Step(Change(oracle, random)).changes["out2"], types);
    Content expected;
    AddTo(expected, oracle.Query("SELECT DISTINCT k, x * 2, upper(s) FROM t WHERE x > -3"), types);
    ASSERT_TRUE(content == expected);
  }
}

Plan CastPlan(Oracle& oracle) {
  Node node;
  node.op = Project{oracle.Bind({"k", "s::INTEGER"})};
  node.types = {LogicalType::INTEGER, LogicalType::INTEGER};
  return OnePlan(oracle, std::move(node));
}

TEST(Engine, LeavesAFailingRowOutAndHealsWhenItIsRetracted) {
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  TestEngine engine(oracle, CastPlan(oracle), 2);
  const auto good =
      oracle.Query("SELECT 1::INTEGER, 0::BIGINT, '7' UNION ALL SELECT 2::INTEGER, 0::BIGINT, '8'");
  const auto bad = oracle.Query("SELECT 3::INTEGER, 0::BIGINT, 'abc'");
  rows::Batch both = good;
  both.Append(bad);
  StepResult result = engine.Step(both);
  EXPECT_EQ(result.changes["out"].row_count(), 2u);
  ASSERT_EQ(result.failures["out"].size(), 1u);
  EXPECT_EQ(result.failures["out"][0].weight, 1);
  EXPECT_EQ(result.failures["out"][0].row, "3, 0, abc");
  EXPECT_EQ(result.failures["out"][0].message.find('{'), std::string::npos);
  EXPECT_NE(result.failures["out"][0].message.find("abc"), std::string::npos);
  StepResult healed = engine.Step(rows::Negate(bad));
  EXPECT_TRUE(healed.changes.empty());
  ASSERT_EQ(healed.failures["out"].size(), 1u);
  EXPECT_EQ(healed.failures["out"][0].weight, -1);
}

TEST(Engine, LeavesARowOutWhosePredicateFails) {
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  Node node;
  node.op = Filter{oracle.Bind({"s::INTEGER > 5"})[0]};
  node.types = oracle.types();
  TestEngine engine(oracle, OnePlan(oracle, std::move(node)), 1);
  StepResult result =
      engine.Step(oracle.Query("SELECT 1::INTEGER, 0::BIGINT, '7' UNION ALL SELECT 2, 0, 'x' UNION "
                               "ALL SELECT 3, 0, '1' UNION ALL SELECT 4, 0, '9'"));
  EXPECT_EQ(result.changes["out"].row_count(), 2u);
  EXPECT_EQ(result.failures["out"].size(), 1u);
}

Plan ConstantPlan(Oracle& oracle) {
  Plan plan;
  const auto rows = oracle.Query("SELECT 1::INTEGER, 2::BIGINT, 'a'");
  const size_t constant = plan.Add({Constant{rows}, {}, oracle.types(), kNames});
  const size_t source = plan.Add({Source{"t"}, {}, oracle.types(), kNames});
  const size_t all = plan.Add({UnionAll{}, {constant, source}, oracle.types(), kNames});
  plan.Add({Output{"out"}, {all}, oracle.types(), kNames});
  return plan;
}

TEST(Engine, GivesAConstantOnceAlsoAfterARestart) {
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  TestEngine engine(oracle, ConstantPlan(oracle), 2);
  EXPECT_EQ(engine.Step({}).changes["out"].row_count(), 1u);
  EXPECT_TRUE(engine.Step({}).changes.empty());
  engine.Restart(1);
  EXPECT_TRUE(engine.Step({}).changes.empty());
}

// A view over relation t of the circuit.
Plan OverRelation(Oracle& oracle, const std::string& relation, const std::string& name) {
  Plan plan;
  const size_t input = plan.Add({Relation{relation}, {}, oracle.types(), kNames});
  const size_t filter =
      plan.Add({Filter{oracle.Bind({"x > 0"})[0]}, {input}, oracle.types(), kNames});
  plan.Add({Output{name}, {filter}, oracle.types(), kNames});
  return plan;
}

Plan Stream(Oracle& oracle) {
  Plan plan;
  const size_t source = plan.Add({Source{"t"}, {}, oracle.types(), kNames});
  plan.Add({Output{"stream", /*gathered=*/false}, {source}, oracle.types(), kNames});
  return plan;
}

TEST(Engine, SharesEqualNodesOfOneGenerationOnly) {
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  TestEngine engine(oracle, Stream(oracle), 1);
  ASSERT_TRUE(engine.engine().Add(OverRelation(oracle, "stream", "a"), 5).ok());
  const size_t before = engine.engine().stats().size();
  ASSERT_TRUE(engine.engine().Add(OverRelation(oracle, "stream", "b"), 5).ok());
  EXPECT_EQ(engine.engine().stats().size(), before + 1);  // just the Output
  ASSERT_TRUE(engine.engine().Add(OverRelation(oracle, "stream", "c"), 6).ok());
  EXPECT_EQ(engine.engine().stats().size(), before + 4);
  StepResult result = engine.Step(oracle.Query("SELECT 1::INTEGER, 2::BIGINT, 'a'"));
  EXPECT_EQ(result.changes.size(), 3u);  // a stream's own change is not gathered
}

OperatorStats StatsOf(const Engine& engine, const std::string& description) {
  for (const OperatorStats& stats : engine.stats()) {
    if (stats.description.starts_with(description)) return stats;
  }
  ADD_FAILURE() << "there is no " << description;
  return {};
}

TEST(Engine, SaysWhichRelationsShareANode) {
  using Names = std::vector<std::string>;
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  TestEngine engine(oracle, Stream(oracle), 1);
  ASSERT_TRUE(engine.engine().Add(OverRelation(oracle, "stream", "b"), 5).ok());
  ASSERT_TRUE(engine.engine().Add(OverRelation(oracle, "stream", "a"), 5).ok());
  EXPECT_EQ(StatsOf(engine.engine(), "filter").outputs, (Names{"a", "b"}));
  EXPECT_EQ(StatsOf(engine.engine(), "output a").outputs, Names{"a"});
  EXPECT_EQ(StatsOf(engine.engine(), "output a").output, "a");
  EXPECT_EQ(StatsOf(engine.engine(), "relation stream").relation, "stream");
  // One of them goes, and the other one goes on.
  ASSERT_TRUE(engine.engine().Remove("b").ok());
  EXPECT_EQ(StatsOf(engine.engine(), "filter").outputs, Names{"a"});
  EXPECT_EQ(engine.Step(oracle.Query("SELECT 1::INTEGER, 2::BIGINT, 'c'")).changes.size(), 1u);
}

TEST(Engine, KnowsWhatAnOperatorRemembersOverRestarts) {
  for (const int workers : {1, 2}) {
    SCOPED_TRACE(workers);
    Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
    TestEngine engine(oracle, OnePlan(oracle, {Distinct{}, {}, oracle.types(), oracle.names()}),
                      workers);
    const auto state = [&] { return StatsOf(engine.engine(), "distinct").state; };
    EXPECT_EQ(state().entries, 0);
    const rows::Batch rows = oracle.Query("SELECT i::INTEGER, 0::BIGINT, 'a' FROM range(100) r(i)");
    engine.Step(rows);
    EXPECT_EQ(state().entries, 100);
    EXPECT_EQ(state().look_ups, 100u);
    EXPECT_EQ(state().misses, 0u);
    EXPECT_GT(state().memory_bytes, 100u * 30);
    engine.Step(
        rows::Negate(oracle.Query("SELECT i::INTEGER, 0::BIGINT, 'a' FROM range(30) r(i)")));
    EXPECT_EQ(state().entries, 70);
    EXPECT_EQ(StatsOf(engine.engine(), "source").tables.size(), 0u);

    engine.Restart(3 - workers);
    EXPECT_EQ(state().entries, 70);
    EXPECT_EQ(state().entries_in_memory, 0);
    engine.Step(oracle.Query("SELECT i::INTEGER, 0::BIGINT, 'a' FROM range(60, 80) r(i)"));
    EXPECT_EQ(state().entries, 70);
    EXPECT_EQ(state().entries_in_memory, 20);
    EXPECT_EQ(state().look_ups, 20u);
    EXPECT_EQ(state().misses, 20u);
    engine.Step(oracle.Query("SELECT i::INTEGER, 0::BIGINT, 'a' FROM range(60, 80) r(i)"));
    EXPECT_EQ(state().look_ups, 40u);
    EXPECT_EQ(state().misses, 20u);
  }
}

TEST(Engine, ABuildTakesHistoryBesideTheChangesOfTheStep) {
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  TestEngine engine(oracle, Stream(oracle), 2);
  const Plan plan = OverRelation(oracle, "stream", "late");
  ASSERT_TRUE(engine.engine().Add(plan, 9, /*build=*/4).ok());
  const auto live = oracle.Query("SELECT 1::INTEGER, 2::BIGINT, 'live'");
  EXPECT_EQ(engine.Step(live).changes["late"].row_count(), 1u);
  TestReader past(oracle.Query("SELECT 1::INTEGER, 2::BIGINT, 'past'"), oracle.types(), 2);
  TestReader now(live, oracle.types(), 2);
  StepInput input;
  input.step = state::Step{100};
  input.sources["t"] = &now;
  input.history[{4, "stream"}] = {&past, std::nullopt};
  auto both = engine.engine().Step(input);
  ASSERT_TRUE(both.ok());
  EXPECT_EQ(both->changes["late"].row_count(), 2u);
  engine.engine().Join(4);
  EXPECT_EQ(engine.Step(live).changes["late"].row_count(), 1u);
}

TEST(Engine, ABuildFollowsOnlyChangesOfThePartsThatItHas) {
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  TestEngine engine(oracle, Stream(oracle), 2);
  ASSERT_TRUE(engine.engine().Add(OverRelation(oracle, "stream", "late"), 9, /*build=*/4).ok());
  const auto rows = oracle.Query("SELECT i::INTEGER, i, 'row' FROM range(1, 2001) r(i)");
  const auto followed = [&](uint64_t step, uint32_t parts) {
    TestReader reader(rows, oracle.types(), 2);
    StepInput input;
    input.step = state::Step{static_cast<int64_t>(step)};
    input.sources["t"] = &reader;
    input.history[{4, "stream"}] = {nullptr, parts};
    auto result = engine.engine().Step(input);
    EXPECT_TRUE(result.ok());
    return result->changes["late"].row_count();
  };
  EXPECT_EQ(followed(50, 0), 0u);
  const size_t half = followed(51, state::ViewTable::kParts / 2);
  EXPECT_GT(half, 800u);
  EXPECT_LT(half, 1200u);
  EXPECT_EQ(followed(52, state::ViewTable::kParts), 2000u);
}

// All pairs of a relation's rows.
Plan Pairs(Oracle& oracle, const std::string& relation, const std::string& name) {
  Plan plan;
  const size_t input = plan.Add({Relation{relation}, {}, oracle.types(), kNames});
  Join join;
  join.kind = JoinKind::kInner;
  rows::Types types = oracle.types();
  types.insert(types.end(), oracle.types().begin(), oracle.types().end());
  std::vector<std::string> names = kNames;
  names.insert(names.end(), kNames.begin(), kNames.end());
  const size_t pairs = plan.Add({join, {input, input}, types, names});
  plan.Add({Output{name}, {pairs}, types, names});
  return plan;
}

TEST(Engine, ANodeThatExceedsItsLimitsStopsWithWhatReadsItAndNothingElse) {
  for (const int workers : {1, 2, 4}) {
    SCOPED_TRACE(workers);
    Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
    TestEngine engine(oracle, Stream(oracle), workers);
    const Limits limits{.step_seconds = 3600, .step_bytes = 1 << 20};
    ASSERT_TRUE(engine.engine().Add(Pairs(oracle, "stream", "pairs"), 5, 0, limits).ok());
    ASSERT_TRUE(engine.engine().Add(OverRelation(oracle, "stream", "good"), 5, 0, limits).ok());
    Plan reader = OverRelation(oracle, "pairs", "reader");
    reader.nodes[0].types = Pairs(oracle, "stream", "p").nodes.back().types;
    reader.nodes[0].names.insert(reader.nodes[0].names.end(), kNames.begin(), kNames.end());
    reader.nodes[1].types = reader.nodes[2].types = reader.nodes[0].types;
    reader.nodes[1].names = reader.nodes[2].names = reader.nodes[0].names;
    ASSERT_TRUE(engine.engine().Add(reader, 5, 0, limits).ok());
    const auto rows = [&](int count) {
      return oracle.Query(
          fmt::format("SELECT i::INTEGER, i + 1, 'row' FROM range({}) r(i)", count));
    };
    StepResult small = engine.Step(rows(10));
    EXPECT_TRUE(small.stopped.empty());
    EXPECT_EQ(small.changes["pairs"].row_count(), 100u);
    StepResult large = engine.Step(rows(3000));
    EXPECT_EQ(large.changes.size(), 1u);
    EXPECT_EQ(large.changes["good"].row_count(), 3000u);
    ASSERT_EQ(large.stopped.size(), 2u);
    for (const char* name : {"pairs", "reader"}) {
      ASSERT_TRUE(large.stopped.contains(name));
      EXPECT_EQ(large.stopped.at(name).code(), Code::kTooLarge);
      EXPECT_NE(large.stopped.at(name).message().find("1024 KiB"), std::string::npos);
    }
    ASSERT_TRUE(engine.engine().Remove("reader").ok());
    ASSERT_TRUE(engine.engine().Remove("pairs").ok());
    EXPECT_EQ(engine.Step(rows(5)).changes["good"].row_count(), 5u);
  }
}

TEST(Engine, AStepWithoutLimitsStopsNothing) {
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  TestEngine engine(oracle, Stream(oracle), 2);
  const Limits limits{.step_seconds = 0, .step_bytes = 1};
  ASSERT_TRUE(engine.engine().Add(Pairs(oracle, "stream", "pairs"), 5, 0, limits).ok());
  TestReader reader(oracle.Query("SELECT i::INTEGER, i, 'row' FROM range(50) r(i)"), oracle.types(),
                    2);
  StepInput input;
  input.step = state::Step{1};
  input.sources["t"] = &reader;
  input.limit_factor = 0;
  auto result = engine.engine().Step(input);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->stopped.empty());
  EXPECT_EQ(result->changes["pairs"].row_count(), 2500u);
}

// A stream without duplicates, whose first four columns are its first version.
Plan Deduplicated(Oracle& oracle, size_t columns) {
  const rows::Types types(oracle.types().begin(), oracle.types().begin() + columns);
  Plan plan;
  size_t top = plan.Add({Source{"t", /*insert_only=*/true}, {}, types, {}});
  plan.nodes[top].known_types = 4;
  Deduplicate deduplicate;
  deduplicate.keys = {0};
  deduplicate.order = 1;
  deduplicate.partition = 2;
  deduplicate.offset = 3;
  deduplicate.stream = "stream";
  top = plan.Add({std::move(deduplicate), {top}, types, {}});
  plan.nodes[top].known_types = 4;
  plan.Add({Output{"stream", /*gathered=*/false}, {top}, types, {}});
  return plan;
}

Plan AllOf(Oracle& oracle, size_t columns, const std::string& name) {
  const rows::Types types(oracle.types().begin(), oracle.types().begin() + columns);
  Plan plan;
  const size_t input = plan.Add({Relation{"stream"}, {}, types, {}});
  plan.Add({Output{name}, {input}, types, {}});
  return plan;
}

TEST(Engine, WidensARelationWhoseStateAndReadersStay) {
  for (const int workers : {1, 2}) {
    SCOPED_TRACE(workers);
    Oracle oracle("k INTEGER, place BIGINT, part INTEGER, number BIGINT, more VARCHAR");
    TestEngine engine(oracle, Deduplicated(oracle, 4), workers);
    ASSERT_TRUE(engine.engine().Add(AllOf(oracle, 4, "early"), 5).ok());
    int64_t step = 0;
    const auto run = [&](const std::string& rows, size_t columns) {
      const rows::Types types(oracle.types().begin(), oracle.types().begin() + columns);
      TestReader reader(oracle.Query("SELECT " + rows), types, workers);
      StepInput input;
      input.step = state::Step{++step};
      input.sources["t"] = &reader;
      auto result = engine.engine().Step(input);
      EXPECT_TRUE(result.ok()) << result.error().ToString();
      return result.ok() ? std::move(*result) : StepResult();
    };
    EXPECT_EQ(
        run("i::INTEGER, i, 0::INTEGER, i FROM range(9) r(i)", 4).changes["early"].row_count(), 9u);

    const Status other = engine.engine().Widen(Stream(oracle));
    ASSERT_FALSE(other.ok());
    EXPECT_NE(other.error().message().find("made by other operators"), std::string::npos);
    ASSERT_TRUE(engine.engine().Widen(Deduplicated(oracle, 5)).ok());
    EXPECT_EQ(StatsOf(engine.engine(), "deduplicate").state.entries, 9);

    // Three of its rows have keys from before.
    StepResult wider = run("i::INTEGER, i, 0::INTEGER, 3 + i, 'new' FROM range(6, 11) r(i)", 5);
    ASSERT_EQ(wider.exclusions["stream"].size(), 3u);
    EXPECT_EQ(wider.exclusions["stream"][0].offset, 9);
    const rows::Types known(oracle.types().begin(), oracle.types().begin() + 4);
    Content content;
    AddTo(content, wider.changes["early"], known);
    Content expected;
    AddTo(expected, oracle.Query("SELECT i::INTEGER, i, 0::INTEGER, 3 + i FROM range(9, 11) r(i)"),
          known);
    EXPECT_EQ(content, expected);

    ASSERT_TRUE(engine.engine().Add(AllOf(oracle, 5, "late"), 6).ok());
    StepResult both = run("20::INTEGER, 20::BIGINT, 0::INTEGER, 20::BIGINT, 'newer'", 5);
    EXPECT_EQ(both.changes["early"].parts.at(0).rows->ColumnCount(), 4u);
    EXPECT_EQ(both.changes["late"].parts.at(0).rows->GetValue(4, 0).ToString(), "newer");
  }
}

TEST(Engine, RemovesAnOutputAndKeepsWhatOthersNeed) {
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  TestEngine engine(oracle, Stream(oracle), 1);
  ASSERT_TRUE(engine.engine().Add(OverRelation(oracle, "stream", "a"), 5).ok());
  ASSERT_TRUE(engine.engine().Add(OverRelation(oracle, "stream", "b"), 5).ok());
  EXPECT_EQ(engine.engine().Remove("stream").error().code(), Code::kConflict);
  EXPECT_EQ(engine.engine().Remove("nothing").error().code(), Code::kNotFound);
  ASSERT_TRUE(engine.engine().Remove("a").ok());
  StepResult result = engine.Step(oracle.Query("SELECT 1::INTEGER, 2::BIGINT, 'a'"));
  EXPECT_EQ(result.changes.size(), 1u);
  ASSERT_TRUE(engine.engine().Remove("b").ok());
  ASSERT_TRUE(engine.engine().Remove("stream").ok());
  EXPECT_TRUE(engine.engine().stats().empty());
}

class FailingReader final : public SourceReader {
 public:
  Result<rows::Batch> Read(int worker) override {
    if (worker == 1) return Error(Code::kIo, "the disk is gone");
    return rows::Batch();
  }
};

TEST(Engine, EndsTheStepOnAllWorkersWhenOneFails) {
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  TestEngine engine(oracle, WidePlan(oracle), 4);
  FailingReader reader;
  StepInput input;
  input.step = state::Step{1};
  input.sources["t"] = &reader;
  auto result = engine.engine().Step(input);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kIo);
  EXPECT_FALSE(engine.engine()
                   .Step(input)
                   .ok());  // the state is that of no step: the node has to start again
}

TEST(Engine, RefusesARelationThatIsNotThereAndANameThatIsTaken) {
  Oracle oracle("k INTEGER, x BIGINT, s VARCHAR");
  TestEngine engine(oracle, Stream(oracle), 1);
  EXPECT_EQ(engine.engine().Add(OverRelation(oracle, "missing", "a"), 5).error().code(),
            Code::kNotFound);
  ASSERT_TRUE(engine.engine().Add(OverRelation(oracle, "stream", "a"), 5).ok());
  EXPECT_EQ(engine.engine().Add(OverRelation(oracle, "stream", "a"), 6).error().code(),
            Code::kAlreadyExists);
}

}  // namespace
}  // namespace millrace::stream::engine_test
