#include "sql/testing_shop.h"

namespace millrace::sql::write_test {
namespace {

using duckdb::Value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::vector<std::string> Lines(const rows::Batch& batch) {
  std::vector<std::shared_ptr<duckdb::DataChunk>> chunks;
  for (const auto& part : batch.parts) chunks.push_back(part.rows);
  return sql::Lines(chunks);
}

class WriteTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { database_ = OpenTestDatabase().release(); }
  static void TearDownTestSuite() {
    delete database_;
    database_ = nullptr;
  }
  void SetUp() override {
    snapshot_->rows["notes"] = {{Value("anna"), Value::INTEGER(1)},
                                {Value("bob"), Value::INTEGER(2)},
                                {Value("bob"), Value::INTEGER(2)}};
    snapshot_->rows["products"] = {
        {Value("A"), Value("lamp"), Value("light"), Value::DECIMAL(int64_t{1990}, 10, 2)},
        {Value("B"), Value("cup"), Value("kitchen"), Value::DECIMAL(int64_t{250}, 10, 2)}};
  }
  Result<Database::WriteRows> Write(const std::string& target, const std::string& text,
                                    const std::map<std::string, Value>& parameters = {}) {
    WriteStatement statement;
    statement.what = WriteStatement::What::kInsert;
    statement.target = target;
    statement.text = text;
    return database_->EvaluateWrite(snapshot_, statement, parameters, {});
  }
  Database::WriteRows MustWrite(const std::string& target, const std::string& text,
                                const std::map<std::string, Value>& parameters = {}) {
    auto rows = Write(target, text, parameters);
    EXPECT_TRUE(rows.ok()) << rows.error().ToString();
    return rows.ok() ? std::move(rows).value() : Database::WriteRows();
  }
  void MustFail(const std::string& target, const std::string& text, std::string_view sqlstate,
                const std::string& message) {
    const auto rows = Write(target, text);
    ASSERT_FALSE(rows.ok()) << text;
    EXPECT_EQ(rows.error().sqlstate(), sqlstate) << rows.error().ToString();
    EXPECT_THAT(rows.error().message(), HasSubstr(message));
  }

  static Database* database_;
  std::shared_ptr<FakeSnapshot> snapshot_ = std::make_shared<FakeSnapshot>(
      ShopCatalog({{"cheap", "SELECT name FROM products", {"products"}}}));
};

Database* WriteTest::database_ = nullptr;

TEST_F(WriteTest, InsertsValuesInTheColumnsTypes) {
  const auto rows = MustWrite(
      "products", "INSERT INTO products VALUES ('C', 'pen', 'desk', '1.5'), ('D', 7, DEFAULT, 2)");
  EXPECT_THAT(Lines(rows.insert), ElementsAre("C|pen|desk|1.50", "D|7|misc|2.00"));
  EXPECT_TRUE(rows.remove.empty());
  EXPECT_EQ(rows.affected, 2u);
}

TEST_F(WriteTest, FillsMissingColumnsWithDefaults) {
  EXPECT_THAT(
      Lines(
          MustWrite("products", "INSERT INTO products (price, stock_code) VALUES (3, 'C')").insert),
      ElementsAre("C|NULL|misc|3.00"));
  EXPECT_THAT(Lines(MustWrite("notes", "INSERT INTO notes DEFAULT VALUES").insert),
              ElementsAre("NULL|NULL"));
  EXPECT_THAT(Lines(MustWrite("notes", "INSERT INTO notes BY NAME SELECT 5 AS n").insert),
              ElementsAre("NULL|5"));
}

TEST_F(WriteTest, InsertsFromAQueryAndWithParameters) {
  EXPECT_THAT(
      Lines(MustWrite(
                "notes",
                "INSERT INTO notes WITH p AS (SELECT * FROM products) SELECT name, $k + 1 FROM p",
                {{"k", Value::INTEGER(4)}, {"unused", Value(1)}})
                .insert),
      UnorderedElementsAre("lamp|5", "cup|5"));
  EXPECT_THAT(Lines(MustWrite("notes", "INSERT INTO notes VALUES (?, ?)",
                              {{"1", Value("x")}, {"2", Value("8")}})
                        .insert),
              ElementsAre("x|8"));
}

TEST_F(WriteTest, ReturnsWhatWasWritten) {
  const auto rows = MustWrite(
      "notes", "INSERT INTO notes VALUES ('c', 3), ('d', 4) RETURNING who, n * 10 AS ten");
  EXPECT_THAT(rows.returning.schema.names(), ElementsAre("who", "ten"));
  EXPECT_THAT(sql::Lines(rows.returning.chunks), ElementsAre("c|30", "d|40"));
  EXPECT_THAT(
      sql::Lines(MustWrite("notes", "DELETE FROM notes WHERE n = 1 RETURNING *").returning.chunks),
      ElementsAre("anna|1"));
  EXPECT_THAT(
      sql::Lines(MustWrite("products",
                           "UPDATE products p SET price = 1 WHERE p.name = 'cup' RETURNING p.price")
                     .returning.chunks),
      ElementsAre("1.00"));
}

TEST_F(WriteTest, RefusesATakenKey) {
  MustFail("products", "INSERT INTO products (stock_code) VALUES ('A')", "23505",
           "(stock_code)=(A)");
  MustFail("products", "INSERT INTO products (stock_code) VALUES ('X'), ('X')", "23505",
           "(stock_code)=(X)");
  MustFail("products", "UPDATE products SET stock_code = 'A' WHERE stock_code = 'B'", "23505",
           "(stock_code)=(A)");
  MustFail("products", "UPDATE products SET stock_code = 'Z'", "23505", "(stock_code)=(Z)");
  MustFail(
      "products",
      "INSERT INTO products (stock_code) SELECT range::VARCHAR FROM range(40) UNION ALL SELECT 'B'",
      "23505", "=(B)");
}

TEST_F(WriteTest, LetsKeysChangePlaces) {
  const auto rows =
      MustWrite("products",
                "UPDATE products SET stock_code = CASE stock_code WHEN 'A' THEN 'B' ELSE 'A' END");
  EXPECT_THAT(Lines(rows.insert), UnorderedElementsAre("B|lamp|light|19.90", "A|cup|kitchen|2.50"));
}

TEST_F(WriteTest, RefusesNullsAndRowsThatFailAChecK) {
  MustFail("products", "INSERT INTO products (name) VALUES ('x')", "23502", "\"stock_code\"");
  MustFail("order_lines", "INSERT INTO order_lines (invoice) VALUES ('x')", "23502",
           "\"stock_code\"");
  MustFail("products", "UPDATE products SET stock_code = NULL", "23502", "\"stock_code\"");
  MustFail("products", "UPDATE products SET price = -1 WHERE stock_code = 'A'", "23514",
           "price >= 0");
}

TEST_F(WriteTest, SkipsConflictsWhenAsked) {
  const auto rows = MustWrite(
      "products",
      "INSERT INTO products (stock_code, name) VALUES ('A', 'x'), ('C', 'first'), ('C', 'second') "
      "ON CONFLICT DO NOTHING");
  EXPECT_THAT(Lines(rows.insert), ElementsAre("C|first|misc|NULL"));
  EXPECT_TRUE(rows.remove.empty());
  EXPECT_EQ(rows.affected, 1u);
}

TEST_F(WriteTest, UpdatesOnConflict) {
  const auto rows = MustWrite(
      "products",
      "INSERT INTO products AS p (stock_code, name, price) VALUES ('C', 'pen', 1), ('A', 'new', 3) "
      "ON CONFLICT (stock_code) DO UPDATE SET name = excluded.name || '/' || p.name, price = price "
      "+ excluded.price");
  EXPECT_THAT(Lines(rows.insert), ElementsAre("C|pen|misc|1.00", "A|new/lamp|light|22.90"));
  EXPECT_THAT(Lines(rows.remove), ElementsAre("A|lamp|light|19.90"));
  const auto left = MustWrite("products",
                              "INSERT INTO products VALUES ('A', 'x', 'x', 1) ON CONFLICT DO "
                              "UPDATE SET price = 0 WHERE price < 5");
  EXPECT_TRUE(left.insert.empty());
  EXPECT_TRUE(left.remove.empty());
  MustFail(
      "products",
      "INSERT INTO products (stock_code) VALUES ('A'), ('A') ON CONFLICT DO UPDATE SET name = 'x'",
      "21000", "twice");
}

TEST_F(WriteTest, ReplacesOnConflict) {
  const auto rows = MustWrite(
      "products",
      "INSERT OR REPLACE INTO products VALUES ('A', 'one', 'x', 1), ('A', 'two', 'x', 2)");
  EXPECT_THAT(Lines(rows.insert), ElementsAre("A|two|x|2.00"));
  EXPECT_THAT(Lines(rows.remove), ElementsAre("A|lamp|light|19.90"));
}

TEST_F(WriteTest, UpdatesRowsOfATable) {
  const auto rows = MustWrite(
      "products", "UPDATE products SET price = price * 2, category = DEFAULT WHERE stock_code = $c",
      {{"c", Value("B")}});
  EXPECT_THAT(Lines(rows.insert), ElementsAre("B|cup|misc|5.00"));
  EXPECT_THAT(Lines(rows.remove), ElementsAre("B|cup|kitchen|2.50"));
}

TEST_F(WriteTest, UpdatesEachRowOnceFromAnotherRelation) {
  const auto rows = MustWrite("products",
                              "UPDATE products SET name = notes.who FROM notes WHERE notes.who = "
                              "'bob' AND stock_code = 'A'");
  EXPECT_THAT(Lines(rows.insert), ElementsAre("A|bob|light|19.90"));
  EXPECT_THAT(Lines(rows.remove), ElementsAre("A|lamp|light|19.90"));
}

TEST_F(WriteTest, DeletesEqualRowsOfABagEachForItself) {
  const auto rows = MustWrite("notes", "DELETE FROM notes WHERE who = 'bob'");
  EXPECT_THAT(Lines(rows.remove), ElementsAre("bob|2", "bob|2"));
  EXPECT_EQ(rows.affected, 2u);
  EXPECT_EQ(MustWrite("notes", "DELETE FROM notes").affected, 3u);
  EXPECT_THAT(
      Lines(MustWrite("notes",
                      "DELETE FROM notes n USING products p WHERE n.who = 'anna' AND p.price > 0")
                .remove),
      ElementsAre("anna|1"));
}

TEST_F(WriteTest, RefusesWhatCannotBeWritten) {
  MustFail("order_lines", "DELETE FROM order_lines", "0A000", "stream");
  MustFail("order_lines", "UPDATE order_lines SET quantity = 1", "0A000", "stream");
  MustFail("cheap", "INSERT INTO cheap VALUES ('x')", "42809", "view");
  MustFail("nothing", "INSERT INTO nothing VALUES ('x')", "42P01", "nothing");
  MustFail("notes", "INSERT INTO notes VALUES (1)", "42601", "2 columns");
  MustFail("notes", "INSERT INTO notes SELECT 1", "42601", "2 columns");
  MustFail("notes", "INSERT INTO notes (who, whom) VALUES (1, 2)", "42703", "whom");
  MustFail("notes", "INSERT INTO notes (who, who) VALUES (1, 2)", "42701", "twice");
  MustFail("notes", "INSERT INTO notes VALUES ('a', 'b')", "22P02", "'b'");
  MustFail("notes", "INSERT INTO notes VALUES ('a', 1) ON CONFLICT DO NOTHING", "42P10",
           "primary key");
  MustFail("notes", "UPDATE notes SET x = 1", "42703", "\"x\"");
  MustFail("notes", "DELETE FROM notes WHERE x = 1", "42703", "\"x\"");
}

TEST_F(WriteTest, InsertsIntoAStream) {
  const auto rows = MustWrite("order_lines",
                              "INSERT INTO order_lines (invoice, stock_code, quantity, price, "
                              "sold_at) VALUES ('i', 's', 2, 1.5, '2020-01-01')");
  EXPECT_THAT(Lines(rows.insert), ElementsAre("i|s|2|1.50|NULL|NULL|2020-01-01 00:00:00"));
}

class ConditionTest : public WriteTest {
 protected:
  Result<std::unique_ptr<Database::RowCondition>> Bind(const std::string& expression) {
    const auto* notes = snapshot_->catalog().FindTable("notes");
    text_ = "CHECK (" + expression + ")";
    return database_->Condition(*snapshot_->catalog_ptr(), notes->schema, expression,
                                Origin{"t.sql", text_, 0, text_.size()});
  }
  std::vector<uint8_t> Passes(const std::string& expression) {
    auto condition = Bind(expression);
    EXPECT_TRUE(condition.ok()) << condition.error().ToString();
    std::vector<uint8_t> passes;
    if (!condition.ok()) return passes;
    duckdb::DataChunk rows;
    rows.Initialize(duckdb::Allocator::DefaultAllocator(),
                    {duckdb::LogicalType::VARCHAR, duckdb::LogicalType::INTEGER});
    const std::vector<std::vector<Value>> values = {
        {Value("5"), Value::INTEGER(1)}, {Value("x"), Value::INTEGER(7)}, {Value(), Value()}};
    for (size_t row = 0; row < values.size(); ++row) {
      for (size_t column = 0; column < 2; ++column) rows.SetValue(column, row, values[row][column]);
    }
    rows.SetCardinality(values.size());
    (*condition)->Evaluate(rows, passes);
    return passes;
  }
  std::string text_;
};

TEST_F(ConditionTest, LetsTrueAndNullPass) {
  EXPECT_THAT(Passes("n > 3"), ElementsAre(0, 1, 1));
  EXPECT_THAT(Passes("who IN ('5', 'y') -- a comment"), ElementsAre(1, 0, 1));
  EXPECT_THAT(Passes("true"), ElementsAre(1, 1, 1));
}

TEST_F(ConditionTest, FailsOnlyTheRowWhoseEvaluationFails) {
  EXPECT_THAT(Passes("who::INTEGER > 0"), ElementsAre(1, 0, 1));
}

TEST_F(ConditionTest, RefusesMoreThanOneRowsColumns) {
  EXPECT_THAT(Bind("(SELECT true)").error().message(), HasSubstr("columns of one row"));
  EXPECT_THAT(Bind("count(*) > 1").error().message(), HasSubstr("columns of one row"));
  EXPECT_THAT(Bind("n > random()").error().ToString(), HasSubstr("(t.sql:1:12)"));
  EXPECT_THAT(Bind("m > 1").error().ToString(), HasSubstr("(t.sql:1:8)"));
  EXPECT_THAT(Bind("n >").error().ToString(), HasSubstr("syntax error"));
}

}  // namespace
}  // namespace millrace::sql::write_test
