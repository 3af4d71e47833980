// Answers that do not fit into memory.
#include "sql/query_result.h"

#include <unistd.h>

#include <filesystem>

#include "sql/testing_shop.h"

namespace millrace::sql::query_result_test {
namespace {

using ::testing::HasSubstr;

// Of every form that DuckDB's buffers treat in a way of their own.
constexpr char kRows[] =
    "SELECT i, CASE WHEN i % 3 = 0 THEN NULL ELSE repeat('x', (i % 40)::INTEGER) || i END AS t, "
    "[i, NULL, i + 1] AS l, {'a': i, 'b': 'long enough to lie elsewhere ' || i} AS s, "
    "MAP {'k' || i: i} AS m, (i / 7)::DECIMAL(18, 3) AS d FROM range($rows) r(i)";

class LargeAnswers : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / fmt::format("millrace_large_{}", getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override {
    database_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Open(size_t result_bytes, uint64_t temp_bytes_max = 0) {
    DatabaseOptions options;
    options.memory_bytes = size_t{32} << 20;
    options.result_bytes = result_bytes;
    options.temp_directory = (folder_ / "tmp").string();
    options.temp_bytes_max = temp_bytes_max;
    auto database = Database::Open(options);
    ASSERT_TRUE(database.ok()) << database.error().ToString();
    database_ = std::move(database).value();
  }
  Result<QueryResult> Run(int64_t rows, bool may_spill) {
    QueryLimits limits;
    limits.may_spill = may_spill;
    return database_->Query(snapshot_, kRows, {{"rows", duckdb::Value::BIGINT(rows)}}, limits);
  }
  static std::string Text(const QueryResult& result) {
    std::string text;
    for (size_t i = 0; i < result.chunk_count(); ++i) {
      const auto chunk = result.ReadChunk(i);
      EXPECT_TRUE(chunk.ok()) << chunk.error().ToString();
      if (!chunk.ok()) break;
      for (size_t row = 0; row < (*chunk)->size(); ++row) {
        for (size_t column = 0; column < (*chunk)->ColumnCount(); ++column)
          text += (*chunk)->GetValue(column, row).ToString() + "|";
        text += '\n';
      }
    }
    return text;
  }

  std::filesystem::path folder_;
  std::unique_ptr<Database> database_;
  std::shared_ptr<FakeSnapshot> snapshot_ = std::make_shared<FakeSnapshot>(ShopCatalog({}));
};

TEST_F(LargeAnswers, AreTheSameRowsWhereverTheyStand) {
  Open(2 << 20);
  const auto memory = Run(20'000, false);
  const auto spilled = Run(20'000, true);
  ASSERT_TRUE(memory.ok()) << memory.error().ToString();
  ASSERT_TRUE(spilled.ok()) << spilled.error().ToString();
  EXPECT_EQ(memory->spilled, nullptr);
  ASSERT_NE(spilled->spilled, nullptr);
  EXPECT_FALSE(spilled->chunks.empty());
  EXPECT_EQ(spilled->row_count(), 20'000u);
  EXPECT_EQ(Text(*spilled), Text(*memory));
}

TEST_F(LargeAnswers, TakeMemoryUntilTheyAreThrownAway) {
  Open(1 << 20);
  {
    const auto first = Run(3'000, true);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(first->spilled, nullptr);
    const auto second = Run(3'000, true);
    ASSERT_TRUE(second.ok());
    EXPECT_NE(second->spilled, nullptr);
    EXPECT_EQ(Text(*first), Text(*second));
  }
  const auto third = Run(3'000, true);
  ASSERT_TRUE(third.ok());
  EXPECT_EQ(third->spilled, nullptr);
}

TEST_F(LargeAnswers, MayBeLargerThanAllMemory) {
  Open(1 << 20);
  const auto result = Run(400'000, true);
  ASSERT_TRUE(result.ok()) << result.error().ToString();
  ASSERT_EQ(result->row_count(), 400'000u);
  int64_t next = 0;
  for (size_t i = 0; i < result->chunk_count(); ++i) {
    const auto chunk = result->ReadChunk(i);
    ASSERT_TRUE(chunk.ok()) << chunk.error().ToString();
    for (size_t row = 0; row < (*chunk)->size(); ++row, ++next)
      ASSERT_EQ((*chunk)->GetValue(0, row).GetValue<int64_t>(), next);
  }
  EXPECT_EQ(next, 400'000);
}

TEST_F(LargeAnswers, AreRefusedWhereTheDiskHasNoRoomEither) {
  Open(1 << 20, 1 << 20);
  const auto result = Run(400'000, true);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kTooLarge);
  EXPECT_THAT(result.error().ToString(), HasSubstr("needs more disk than it may take"));
  EXPECT_THAT(result.error().hint(), HasSubstr("fewer rows"));
  const auto after = Run(100, true);
  EXPECT_TRUE(after.ok()) << after.error().ToString();
}

TEST_F(LargeAnswers, OutliveTheDatabase) {
  Open(1 << 20);
  const auto result = Run(20'000, true);
  ASSERT_TRUE(result.ok());
  ASSERT_NE(result->spilled, nullptr);
  const std::string before = Text(*result);
  database_.reset();
  EXPECT_EQ(Text(*result), before);
}

}  // namespace
}  // namespace millrace::sql::query_result_test
