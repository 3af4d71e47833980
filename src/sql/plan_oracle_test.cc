// Plans run by the engine, against DuckDB's own answer over the same rows, after every one of many
// small changes.
#include <filesystem>
#include <random>

#include "rows/batch.h"
#include "sql/testing_shop.h"
#include "stream/engine.h"

namespace millrace::sql::plan_oracle_test {
namespace {

using duckdb::Value;
using Row = std::vector<Value>;

uint64_t Seed() {
  const char* given = std::getenv("MILLRACE_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
}

// Hands one batch to worker 0.
class OneBatch final : public stream::SourceReader {
 public:
  Result<rows::Batch> Read(int worker) override { return worker == 0 ? batch : rows::Batch(); }
  rows::Batch batch;
};

// The content of a view as the sum of its changes: rows as text, with how often they stand.
using Content = std::map<std::string, int64_t>;

void AddTo(Content& content, const rows::Batch& change) {
  for (const auto& part : change.parts) {
    const auto lines = Lines({part.rows});
    for (size_t row = 0; row < lines.size(); ++row) {
      if ((content[lines[row]] += part.weight(row)) == 0) content.erase(lines[row]);
    }
  }
}

class PlanOracleTest : public ::testing::TestWithParam<const char*> {
 protected:
  static void SetUpTestSuite() { database_ = OpenTestDatabase().release(); }
  static void TearDownTestSuite() {
    delete database_;
    database_ = nullptr;
  }

  void SetUp() override {
    seed_ = Seed();
    random_.seed(seed_);
    directory_ =
        std::filesystem::temp_directory_path() / fmt::format("millrace_plan_oracle_{}", seed_);
    std::filesystem::remove_all(directory_);
    state::StoreOptions options;
    options.directory = directory_;
    auto store = state::Store::Open(options);
    ASSERT_TRUE(store.ok()) << store.error().ToString();
    store_ = std::move(store).value();
    auto engine = stream::Engine::Start({1}, *store_, database_->duckdb());
    ASSERT_TRUE(engine.ok()) << engine.error().ToString();
    engine_ = std::move(engine).value();
    for (const char* name : {"order_lines", "products", "notes"}) {
      const auto shape = snapshot_->Shape(name);
      stream::Plan plan;
      const size_t source =
          plan.Add({stream::Source{name}, {}, shape->schema.types(), shape->schema.names()});
      plan.Add(
          {stream::Output{name, false}, {source}, shape->schema.types(), shape->schema.names()});
      ASSERT_TRUE(engine_->Add(plan, 1).ok());
    }
  }
  void TearDown() override {
    engine_.reset();
    store_.reset();
    std::filesystem::remove_all(directory_);
  }

  int Random(int below) { return static_cast<int>(random_() % static_cast<uint64_t>(below)); }
  Value Text(const std::string& prefix, int values) {
    return Random(12) == 0 ? Value(duckdb::LogicalType::VARCHAR)
                           : Value(prefix + std::to_string(Random(values)));
  }
  Row RandomRow(const std::string& relation) {
    if (relation == "notes") return {Text("p", 4), Value::INTEGER(Random(6) - 2)};
    if (relation == "products") {
      return {Value("s" + std::to_string(Random(6))), Text("p", 4), Text("c", 2),
              Value::DECIMAL(int64_t{Random(900)}, 10, 2)};
    }
    const auto at = duckdb::Timestamp::FromEpochSeconds(1'600'000'000 + Random(90) * 86'400);
    return {Value("i" + std::to_string(Random(5))),
            Value("s" + std::to_string(Random(6))),
            Value::INTEGER(Random(9) - 2),
            Value::DECIMAL(int64_t{Random(500)}, 10, 2),
            Random(5) == 0 ? Value(duckdb::LogicalType::BIGINT) : Value::BIGINT(Random(4)),
            Text("land", 3),
            Value::TIMESTAMP(at),
            Value::INTEGER(0),
            Value::BIGINT(next_offset_++),
            Value::TIMESTAMP(at),
            Value::TIMESTAMP(at)};
  }

  // Some new rows, and some of the old ones taken away; applied to the snapshot too.
  rows::Batch Change(const std::string& relation) {
    auto& content = snapshot_->rows[relation];
    const auto types = snapshot_->Shape(relation)->schema.types();
    rows::BatchBuilder builder(types);
    const auto emit = [&](const Row& row, rows::Weight weight) {
      duckdb::DataChunk chunk;
      chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types);
      for (size_t i = 0; i < row.size(); ++i) chunk.SetValue(i, 0, row[i]);
      chunk.SetCardinality(1);
      builder.AppendRow(chunk, 0, weight);
    };
    for (int i = Random(4); i > 0 && !content.empty(); --i) {
      const size_t at = static_cast<size_t>(Random(static_cast<int>(content.size())));
      emit(content[at], -1);
      content.erase(content.begin() + static_cast<long>(at));
    }
    for (int i = Random(6); i > 0; --i) {
      content.push_back(RandomRow(relation));
      emit(content.back(), 1);
    }
    return builder.Finish();
  }

  static Database* database_;
  uint64_t seed_ = 0;
  std::mt19937_64 random_;
  int64_t next_offset_ = 0;
  std::filesystem::path directory_;
  std::shared_ptr<FakeSnapshot> snapshot_ = std::make_shared<FakeSnapshot>(
      ShopCatalog({{"sales",
                    "SELECT invoice, stock_code, quantity, quantity * price AS revenue, "
                    "customer_id, country, sold_at "
                    "FROM order_lines WHERE quantity > 0",
                    {"order_lines"}}}));
  std::unique_ptr<state::Store> store_;
  std::unique_ptr<stream::Engine> engine_;
};

Database* PlanOracleTest::database_ = nullptr;

TEST_P(PlanOracleTest, GivesDuckDbsAnswerAfterEveryStep) {
  SCOPED_TRACE(fmt::format("MILLRACE_SEED={}\n{}", seed_, GetParam()));
  catalog::ViewDefinition view;
  view.name = "v";
  view.select = GetParam();
  const auto plan = database_->PlanView(snapshot_->catalog(), view,
                                        Origin{"", view.select, 0, view.select.size()});
  ASSERT_TRUE(plan.ok()) << plan.error().ToString();
  const Status added = engine_->Add(plan->plan, 2);
  ASSERT_TRUE(added.ok()) << added.error().ToString();
  Content content;
  for (int64_t step = 1; step <= 25; ++step) {
    stream::StepInput input;
    input.step = {step};
    std::map<std::string, OneBatch> batches;
    for (const char* name : {"order_lines", "products", "notes"}) {
      if (Random(3) == 0) continue;
      batches[name].batch = Change(name);
      input.sources[name] = &batches[name];
    }
    const auto result = engine_->Step(input);
    ASSERT_TRUE(result.ok()) << result.error().ToString();
    if (const auto change = result->changes.find("v"); change != result->changes.end())
      AddTo(content, change->second);
    const auto answer = database_->Query(snapshot_, view.select, {}, {});
    ASSERT_TRUE(answer.ok()) << answer.error().ToString();
    Content expected;
    for (const std::string& line : Lines(answer->chunks)) expected[line]++;
    ASSERT_EQ(content, expected) << "step " << step << "\n" << stream::Explain(plan->plan);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Views, PlanOracleTest,
    ::testing::Values(
        "SELECT invoice, quantity * 2 + 1 AS q FROM order_lines WHERE quantity > 1 AND country IS "
        "NOT NULL",
        "SELECT sold_at::DATE AS day, sum(quantity * price) FILTER (WHERE quantity > 0) AS "
        "revenue, "
        "sum(CASE WHEN quantity < 0 THEN -quantity * price ELSE 0 END) AS returned, count(DISTINCT "
        "invoice) AS orders, "
        "count(DISTINCT customer_id) FILTER (WHERE country IS NOT NULL) AS who FROM order_lines "
        "GROUP BY 1",
        "SELECT country, sum(revenue) AS revenue, count(*) AS lines, avg(quantity) AS q, "
        "min(sold_at) AS a, max(sold_at) AS b FROM sales GROUP BY country",
        "WITH monthly AS (SELECT date_trunc('month', sold_at) AS month, stock_code, sum(revenue) "
        "AS revenue FROM sales GROUP BY 1, 2), "
        "ranked AS (SELECT *, row_number() OVER (PARTITION BY month ORDER BY revenue DESC, "
        "stock_code) AS rank FROM monthly) "
        "SELECT month, stock_code, revenue, rank FROM ranked WHERE rank <= 2",
        "SELECT who, n, i FROM notes, range(n % 5) AS r(i)",
        "SELECT who, v FROM notes, LATERAL (VALUES (n), (n + 1)) AS q(v)",
        "SELECT customer_id, invoice, rank() OVER (PARTITION BY customer_id ORDER BY quantity "
        "DESC) AS r FROM order_lines QUALIFY r <= 2",
        "SELECT country, quantity FROM order_lines QUALIFY dense_rank() OVER (PARTITION BY country "
        "ORDER BY quantity) BETWEEN 2 AND 3",
        "SELECT who, n FROM notes ORDER BY n, who LIMIT 30% OFFSET 1",
        "SELECT who, n FROM notes ORDER BY n DESC, who LIMIT (SELECT count(*) // 3 FROM products)",
        "SELECT a.who, a.n, b.who AS w, b.n AS m FROM notes a ASOF FULL JOIN notes b ON a.who = "
        "b.who AND a.n > b.n",
        "SELECT customer_id, count(DISTINCT invoice) AS orders, sum(revenue) AS spent, "
        "min(sold_at) AS first, max(sold_at) AS last "
        "FROM sales WHERE customer_id IS NOT NULL GROUP BY customer_id",
        "WITH lines AS (SELECT DISTINCT invoice, stock_code FROM sales), "
        "small AS (SELECT invoice FROM lines GROUP BY invoice HAVING count(*) <= 4), "
        "kept AS (SELECT l.invoice, l.stock_code FROM lines l JOIN small s ON l.invoice = "
        "s.invoice), "
        "pairs AS (SELECT a.stock_code, b.stock_code AS other, count(*) AS times FROM kept a JOIN "
        "kept b "
        "ON a.invoice = b.invoice AND a.stock_code <> b.stock_code GROUP BY 1, 2) "
        "SELECT stock_code, other, times, row_number() OVER (PARTITION BY stock_code ORDER BY "
        "times DESC, other) AS rank "
        "FROM pairs QUALIFY rank <= 2",
        "SELECT o.invoice, p.name, p.category FROM order_lines o JOIN products p ON o.stock_code = "
        "p.stock_code WHERE p.price > 2",
        "SELECT o.invoice, o.stock_code, p.name FROM order_lines o LEFT JOIN products p ON "
        "o.stock_code = p.stock_code AND o.price < p.price",
        "SELECT p.name, n.who, n.n FROM notes n RIGHT JOIN products p ON n.who = p.name AND n.n > "
        "0",
        "SELECT p.stock_code, p.name, n.who, n.n FROM products p FULL JOIN notes n ON p.name = "
        "n.who",
        "SELECT a.who, b.who AS other FROM notes a, notes b WHERE a.n < b.n",
        "SELECT who, n FROM notes WHERE who IN (SELECT name FROM products)",
        "SELECT p.name, p.price FROM products p WHERE EXISTS (SELECT 1 FROM notes n WHERE n.who = "
        "p.name)",
        "SELECT p.name, p.price FROM products p WHERE NOT EXISTS (SELECT 1 FROM notes n WHERE "
        "n.who = p.name)",
        "SELECT p.stock_code, p.name, (SELECT sum(o.quantity) FROM order_lines o WHERE "
        "o.stock_code = p.stock_code) AS sold FROM products p",
        "SELECT p.stock_code, p.name, (SELECT count(*) FROM order_lines o WHERE o.stock_code = "
        "p.stock_code) AS lines FROM products p",
        "SELECT who, n FROM notes WHERE n > (SELECT avg(n) FROM notes)",
        "SELECT name FROM products UNION ALL SELECT who FROM notes UNION ALL SELECT 'fixed'",
        "SELECT name FROM products UNION SELECT who FROM notes",
        "SELECT name FROM products INTERSECT SELECT who FROM notes",
        "SELECT name FROM products EXCEPT SELECT who FROM notes",
        "SELECT DISTINCT country, customer_id FROM order_lines",
        "SELECT who, n FROM notes ORDER BY n DESC, who LIMIT 3 OFFSET 1",
        "SELECT who FROM notes ORDER BY n + 1, who NULLS FIRST LIMIT 2",
        "SELECT DISTINCT ON (who) who, n FROM notes ORDER BY who, n DESC",
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY who ORDER BY n) AS r FROM notes) "
        "WHERE r BETWEEN 2 AND 3",
        "SELECT n.who, t.y FROM notes n JOIN (VALUES (1, 'one'), (2, 'two')) t(x, y) ON n.n = t.x",
        "SELECT count(*) AS c, sum(n) AS s FROM notes",
        "SELECT who, string_agg(n::VARCHAR, '+' ORDER BY n) AS t FROM notes GROUP BY who",
        "SELECT n % 2 AS parity, count(*) FROM notes GROUP BY n % 2 HAVING count(*) > 1",
        "WITH c AS MATERIALIZED (SELECT who, count(*) AS k FROM notes GROUP BY who) SELECT a.who, "
        "b.who AS o, b.k FROM c a JOIN c b ON a.k = b.k",
        "SELECT customer_id, window_start, window_end, count(*) AS lines FROM session(order_lines, "
        "sold_at, INTERVAL 2 DAYS, customer_id) GROUP BY ALL",
        "SELECT invoice, window_end FROM session(order_lines, sold_at, INTERVAL 1 DAY, country, "
        "customer_id) WHERE window_start > '2020-10-01'",
        "SELECT sold_at, window_start FROM session(sales, sold_at, INTERVAL 3 DAYS)",
        "SELECT who, n FROM notes WHERE false",
        "SELECT coalesce(a.who, b.name) AS who FROM notes a LEFT JOIN products b ON a.who IS NOT "
        "DISTINCT FROM b.name"));

}  // namespace
}  // namespace millrace::sql::plan_oracle_test
