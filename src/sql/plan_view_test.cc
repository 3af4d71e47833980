#include <thread>

#include "sql/testing_shop.h"

namespace millrace::sql::plan_view_test {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class PlanViewTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { database_ = OpenTestDatabase().release(); }
  static void TearDownTestSuite() {
    delete database_;
    database_ = nullptr;
  }

  Result<ViewPlan> Plan(const std::string& select) {
    view_.name = "v";
    view_.select = select;
    text_ = "CREATE MATERIALIZED VIEW v AS\n" + select;
    return database_->PlanView(*catalog_, view_, Origin{"views.sql", text_, 0, text_.size()});
  }
  ViewPlan MustPlan(const std::string& select) {
    auto plan = Plan(select);
    EXPECT_TRUE(plan.ok()) << plan.error().ToString();
    return plan.ok() ? std::move(plan).value() : ViewPlan();
  }
  std::string MustRefuse(const std::string& select) {
    const auto plan = Plan(select);
    if (plan.ok()) return "not refused:\n" + stream::Explain(plan->plan);
    EXPECT_EQ(plan.error().code(), Code::kNotSupported) << plan.error().ToString();
    return plan.error().ToString();
  }
  template <typename Op>
  static size_t Count(const ViewPlan& plan) {
    size_t count = 0;
    for (const auto& node : plan.plan.nodes) count += std::holds_alternative<Op>(node.op);
    return count;
  }

  static Database* database_;
  catalog::CatalogPtr catalog_ = ShopCatalog({{"sales",
                                               "SELECT invoice, stock_code, quantity, quantity * "
                                               "price AS revenue, customer_id, country, sold_at "
                                               "FROM order_lines WHERE quantity > 0",
                                               {"order_lines"}},
                                              {"loop_a", "SELECT * FROM sales", {"sales"}}});
  catalog::ViewDefinition view_;
  std::string text_;
};

Database* PlanViewTest::database_ = nullptr;

TEST_F(PlanViewTest, MapsFilterAndProjectionOverAStream) {
  const ViewPlan plan =
      MustPlan("SELECT stock_code, price * 2 AS twice FROM order_lines WHERE quantity > 5");
  EXPECT_EQ(Count<stream::Filter>(plan), 1u);
  EXPECT_THAT(plan.schema.names(), ElementsAre("stock_code", "twice"));
  EXPECT_THAT(plan.reads, ElementsAre("order_lines"));
  EXPECT_THAT(plan.key, IsEmpty());
  const auto& relation = plan.plan.nodes[0];
  ASSERT_TRUE(std::holds_alternative<stream::Relation>(relation.op));
  EXPECT_EQ(relation.types.size(), 7 + catalog::kHiddenStreamColumns);
}

TEST_F(PlanViewTest, KeepsTheFilterOfAnEmptyRelation) {
  EXPECT_EQ(
      Count<stream::Filter>(MustPlan("SELECT * FROM order_lines WHERE customer_id IS NOT NULL")),
      1u);
  EXPECT_EQ(Count<stream::Constant>(
                MustPlan("SELECT * FROM order_lines WHERE price > 3 AND quantity < 2")),
            0u);
}

TEST_F(PlanViewTest, ShowsHiddenColumnsOnlyWhereTheyAreNamed) {
  EXPECT_EQ(MustPlan("SELECT * FROM order_lines").schema.columns.size(), 7u);
  EXPECT_THAT(MustPlan("SELECT _partition, _offset, _ingested_at FROM order_lines").schema.names(),
              ElementsAre("_partition", "_offset", "_ingested_at"));
}

TEST_F(PlanViewTest, FindsRelationsWithoutRegardToCaseAndSchema) {
  for (const char* name : {"order_lines", "ORDER_LINES", "main.order_lines", "public.Order_Lines",
                           "\"order_lines\""}) {
    EXPECT_THAT(MustPlan(fmt::format("SELECT stock_code FROM {}", name)).reads,
                ElementsAre("order_lines"))
        << name;
  }
}

TEST_F(PlanViewTest, DropsWhatTheWatermarkCloses) {
  view_.emit_on_close = true;
  const ViewPlan hours = MustPlan(
      "SELECT window_start, count(*) FROM tumble(order_lines, sold_at, INTERVAL 1 HOUR) GROUP BY "
      "1");
  EXPECT_THAT(stream::Explain(hours.plan),
              HasSubstr("given out and dropped when window_start is behind the watermark of "
                        "order_lines"));
  EXPECT_EQ(Count<stream::Hold>(hours), 0u) << "the groups are held by the aggregate";
  EXPECT_EQ(Count<stream::Hold>(MustPlan("SELECT sold_at, price FROM order_lines")), 1u);
  const ViewPlan named = MustPlan(
      "SELECT window_end, p.name, sum(quantity) FROM tumble(order_lines, sold_at, INTERVAL 1 DAY) "
      "l "
      "JOIN products p ON l.stock_code = p.stock_code GROUP BY ALL");
  EXPECT_EQ(Count<stream::DropClosed>(named), 1u) << "a table may change what was given out";
  EXPECT_FALSE(Plan("SELECT stock_code, count(*) FROM order_lines GROUP BY 1").ok());
  EXPECT_FALSE(Plan("SELECT name FROM products").ok());
  view_.emit_on_close = false;
}

TEST_F(PlanViewTest, SaysWhichStateGrowsForEver) {
  EXPECT_THAT(stream::Explain(MustPlan("SELECT a.price FROM order_lines a JOIN order_lines b "
                                       "ON a.sold_at = b.sold_at")
                                  .plan),
              HasSubstr("keeps every row of a stream"));
  EXPECT_THAT(
      stream::Explain(MustPlan("SELECT country, count(*) FROM order_lines GROUP BY 1").plan),
      Not(HasSubstr("warning")));
}

TEST_F(PlanViewTest, ExpandsPlainViewsInPlaceAndNamesOnlyThem) {
  const ViewPlan plan = MustPlan("SELECT country, sum(revenue) FROM sales GROUP BY country");
  EXPECT_THAT(plan.reads, ElementsAre("sales"));
  EXPECT_THAT(stream::Explain(plan.plan), HasSubstr("relation order_lines"));
  EXPECT_EQ(Count<stream::Relation>(MustPlan("SELECT * FROM loop_a")), 1u);
}

TEST_F(PlanViewTest, KeepsAnExpandedViewFromTheReadersCommonTableExpressions) {
  const ViewPlan plan =
      MustPlan("WITH order_lines AS (SELECT 1 AS one) SELECT stock_code FROM sales, order_lines");
  EXPECT_THAT(stream::Explain(plan.plan), HasSubstr("relation order_lines"));
}

TEST_F(PlanViewTest, TakesTheGroupColumnsAsKeyWhenAllSurvive) {
  EXPECT_THAT(MustPlan("SELECT count(*) AS n, country FROM sales GROUP BY country").key,
              ElementsAre(1));
  EXPECT_THAT(MustPlan("SELECT count(*) AS n FROM sales GROUP BY country").key, IsEmpty());
  EXPECT_THAT(MustPlan("SELECT DISTINCT country, sold_at FROM sales").key,
              UnorderedElementsAre(0, 1));
}

TEST_F(PlanViewTest, MapsCountsOfRowsWithoutAnyColumn) {
  const ViewPlan plan = MustPlan("SELECT count(*) FROM order_lines");
  EXPECT_EQ(Count<stream::Aggregate>(plan), 1u);
}

TEST_F(PlanViewTest, MapsRevenueByDay) {
  const ViewPlan plan = MustPlan(
      "SELECT sold_at::DATE AS day, sum(quantity * price) FILTER (WHERE quantity > 0) AS revenue,\n"
      "  sum(CASE WHEN quantity < 0 THEN -quantity * price ELSE 0 END) AS returned,\n"
      "  count(DISTINCT invoice) AS orders, count(DISTINCT customer_id) FILTER (WHERE customer_id "
      "IS NOT NULL) AS who\n"
      "FROM order_lines GROUP BY 1");
  ASSERT_EQ(Count<stream::Aggregate>(plan), 1u);
  for (const auto& node : plan.plan.nodes) {
    if (const auto* aggregate = std::get_if<stream::Aggregate>(&node.op)) {
      ASSERT_EQ(aggregate->calls.size(), 4u);
      EXPECT_TRUE(aggregate->calls[0].filter.has_value());
      EXPECT_TRUE(aggregate->calls[2].distinct);
      EXPECT_TRUE(aggregate->calls[3].distinct);
    }
  }
  EXPECT_THAT(plan.key, ElementsAre(0));
  EXPECT_THAT(plan.schema.names(), ElementsAre("day", "revenue", "returned", "orders", "who"));
}

TEST_F(PlanViewTest, MapsTheTopOfEachMonthByRowNumber) {
  const ViewPlan plan = MustPlan(
      "WITH monthly AS (SELECT date_trunc('month', sold_at) AS month, stock_code, sum(revenue) AS "
      "revenue\n"
      "                 FROM sales GROUP BY 1, 2),\n"
      "ranked AS (SELECT *, row_number() OVER (PARTITION BY month ORDER BY revenue DESC) AS rank "
      "FROM monthly)\n"
      "SELECT month, stock_code, revenue, rank FROM ranked WHERE rank <= 10");
  ASSERT_EQ(Count<stream::TopK>(plan), 1u);
  for (const auto& node : plan.plan.nodes) {
    if (const auto* top = std::get_if<stream::TopK>(&node.op)) {
      EXPECT_EQ(top->limit, 10);
      EXPECT_EQ(top->offset, 0);
      EXPECT_TRUE(top->with_number);
      EXPECT_EQ(top->partition.size(), 1u);
      ASSERT_EQ(top->orders.size(), 1u);
      EXPECT_TRUE(top->orders[0].order.descending);
    }
  }
  EXPECT_THAT(plan.key, UnorderedElementsAre(0, 3));
}

TEST_F(PlanViewTest, MapsBoundsOnTheRowNumberOfAllKinds) {
  const auto top = [&](const std::string& bound) {
    const ViewPlan plan = MustPlan(
        "SELECT * FROM (SELECT stock_code, row_number() OVER (PARTITION BY country ORDER BY price "
        "+ 1) AS n "
        "FROM order_lines) WHERE " +
        bound);
    for (const auto& node : plan.plan.nodes) {
      if (const auto* found = std::get_if<stream::TopK>(&node.op))
        return std::pair(found->offset, found->limit);
    }
    return std::pair<int64_t, int64_t>(-1, -1);
  };
  EXPECT_EQ(top("n < 4"), (std::pair<int64_t, int64_t>(0, 3)));
  EXPECT_EQ(top("n = 1"), (std::pair<int64_t, int64_t>(0, 1)));
  EXPECT_EQ(top("n = 3"), (std::pair<int64_t, int64_t>(2, 1)));
  EXPECT_EQ(top("3 >= n"), (std::pair<int64_t, int64_t>(0, 3)));
  EXPECT_EQ(top("n BETWEEN 2 AND 5"), (std::pair<int64_t, int64_t>(1, 4)));
  EXPECT_EQ(top("n > 2 AND n <= 5"), (std::pair<int64_t, int64_t>(2, 3)));
}

TEST_F(PlanViewTest, MapsBoughtTogether) {
  const ViewPlan plan = MustPlan(
      "WITH lines AS (SELECT DISTINCT invoice, stock_code FROM sales),\n"
      "small AS (SELECT invoice FROM lines GROUP BY invoice HAVING count(*) <= 50),\n"
      "kept AS (SELECT l.invoice, l.stock_code FROM lines l JOIN small s ON l.invoice = "
      "s.invoice),\n"
      "pairs AS (SELECT a.stock_code, b.stock_code AS other, count(*) AS times\n"
      "  FROM kept a JOIN kept b ON a.invoice = b.invoice AND a.stock_code <> b.stock_code GROUP "
      "BY 1, 2)\n"
      "SELECT stock_code, other, times, row_number() OVER (PARTITION BY stock_code ORDER BY times "
      "DESC) AS rank\n"
      "FROM pairs QUALIFY rank <= 10");
  EXPECT_GE(Count<stream::Join>(plan), 2u);
  EXPECT_EQ(Count<stream::TopK>(plan), 1u);
  bool residual = false;
  for (const auto& node : plan.plan.nodes) {
    if (const auto* join = std::get_if<stream::Join>(&node.op)) {
      EXPECT_FALSE(join->left_keys.empty());
      residual = residual || join->condition != nullptr;
    }
  }
  EXPECT_TRUE(residual);
}

TEST_F(PlanViewTest, MapsJoinsOfAllKinds) {
  EXPECT_EQ(Count<stream::Join>(MustPlan(
                "SELECT o.invoice, p.name FROM order_lines o JOIN products p USING (stock_code)")),
            1u);
  EXPECT_EQ(Count<stream::Join>(MustPlan("SELECT * FROM order_lines o LEFT JOIN products p ON "
                                         "o.stock_code = p.stock_code AND o.price > p.price")),
            1u);
  EXPECT_EQ(Count<stream::Join>(MustPlan("SELECT p.name, o.invoice FROM order_lines o RIGHT JOIN "
                                         "products p ON lower(o.stock_code) = p.stock_code")),
            1u);
  EXPECT_EQ(Count<stream::Join>(MustPlan("SELECT * FROM products a, products b")), 1u);
  EXPECT_EQ(Count<stream::UnionAll>(
                MustPlan("SELECT * FROM products a FULL JOIN notes b ON a.name = b.who")),
            1u);
  EXPECT_EQ(Count<stream::Join>(MustPlan(
                "SELECT * FROM products WHERE stock_code IN (SELECT stock_code FROM order_lines)")),
            1u);
  EXPECT_EQ(Count<stream::Join>(MustPlan("SELECT * FROM products p WHERE NOT EXISTS (SELECT 1 FROM "
                                         "order_lines o WHERE o.stock_code = p.stock_code)")),
            1u);
}

TEST_F(PlanViewTest, MapsSetOperationsLimitsAndConstants) {
  EXPECT_EQ(Count<stream::UnionAll>(MustPlan(
                "SELECT who FROM notes UNION ALL SELECT name FROM products UNION ALL SELECT 'x'")),
            1u + 0);
  EXPECT_EQ(
      Count<stream::Distinct>(MustPlan("SELECT who FROM notes UNION SELECT name FROM products")),
      1u);
  EXPECT_EQ(Count<stream::Join>(MustPlan("SELECT who FROM notes EXCEPT SELECT name FROM products")),
            1u);
  EXPECT_EQ(
      Count<stream::TopK>(MustPlan("SELECT * FROM notes ORDER BY n DESC, who LIMIT 3 OFFSET 1")),
      1u);
  EXPECT_EQ(Count<stream::TopK>(MustPlan("SELECT who FROM notes ORDER BY n + 1 LIMIT 3")), 1u);
  EXPECT_EQ(Count<stream::TopK>(
                MustPlan("SELECT DISTINCT ON (who) who, n FROM notes ORDER BY who, n DESC")),
            1u);
  EXPECT_EQ(Count<stream::Constant>(MustPlan("SELECT * FROM (VALUES (1, 'a'), (2, 'b')) t(x, y)")),
            1u);
}

TEST_F(PlanViewTest, IgnoresAnOrderWithoutLimitWithANotice) {
  const ViewPlan plan = MustPlan("SELECT * FROM notes ORDER BY n");
  EXPECT_EQ(Count<stream::TopK>(plan), 0u);
  EXPECT_THAT(plan.notices, ElementsAre(HasSubstr("ORDER BY without LIMIT is ignored")));
}

TEST_F(PlanViewTest, SharesAMaterializedCommonTableExpression) {
  const ViewPlan plan = MustPlan(
      "WITH c AS MATERIALIZED (SELECT who, count(*) AS k FROM notes GROUP BY who) SELECT a.who, "
      "b.k FROM c a JOIN c b ON a.k = b.k");
  EXPECT_EQ(Count<stream::Aggregate>(plan), 1u);
  EXPECT_EQ(Count<stream::Join>(plan), 1u);
}

TEST_F(PlanViewTest, MapsCorrelatedScalarSubqueries) {
  const ViewPlan plan = MustPlan(
      "SELECT p.name, (SELECT sum(o.quantity) FROM order_lines o WHERE o.stock_code = "
      "p.stock_code) AS sold FROM products p");
  EXPECT_GE(Count<stream::Join>(plan), 1u);
}

TEST_F(PlanViewTest, NumbersColumnsThatHaveTheSameName) {
  EXPECT_THAT(MustPlan("SELECT a.who, b.who, a.n AS WHO FROM notes a JOIN notes b ON a.n = b.n")
                  .schema.names(),
              ElementsAre("who", "who_1", "WHO_2"));
}

TEST_F(PlanViewTest, RefusesWhatItCannotMaintainByNameAndPlace) {
  EXPECT_THAT(MustRefuse("SELECT sum(random()) FROM notes"), HasSubstr("random()"));
  for (const char* of_client : {"current_user", "session_user", "user", "current_role", "version()",
                                "current_setting('threads')", "getvariable('a')"}) {
    EXPECT_THAT(MustRefuse(std::string("SELECT ") + of_client + " FROM notes"),
                HasSubstr("its value is not decided by the rows"));
  }
  EXPECT_THAT(MustRefuse("SELECT list_transform([n], x -> x + random()) FROM notes"),
              HasSubstr("random()"));
  EXPECT_THAT(MustRefuse("SELECT list_filter([sold_at], t -> list_contains([t], now()::TIMESTAMP)) "
                         "FROM order_lines"),
              HasSubstr("now()"));
  EXPECT_THAT(MustRefuse("SELECT who FROM notes ORDER BY random() LIMIT 1"), HasSubstr("random()"));
  EXPECT_THAT(MustRefuse("SELECT a.who FROM notes a JOIN notes b ON a.n + random() > b.n"),
              HasSubstr("random()"));
  EXPECT_THAT(MustRefuse("SELECT random() AS r FROM notes"),
              HasSubstr("random() cannot be used in a materialized view"));
  EXPECT_THAT(MustRefuse("SELECT *\nFROM order_lines WHERE sold_at > now() - INTERVAL 1 MONTH"),
              HasSubstr("views.sql:3:"));
  EXPECT_THAT(MustRefuse("SELECT current_date, who FROM notes"),
              HasSubstr("now() here cannot be maintained"));
  EXPECT_THAT(MustRefuse("WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r WHERE x < "
                         "5) SELECT * FROM r"),
              AllOf(HasSubstr("recursive"), HasSubstr("views.sql:2:6")));
  EXPECT_THAT(MustRefuse("SELECT * FROM duckdb_settings()"), HasSubstr("duckdb_settings()"));
  EXPECT_THAT(MustRefuse("SELECT * FROM notes USING SAMPLE 10%"),
              AllOf(HasSubstr("sample"), HasSubstr("views.sql:2:27")));
  EXPECT_THAT(MustRefuse("SELECT DISTINCT who FROM notes ORDER BY who, n + 1 LIMIT 3"),
              AllOf(HasSubstr("DISTINCT with ORDER BY ... LIMIT by what it does not select"),
                    HasSubstr("GROUP BY"), HasSubstr("views.sql:2:8")));
  EXPECT_THAT(MustRefuse("SELECT * FROM notes POSITIONAL JOIN products"),
              AllOf(HasSubstr("POSITIONAL"), HasSubstr("views.sql:2:21")));
  EXPECT_THAT(MustRefuse("SELECT reservoir_quantile(n, 0.5) FROM notes"),
              AllOf(HasSubstr("reservoir_quantile()"), HasSubstr("views.sql:2:8")));
  EXPECT_THAT(MustRefuse("SELECT reservoir_quantile(n, 0.5) OVER (PARTITION BY who) FROM notes"),
              HasSubstr("reservoir_quantile()"));
}

TEST_F(PlanViewTest, CallsOfOnePartitionShareAWindow) {
  const ViewPlan plan = MustPlan(
      "SELECT who, rank() OVER (PARTITION BY who ORDER BY n) AS a, sum(n) OVER (PARTITION BY who) "
      "AS b, lag(n) OVER (ORDER BY n) AS c FROM notes");
  EXPECT_EQ(Count<stream::Window>(plan), 2u);
  EXPECT_THAT(plan.schema.names(), ElementsAre("who", "a", "b", "c"));
}

TEST_F(PlanViewTest, ABoundedRowNumberIsATopKAndAnUnboundedOneAWindow) {
  const std::string numbered =
      "SELECT * FROM (SELECT who, row_number() OVER (PARTITION BY who ORDER BY n) AS r FROM notes)";
  EXPECT_EQ(Count<stream::TopK>(MustPlan(numbered + " WHERE r <= 3")), 1u);
  EXPECT_EQ(Count<stream::Window>(MustPlan(numbered + " WHERE r <= 3")), 0u);
  EXPECT_EQ(Count<stream::Window>(MustPlan(numbered + " WHERE r > 3")), 1u);
}

TEST_F(PlanViewTest, ABoundedRankIsATopKOfRanks) {
  for (const auto& [function, ranking] :
       {std::pair("rank()", stream::TopK::Ranking::kRank),
        std::pair("dense_rank()", stream::TopK::Ranking::kDenseRank)}) {
    const ViewPlan plan = MustPlan(fmt::format(
        "SELECT who, {} OVER (PARTITION BY who ORDER BY n) AS r FROM notes QUALIFY r < 3",
        function));
    EXPECT_EQ(Count<stream::Window>(plan), 0u);
    for (const auto& node : plan.plan.nodes) {
      const auto* top = std::get_if<stream::TopK>(&node.op);
      if (top == nullptr) continue;
      EXPECT_EQ(top->ranking, ranking);
      EXPECT_EQ(top->limit, 2);
    }
    EXPECT_EQ(Count<stream::TopK>(plan), 1u);
  }
}

TEST_F(PlanViewTest, ASessionIsOneOperatorWhereItsGapIsALengthOfTime) {
  const std::string of = "SELECT * FROM session(order_lines, sold_at, ";
  const ViewPlan plan = MustPlan(of + "INTERVAL 1 DAY, customer_id)");
  EXPECT_EQ(Count<stream::SessionWindow>(plan), 1u);
  EXPECT_EQ(Count<stream::Window>(plan), 0u);
  const ViewPlan months = MustPlan(of + "INTERVAL 1 MONTH, customer_id)");
  EXPECT_EQ(Count<stream::SessionWindow>(months), 0u);
  EXPECT_EQ(Count<stream::Window>(months), 3u);
  EXPECT_EQ(months.schema.names(), plan.schema.names());
  const ViewPlan days = MustPlan(
      "WITH days AS (SELECT sold_at::DATE AS day FROM order_lines) "
      "SELECT * FROM session(days, day, INTERVAL 1 DAY)");
  EXPECT_EQ(Count<stream::Window>(days), 3u);
}

TEST_F(PlanViewTest, EachGroupingSetIsAnAggregate) {
  EXPECT_EQ(Count<stream::Aggregate>(
                MustPlan("SELECT who, n, count(*) FROM notes GROUP BY CUBE (who, n)")),
            4u);
}

TEST_F(PlanViewTest, RefusesAViewThatReadsItself) {
  const auto plan = Plan("SELECT * FROM v");
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code(), Code::kNotFound);
}

TEST_F(PlanViewTest, GivesExpressionsThatRunOnAnotherConnection) {
  const ViewPlan plan = MustPlan(
      "SELECT upper(who) || '!' AS loud, n::VARCHAR AS text, list_concat([n], [1]) AS l, "
      "strftime(TIMESTAMP '2020-01-01' + "
      "to_days(n), '%Y') AS y, regexp_replace(who, 'a', 'b', 'g') AS r FROM notes");
  duckdb::Connection connection(database_->duckdb());
  const stream::Project* project = nullptr;
  for (const auto& node : plan.plan.nodes) {
    if (const auto* found = std::get_if<stream::Project>(&node.op)) {
      if (found->expressions.size() == 5) project = found;
    }
  }
  ASSERT_NE(project, nullptr);
  duckdb::DataChunk rows;
  rows.Initialize(duckdb::Allocator::DefaultAllocator(),
                  {duckdb::LogicalType::VARCHAR, duckdb::LogicalType::INTEGER});
  rows.SetValue(0, 0, duckdb::Value("anna"));
  rows.SetValue(1, 0, duckdb::Value::INTEGER(400));
  rows.SetCardinality(1);
  duckdb::ExpressionExecutor executor(*connection.context);
  duckdb::vector<duckdb::LogicalType> types;
  for (const auto& expression : project->expressions) {
    executor.AddExpression(*expression);
    types.push_back(expression->return_type);
  }
  duckdb::DataChunk out;
  out.Initialize(duckdb::Allocator::DefaultAllocator(), types);
  executor.Execute(rows, out);
  EXPECT_EQ(out.GetValue(0, 0).ToString(), "ANNA!");
  EXPECT_EQ(out.GetValue(1, 0).ToString(), "400");
  EXPECT_EQ(out.GetValue(2, 0).ToString(), "[400, 1]");
  EXPECT_EQ(out.GetValue(3, 0).ToString(), "2021");
  EXPECT_EQ(out.GetValue(4, 0).ToString(), "bnnb");
}

TEST_F(PlanViewTest, PlansOnAfterADefectOfDuckDb) {
  duckdb::Connection worker(database_->duckdb());
  EXPECT_THROW(worker.context->RunFunctionInTransaction(
                   [] { throw duckdb::FatalException("a failed assertion"); }),
               duckdb::FatalException);
  MustPlan("SELECT country, count(*) FROM sales GROUP BY country");
  EXPECT_FALSE(worker.Query("SELECT 1")->HasError());
}

TEST_F(PlanViewTest, PlansFromSeveralThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> planned = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      catalog::ViewDefinition view;
      view.name = "v";
      view.select = "SELECT country, count(*) FROM sales GROUP BY country";
      for (int i = 0; i < 5; ++i)
        planned += database_->PlanView(*catalog_, view, Origin{"", view.select, 0, 0}).ok();
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(planned, 20);
}

}  // namespace
}  // namespace millrace::sql::plan_view_test
