// Keyed look-ups beside DuckDB's answer at the same step, and what EXPLAIN says of them.
#include "runtime/keyed_lookup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <thread>

#include "base/random.h"
#include "runtime/testing.h"

namespace millrace::runtime::keyed_lookup_test {
namespace {

using duckdb::LogicalType;
using duckdb::Value;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::StartsWith;
using namespace std::string_literals;

struct ColumnOfTest {
  const char* name;
  LogicalType type;
  std::vector<Value> pool;
};

std::vector<ColumnOfTest> ColumnsOfTest() {
  const double inf = std::numeric_limits<double>::infinity();
  const auto text = [](std::string_view bytes) { return Value(std::string(bytes)); };
  std::vector<Value> days, times;
  for (int i = -2; i < 3; ++i) {
    days.push_back(Value::DATE(duckdb::date_t(i * 400)));
    times.push_back(Value::TIMESTAMP(duckdb::timestamp_t(i * 86'400'000'001)));
  }
  return {
      {"k1",
       LogicalType::VARCHAR,
       {text(""), text("a"), text({"a\0", 2}), text({"a\0b", 3}), text("ab"), text("é"),
        text("b")}},
      {"k2",
       LogicalType::BIGINT,
       {Value::BIGINT(-1), Value::BIGINT(0), Value::BIGINT(255), Value::BIGINT(256),
        Value::BIGINT(INT64_MAX), Value::BIGINT(INT64_MIN), Value::BIGINT(7)}},
      {"d",
       LogicalType::DOUBLE,
       {Value::DOUBLE(0.0), Value::DOUBLE(-0.0), Value::DOUBLE(std::nan("")), Value::DOUBLE(inf),
        Value::DOUBLE(-inf), Value::DOUBLE(1.5), Value::DOUBLE(-1.5)}},
      {"s", LogicalType::VARCHAR, {text("x"), text({"\0", 1}), text({"x\0", 2}), text("y")}},
      {"n",
       LogicalType::DECIMAL(10, 2),
       {Value::DECIMAL(int64_t{-150}, 10, 2), Value::DECIMAL(int64_t{0}, 10, 2),
        Value::DECIMAL(int64_t{99999}, 10, 2)}},
      {"day", LogicalType::DATE, days},
      {"at_time", LogicalType::TIMESTAMP, times},
      {"b",
       LogicalType::BLOB,
       {Value::BLOB_RAW(""), Value::BLOB_RAW(std::string("\0", 1)), Value::BLOB_RAW("\xff"),
        Value::BLOB_RAW("\xff\xff"), Value::BLOB_RAW(std::string("\xff\0", 2)),
        Value::BLOB_RAW("a")}},
      {"yes", LogicalType::BOOLEAN, {Value::BOOLEAN(false), Value::BOOLEAN(true)}},
  };
}

class KeyedLookups : public testing::Test {
 protected:
  // `content_bytes` 1: all that is flushed is on disk only.
  void Start(size_t content_bytes) {
    NodeOptions options = disk_.Options(2);
    options.content_bytes = content_bytes;
    auto started = Node::Start(options);
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    node_ = *std::move(started);
  }
  void Do(const std::string& text, const std::map<std::string, Value>& parameters = {}) {
    StatementOptions options;
    options.parameters = parameters;
    const auto result = node_->Execute(text, options);
    ASSERT_TRUE(result.ok()) << text << "\n" << result.error().ToString();
  }
  Rows Ask(const std::string& text, const StatementOptions& options) {
    const auto result = node_->Execute(text, options);
    EXPECT_TRUE(result.ok()) << text << "\n" << result.error().ToString();
    Rows rows;
    if (!result.ok() || !result->rows) return rows;
    for (const auto& chunk : result->rows->chunks) {
      for (size_t i = 0; i < chunk->size(); ++i) {
        std::vector<std::string>& row = rows.emplace_back();
        for (size_t j = 0; j < chunk->ColumnCount(); ++j)
          row.push_back(chunk->GetValue(j, i).ToString());
      }
    }
    return rows;
  }
  std::string Explain(const std::string& select) {
    std::string text;
    for (const auto& line : Ask("EXPLAIN " + select, {})) text += line[0] + "\n";
    return text;
  }

  void MakeTable() {
    Do("CREATE TABLE r (k1 VARCHAR, k2 BIGINT, d DOUBLE, s VARCHAR, n DECIMAL(10, 2), day DATE, "
       "at_time TIMESTAMP, b BLOB, yes BOOLEAN, PRIMARY KEY (k1, k2))");
    for (const char* columns : {"s, d", "d, k2", "n, day", "day", "b, at_time", "yes, b, d"})
      Do(fmt::format("CREATE INDEX ON r ({})", columns));
    Do("CREATE MATERIALIZED VIEW sums AS SELECT s, d, count(*) AS c, max(k2) AS m FROM r "
       "GROUP BY s, d");
  }
  // Puts some rows, in place of those with their key, and takes some away.
  void Change(Random& random) {
    const auto columns = ColumnsOfTest();
    std::map<std::string, Value> parameters;
    std::string text = "INSERT INTO r VALUES ";
    std::set<std::pair<std::string, std::string>> keys;
    size_t number = 0;
    for (int row = 0; row < 6; ++row) {
      std::vector<Value> values;
      for (size_t i = 0; i < columns.size(); ++i) {
        const bool null = i > 1 && random.OneIn(6);
        values.push_back(null ? Value(columns[i].type) : Pick(random, columns[i].pool));
      }
      if (!keys.emplace(values[0].ToString(), values[1].ToString()).second) continue;
      text += number == 0 ? "(" : ", (";
      for (size_t i = 0; i < values.size(); ++i) {
        parameters[std::to_string(++number)] = values[i];
        text += (i == 0 ? "$" : ", $") + std::to_string(number);
      }
      text += ")";
    }
    Do("DELETE FROM r WHERE k2 = $1 AND yes", {{"1", Pick(random, columns[1].pool)}});
    Do(text +
           " ON CONFLICT DO UPDATE SET d = excluded.d, s = excluded.s, n = excluded.n, "
           "day = excluded.day, at_time = excluded.at_time, b = excluded.b, yes = excluded.yes",
       parameters);
  }
  static Value Pick(Random& random, const std::vector<Value>& pool) {
    return pool[random.Below(pool.size())];
  }

  TestDisk disk_;
  std::unique_ptr<Node> node_;
};

// A random SELECT by an index.
class RandomSelect {
 public:
  explicit RandomSelect(Random& random) : random_(random), columns_(ColumnsOfTest()) {
    static const std::vector<std::pair<const char*, std::vector<const char*>>> kIndexes = {
        {"r", {"k1", "k2"}},      {"r", {"s", "d"}},    {"r", {"d", "k2"}},
        {"r", {"n", "day"}},      {"r", {"day"}},       {"r", {"b", "at_time"}},
        {"r", {"yes", "b", "d"}}, {"sums", {"s", "d"}},
    };
    const auto& [relation, index] = kIndexes[random_.Below(kIndexes.size())];
    relation_ = relation;
    const size_t equal = random_.Below(index.size() + 1);
    for (size_t i = 0; i < equal; ++i) AddEqual(index[i]);
    if (equal < index.size() && random_.OneIn(equal == 0 ? 1 : 2)) AddRange(index[equal]);
    output_ = "*";
    if (equal < index.size() && random_.OneIn(2)) {
      const char* direction[] = {"", " DESC", " NULLS FIRST", " DESC NULLS FIRST"};
      order_ = std::string(" ORDER BY ") + index[equal] + direction[random_.Below(4)];
      if (random_.OneIn(2)) {
        // Rows of equal order are any: only what they are ordered by is told.
        output_ = index[equal];
        parameters["l"] = Value::BIGINT(static_cast<int64_t>(random_.Below(6)));
        order_ += " LIMIT $l";
      }
    }
    if (random_.OneIn(2)) std::reverse(conditions_.begin(), conditions_.end());
  }

  // `general`: in words that no look-up is recognised in.
  std::string Text(bool general) const {
    return fmt::format("SELECT {} FROM {}{}{}{}", output_,
                       general ? "(SELECT * FROM " + relation_ + ")" : relation_,
                       conditions_.empty() ? "" : " WHERE ", fmt::join(conditions_, " AND "),
                       order_);
  }
  bool in_order() const { return output_ != "*"; }

  std::map<std::string, Value> parameters;

 private:
  const ColumnOfTest& Find(std::string_view name) const {
    return *std::find_if(columns_.begin(), columns_.end(),
                         [&](const auto& column) { return column.name == name; });
  }
  Value Any(const ColumnOfTest& column) {
    return random_.OneIn(12) ? Value(column.type) : column.pool[random_.Below(column.pool.size())];
  }
  std::string Parameter(Value value) {
    const std::string name = "p" + std::to_string(parameters.size());
    parameters[name] = std::move(value);
    return "$" + name;
  }
  void AddEqual(const char* name) {
    const ColumnOfTest& column = Find(name);
    switch (random_.Below(3)) {
      case 0:
        conditions_.push_back(fmt::format("{} = {}", name, Parameter(Any(column))));
        return;
      case 1: {
        std::vector<std::string> operands;
        for (size_t i = random_.Below(4) + 1; i > 0; --i)
          operands.push_back(Parameter(Any(column)));
        conditions_.push_back(fmt::format("{} IN ({})", name, fmt::join(operands, ", ")));
        return;
      }
      default: {
        duckdb::vector<Value> elements;
        for (size_t i = random_.Below(5); i > 0; --i) elements.push_back(Any(column));
        conditions_.push_back(fmt::format(
            "{} = ANY({})", name, Parameter(Value::LIST(column.type, std::move(elements)))));
      }
    }
  }
  void AddRange(const char* name) {
    const ColumnOfTest& column = Find(name);
    switch (random_.Below(4)) {
      case 0:
        conditions_.push_back(fmt::format("{} BETWEEN {} AND {}", name, Parameter(Any(column)),
                                          Parameter(Any(column))));
        return;
      case 1:
        conditions_.push_back(fmt::format("{} > {}", name, Parameter(Any(column))));
        conditions_.push_back(fmt::format("{} >= {}", Parameter(Any(column)), name));
        return;
      case 2:
        conditions_.push_back(fmt::format("{} >= {}", name, Parameter(Any(column))));
        return;
      default:
        conditions_.push_back(fmt::format("{} < {}", name, Parameter(Any(column))));
    }
  }

  Random& random_;
  const std::vector<ColumnOfTest> columns_;
  std::string relation_;
  std::string output_;
  std::vector<std::string> conditions_;
  std::string order_;
};

// Asks both ways at one step while rows change.
class KeyedLookupsAtRandom : public KeyedLookups, public testing::WithParamInterface<size_t> {};

TEST_P(KeyedLookupsAtRandom, GiveWhatDuckDbGivesAtTheirStep) {
  SetLogLevel(LogLevel::kOff);
  const uint64_t seed = SeedOf(static_cast<uint64_t>(getpid()) * 7919);
  Start(GetParam());
  MakeTable();
  std::atomic<bool> stop{false};
  Random writes(seed + 1);
  for (int i = 0; i < 20; ++i) Change(writes);
  std::thread writer([&] {
    while (!stop && !HasFailure()) Change(writes);
  });
  Random random(seed);
  std::map<std::string, int> paths;
  for (int i = 0; i < 1'500 && !HasFailure(); ++i) {
    const RandomSelect select(random);
    StatementOptions options;
    options.parameters = select.parameters;
    options.snapshot = node_->PinSnapshot();
    Rows fast = Ask(select.Text(false), options);
    Rows general = Ask(select.Text(true), options);
    // DuckDB's ORDER BY gives 0.0 for -0.0, which is equal; a look-up gives the row as it stands.
    for (Rows* rows : {&fast, &general}) {
      for (auto& row : *rows) std::replace(row.begin(), row.end(), "-0.0"s, "0.0"s);
    }
    if (!select.in_order()) {
      std::sort(fast.begin(), fast.end());
      std::sort(general.begin(), general.end());
    }
    EXPECT_EQ(fast, general) << select.Text(false) << "\nMILLRACE_SEED=" << seed;
    const Rows explained = Ask("EXPLAIN " + select.Text(false), options);
    ++paths[explained[0][0].substr(0, explained[0][0].find(' '))];
  }
  stop = true;
  writer.join();
  if (GetParam() != 1) {
    EXPECT_GT(paths["LOOKUP"], 100);
    EXPECT_GT(paths["RANGE"], 300);
  }
  SetLogLevel(LogLevel::kWarning);
}

INSTANTIATE_TEST_SUITE_P(InMemoryAndOnDisk, KeyedLookupsAtRandom,
                         testing::Values(size_t{64} << 20, size_t{1}));

TEST_F(KeyedLookups, ExplainSaysThePath) {
  Start(size_t{64} << 20);
  MakeTable();
  EXPECT_EQ(Explain("SELECT * FROM r WHERE k1 = $1 AND k2 = $2"),
            "LOOKUP by key (k1, k2) in \"r\"\n  \"k1\" = $1 AND \"k2\" = $2\n");
  EXPECT_THAT(Explain("SELECT * FROM r WHERE k2 IN (1, 2, 3) AND k1 = 'a'"),
              StartsWith("LOOKUP of 3 keys (k1, k2)"));
  EXPECT_THAT(Explain("SELECT * FROM r WHERE day = ANY($1)"),
              StartsWith("LOOKUP of the keys in a list (day)"));
  EXPECT_THAT(Explain("SELECT d FROM r WHERE s = 'x' AND d = $1"),
              StartsWith("LOOKUP by index (s, d)"));
  EXPECT_THAT(Explain("SELECT * FROM r WHERE k1 = $1"), StartsWith("RANGE on (k1, k2)"));
  EXPECT_EQ(Explain("SELECT * FROM r WHERE k1 = $1 AND k2 BETWEEN $2 AND 7"),
            "RANGE on (k1, k2) in \"r\"\n  \"k1\" = $1 AND \"k2\" >= $2 AND \"k2\" <= 7\n");
  EXPECT_THAT(Explain("SELECT k2 FROM r WHERE k1 = $1 AND k2 < $2 ORDER BY k2 DESC LIMIT 10"),
              HasSubstr("in the order of the index, backwards, no further than LIMIT 10"));
  EXPECT_THAT(Explain("SELECT * FROM r ORDER BY k1, k2 LIMIT $n"),
              HasSubstr("no further than LIMIT $n"));
  EXPECT_THAT(Explain("SELECT * FROM sums WHERE s >= 'a'"), StartsWith("RANGE on (s, d)"));
  for (const char* other :
       {"SELECT * FROM r WHERE k2 = 1", "SELECT count(*) FROM r WHERE k1 = 'a'",
        "SELECT * FROM r WHERE k1 = 'a' OR k2 = 1", "SELECT * FROM r WHERE k1 <> 'a'",
        "SELECT * FROM r", "SELECT DISTINCT s FROM r WHERE k1 = 'a' AND k2 = 1",
        "SELECT s FROM r WHERE k1 = 'a' AND k2 = 1 GROUP BY ALL",
        "SELECT * FROM r WHERE k1 = 'a' AND k2 > 1.5",
        "SELECT k1 AS k2, k2 AS k1 FROM r WHERE k1 = 'a' ORDER BY k2"}) {
    EXPECT_THAT(Explain(other), StartsWith("SCAN by DuckDB at step ")) << other;
  }
}

TEST_F(KeyedLookups, ExplainSaysThatRowsOnDiskAreScanned) {
  SetLogLevel(LogLevel::kOff);
  Start(1);
  Do("CREATE TABLE names (k INTEGER PRIMARY KEY, name VARCHAR)");
  Do("INSERT INTO names SELECT i, 'name ' || i FROM range(5000) r(i)");
  const std::string range = "SELECT name FROM names WHERE k BETWEEN 17 AND 19";
  for (int i = 0; i < 10'000 && !Explain(range).starts_with("SCAN"); ++i)
    std::this_thread::sleep_for(milliseconds(2));
  EXPECT_THAT(Explain(range), StartsWith("SCAN by DuckDB at step "));
  EXPECT_THAT(Explain("SELECT name FROM names WHERE k IN (17, 18)"),
              StartsWith("LOOKUP of 2 keys"));
  EXPECT_EQ(Query(*node_, range + " ORDER BY k"), (Rows{{"name 17"}, {"name 18"}, {"name 19"}}));
  EXPECT_EQ(Query(*node_, "SELECT name FROM names WHERE k IN (18, 17, 18, 99999) ORDER BY k"),
            (Rows{{"name 17"}, {"name 18"}}));
  SetLogLevel(LogLevel::kWarning);
}

TEST_F(KeyedLookups, WhatIsTooMuchOrOfAnotherTypeIsDuckDbs) {
  Start(size_t{64} << 20);
  Do("CREATE TABLE names (k INTEGER PRIMARY KEY, name VARCHAR)");
  Do("INSERT INTO names SELECT i, 'name ' || i FROM range(30000) r(i)");
  StatementOptions options;
  options.parameters["1"] = Value::INTEGER(5);
  EXPECT_EQ(Ask("SELECT k FROM names WHERE k >= $1", options).size(), 29'995u);
  options.parameters["1"] = Value::DOUBLE(17);
  EXPECT_EQ(Ask("SELECT name FROM names WHERE k = $1", options), (Rows{{"name 17"}}));
  options.parameters["1"] = Value::DOUBLE(17.5);
  EXPECT_EQ(Ask("SELECT name FROM names WHERE k = $1", options), Rows{});
  EXPECT_EQ(Ask("SELECT min(k) FROM names WHERE k >= $1", options), (Rows{{"18"}}));
  EXPECT_EQ(Ask("SELECT k FROM names WHERE k >= $1 ORDER BY k LIMIT 1", options), (Rows{{"18"}}));
  options.parameters["1"] = Value::BIGINT(int64_t{1} << 40);
  EXPECT_EQ(Ask("SELECT name FROM names WHERE k = $1", options), Rows{});
  options.rows_max = 10;
  options.parameters["1"] = Value::INTEGER(5);
  const auto refused = node_->Execute("SELECT k FROM names WHERE k >= $1 AND k < 100", options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), Code::kTooLarge);
}

}  // namespace
}  // namespace millrace::runtime::keyed_lookup_test
