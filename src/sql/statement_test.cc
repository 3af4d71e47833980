#include "sql/statement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/random.h"
#include "sql/lexer.h"

namespace millrace::sql::statement_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

Statement One(std::string_view text) {
  Result<std::vector<Statement>> parsed = Parse(text);
  if (!parsed.ok()) {
    ADD_FAILURE() << text << "\n" << parsed.error().ToString();
    return {};
  }
  EXPECT_EQ(parsed->size(), 1u) << text;
  return std::move(parsed->front());
}

template <typename T>
T Created(std::string_view text) {
  return std::get<T>(std::get<CreateStatement>(One(text).statement).definition);
}

constexpr std::string_view kClicks = R"(CREATE STREAM clicks (
    event_id   UUID      NOT NULL,
    user_id    BIGINT    NOT NULL,
    product_id BIGINT    NOT NULL,
    action     VARCHAR   NOT NULL CHECK (action IN ('view', 'cart', 'purchase')),
    price      DECIMAL(10,2) DEFAULT 0,
    happened   TIMESTAMP NOT NULL,
    WATERMARK FOR happened AS happened - INTERVAL 10 SECONDS,
    DEDUPLICATE ON (event_id) WITHIN INTERVAL 1 DAY
) PARTITION BY (user_id) INTO 8 PARTITIONS
  WITH (format = 'json', retention = '7 days', on_invalid = 'quarantine', late = 'keep'))";

TEST(Statement, OfAStreamHoldsAllThatWasDeclared) {
  const auto stream = Created<catalog::StreamDefinition>(kClicks);
  EXPECT_EQ(stream.name, "clicks");
  EXPECT_THAT(stream.schema.names(),
              ElementsAre("event_id", "user_id", "product_id", "action", "price", "happened"));
  EXPECT_TRUE(stream.schema.columns[0].not_null);
  EXPECT_FALSE(stream.schema.columns[4].not_null);
  EXPECT_EQ(stream.schema.columns[4].type, duckdb::LogicalType::DECIMAL(10, 2));
  EXPECT_EQ(stream.schema.columns[4].default_value->ToString(), "0.00");
  EXPECT_EQ(stream.schema.columns[5].id, 6);
  ASSERT_EQ(stream.checks.size(), 1u);
  EXPECT_EQ(stream.checks[0].expression, "action IN ('view', 'cart', 'purchase')");
  EXPECT_EQ(stream.watermark->column, "happened");
  EXPECT_EQ(stream.watermark->delay, std::chrono::seconds(10));
  EXPECT_THAT(stream.deduplicate->columns, ElementsAre("event_id"));
  EXPECT_EQ(*stream.deduplicate->within, std::chrono::hours(24));
  EXPECT_THAT(stream.partition_by, ElementsAre("user_id"));
  EXPECT_EQ(stream.partitions, 8);
  EXPECT_EQ(*stream.retention, std::chrono::hours(7 * 24));
}

TEST(Statement, OfARawStreamHasTheColumnsOfARecord) {
  const auto parsed = Parse("CREATE STREAM \"my.events\" INTO 3 PARTITIONS WITH (format = 'raw')");
  ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
  const auto& stream = std::get<catalog::StreamDefinition>(
      std::get<CreateStatement>((*parsed)[0].statement).definition);
  EXPECT_EQ(stream.format, catalog::StreamDefinition::Format::kRaw);
  EXPECT_EQ(stream.partitions, 3);
  ASSERT_EQ(stream.schema.columns.size(), 4u);
  EXPECT_EQ(stream.schema.columns[2].type.ToString(), "STRUCT(\"key\" VARCHAR, \"value\" BLOB)[]");
}

TEST(Statement, OfAStreamTakesEveryOption) {
  const auto stream = Created<catalog::StreamDefinition>(
      "CREATE STREAM s (a TIMESTAMP, WATERMARK FOR a AS a) INTO 3 PARTITIONS WITH (on_invalid = "
      "reject, late = 'DIVERT', "
      "retention_bytes = '1.5 KiB', idle_after = '1 minute', future_max = '2 hours 30 minutes', "
      "durability = 'interval 50ms')");
  EXPECT_EQ(stream.on_invalid, catalog::StreamDefinition::OnInvalid::kReject);
  EXPECT_EQ(stream.late, catalog::StreamDefinition::Late::kDivert);
  EXPECT_EQ(*stream.retention_bytes, 1536);
  EXPECT_EQ(stream.idle_after, std::chrono::minutes(1));
  EXPECT_EQ(stream.future_max, std::chrono::minutes(150));
  EXPECT_EQ(stream.partitions, 3);
  EXPECT_EQ(stream.watermark->delay.count(), 0);
  EXPECT_EQ(stream.durability.text(), "interval 50ms");
}

TEST(Statement, OfAViewSaysHowLongItsChangesAreKept) {
  const auto view = Created<catalog::ViewDefinition>(
      "CREATE MATERIALIZED VIEW v WITH (retention = '7 days', retention_bytes = '1 GB', "
      "changes = 'append') AS SELECT 1 AS a");
  EXPECT_EQ(view.retention, std::chrono::hours(7 * 24));
  EXPECT_EQ(view.retention_bytes, 1'000'000'000);
}

TEST(Statement, OfAStreamSaysHowDurableItIs) {
  const auto durability = [](const std::string& value) {
    return Created<catalog::StreamDefinition>(
               "CREATE STREAM s (a BIGINT) WITH (durability = " + value + ")")
        .durability;
  };
  using std::chrono::milliseconds;
  EXPECT_EQ(durability("'fsync'"), catalog::Durability());
  EXPECT_EQ(durability("fsync").sync_delay_max(), milliseconds(0));
  EXPECT_EQ(durability("'OS'").text(), "os");
  EXPECT_EQ(durability("os").sync_delay_max(), catalog::Durability::kOsInterval);
  EXPECT_EQ(durability("'interval 10 seconds'").sync_delay_max(), milliseconds(10'000));
  EXPECT_EQ(durability("'INTERVAL 1 ms'").text(), "interval 1ms");
}

TEST(Statement, ReadsEveryWayToWriteAnInterval) {
  for (std::string_view text :
       {"INTERVAL 90 MINUTES", "INTERVAL '90' MINUTE", "INTERVAL '1 hour 30 minutes'",
        "'90 minutes'", "INTERVAL '01:30:00'"}) {
    const auto stream = Created<catalog::StreamDefinition>(
        fmt::format("CREATE STREAM s (a TIMESTAMP, WATERMARK FOR a AS a - {})", text));
    EXPECT_EQ(stream.watermark->delay, std::chrono::minutes(90)) << text;
  }
}

TEST(Statement, OfATableHoldsKeyChecksAndSeed) {
  const auto one = Created<catalog::TableDefinition>(
      "CREATE TABLE products (id BIGINT PRIMARY KEY, name VARCHAR DEFAULT 'it''s', note JSON) WITH "
      "(seed = 'products.csv')");
  EXPECT_THAT(one.primary_key, ElementsAre("id"));
  EXPECT_TRUE(one.schema.columns[0].not_null);
  EXPECT_EQ(one.schema.columns[1].default_value->ToString(), "it's");
  EXPECT_EQ(one.schema.columns[2].type.GetAlias(), "JSON");
  EXPECT_EQ(one.seed, "products.csv");
  const auto two = Created<catalog::TableDefinition>(
      "create table public.t (A int, \"B b\" double precision null, s STRUCT(x INTEGER, y "
      "VARCHAR[]) , PRIMARY KEY (a, \"B b\"), "
      "CONSTRAINT positive CHECK (a > 0 /* yes */ AND \"B b\" < 1))");
  EXPECT_EQ(two.name, "t");
  EXPECT_THAT(two.primary_key, ElementsAre("A", "B b"));
  EXPECT_EQ(two.checks[0].expression, "a > 0 /* yes */ AND \"B b\" < 1");
  EXPECT_TRUE(Created<catalog::TableDefinition>("CREATE TABLE bag (a INTEGER DEFAULT NULL)")
                  .primary_key.empty());
}

TEST(Statement, KeepsTheSelectOfAViewAndItsPlace) {
  const std::string text =
      "  -- revenue\nCREATE OR REPLACE MATERIALIZED VIEW v WITH (on_error = 'stop', history = "
      "'none') AS\n  SELECT 1 AS a -- one\n  ;";
  const Statement statement = One(text);
  const auto& create = std::get<CreateStatement>(statement.statement);
  const auto& view = std::get<catalog::ViewDefinition>(create.definition);
  EXPECT_TRUE(create.or_replace);
  EXPECT_TRUE(view.materialized);
  EXPECT_EQ(view.select, "SELECT 1 AS a");
  EXPECT_EQ(text.substr(create.select_begin, 6), "SELECT");
  EXPECT_EQ(view.on_error, catalog::ViewDefinition::OnError::kStop);
  EXPECT_EQ(view.history, catalog::ViewDefinition::History::kNone);
  EXPECT_EQ(statement.begin, text.find("CREATE"));
  EXPECT_FALSE(
      Created<catalog::ViewDefinition>("CREATE VIEW v AS FROM t WHERE x > 1").materialized);
  EXPECT_EQ(
      Created<catalog::ViewDefinition>("CREATE VIEW v (a, \"B b\") AS SELECT 1, 2 -- two").select,
      "SELECT * FROM (SELECT 1, 2\n) AS _named(\"a\", \"B b\")");
}

TEST(Statement, OfAnIndexWithoutANameMakesOne) {
  EXPECT_EQ(Created<catalog::IndexDefinition>("CREATE INDEX ON revenue (minute, id)").name,
            "revenue_minute_id_idx");
  EXPECT_EQ(
      Created<catalog::IndexDefinition>("CREATE INDEX IF NOT EXISTS i ON public.revenue (minute)")
          .relation,
      "revenue");
}

TEST(Statement, OfAnEndpointHoldsPathAndParameters) {
  const auto endpoint = Created<catalog::EndpointDefinition>(
      "CREATE ENDPOINT recommendations ON GET '/users/{user_id}/recommendations' (user_id BIGINT, "
      "n INTEGER DEFAULT 10 CHECK (n BETWEEN 1 AND 100)) "
      "AS SELECT product_id, score FROM recommended WHERE user_id = $user_id ORDER BY score DESC "
      "LIMIT $n;");
  EXPECT_EQ(endpoint.path, "/users/{user_id}/recommendations");
  ASSERT_EQ(endpoint.parameters.size(), 2u);
  EXPECT_EQ(endpoint.parameters[1].default_value->ToString(), "10");
  EXPECT_EQ(endpoint.parameters[1].check, "n BETWEEN 1 AND 100");
  EXPECT_FALSE(endpoint.parameters[0].default_value);
}

TEST(Statement, OfASourceHoldsItsOptions) {
  const auto source = Created<catalog::SourceDefinition>(
      "CREATE SOURCE demo INTO clicks FROM datagen (rows_per_second = 1000, seed = -1, mode = "
      "fast)");
  EXPECT_EQ(source.into, "clicks");
  EXPECT_EQ(source.connector, "datagen");
  EXPECT_EQ(source.options.at("rows_per_second"), "1000");
  EXPECT_EQ(source.options.at("seed"), "-1");
  EXPECT_EQ(source.options.at("mode"), "fast");
}

TEST(Statement, DropShowDescribeExplainAndReplayAreOurs) {
  const auto drop =
      std::get<DropStatement>(One("DROP MATERIALIZED VIEW IF EXISTS public.v CASCADE").statement);
  EXPECT_EQ(drop.kind, catalog::Kind::kView);
  EXPECT_EQ(drop.name, "v");
  EXPECT_TRUE(drop.if_exists && drop.cascade);
  EXPECT_EQ(std::get<ShowStatement>(One("show Streams").statement).kind, catalog::Kind::kStream);
  EXPECT_EQ(std::get<ShowStatement>(One("SHOW INDEXES").statement).kind, catalog::Kind::kIndex);
  EXPECT_EQ(std::get<DescribeStatement>(One("DESCRIBE clicks.quarantine").statement).name,
            "clicks.quarantine");
  EXPECT_EQ(std::get<DescribeStatement>(One("DESC \"clicks.quarantine\"").statement).name,
            "clicks.quarantine");
  EXPECT_EQ(std::get<DescribeStatement>(One("DESCRIBE STREAM clicks").statement).name, "clicks");
  EXPECT_EQ(std::get<ExplainStatement>(One("EXPLAIN ANALYZE VIEW v").statement).view, "v");
  const std::string text = "EXPLAIN CREATE MATERIALIZED VIEW v AS SELECT 1";
  const auto explain = std::get<ExplainStatement>(One(text).statement);
  EXPECT_EQ(explain.text, "CREATE MATERIALIZED VIEW v AS SELECT 1");
  EXPECT_EQ(explain.text_begin, 8u);
  EXPECT_EQ(std::get<ExplainStatement>(One("EXPLAIN SELECT 1").statement).text, "SELECT 1");
  EXPECT_EQ(std::get<ReplayStatement>(One("REPLAY STREAM clicks").statement).stream, "clicks");
}

TEST(Statement, OfAWriteNamesItsTarget) {
  const auto insert = std::get<WriteStatement>(
      One("INSERT OR REPLACE INTO public.\"T t\" VALUES (1, ';') RETURNING *").statement);
  EXPECT_EQ(insert.what, WriteStatement::What::kInsert);
  EXPECT_EQ(insert.target, "T t");
  EXPECT_EQ(
      std::get<WriteStatement>(One("WITH x AS (SELECT 1) INSERT INTO t FROM x").statement).target,
      "t");
  const auto update = std::get<WriteStatement>(One("UPDATE t SET a = 1 WHERE b = 2").statement);
  EXPECT_EQ(update.what, WriteStatement::What::kUpdate);
  EXPECT_EQ(update.target, "t");
  EXPECT_EQ(std::get<WriteStatement>(One("DELETE FROM warehouse.t").statement).target,
            "warehouse.t");
}

TEST(Statement, AnythingElseThatDuckDbSelectsIsASelect) {
  for (std::string_view text :
       {"SELECT 1", "WITH x AS (SELECT 1) SELECT * FROM x", "VALUES (1)", "FROM t", "TABLE t",
        "(SELECT 1) UNION ALL SELECT 2", "DESCRIBE SELECT 1", "SUMMARIZE t", "SELECT $1, $2",
        "SELECT $name", "SELECT ?",
        "SELECT $$a;b$$, E'it\\'s;', 'x''y;', /* ; /* ; */ */ 1 -- ;"}) {
    EXPECT_TRUE(std::holds_alternative<SelectStatement>(One(text).statement)) << text;
  }
}

TEST(Statement, SplitsAtSemicolonsOutsideTextsNamesAndComments) {
  const auto parsed = Parse(";; SELECT ';' ; SELECT \";\" FROM t /* ; */;\n-- ;\nSELECT $a$;$a$ ;");
  ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
  std::vector<std::string> texts;
  for (const Statement& statement : *parsed) texts.push_back(statement.text);
  EXPECT_THAT(texts, ElementsAre("SELECT ';'", "SELECT \";\" FROM t", "SELECT $a$;$a$"));
  EXPECT_TRUE(Parse("")->empty());
  EXPECT_TRUE(Parse(" -- nothing\n ; ")->empty());
}

TEST(Statement, PointsIntoTheFileWhenALaterSelectIsWrong) {
  const auto parsed = Parse(
      "SELECT 'é';\n\nCREATE MATERIALIZED VIEW v AS\n  SELECT 'éé', a FORM t;", "shop/views.sql");
  ASSERT_FALSE(parsed.ok());
  EXPECT_EQ(parsed.error().ToString(),
            "CREATE MATERIALIZED VIEW v: syntax error at or near \"t\" (shop/views.sql:4:23)\n"
            "    4 |   SELECT 'éé', a FORM t;\n"
            "      |                       ^\n"
            "  did you mean FROM?");
}

TEST(RelationsNamed, KnowsTheScopeOfWith) {
  const auto names = RelationsNamed(
      "WITH c AS (SELECT * FROM c), d AS (SELECT * FROM c) "
      "SELECT (SELECT max(x) FROM sub1) FROM d JOIN public.e USING (x) LEFT JOIN (SELECT * FROM f) "
      "g ON g.a IN (SELECT b FROM sub2) "
      "WHERE EXISTS (FROM h.quarantine) GROUP BY 1 HAVING (SELECT true FROM sub3) UNION ALL "
      "(SELECT * FROM E ORDER BY (SELECT 1 FROM sub4)) ");
  ASSERT_TRUE(names.ok()) << names.error().ToString();
  EXPECT_THAT(*names,
              UnorderedElementsAre("c", "sub1", "e", "f", "sub2", "h.quarantine", "sub3", "sub4"));
  EXPECT_THAT(
      *RelationsNamed(
          "WITH RECURSIVE r AS (SELECT 1 FROM a UNION ALL SELECT 2 FROM r, b) SELECT * FROM r"),
      UnorderedElementsAre("a", "b"));
  EXPECT_FALSE(RelationsNamed("DELETE FROM t").ok());
}

TEST(NormaliseText, LeavesLiteralsAlone) {
  EXPECT_EQ(NormaliseText("  SELECT 'a  b' ,\n\t\"x  y\"/* c */-- d\n  FROM(t) "),
            "SELECT 'a  b' , \"x  y\" FROM(t)");
}

TEST(Statement, OfEveryExampleInTheManualIsParsed) {
  std::ifstream manual("docs/sql.md");
  ASSERT_TRUE(manual) << "run the test in the root of the project";
  std::string examples;
  bool inside = false;
  for (std::string line; std::getline(manual, line);) {
    if (line.starts_with("```")) {
      inside = line == "```sql";
    } else if (inside) {
      examples += line;
    }
    examples += '\n';  // keeps the lines' numbers
  }
  const auto parsed = Parse(examples, "docs/sql.md");
  ASSERT_TRUE(parsed.ok()) << parsed.error().ToString();
  EXPECT_GT(parsed->size(), 40u);
}

}  // namespace
}  // namespace millrace::sql::statement_test
