#include "sql/duckdb_error.h"

#include "sql/testing_shop.h"

namespace millrace::sql::duckdb_error_test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Wrong {
  std::string select;
  Code code;
  std::string sqlstate;
  std::string message;  // part of it
  std::string caret;    // what stands at the error's place; empty: no place is known
  std::string hint;
};

class DuckDbErrorTest : public ::testing::TestWithParam<Wrong> {
 protected:
  static void SetUpTestSuite() { database_ = OpenTestDatabase().release(); }
  static void TearDownTestSuite() {
    delete database_;
    database_ = nullptr;
  }
  static Database* database_;
};

Database* DuckDbErrorTest::database_ = nullptr;

TEST_P(DuckDbErrorTest, NamesWhatIsWrongAndWhere) {
  const Wrong& wrong = GetParam();
  const auto snapshot = std::make_shared<FakeSnapshot>(ShopCatalog());
  snapshot->rows["notes"] = {{duckdb::Value("anna"), duckdb::Value::INTEGER(1)}};
  const auto result = database_->Query(snapshot, wrong.select, {}, {});
  ASSERT_FALSE(result.ok());
  const Error& error = result.error();
  EXPECT_EQ(error.code(), wrong.code) << error.ToString();
  EXPECT_EQ(error.sqlstate(), wrong.sqlstate) << error.ToString();
  EXPECT_THAT(error.message(), HasSubstr(wrong.message));
  EXPECT_THAT(error.message(), Not(HasSubstr("LINE 1")));
  EXPECT_THAT(error.message(), Not(HasSubstr("{\"")));
  EXPECT_THAT(error.message(), Not(HasSubstr("\n")));
  EXPECT_THAT(error.hint(), HasSubstr(wrong.hint));
  ASSERT_EQ(error.position().has_value(), !wrong.caret.empty()) << error.ToString();
  if (error.position()) {
    const std::string line = error.position()->line_text + "$";  // the end of the input
    EXPECT_EQ(line.substr(static_cast<size_t>(error.position()->column - 1), wrong.caret.size()),
              wrong.caret)
        << error.ToString();
  }
}

INSTANTIATE_TEST_SUITE_P(
    WrongQueries, DuckDbErrorTest,
    ::testing::Values(
        Wrong{"SELCT 1", Code::kInvalidArgument, "42601", "SELCT", "SELCT", ""},
        Wrong{"SELECT\n  1 +", Code::kInvalidArgument, "42601", "syntax error", "$", ""},
        Wrong{"SELECT (1", Code::kInvalidArgument, "42601", "syntax error", "$", ""},
        Wrong{"SELECT * FROM", Code::kInvalidArgument, "42601", "syntax error", "$", ""},
        Wrong{"SELECT 'abc", Code::kInvalidArgument, "42601", "unterminated", "'abc", ""},
        Wrong{"SELECT 1; SELECT 2", Code::kInvalidArgument, "42601", "found 2 statements", "", ""},
        Wrong{"SELECT pirce\nFROM products", Code::kNotFound, "42703",
              "column \"pirce\" does not exist", "pirce", "price"},
        Wrong{"SELECT p.nam FROM products p", Code::kNotFound, "42703", "nam", "p.nam", "name"},
        Wrong{"SELECT name FROM products\nWHERE categori = 'x'", Code::kNotFound, "42703",
              "categori", "categori", "category"},
        Wrong{"SELECT 1 FROM prodcts", Code::kNotFound, "42P01",
              "relation \"prodcts\" does not exist", "prodcts", "products"},
        Wrong{"SELECT 1 FROM main.prodcts", Code::kNotFound, "42P01",
              "relation \"prodcts\" does not exist", "main.prodcts", "products"},
        Wrong{"SELECT 1 FROM shop.products", Code::kNotFound, "42P01",
              "relation \"shop.products\" does not exist", "shop.products", ""},
        Wrong{"SELECT 1 FROM millrace.nothing", Code::kNotFound, "42P01",
              "relation \"millrace.nothing\" does not exist", "millrace.nothing",
              "are for queries"},
        Wrong{"SELECT uper(name) FROM products", Code::kNotFound, "42883", "uper", "uper", "upper"},
        Wrong{"SELECT upper(name, 1) FROM products", Code::kInvalidArgument, "42883", "upper",
              "upper", ""},
        Wrong{"SELECT name FROM products WHERE sold_at > 1", Code::kNotFound, "42703", "sold_at",
              "sold_at", ""},
        Wrong{"SELECT name, count(*) FROM products", Code::kInvalidArgument, "42000", "GROUP BY",
              "name", ""},
        Wrong{"SELECT name FROM products WHERE count(*) > 1", Code::kInvalidArgument, "42000",
              "WHERE clause cannot contain aggregates", "count", ""},
        Wrong{"SELECT price FROM products a, products b", Code::kInvalidArgument, "42000",
              "mbiguous", "price", ""},
        Wrong{"SELECT (SELECT who, n FROM notes)", Code::kInvalidArgument, "42000", "2 columns",
              "(SELECT who", ""},
        Wrong{"SELECT who FROM notes UNION SELECT name, price FROM products",
              Code::kInvalidArgument, "42000", "same number", "", ""},
        Wrong{"SELECT CAST(who AS INTEGER) FROM notes", Code::kInvalidArgument, "22P02", "'anna'",
              "CAST", ""},
        Wrong{"SELECT 'x'::INTEGER", Code::kInvalidArgument, "22P02", "'x'", "::INTEGER", ""},
        Wrong{"SELECT DATE '2020-13-01'", Code::kInvalidArgument, "22P02", "2020-13-01", "", ""},
        Wrong{"SELECT 127::TINYINT + n::TINYINT FROM notes", Code::kInvalidArgument, "22003",
              "verflow", "", ""},
        Wrong{"SELECT 1::NOTYPE", Code::kNotFound, "42704", "NOTYPE", "NOTYPE", ""},
        Wrong{"SELECT * FROM notes LIMIT 'many'", Code::kInvalidArgument, "22P02", "many", "'many'",
              ""},
        Wrong{"SELECT sum(who) FROM notes", Code::kInvalidArgument, "42883", "sum(VARCHAR)", "sum",
              ""},
        Wrong{"SELECT n.x FROM notes", Code::kInvalidArgument, "42000", "n", "", ""},
        Wrong{"SELECT * FROM notes ORDER BY 7", Code::kInvalidArgument, "42000", "ORDER", "7", ""},
        Wrong{"INSERT INTO notes VALUES (1)", Code::kNotSupported, "0A000", "must be a SELECT", "",
              ""},
        Wrong{"CREATE TABLE x (a INT)", Code::kNotSupported, "0A000", "must be a SELECT", "", ""},
        Wrong{"COPY notes TO 'x.csv'", Code::kNotSupported, "0A000", "must be a SELECT", "", ""},
        Wrong{"SET threads = 4", Code::kNotSupported, "0A000", "must be a SELECT", "", ""},
        Wrong{"INSTALL httpfs", Code::kNotSupported, "0A000", "must be a SELECT", "", ""},
        Wrong{"SELECT * FROM read_csv('/etc/passwd')", Code::kNotSupported, "42501", "/etc/passwd",
              "read_csv", ""},
        Wrong{"SELECT * FROM '/etc/passwd.csv'", Code::kNotSupported, "42501", "/etc/passwd.csv",
              "", ""},
        Wrong{"SELECT $a + 1", Code::kInvalidArgument, "42P02", "parameter $a has no value", "",
              ""}));

TEST(Place, ShiftsAPositionIntoTheUsersFile) {
  const std::string text = "CREATE VIEW v AS\n  SELECT pirce FROM t";
  const Origin origin{"views.sql", text, 0, text.size()};
  const Error error = Place::Of(origin, "SELECT pirce FROM t")
                          .Mark(Error(Code::kNotFound, "no"), duckdb::optional_idx(7));
  EXPECT_EQ(error.ToString(),
            "no (views.sql:2:10)\n    2 |   SELECT pirce FROM t\n      |          ^");
}

TEST(Place, GivesNoPositionForATextThatDoesNotStandThere) {
  const std::string text = "CREATE VIEW v AS SELECT 1";
  const Origin origin{"views.sql", text, 0, text.size()};
  EXPECT_FALSE(Place::Of(origin, "SELECT 2")
                   .Mark(Error(Code::kNotFound, "no"), duckdb::optional_idx(3))
                   .position());
}

}  // namespace
}  // namespace millrace::sql::duckdb_error_test
