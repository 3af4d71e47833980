// Filters by equality of one column: what they give together is what each gives alone.
#include "stream/key_dispatch.h"

#include "base/random.h"
#include "stream/engine_fixture.h"

namespace millrace::stream::key_dispatch_test {
namespace {

using duckdb::Value;

const std::vector<std::string> kNames = {"k", "x", "s"};
constexpr const char* kColumns = "k INTEGER, x BIGINT, s VARCHAR";

// With the optimiser's folding of constants, as in the planner.
Expression BindFolded(const std::string& predicate) {
  duckdb::DuckDB database(nullptr);
  duckdb::Connection connection(database);
  connection.Query("CREATE TABLE t (k INTEGER, x BIGINT, s VARCHAR)");
  connection.Query("SET disabled_optimizers = 'filter_pushdown,statistics_propagation'");
  auto plan = connection.ExtractPlan("SELECT k, x, s, (" + predicate + ") FROM t");
  auto* op = plan.get();
  while (op->type != duckdb::LogicalOperatorType::LOGICAL_PROJECTION) op = op->children[0].get();
  return op->expressions[3]->Copy();
}

std::optional<KeyEquality> EqualityOf(const std::string& predicate) {
  return KeyEqualityOf(Filter{BindFolded(predicate)});
}

TEST(KeyDispatch, FindsTheEqualityAmongConditions) {
  const auto plain = EqualityOf("k = 5");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->column, 0u);
  EXPECT_EQ(plain->constant, Value::INTEGER(5));
  const auto turned = EqualityOf("'a' = s");
  ASSERT_TRUE(turned);
  EXPECT_EQ(turned->column, 2u);
  ASSERT_TRUE(EqualityOf("x > 3 AND k = 5 AND s <> 'b'"));
}

TEST(KeyDispatch, TakesNoPredicateThatAsksForMoreOrFailsElsewhere) {
  EXPECT_FALSE(EqualityOf("k > 5"));
  EXPECT_FALSE(EqualityOf("k = x"));
  EXPECT_FALSE(EqualityOf("k = 5 OR x = 5"));
  EXPECT_FALSE(EqualityOf("k IS NOT DISTINCT FROM 5"));
  EXPECT_FALSE(EqualityOf("k % 2 = 1"));
  // A row with another k whose s is no number is reported, so that it has to be looked at.
  EXPECT_FALSE(EqualityOf("k = 5 AND s::INTEGER > 3"));
  EXPECT_FALSE(EqualityOf("k = 5 AND random() > 0.5"));
}

TEST(KeyDispatch, DividesABatchByValue) {
  Oracle oracle(kColumns);
  const rows::Batch batch = oracle.Query(
      "SELECT CASE WHEN i % 7 = 6 THEN NULL ELSE i % 7 END::INTEGER, i, (i % 3)::VARCHAR FROM "
      "range(10000) r(i)");
  KeyDispatch by_number(0, oracle.types());
  KeyDispatch by_text(2, oracle.types());
  std::vector<size_t> slots;
  for (int value = 0; value < 200; ++value)
    slots.push_back(by_number.AddSlot(Value::INTEGER(value - 100)));
  EXPECT_EQ(by_number.AddSlot(Value::INTEGER(3)), slots[103]);
  const size_t text = by_text.AddSlot(Value("2"));
  const auto expect = [&](const rows::Batch& rows, const std::string& where) {
    Content got;
    Content expected;
    AddTo(got, rows, oracle.types());
    AddTo(expected,
          oracle.Query("SELECT * FROM (SELECT CASE WHEN i % 7 = 6 THEN NULL ELSE i % 7 "
                       "END::INTEGER AS k, i AS x, (i % 3)::VARCHAR AS s FROM range(10000) r(i)) "
                       "WHERE " +
                       where),
          oracle.types());
    EXPECT_TRUE(got == expected) << where;
  };
  for (int value = -1; value < 7; ++value) {
    expect(by_number.RowsOf(slots[static_cast<size_t>(value + 100)], 1, batch),
           fmt::format("k = {}", value));
  }
  expect(by_text.RowsOf(text, 1, batch), "s = '2'");
  // Until the next step it is the same batch.
  EXPECT_FALSE(by_number.RowsOf(slots[103], 1, rows::Batch()).empty());
  EXPECT_TRUE(by_number.RowsOf(slots[103], 2, rows::Batch()).empty());
}

// relation → project → filter → output, or relation → filter; `generation` says whether they share
// the first nodes.
Plan ViewOf(Oracle& oracle, const std::string& name, const std::string& predicate,
            bool with_project) {
  Plan plan;
  size_t input = plan.Add({Relation{"stream"}, {}, oracle.types(), kNames});
  if (with_project) {
    input = plan.Add({Project{oracle.Bind({"k", "x", "s"})}, {input}, oracle.types(), kNames});
  }
  const size_t filter = plan.Add({Filter{BindFolded(predicate)}, {input}, oracle.types(), kNames});
  plan.Add({Output{name}, {filter}, oracle.types(), kNames});
  return plan;
}

const std::vector<std::string>& Predicates() {
  static const std::vector<std::string> predicates = {
      "k = 0",
      "k = 1",
      "k = 2",
      "k = 3",
      "k = 17",
      "k = 1 AND x > 3",
      "x > 4",
      "s = 'a'",
      "s = 'b'",
      "s = 'c'",
      "s = 'c' AND k = 2",
      "s = 'never'",
      "k <> 1",
  };
  return predicates;
}

rows::Batch Change(Oracle& oracle, Random& random) {
  rows::Batch change;
  if (random.OneIn(2)) {
    const std::string some = fmt::format("FROM t WHERE hash(rowid) % 4 = {}", random.Below(4));
    change = rows::Negate(oracle.Query("SELECT * " + some));
    oracle.Run("DELETE " + some);
  }
  std::string values;
  for (size_t rows = random.Below(60); rows > 0; --rows) {
    values += fmt::format(
        "{}({}, {}, {})", values.empty() ? "" : ", ",
        random.OneIn(9) ? "NULL" : std::to_string(random.Below(5)), random.Below(9),
        random.OneIn(9) ? "NULL" : fmt::format("'{}'", static_cast<char>('a' + random.Below(5))));
  }
  if (!values.empty())
    change.Append(oracle.Query("INSERT INTO t VALUES " + values + " RETURNING *"));
  return change;
}

void ExpectEachViewItsRows(bool with_project, bool shared, int workers) {
  const uint64_t seed = TestSeed();
  SCOPED_TRACE(fmt::format("MILLRACE_SEED={} with_project={} shared={} workers={}", seed,
                           with_project, shared, workers));
  Oracle oracle(kColumns);
  Plan stream;
  const size_t source = stream.Add({Source{"t"}, {}, oracle.types(), kNames});
  stream.Add({Output{"stream", /*gathered=*/false}, {source}, oracle.types(), kNames});
  TestEngine engine(oracle, stream, workers);
  uint64_t generation = 5;
  for (size_t i = 0; i < Predicates().size(); ++i) {
    const Plan view = ViewOf(oracle, fmt::format("v{}", i), Predicates()[i], with_project);
    ASSERT_TRUE(engine.engine().Add(view, shared ? generation : ++generation).ok());
  }
  Random random(seed);
  std::map<std::string, Content> contents;
  for (int step = 0; step < 20; ++step) {
    SCOPED_TRACE(step);
    const rows::Batch change = Change(oracle, random);
    const StepResult result = engine.Step(change);
    for (size_t i = 0; i < Predicates().size(); ++i) {
      const std::string name = fmt::format("v{}", i);
      const auto found = result.changes.find(name);
      if (found != result.changes.end()) AddTo(contents[name], found->second, oracle.types());
      Content expected;
      AddTo(expected, oracle.Query("SELECT * FROM t WHERE " + Predicates()[i]), oracle.types());
      ASSERT_TRUE(contents[name] == expected) << Predicates()[i];
      if (change.empty()) continue;
      const ReadCounts counts = result.reads.at({"stream", name});
      EXPECT_EQ(counts.rows, static_cast<int64_t>(change.row_count()));
      EXPECT_EQ(counts.rows, counts.used + counts.filtered) << Predicates()[i];
    }
  }
}

TEST(KeyDispatch, GivesEachViewItsRowsAndCountsThoseLeftOut) {
  for (const int workers : {1, 2}) {
    ExpectEachViewItsRows(/*with_project=*/false, /*shared=*/false, workers);
    ExpectEachViewItsRows(/*with_project=*/true, /*shared=*/false, workers);
    ExpectEachViewItsRows(/*with_project=*/true, /*shared=*/true, workers);
  }
}

TEST(KeyDispatch, FiltersSeeOnlyTheirRows) {
  Oracle oracle(kColumns);
  Plan stream;
  const size_t source = stream.Add({Source{"t"}, {}, oracle.types(), kNames});
  stream.Add({Output{"stream", /*gathered=*/false}, {source}, oracle.types(), kNames});
  TestEngine engine(oracle, stream, 1);
  for (uint64_t i = 0; i < 100; ++i) {
    const std::string predicate = fmt::format("k = {}", i);
    ASSERT_TRUE(
        engine.engine().Add(ViewOf(oracle, fmt::format("v{}", i), predicate, true), i + 5).ok());
  }
  engine.Step(oracle.Query("SELECT (i % 1000)::INTEGER, i, 'a' FROM range(5000) r(i)"));
  uint64_t into_filters = 0;
  for (const OperatorStats& stats : engine.engine().stats()) {
    if (stats.description.starts_with("filter")) into_filters += stats.rows_in;
  }
  EXPECT_EQ(into_filters, 500u);  // not 100 * 5000
}

TEST(KeyDispatch, ViewsOfAStreamWithoutRowsDoNothing) {
  Oracle oracle(kColumns);
  Plan plan;
  const size_t source = plan.Add({Source{"t"}, {}, oracle.types(), kNames});
  plan.Add({Output{"stream", /*gathered=*/false}, {source}, oracle.types(), kNames});
  TestEngine engine(oracle, plan, 1);
  Plan other;
  const size_t idle = other.Add({Source{"u"}, {}, oracle.types(), kNames});
  const size_t distinct = other.Add({Distinct{}, {idle}, oracle.types(), kNames});
  other.Add({Output{"idle"}, {distinct}, oracle.types(), kNames});
  ASSERT_TRUE(engine.engine().Add(other, 7).ok());
  const auto rows = oracle.Query("SELECT 1::INTEGER, 2::BIGINT, 'a'");
  for (int step = 0; step < 5; ++step) engine.Step(rows);
  for (const OperatorStats& stats : engine.engine().stats()) {
    if (!stats.description.starts_with("distinct")) continue;
    EXPECT_LE(stats.steps, 1u);  // the first one, when it was added
  }
}

}  // namespace
}  // namespace millrace::stream::key_dispatch_test
