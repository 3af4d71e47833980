// What the parser says of wrong statements, and that no bytes bring it down.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random.h"
#include "sql/statement.h"

namespace millrace::sql::statement_error_test {
namespace {

using ::testing::HasSubstr;

// Wrong inputs: message, place and hint of each

struct Wrong {
  std::string_view text;
  std::string_view message;  // part of it
  std::string_view
      at;  // what the caret stands under: the rest of the text from there begins with it
  std::string_view hint;  // part of it
  Code code = Code::kInvalidArgument;
};

constexpr Code kLater = Code::kNotSupported;
constexpr Code kMissing = Code::kNotFound;

const Wrong kWrong[] = {
    {"SELCT 1", "expected a statement such as CREATE, SELECT or INSERT, got SELCT", "SELCT",
     "did you mean SELECT?"},
    {"SELECT a FORM t", "syntax error at or near \"t\"", "t", "did you mean FROM?"},
    {"SELECT max(at) FROM t", "syntax error at or near \")\"", ")", "double quotes: \"at\""},
    {"CREATE STREAM s (at TIMESTAMP)", "expected the name of a column, got at", "at",
     "double quotes: \"at\""},
    {"SELECT (1", "syntax error at end of input", "", ""},
    {"SELECT 'abc", "the text that begins here never ends", "'abc", ""},
    {"SELECT \"abc", "the name that begins here never ends", "\"abc", ""},
    {"SELECT /* /* */ 1", "the comment that begins here never ends", "/* /*", ""},
    {"SELECT $x$ abc", "expected $x$", "$x$", ""},
    {"CREATE STREM s (a INTEGER)", "expected what to create: STREAM", "STREM",
     "did you mean STREAM?"},
    {"CREATE", "got the end of the statement", "", ""},
    {"CREATE OR STREAM s (a INTEGER)", "expected REPLACE, got STREAM", "STREAM s", ""},
    {"CREATE STREAM (a INTEGER)", "expected the name of the stream, got (", "(a", ""},
    {"CREATE STREAM select (a INTEGER)", "expected the name of the stream", "select",
     "double quotes: \"select\""},
    {"CREATE STREAM __steps (a INTEGER)", "names that begin with __", "__steps", ""},
    {"CREATE STREAM \"a.quarantine\" (a INTEGER)", ".quarantine", "\"a.q", ""},
    {"CREATE STREAM warehouse.s (a INTEGER)", "stands in schema public", "warehouse", ""},
    {"CREATE STREAM s", "CREATE STREAM s: expected ( and a list of columns", "", ""},
    {"CREATE STREAM s ()", "expected the name of a column, got )", ")", ""},
    {"CREATE STREAM s (a INTEGER", "expected a comma or ) after the column", "", ""},
    {"CREATE STREAM s (a)", "expected the type of column \"a\", got )", ")", ""},
    {"CREATE STREAM s (a INTEGR)", "type \"INTEGR\" does not exist", "INTEGR",
     "did you mean \"INTEGER\"?", kMissing},
    {"CREATE STREAM s (a STRUCT(b INTEGER, c VARCHR))", "type \"VARCHR\" does not exist", "VARCHR",
     "did you mean \"VARCHAR\"?", kMissing},
    {"CREATE STREAM s (a DECIMAL(99, 2))", "between 1 and 38", "DECIMAL", ""},
    {"CREATE STREAM s (a UNION(x INTEGER))", "is not available yet", "UNION", "", kLater},
    {"CREATE STREAM s (a INTEGER, A VARCHAR)", "column \"A\" is declared twice", "A VARCHAR", ""},
    {"CREATE STREAM s (_offset BIGINT)", "hidden column \"_offset\"", "_offset", "another name"},
    {"CREATE STREAM s (a INTEGER NOT NUL)", "expected NULL, got NUL", "NUL)", "did you mean NULL?"},
    {"CREATE STREAM s (a INTEGER NULL NOT NULL)", "both NULL and NOT NULL", "NOT NULL", ""},
    {"CREATE STREAM s (a TIMESTAMP DEFAULT now())", "now() is not one", "now()", "_ingested_at"},
    {"CREATE STREAM s (a TIMESTAMP DEFAULT current_timestamp)", "changes with the clock",
     "current_timestamp", "_ingested_at"},
    {"CREATE STREAM s (a VARCHAR DEFAULT abc)", "not the name \"abc\"", "abc", "single quotes"},
    {"CREATE STREAM s (a DOUBLE DEFAULT random())", "not the function random", "random", ""},
    {"CREATE STREAM s (a INTEGER DEFAULT 'x')", "Could not convert", "'x'", ""},
    {"CREATE STREAM s (a INTEGER DEFAULT)", "expected a constant after DEFAULT", ")", ""},
    {"CREATE STREAM s (a INTEGER DEFAULT 1 DEFAULT 2)", "two defaults", "DEFAULT 2", ""},
    {"CREATE STREAM s (a INTEGER PRIMARY KEY)", "a stream has no primary key", "PRIMARY",
     "DEDUPLICATE ON"},
    {"CREATE STREAM s (a INTEGER UNIQUE)", "UNIQUE is not available yet", "UNIQUE", "", kLater},
    {"CREATE STREAM s (a INTEGER CHECK (a >))", "syntax error", "", ""},
    {"CREATE STREAM s (pirce INTEGER CHECK (price > 0))", "column \"price\" does not exist",
     "price", "did you mean \"pirce\"?", kMissing},
    {"CREATE STREAM s (a INTEGER CHECK (a IN (SELECT 1)))", "no subquery", "", "", kLater},
    {"CREATE STREAM s (a INTEGER CHECK)", "expected ( a condition", ")", ""},
    {"CREATE STREAM s (a INTEGER CHECK (a > 1)", "expected a comma or ) after the column", "", ""},
    {"CREATE STREAM s (a INTEGER, WATERMARK FOR b AS b)", "column \"b\" does not exist", "b AS",
     "did you mean", kMissing},
    {"CREATE STREAM s (a INTEGER, WATERMARK FOR a AS a)", "is INTEGER, expected TIMESTAMP", "a AS",
     ""},
    {"CREATE STREAM s (a TIMESTAMP, WATERMARK FOR a AS b)", "expected the watermark's own column",
     "b)", ""},
    {"CREATE STREAM s (a TIMESTAMP, WATERMARK FOR a AS a - INTERVAL 10)",
     "expected a unit of time such as SECONDS", ")", ""},
    {"CREATE STREAM s (a TIMESTAMP, WATERMARK FOR a AS a - INTERVAL 10 SECONS)", "a unit of time",
     "SECONS", "did you mean SECONDS?"},
    {"CREATE STREAM s (a TIMESTAMP, WATERMARK FOR a AS a - INTERVAL 1 MONTH)",
     "has no fixed length", "INTERVAL", "days"},
    {"CREATE STREAM s (a TIMESTAMP, WATERMARK FOR a AS a - 10)", "such as INTERVAL 10 SECONDS",
     "10)", ""},
    {"CREATE STREAM s (a INTEGER, DEDUPLICATE ON (b))", "column \"b\" does not exist", "b)", "",
     kMissing},
    {"CREATE STREAM s (a INTEGER, DEDUPLICATE ON (a) WITHIN INTERVAL 1 DAY)",
     "WITHIN counts in event time", "WITHIN", "WATERMARK"},
    {"CREATE STREAM s (a INTEGER) PARTITION BY (b)", "column \"b\" does not exist", "b)", "",
     kMissing},
    {"CREATE STREAM s (a INTEGER) PARTITION BY (a, a)", "named twice", "a)", ""},
    {"CREATE STREAM s (a INTEGER) INTO 0 PARTITIONS", "from 1 to 1024, got 0", "0", ""},
    {"CREATE STREAM s (a INTEGER) INTO 8 PARTITONS", "expected PARTITIONS", "PARTITONS",
     "did you mean PARTITIONS?"},
    {"CREATE STREAM s (a INTEGER) WHIT (late = 'keep')",
     "expected PARTITION BY, INTO n PARTITIONS, WITH or the end", "WHIT", "did you mean WITH?"},
    {"CREATE STREAM s (a INTEGER) WITH (retension = '7 days')",
     "\"retension\" is no option of a stream", "retension", "did you mean \"retention\"?"},
    {"CREATE STREAM s (a INTEGER) WITH (retention = '10 GB')", "option retention", "'10 GB'",
     "retention_bytes"},
    {"CREATE STREAM s (a INTEGER) WITH (retention = '7 dayz')", "expected a length of time",
     "'7 dayz'", "did you mean"},
    {"CREATE STREAM s (a INTEGER) WITH (retention = '1 month')", "no fixed length", "'1 month'",
     "30 days"},
    {"CREATE STREAM s (a INTEGER) WITH (retention = '-1 day')", "negative", "'-1 day'", ""},
    {"CREATE STREAM s (a INTEGER) WITH (durability = 'fsinc')",
     "expected one of 'fsync', 'os', 'interval 50ms'", "'fsinc'", "did you mean \"fsync\"?"},
    {"CREATE STREAM s (a INTEGER) WITH (durability = 'interval 0.5ms')",
     "the interval of durability is 1 to 10000 ms", "'interval 0.5ms'", ""},
    {"CREATE STREAM s (a INTEGER) WITH (durability = 'interval 11s')",
     "the interval of durability is 1 to 10000 ms", "'interval 11s'", ""},
    {"CREATE STREAM s (a INTEGER) WITH (durability = 'interval 50')", "expected a length of time",
     "'interval 50'", ""},
    {"CREATE TABLE t (a INTEGER PRIMARY KEY) WITH (durability = 'os')",
     "durability is an option of streams", "durability", "durable when it is answered"},
    {"CREATE STREAM s (a INTEGER) WITH (idle_after = 30)", "expected a length of time", "30", ""},
    {"CREATE STREAM s (a INTEGER) WITH (retention_bytes = '10 XB')", "expected a size", "'10 XB'",
     "the units are"},
    {"CREATE STREAM s (a INTEGER) WITH (on_invalid = 'quarantin')",
     "expected one of 'quarantine', 'reject'", "'quarantin'", "did you mean \"quarantine\"?"},
    {"CREATE STREAM s (a INTEGER) WITH (late = 'divert')", "needs a WATERMARK", "late", ""},
    {"CREATE STREAM s (a INTEGER) WITH (late = 'keep', LATE = 'keep')", "given twice", "LATE", ""},
    {"CREATE STREAM s (a INTEGER) WITH (late 'keep')", "expected = and a value after late",
     "'keep'", ""},
    {"CREATE STREAM s (a INTEGER) WITH (format = 'csv')", "not available yet", "'csv'", "json",
     kLater},
    {"CREATE STREAM s (a INTEGER) WITH (format = 'raw')", "a raw stream has no columns of its own",
     "format", "key, value, headers and timestamp"},
    {"CREATE STREAM s INTO 2 PARTITIONS", "the columns of the stream are missing", "",
     "format = 'raw'"},
    {"CREATE STREAM s (a INTEGER) WITH (archive = 'x')", "not available yet", "archive", "",
     kLater},
    {"CREATE STREAM s AS SELECT 1", "declared by its columns", "AS", "MATERIALIZED VIEW", kLater},
    {"CREATE OR REPLACE STREAM IF NOT EXISTS s (a INTEGER)", "exclude each other", "IF", ""},
    {"CREATE TABLE t AS SELECT 1", "declared by its columns", "AS", "MATERIALIZED VIEW", kLater},
    {"CREATE TEMP TABLE t (a INTEGER)", "temporary", "TEMP", "", kLater},
    {"CREATE TABLE t (a INTEGER PRIMARY KEY, b INTEGER PRIMARY KEY)", "has a primary key already",
     "PRIMARY KEY)", "PRIMARY KEY (a, b)"},
    {"CREATE TABLE t (a INTEGER, PRIMARY KEY (b))", "column \"b\" does not exist", "b))", "",
     kMissing},
    {"CREATE TABLE t (a INTEGER REFERENCES u (a))", "foreign key", "REFERENCES", "", kLater},
    {"CREATE TABLE t (a INTEGER, WATERMARK FOR a AS a)", "belongs to streams", "WATERMARK", ""},
    {"CREATE TABLE t (a INTEGER) PARTITION BY (a)", "one partition", "PARTITION", "", kLater},
    {"CREATE TABLE t (a INTEGER) WITH (sead = 'x.csv')", "no option of a table", "sead",
     "did you mean \"seed\"?"},
    {"CREATE TABLE t (a INTEGER GENERATED ALWAYS AS (1))", "generated column", "GENERATED", "",
     kLater},
    {"CREATE MATERIALIZED VEW v AS SELECT 1", "expected VIEW, got VEW", "VEW",
     "did you mean VIEW?"},
    {"CREATE MATERIALIZED VIEW v SELECT 1", "expected AS and a SELECT, got SELECT", "SELECT", ""},
    {"CREATE MATERIALIZED VIEW v AS", "expected a SELECT after AS", "", ""},
    {"CREATE MATERIALIZED VIEW v AS INSERT INTO t VALUES (1)", "expected a SELECT", "INSERT", ""},
    {"CREATE MATERIALIZED VIEW v () AS SELECT 1", "expected the name of a column", ") AS", ""},
    {"CREATE MATERIALIZED VIEW v (a AS SELECT 1", "or a comma after the column", "AS SELECT", ""},
    {"CREATE MATERIALIZED VIEW v AS SELECT * FROM t WHERE a = $1", "takes no parameters", "$1", ""},
    {"CREATE MATERIALIZED VIEW v AS SELECT 1 EMIT ON WINDOW", "expected CLOSE", "", ""},
    {"CREATE MATERIALIZED VIEW v AS SELECT 1 EMIT ON WINDOW CLOSE now", "expected the end", "now",
     ""},
    {"CREATE VIEW v AS SELECT 1 EMIT ON WINDOW CLOSE", "is of materialized views", "EMIT", ""},
    {"CREATE MATERIALIZED VIEW v WITH (retention = '7 days', changes = 'upsert') AS SELECT 1",
     "it is compacted", "retention", "changes = 'append' can have one"},
    {"CREATE MATERIALIZED VIEW v WITH (retention_bytes = '1 GB') AS SELECT 1",
     "the view's topic of changes, and it has none", "retention_bytes", "changes = 'append'"},
    {"CREATE MATERIALIZED VIEW v WITH (changes = 'append', retention = '1 GB') AS SELECT 1",
     "option retention", "'1 GB'", "retention_bytes"},
    {"CREATE MATERIALIZED VIEW v WITH (on_eror = 'skip') AS SELECT 1",
     "no option of a materialized view", "on_eror", "did you mean \"on_error\"?"},
    {"CREATE VIEW v WITH (history = 'none') AS SELECT 1", "which stores nothing", "history", ""},
    {"CREATE UNIQUE INDEX i ON t (a)", "unique index", "UNIQUE", "PRIMARY KEY", kLater},
    {"CREATE INDEX i t (a)", "expected ON, got t", "t (a)", ""},
    {"CREATE INDEX i ON t", "expected ( and the columns of the index", "", ""},
    {"CREATE INDEX i ON t (lower(a))", "only names of columns", "lower", "", kLater},
    {"CREATE ENDPOINT e ON POST '/x' AS SELECT 1", "an endpoint reads", "POST", "GET", kLater},
    {"CREATE ENDPOINT e ON GET 'x' AS SELECT 1", "expected it to begin with /", "'x'", ""},
    {"CREATE ENDPOINT e ON GET '/a//b' AS SELECT 1", "empty part", "'/a//b'", ""},
    {"CREATE ENDPOINT e ON GET '/{user}' (usr BIGINT) AS SELECT 1",
     "parameter \"user\" is not declared", "'/{user}'", "did you mean \"usr\"?"},
    {"CREATE ENDPOINT e ON GET '/a' (n INTEGER) AS SELECT $m", "parameter $m is not declared", "$m",
     "did you mean \"n\"?", kMissing},
    {"CREATE ENDPOINT e ON GET '/a' AS SELECT ?", "have names", "?", ""},
    {"CREATE ENDPOINT e ON GET '/a' (n INTEGER DEFALT 1) AS SELECT $n", "column \"n\"", "INTEGER",
     ""},
    {"CREATE SOURCE d INTO s FROM kafka (topic = 'x')", "connector kafka is not available yet",
     "kafka", "datagen", kLater},
    {"CREATE SOURCE d INTO s FROM datagn (rows = 1)", "there is no connector", "datagn",
     "did you mean datagen?", kMissing},
    {"CREATE SOURCE d FROM datagen", "expected INTO, got FROM", "FROM", ""},
    {"CREATE SINK to_pg FROM v INTO postgres (table = 'x')", "CREATE SINK to_pg: not available yet",
     "SINK", "", kLater},
    {"CREATE CONNECTION c TO postgres (url = 'x')", "CREATE CONNECTION c: not available yet",
     "CONNECTION", "", kLater},
    {"CREATE JOB j SCHEDULE '@hourly' AS SELECT 1", "CREATE JOB j: not available yet", "JOB", "",
     kLater},
    {"CREATE MACRO m AS 1", "CREATE MACRO m: expected ( and the parameters, or ()", "AS 1", ""},
    {"CREATE MACRO m(a) AS a +", "syntax error", "", ""},
    {"CREATE MACRO hop(a) AS a", "there is a function hop() already", "(a)", "choose another name",
     Code::kAlreadyExists},
    {"CREATE TYPE mood AS ENM ('a')", "expected ENUM and its values", "ENM", ""},
    {"CREATE TYPE mood AS ENUM ('a', 'a')", "the value 'a' stands twice", "'a')", ""},
    {"CREATE TYPE int AS ENUM ('a')", "there is a type \"int\" already", "AS",
     "choose another name", Code::kAlreadyExists},
    {"COMMENT ON STRAEM s IS 'x'", "expected what the comment is on", "STRAEM",
     "did you mean STREAM?"},
    {"COMMENT ON COLUMN price IS 'x'", "expected a column with its relation", "price", ""},
    {"COMMENT ON VIEW v IS x", "expected a text in single quotes, or NULL, got x", "x", ""},
    {"ALTER STREAM s RENAM TO t", "expected ADD, DROP, ALTER, RENAME, SET, RESET or INTO", "RENAM",
     "did you mean RENAME?"},
    {"ALTER STREAM s SET (retenton = '1 day')", "retenton", "retenton",
     "did you mean \"retention\"?"},
    {"ALTER VIEW v SET (history = 'none')", "the option history of a view stays as it was created",
     "history", "CREATE OR REPLACE", kLater},
    {"ALTER MATERIALIZED VIEW v RESET (retenton)", "a view has no option retenton", "retenton",
     "did you mean retention?", Code::kNotFound},
    {"ALTER STREAM s RESET (late)", "the option late of a stream stays as it was created", "late",
     "can be set", kLater},
    {"ALTER VIEW v RENAME TO a.b", "a view stands in schema public", "a.b", ""},
    {"DROP STREM s", "expected what to drop", "STREM", "did you mean STREAM?"},
    {"DROP TABLE a, b", "one name at a time", ", b", "", kLater},
    {"DROP TABLE a CASCAD", "expected CASCADE or the end", "CASCAD", "did you mean CASCADE?"},
    {"DROP SINK x", "not available yet", "SINK", "", kLater},
    {"SHOW STREMS", "expected what to show", "STREMS", "did you mean STREAMS?"},
    {"SHOW JOBS", "SHOW JOBS: not available yet", "JOBS", "", kLater},
    {"DESCRIBE", "expected the name of a stream, table or view", "", ""},
    {"EXPLAIN", "expected VIEW name, CREATE MATERIALIZED VIEW or SELECT", "", ""},
    {"EXPLAIN CREATE VIEW v AS SELECT 1", "expected CREATE MATERIALIZED VIEW after EXPLAIN", "VIEW",
     ""},
    {"EXPLAIN DELETE FROM t", "expected VIEW name", "DELETE", ""},
    {"REPLAY clicks", "expected STREAM, got clicks", "clicks", ""},
    {"ALTER TABLE s ADD COLUMN a INTEGER", "this change of a table is not available yet", "ADD",
     "its columns and keys are those that it was created with", kLater},
    {"ALTER STREAM s ADD COLUMN a", "expected the type of column \"a\"", "", ""},
    {"ALTER STREAM s ALTER a SET TYPO INTEGER", "expected TYPE, SET DATA TYPE", "SET", ""},
    {"ALTER STREAM s RENAME a TO _offset", "hidden column", "_offset", ""},
    {"ATTACH 'x.db'", "other databases", "ATTACH", "", kLater},
    {"COPY t TO 'x.csv'", "clients of the PostgreSQL protocol", "COPY", "", kLater},
    {"PRAGMA threads = 4", "settings", "PRAGMA", "", kLater},
    {"SET threads = 4", "settings", "SET", "", kLater},
    {"INSTALL httpfs", "cannot be installed", "INSTALL", "", kLater},
    {"LOAD httpfs", "cannot be loaded", "LOAD", "", kLater},
    {"CALL pragma_version()", "CALL is not available", "CALL", "", kLater},
    {"EXPORT DATABASE 'x'", "EXPORT is not available yet", "EXPORT", "", kLater},
    {"BEGIN", "clients of the PostgreSQL protocol", "BEGIN", "", kLater},
    {"UPDATE EXTENSIONS", "does not run", "UPDATE", "", kLater},
    {"MERGE INTO t USING s ON t.a = s.a WHEN MATCHED THEN DELETE", "MERGE is not available yet",
     "MERGE", "ON CONFLICT", kLater},
    {"PIVOT t ON x USING sum(y)", "PIVOT without a list of values", "PIVOT", "IN ('a', 'b')",
     kLater},
    {"INSERT INTO t VALUE (1)", "syntax error", "", ""},
};

TEST(Statement, SaysOfEveryWrongInputWhatWhereAndWhatInstead) {
  for (const Wrong& wrong : kWrong) {
    // Two lines before it: the place must be of the whole text.
    const std::string text = "SELECT 1;\n  " + std::string(wrong.text);
    SCOPED_TRACE(wrong.text);
    const auto parsed = Parse(text, "a.sql");
    if (parsed.ok()) {
      ADD_FAILURE() << "accepted";
      continue;
    }
    const Error& error = parsed.error();
    EXPECT_EQ(error.code(), wrong.code) << error.ToString();
    EXPECT_THAT(error.message(), HasSubstr(std::string(wrong.message)));
    EXPECT_THAT(error.hint(), HasSubstr(std::string(wrong.hint))) << error.ToString();
    if (!error.position()) {
      ADD_FAILURE() << "no place: " << error.ToString();
      continue;
    }
    EXPECT_EQ(error.position()->file, "a.sql");
    EXPECT_EQ(error.position()->line, 2);
    ASSERT_GE(error.position()->column, 3);
    const std::string rest = text.substr(10 + static_cast<size_t>(error.position()->column) - 1);
    EXPECT_EQ(rest.substr(0, wrong.at.size()), wrong.at) << error.ToString();
  }
}

TEST(Statement, RefusesBytesThatNoTextHolds) {
  EXPECT_FALSE(Parse(std::string_view("SELECT \0 1", 10)).ok());
  EXPECT_FALSE(Parse("SELECT '\xFF'").ok());
}

// ---- robustness

TEST(Statement, OfAnyEditedBytesIsParsedOrRefusedWithoutACrash) {
  const char* given = std::getenv("MILLRACE_SEED");
  const uint64_t seed = given == nullptr ? 20260101 : std::strtoull(given, nullptr, 10);
  SCOPED_TRACE(seed);
  Random random(seed);
  std::vector<std::string> corpus = {
      "CREATE STREAM clicks (id UUID NOT NULL, a VARCHAR CHECK (a IN ('view', 'cart')), p "
      "DECIMAL(10,2) DEFAULT 0, t TIMESTAMP, WATERMARK FOR t AS t - INTERVAL 10 SECONDS, "
      "DEDUPLICATE ON (id) WITHIN INTERVAL 1 DAY) PARTITION BY (id) INTO 8 PARTITIONS WITH (format "
      "= 'json', retention = '7 days', late = 'keep')",
      "CREATE TABLE t (a INTEGER PRIMARY KEY, b VARCHAR DEFAULT 'x', CHECK (a > 0)) WITH (seed = "
      "'x.csv')",
      "CREATE MATERIALIZED VIEW v WITH (history = 'none') AS SELECT a, sum(b) FROM t WHERE c = 'x' "
      "GROUP BY 1",
      "CREATE ENDPOINT e ON GET '/a/{n}' (n INTEGER DEFAULT 1 CHECK (n > 0)) AS SELECT $n FROM v",
      "CREATE INDEX i ON v (a, b); DROP VIEW v CASCADE; SHOW STREAMS; DESCRIBE t; EXPLAIN ANALYZE "
      "VIEW v",
      "CREATE SOURCE d INTO s FROM datagen (rows_per_second = 10); INSERT INTO t VALUES (1, "
      "$$x$$); SELECT E'a\\'b' /* c */ -- d"};
  for (const Wrong& wrong : kWrong) corpus.emplace_back(wrong.text);
  constexpr std::string_view kBytes = "'\"$();,./*-\\ \n_aE0{}[]=?\x80\xC3\xFF";
  for (int round = 0; round < 3000; ++round) {
    std::string text = corpus[random.Below(corpus.size())];
    for (uint64_t edits = 1 + random.Below(3); edits > 0 && !text.empty(); --edits) {
      const size_t at = random.Below(text.size());
      switch (random.Below(4)) {
        case 0:
          text.erase(at, 1 + random.Below(8));
          break;
        case 1:
          text.insert(at, 1, kBytes[random.Below(kBytes.size())]);
          break;
        case 2:
          text[at] = kBytes[random.Below(kBytes.size())];
          break;
        default:
          text.insert(at, corpus[random.Below(corpus.size())]);
          break;
      }
    }
    const auto parsed = Parse(text, "fuzz.sql");
    if (!parsed.ok()) {
      EXPECT_FALSE(parsed.error().message().empty()) << text;
      continue;
    }
    for (const Statement& statement : *parsed) {
      EXPECT_EQ(text.compare(statement.begin, statement.text.size(), statement.text), 0) << text;
    }
  }
}

}  // namespace
}  // namespace millrace::sql::statement_error_test
