#include "pg/session_statement.h"

#include <gtest/gtest.h>

#include "pg/catalog_rewrite.h"
#include "pg/session_words.h"
#include "pg/variables.h"

namespace millrace::pg::session_statement_test {
namespace {

template <typename T>
T KindOf(const std::string& text) {
  const auto statement = Classify(text);
  EXPECT_TRUE(statement.ok()) << text << ": " << statement.error().ToString();
  if (!statement.ok() || !std::holds_alternative<T>(statement->kind)) {
    ADD_FAILURE() << text << " is of another kind";
    return {};
  }
  return std::get<T>(statement->kind);
}

NodeStatement::Kind NodeKind(const std::string& text) { return KindOf<NodeStatement>(text).kind; }

TEST(SessionStatement, SplitsAtSemicolonsAndKeepsPlaces) {
  const auto statements = SplitStatements("SELECT ';'; ;\n-- x;\nSELECT 'ä'; SELECT 2");
  ASSERT_TRUE(statements.ok());
  ASSERT_EQ(statements->size(), 3u);
  EXPECT_EQ((*statements)[0], "SELECT ';'");
  EXPECT_EQ((*statements)[1].find("SELECT"), 20u);
  // A character of two bytes is one place.
  EXPECT_EQ((*statements)[2].find("SELECT"), 32u);
  EXPECT_TRUE(SplitStatements("-- ping\n;;")->empty());
}

TEST(SessionStatement, KnowsWhatTheSessionAnswers) {
  EXPECT_TRUE(*KindOf<BeginBlock>("BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY").read_only);
  EXPECT_FALSE(KindOf<BeginBlock>("start transaction").read_only);
  EXPECT_FALSE(KindOf<EndBlock>("ROLLBACK").commit);
  EXPECT_TRUE(KindOf<EndBlock>("COMMIT AND CHAIN").chain);
  EXPECT_EQ(KindOf<SetVariable>("SET extra_float_digits = 3").value, "3");
  EXPECT_EQ(KindOf<SetVariable>("set session DateStyle to ISO, MDY").value, "ISO, MDY");
  EXPECT_TRUE(KindOf<SetVariable>("SET LOCAL statement_timeout TO '5s'").local);
  EXPECT_EQ(KindOf<SetVariable>("SET TIME ZONE 'UTC'").name, "timezone");
  EXPECT_FALSE(KindOf<SetVariable>("SET TIME ZONE LOCAL").value);
  EXPECT_FALSE(KindOf<SetVariable>("SET TIME ZONE DEFAULT").value);
  EXPECT_EQ(KindOf<SetVariable>("SET TIME ZONE -5").value, "-5");
  EXPECT_EQ(KindOf<SetVariable>("SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE").value, "+02");
  EXPECT_EQ(KindOf<SetVariable>("SET millrace.after = 'x'").name, "millrace.after");
  EXPECT_FALSE(KindOf<SetVariable>("SET x TO DEFAULT").value);
  EXPECT_TRUE(KindOf<SetTransaction>(
                  "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED")
                  .of_session);
  EXPECT_EQ(KindOf<ShowVariable>("SHOW TRANSACTION ISOLATION LEVEL").name, "transaction_isolation");
  EXPECT_EQ(KindOf<FetchCursor>("FETCH FORWARD 10 FROM c").count, 10u);
  EXPECT_FALSE(KindOf<FetchCursor>("FETCH ALL IN \"C\"").count);
  EXPECT_EQ(KindOf<Subscribe>("SUBSCRIBE TO public.v FROM STEP 7").from_step, 7);
  EXPECT_TRUE(KindOf<Subscribe>("SUBSCRIBE TO v WITH SNAPSHOT").with_snapshot);
  EXPECT_EQ(KindOf<Deallocate>("DEALLOCATE ALL").name, "");
  EXPECT_EQ(KindOf<Nothing>("UNLISTEN *").tag, "UNLISTEN");
  EXPECT_EQ(KindOf<Refresh>("refresh materialized view concurrently \"millrace\".public.\"V\" "
                            "with data")
                .view,
            "V");
}

TEST(SessionStatement, ReadsCopyOfBothForms) {
  const Copy csv = KindOf<Copy>(
      "COPY \"public\".\"t\" (a, \"B\") FROM STDIN WITH (FORMAT csv, HEADER, NULL 'x')");
  EXPECT_EQ(csv.relation, "t");
  EXPECT_EQ(csv.columns, (std::vector<std::string>{"a", "B"}));
  EXPECT_TRUE(csv.from && csv.options.header);
  EXPECT_EQ(csv.options.delimiter, ',');
  EXPECT_EQ(csv.options.null_text, "x");
  const Copy old = KindOf<Copy>("COPY t TO STDOUT DELIMITER '|' CSV HEADER");
  EXPECT_EQ(old.options.format, CopyOptions::Format::kCsv);
  EXPECT_EQ(old.options.delimiter, '|');
  const Copy query = KindOf<Copy>("COPY (SELECT (1) FROM t) TO STDOUT (FORMAT binary)");
  EXPECT_NE(query.query.find("SELECT (1) FROM t"), std::string::npos);
  EXPECT_EQ(Classify("COPY t FROM '/etc/passwd'").error().sqlstate(), "0A000");
}

TEST(SessionStatement, LeavesTheRestToTheNode) {
  using Kind = NodeStatement::Kind;
  EXPECT_EQ(NodeKind("SELECT * FROM t"), Kind::kRead);
  EXPECT_EQ(NodeKind("SELECT 1 + 1"), Kind::kConstant);
  EXPECT_EQ(NodeKind("WITH a AS (SELECT 1) SELECT * FROM a"), Kind::kConstant);
  EXPECT_EQ(NodeKind("SHOW VIEWS"), Kind::kShow);
  EXPECT_EQ(NodeKind("insert into t values (1)"), Kind::kWrite);
  EXPECT_EQ(NodeKind("CREATE VIEW v AS SELECT 1"), Kind::kDefinition);
  EXPECT_EQ(Classify("LISTEN a").error().sqlstate(), "0A000");
  EXPECT_TRUE(MendsBlock(Classify("ROLLBACK TO SAVEPOINT a")->kind));
  EXPECT_FALSE(MendsBlock(Classify("SAVEPOINT a")->kind));
  EXPECT_EQ(Classify("SET x = ").error().sqlstate(), "42601");
}

TEST(SessionStatement, KnowsQueriesForTheCatalog) {
  for (const char* text :
       {"SELECT * FROM pg_catalog.pg_class", "select version()", "SELECT current_schema()",
        "SELECT c.relname FROM pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(x)$'",
        "SELECT 'x'::regclass::oid", "SELECT * FROM information_schema.tables",
        "SELECT current_user", "SELECT pg_advisory_unlock_all()"}) {
    KindOf<CatalogQuery>(text);
  }
  for (const char* text : {"SELECT current_user, * FROM clicks", "SELECT pg_name FROM clicks",
                           "SELECT 'pg_class'", "SELECT version FROM releases"}) {
    KindOf<NodeStatement>(text);
  }
}

std::string Rewritten(const std::string& text) {
  static const Variables variables;
  const auto rewritten = RewriteCatalogQuery(text, {"alice", 7, "test", &variables, nullptr});
  EXPECT_TRUE(rewritten.ok()) << text;
  return rewritten.ok() ? *rewritten : "";
}

TEST(CatalogRewrite, SaysInDuckDbsWordsWhatPostgresHas) {
  EXPECT_EQ(Rewritten("SELECT pg_catalog.format_type(a, b) FROM pg_catalog.pg_type"),
            "SELECT format_type(a, b) FROM pg_type");
  EXPECT_EQ(Rewritten("x OPERATOR(pg_catalog.~) 'y' COLLATE pg_catalog.default"), "x ~ 'y'");
  EXPECT_EQ(Rewritten("SELECT * FROM information_schema.tables"),
            "SELECT * FROM information_schema_.tables");
  EXPECT_EQ(Rewritten("a.b::pg_catalog.regclass"), "_regclass(a.b)");
  EXPECT_EQ(Rewritten("SELECT c.oid::regclass::text"), "SELECT _regclass(c.oid)::text");
  EXPECT_EQ(Rewritten("WHERE oid = 'public.t'::regclass"), "WHERE oid = _regclass_oid('public.t')");
  EXPECT_EQ(Rewritten("f((a || b)::regclass)"), "f(_regclass_oid((a || b)))");
  EXPECT_EQ(Rewritten("CAST('t' AS regclass)"), "_regclass_oid('t')");
  EXPECT_EQ(Rewritten("'{a,\"b c\"}'::text[]"), "['a', 'b c']::text[]");
  EXPECT_EQ(Rewritten("'r'::\"char\", 1::oid"), "'r'::pgchar, 1::pgoid");
  EXPECT_EQ(Rewritten("WHERE (typreceive != 0 OR t.typsend <> 0) AND typrelid = 0"),
            "WHERE (typreceive != '-' OR t.typsend <> '-') AND typrelid = 0");
  EXPECT_EQ(Rewritten("SELECT pg_backend_pid()"), "SELECT 7");
  EXPECT_EQ(Rewritten("current_setting('server_version_num')"), "'150000'");
  EXPECT_EQ(PlainColumnName("format_type(23, -1)", ""), "format_type");
  EXPECT_EQ(PlainColumnName("(1 + 1)", ""), "?column?");
  EXPECT_EQ(PlainColumnName("nspname", ""), "nspname");
  EXPECT_EQ(PlainColumnName("Access privileges", "SELECT a AS \"Access privileges\""),
            "Access privileges");
  EXPECT_EQ(Rewritten("FROM pg_catalog.generate_series(0, f(x)) s JOIN t"),
            "FROM generate_series(0, f(x)) s(s) JOIN t");
}

TEST(WithSessionWords, AreConstantsBesideRelationsOfTheUser) {
  const Variables variables;
  const CatalogAsker asker{"o'hara", 7, "test", &variables, nullptr};
  const auto with = [&](const std::string& text) { return *WithSessionWords(text, asker); };
  EXPECT_EQ(with("SELECT current_user FROM t"), "SELECT 'o''hara'    FROM t");
  EXPECT_EQ(with("SELECT current_database(), version FROM t"),
            "SELECT 'millrace'        , version FROM t");
  EXPECT_EQ(with("SELECT pg_backend_pid() + t.current_user FROM t"),
            "SELECT 7                + t.current_user FROM t");
  EXPECT_EQ(with("SELECT 'current_user', current_setting('DateStyle')"),
            "SELECT 'current_user', 'ISO, MDY'                  ");
  EXPECT_EQ(with("SELECT current_date, current_timestamp"),
            "SELECT current_date, current_timestamp");
  EXPECT_FALSE(WithSessionWords("SELECT current_setting('nothing') FROM t", asker).ok());
}

TEST(WithSessionWords, TakesTheDatabaseOff) {
  const auto without = [&](const std::string& text) {
    return *WithSessionWords(text, {"me", 7, "test", nullptr, nullptr}, SessionWords::kDatabase);
  };
  EXPECT_EQ(without("SELECT current_user FROM \"millrace\".\"public\".\"t\""),
            "SELECT current_user FROM            \"public\".\"t\"");
  EXPECT_EQ(without("FROM Millrace.millrace.views, millrace.views"),
            "FROM          millrace.views, millrace.views");
  EXPECT_EQ(without("SELECT a.millrace.public.b, 'millrace.public.t'"),
            "SELECT a.millrace.public.b, 'millrace.public.t'");
}

TEST(Variables, TakeWhatHasTheSameMeaningHere) {
  Variables variables;
  EXPECT_TRUE(variables.Set("client_encoding", "utf-8").ok());
  EXPECT_TRUE(variables.Set("DATESTYLE", "ISO").ok());
  EXPECT_TRUE(variables.Set("TimeZone", "Etc/UTC").ok());
  EXPECT_TRUE(variables.Set("TimeZone", "europe/london").ok());
  EXPECT_EQ(*variables.Get("timezone"), "Europe/London");
  EXPECT_EQ(variables.time_zone()->name(), "Europe/London");
  EXPECT_EQ(variables.Set("TimeZone", "Nowhere").error().sqlstate(), "22023");
  EXPECT_EQ(variables.time_zone()->name(), "Europe/London");
  EXPECT_EQ(variables.Set("client_encoding", "LATIN1").error().sqlstate(), "0A000");
  EXPECT_EQ(variables.Set("bytea_output", "escape").error().sqlstate(), "0A000");
  EXPECT_EQ(variables.Set("server_version", "9").error().sqlstate(), "55P02");
  EXPECT_EQ(variables.Set("no_such", "1").error().sqlstate(), "42704");
  EXPECT_TRUE(variables.Set("my.own", "1").ok());
  EXPECT_EQ(*variables.Get("MY.OWN"), "1");
  EXPECT_TRUE(variables.Set("statement_timeout", "2min").ok());
  EXPECT_EQ(variables.statement_timeout(), std::chrono::milliseconds(120'000));
  EXPECT_TRUE(variables.Set("statement_timeout", "0").ok());
  EXPECT_EQ(variables.statement_timeout(), kStatementTimeoutMax);
  EXPECT_EQ(variables.Set("statement_timeout", "soon").error().sqlstate(), "22023");
  variables.ResetAll();
  EXPECT_EQ(variables.statement_timeout(), kStatementTimeout);
  EXPECT_EQ(variables.time_zone()->name(), "UTC");
}

}  // namespace
}  // namespace millrace::pg::session_statement_test
