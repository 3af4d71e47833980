#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "sql/testing_shop.h"

namespace millrace::sql::query_test {
namespace {

using duckdb::Value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class QueryTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { database_ = OpenTestDatabase().release(); }
  static void TearDownTestSuite() {
    delete database_;
    database_ = nullptr;
  }

  void SetUp() override {
    snapshot_->rows["notes"] = {{Value("anna"), Value::INTEGER(1)},
                                {Value("bob"), Value::INTEGER(2)},
                                {Value(), Value::INTEGER(3)}};
    snapshot_->rows["products"] = {
        {Value("A"), Value("lamp"), Value("light"), Value::DECIMAL(int64_t{1990}, 10, 2)},
        {Value("B"), Value("cup"), Value("kitchen"), Value::DECIMAL(int64_t{250}, 10, 2)}};
    snapshot_->rows["order_lines.quarantine"] = {{Value("type")}};
    snapshot_->rows["millrace.views"] = {{Value("ready")}};
  }
  Result<QueryResult> Run(const std::string& select,
                          const std::map<std::string, Value>& parameters = {},
                          const QueryLimits& limits = {}) {
    return database_->Query(snapshot_, select, parameters, limits);
  }
  std::vector<std::string> MustRun(const std::string& select,
                                   const std::map<std::string, Value>& parameters = {}) {
    const auto result = Run(select, parameters);
    EXPECT_TRUE(result.ok()) << result.error().ToString();
    return result.ok() ? Lines(result->chunks) : std::vector<std::string>();
  }

  static Database* database_;
  std::shared_ptr<FakeSnapshot> snapshot_ = std::make_shared<FakeSnapshot>(
      ShopCatalog({{"cheap", "SELECT name FROM products WHERE price < 10", {"products"}}}));
};

Database* QueryTest::database_ = nullptr;

TEST_F(QueryTest, AnswersAtTheStepOfTheSnapshot) {
  const auto result = Run("SELECT who, n FROM notes ORDER BY n");
  ASSERT_TRUE(result.ok()) << result.error().ToString();
  EXPECT_EQ(result->step, 7);
  EXPECT_EQ(result->row_count(), 3u);
  EXPECT_THAT(result->schema.names(), ElementsAre("who", "n"));
  EXPECT_THAT(Lines(result->chunks), ElementsAre("anna|1", "bob|2", "NULL|3"));
}

TEST_F(QueryTest, ReadsQuarantineAndSystemTablesWithAndWithoutQuotes) {
  EXPECT_THAT(MustRun("SELECT * FROM order_lines.quarantine"), ElementsAre("type"));
  EXPECT_THAT(MustRun("SELECT * FROM \"order_lines.quarantine\""), ElementsAre("type"));
  EXPECT_THAT(MustRun("SELECT * FROM millrace.views"), ElementsAre("ready"));
  EXPECT_THAT(MustRun("SELECT * FROM main.order_lines.quarantine"), ElementsAre("type"));
}

TEST_F(QueryTest, ExpandsPlainViews) {
  EXPECT_THAT(MustRun("SELECT * FROM cheap"), ElementsAre("cup"));
}

TEST_F(QueryTest, CountsRowsWithoutReadingColumns) {
  EXPECT_THAT(MustRun("SELECT count(*) FROM notes"), ElementsAre("3"));
}

TEST_F(QueryTest, ReadsManyChunks) {
  for (int i = 0; i < 10'000; ++i)
    snapshot_->rows["notes"].push_back({Value("x"), Value::INTEGER(i)});
  EXPECT_THAT(MustRun("SELECT count(*), sum(n) FROM notes"), ElementsAre("10003|49995006"));
}

TEST_F(QueryTest, TakesParametersByNameAndByPosition) {
  EXPECT_THAT(MustRun("SELECT who FROM notes WHERE n = $n", {{"n", Value::BIGINT(2)}}),
              ElementsAre("bob"));
  EXPECT_THAT(MustRun("SELECT who FROM notes WHERE n = $1 OR n = $2",
                      {{"1", Value::INTEGER(1)}, {"2", Value("2")}}),
              UnorderedElementsAre("anna", "bob"));
  EXPECT_THAT(MustRun("SELECT who FROM notes WHERE n > ? ORDER BY n LIMIT ?",
                      {{"1", Value::DOUBLE(1.5)}, {"2", Value::BIGINT(1)}}),
              ElementsAre("bob"));
}

TEST_F(QueryTest, DoesNotRoundAParameterToTheColumnsType) {
  EXPECT_THAT(MustRun("SELECT name FROM products WHERE price > $p",
                      {{"p", Value::DECIMAL(int64_t{24999}, 10, 4)}}),
              UnorderedElementsAre("lamp", "cup"));
  EXPECT_THAT(MustRun("SELECT name FROM products WHERE price > $p",
                      {{"p", Value::DECIMAL(int64_t{25001}, 10, 4)}}),
              ElementsAre("lamp"));
}

TEST_F(QueryTest, AnswersAPreparedQueryAgainWithOtherParametersAndAnotherSnapshot) {
  const std::string select = "SELECT who FROM notes WHERE n = $n";
  EXPECT_THAT(MustRun(select, {{"n", Value::INTEGER(1)}}), ElementsAre("anna"));
  EXPECT_THAT(MustRun(select, {{"n", Value::INTEGER(2)}}), ElementsAre("bob"));
  auto later = std::make_shared<FakeSnapshot>(ShopCatalog());
  later->rows["notes"] = {{Value("carl"), Value::INTEGER(2)}};
  const auto result = database_->Query(later, select, {{"n", Value::INTEGER(2)}}, {});
  ASSERT_TRUE(result.ok()) << result.error().ToString();
  EXPECT_THAT(Lines(result->chunks), ElementsAre("carl"));
}

TEST_F(QueryTest, TellsTheSnapshotWhichKeysAreWanted) {
  const std::string select = "SELECT name FROM products WHERE stock_code = $c AND price > 1";
  for (const char* code : {"A", "B"}) {
    snapshot_->equalities_seen.clear();
    MustRun(select, {{"c", Value(code)}});
    ASSERT_EQ(snapshot_->equalities_seen.size(), 1u) << code;
    EXPECT_EQ(snapshot_->equalities_seen[0].column, 0u);
    EXPECT_EQ(snapshot_->equalities_seen[0].value, Value(code));
  }
}

TEST_F(QueryTest, StopsAtTheBoundOfRows) {
  const auto result = Run("SELECT * FROM notes", {}, QueryLimits{std::chrono::seconds(60), 2});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kTooLarge);
  EXPECT_TRUE(
      Run("SELECT * FROM notes LIMIT 2", {}, QueryLimits{std::chrono::seconds(60), 2}).ok());
}

TEST_F(QueryTest, StopsAtTheBoundOfTime) {
  snapshot_->endless = true;
  const auto result =
      Run("SELECT count(*) FROM notes", {}, QueryLimits{std::chrono::milliseconds(100), 0});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kTimeout);
  snapshot_->endless = false;
  EXPECT_THAT(MustRun("SELECT count(*) FROM notes"), ElementsAre("3"));
}

TEST_F(QueryTest, StopsWhenCancelled) {
  snapshot_->endless = true;
  auto cancel = std::make_shared<std::atomic<bool>>(false);
  std::thread canceller([&] {
    while (snapshot_->scans_started == 0) std::this_thread::yield();
    *cancel = true;
  });
  const auto result =
      database_->Query(snapshot_, "SELECT sum(n) FROM notes", {}, {.cancel = cancel});
  canceller.join();
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kCancelled);
}

TEST_F(QueryTest, GivesTheSnapshotsOwnErrorWhenAScanFails) {
  snapshot_->scan_error = "segment 7: crc mismatch";
  const auto result = Run("SELECT * FROM notes");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kCorruption);
  EXPECT_EQ(result.error().message(), "segment 7: crc mismatch");
}

TEST_F(QueryTest, KeepsADefectOfDuckDbToTheQueryThatMeetsIt) {
  MustRun("SELECT who FROM notes");
  snapshot_->duckdb_breaks = true;
  const auto broken = Run("SELECT who FROM notes");
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.error().code(), Code::kInternal);
  EXPECT_THAT(broken.error().message(), HasSubstr("DuckDB"));
  EXPECT_THAT(broken.error().message(), HasSubstr("Vector::Reference of another type"));
  EXPECT_THAT(broken.error().hint(), HasSubstr("another form"));

  snapshot_->duckdb_breaks = false;
  EXPECT_THAT(MustRun("SELECT who FROM notes WHERE n = 2"), ElementsAre("bob"));
  EXPECT_THAT(MustRun("SELECT who FROM notes"), UnorderedElementsAre("anna", "bob", "NULL"));
  WriteStatement insert;
  insert.what = WriteStatement::What::kInsert;
  insert.target = "notes";
  insert.text = "INSERT INTO notes VALUES ('carl', 4)";
  const auto written = database_->EvaluateWrite(snapshot_, insert, {}, {});
  EXPECT_TRUE(written.ok()) << written.error().ToString();
}

TEST_F(QueryTest, LeavesNoStateOfOneCallToTheNext) {
  EXPECT_FALSE(Run("SELECT * FROM nothing_here").ok());
  const auto result = Run("SELECT * FROM 'missing.csv'");
  ASSERT_FALSE(result.ok());
  EXPECT_THAT(result.error().message(), HasSubstr("missing.csv"));
  EXPECT_THAT(MustRun("SELECT 1"), ElementsAre("1"));
}

// The plan of a text is kept; it is nobody's, and of no time zone but the caller's.
TEST_F(QueryTest, AnswersItsCaller) {
  const auto asked_by = [&](Caller caller) {
    QueryLimits limits;
    limits.caller = std::move(caller);
    const auto result = Run(
        "SELECT current_user, session_user, CAST(TIMESTAMPTZ '2024-07-01 23:30:00+00' AS DATE), "
        "TIMESTAMPTZ '2024-07-01 12:00' = TIMESTAMPTZ '2024-07-01 10:00:00+00'",
        {}, limits);
    EXPECT_TRUE(result.ok()) << result.error().ToString();
    return result.ok() ? Lines(result->chunks) : std::vector<std::string>();
  };
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(asked_by({"UTC", "ann"}), ElementsAre("ann|ann|2024-07-01|false"));
    EXPECT_THAT(asked_by({"Europe/Berlin", "ann"}), ElementsAre("ann|ann|2024-07-02|true"));
    EXPECT_THAT(asked_by({"UTC", "bob"}), ElementsAre("bob|bob|2024-07-01|false"));
  }
}

TEST_F(QueryTest, ExplainsAQuery) {
  const auto text = database_->ExplainQuery(snapshot_, "SELECT who FROM notes WHERE n = $1",
                                            {{"1", duckdb::Value::INTEGER(1)}}, Caller());
  ASSERT_TRUE(text.ok()) << text.error().ToString();
  EXPECT_THAT(*text, HasSubstr("notes"));
}

TEST_F(QueryTest, BindsWithoutRunning) {
  const std::string select = "SELECT who, n + $k AS m FROM notes, cheap WHERE n < $k";
  const auto bound =
      database_->Bind(snapshot_->catalog(), select, {{"k", duckdb::LogicalType::BIGINT}},
                      Origin{"", select, 0, select.size()});
  ASSERT_TRUE(bound.ok()) << bound.error().ToString();
  EXPECT_THAT(bound->schema.names(), ElementsAre("who", "m"));
  EXPECT_EQ(bound->schema.columns[1].type, duckdb::LogicalType::BIGINT);
  EXPECT_THAT(bound->reads, UnorderedElementsAre("notes", "cheap"));
  const auto undeclared =
      database_->Bind(snapshot_->catalog(), select, {}, Origin{"", select, 0, select.size()});
  ASSERT_FALSE(undeclared.ok());
  EXPECT_THAT(undeclared.error().message(), HasSubstr("$k"));
}

TEST_F(QueryTest, RunsInUtcAndBinaryOrder) {
  EXPECT_THAT(MustRun("SELECT current_setting('TimeZone'), 'a' < 'B'"), ElementsAre("UTC|false"));
}

TEST_F(QueryTest, EndsAScanBeforeItsSnapshotWhenAQueryIsBrokenOff) {
  for (int i = 0; i < 100'000; ++i)
    snapshot_->rows["notes"].push_back({Value("x"), Value::INTEGER(i)});
  auto mine = std::make_shared<FakeSnapshot>(snapshot_->catalog_ptr());
  mine->rows = snapshot_->rows;
  const auto scans = mine->scans_alive;
  const auto result = database_->Query(std::move(mine), "SELECT n FROM notes", {},
                                       QueryLimits{std::chrono::seconds(60), 10});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(*scans, 0);
}

TEST_F(QueryTest, ReadsFilesBelowTheAllowedFoldersOnly) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("millrace_files_{}", getpid());
  std::filesystem::create_directories(folder / "in");
  std::ofstream(folder / "in" / "a.csv") << "x,y\n1,2\n";
  std::ofstream(folder / "b.csv") << "x,y\n1,2\n";
  DatabaseOptions options;
  options.allowed_files = {(folder / "in").string()};
  auto database = Database::Open(options);
  ASSERT_TRUE(database.ok()) << database.error().ToString();
  const auto read = [&](const std::filesystem::path& file) {
    return (*database)->Query(snapshot_, fmt::format("SELECT y FROM '{}'", file.string()), {}, {});
  };
  const auto inside = read(folder / "in" / "a.csv");
  EXPECT_TRUE(inside.ok()) << inside.error().ToString();
  EXPECT_FALSE(read(folder / "b.csv").ok());
  EXPECT_FALSE(read(folder / "in" / ".." / "b.csv").ok());
  std::filesystem::remove_all(folder);
}

TEST_F(QueryTest, ReadsNothingOfTheNodesOwnFolder) {
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / fmt::format("millrace_closed_{}", getpid());
  std::filesystem::create_directories(folder / "data" / "access");
  std::filesystem::create_directories(folder / "data2");
  std::ofstream(folder / "data" / "access" / "principals") << "x\nsecret\n";
  std::ofstream(folder / "data2" / "a.csv") << "x\n1\n";
  std::filesystem::create_directory_symlink(folder / "data", folder / "link");
  DatabaseOptions options;
  options.allowed_files = {folder.string()};
  options.closed_files = (folder / "data").string();
  options.temp_directory = (folder / "data" / "tmp").string();
  options.memory_bytes = size_t{32} << 20;
  auto database = Database::Open(options);
  ASSERT_TRUE(database.ok()) << database.error().ToString();
  const auto read = [&](const std::string& query) {
    return (*database)->Query(snapshot_, query, {}, {});
  };
  const std::string at = folder.string();
  const auto beside = read("SELECT content FROM read_text('" + at + "/data2/a.csv')");
  EXPECT_TRUE(beside.ok()) << beside.error().ToString();
  for (const char* path :
       {"/data/access/principals", "/link/access/principals", "/data2/../data/access/principals",
        "/*/access/principals", "/data/**", "/./data/access/principals"}) {
    for (const char* function : {"read_text", "read_blob", "read_csv"}) {
      const auto result = read(fmt::format("SELECT * FROM {}('{}{}')", function, at, path));
      EXPECT_FALSE(result.ok()) << function << " " << path;
      if (result.ok()) continue;
      EXPECT_NE(result.error().ToString().find("data directory"), std::string::npos)
          << result.error().ToString();
    }
  }
  // What does not fit into memory is spilled there all the same.
  const auto spilled = read(
      "SELECT count(*) FROM (SELECT i, repeat('x', 50) || i AS t FROM range(1500000) r(i) ORDER BY "
      "t)");
  EXPECT_TRUE(spilled.ok()) << spilled.error().ToString();
  std::filesystem::remove_all(folder);
}

TEST_F(QueryTest, AnswersFromSeveralThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> right = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        auto mine = std::make_shared<FakeSnapshot>(snapshot_->catalog_ptr());
        mine->rows["notes"] = {{Value("t"), Value::INTEGER(i)}};
        const auto result =
            database_->Query(mine, "SELECT n FROM notes WHERE who = $w", {{"w", Value("t")}}, {});
        right +=
            result.ok() && Lines(result->chunks) == std::vector<std::string>{std::to_string(i)};
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(right, 80);
}

}  // namespace
}  // namespace millrace::sql::query_test
