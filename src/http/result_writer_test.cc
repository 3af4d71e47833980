#include "http/result_writer.h"

#include <gtest/gtest.h>

#include "http/testing.h"

namespace millrace::http::result_writer_test {
namespace {

// `count` rows in chunks of `chunk_rows`, the last one of what is left; where `count` is 0, none.
std::shared_ptr<const sql::QueryResult> ResultOf(int64_t count, int64_t chunk_rows) {
  auto result = std::make_shared<sql::QueryResult>();
  for (const char* name : {"n", "t"}) {
    rows::Column column;
    column.name = name;
    column.type = *name == 'n' ? duckdb::LogicalType::BIGINT : duckdb::LogicalType::VARCHAR;
    result->schema.columns.push_back(std::move(column));
  }
  for (int64_t begin = 0; begin < count; begin += chunk_rows) {
    const int64_t rows = std::min(chunk_rows, count - begin);
    auto chunk = std::make_shared<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), result->schema.types());
    for (int64_t row = 0; row < rows; ++row) {
      chunk->SetValue(0, static_cast<size_t>(row), duckdb::Value::BIGINT(begin + row));
      chunk->SetValue(1, static_cast<size_t>(row),
                      duckdb::Value("a \"text\", " + std::to_string(row)));
    }
    chunk->SetCardinality(static_cast<size_t>(rows));
    result->chunks.push_back(std::move(chunk));
  }
  return result;
}

std::string Written(const ResultWriters& writers) {
  // Each by itself, the last one first, as threads may.
  std::vector<std::string> texts(writers.size());
  for (size_t i = writers.size(); i-- > 0;) {
    while (!writers[i]->ended()) {
      const auto piece = writers[i]->Next();
      EXPECT_TRUE(piece.ok()) << piece.error().ToString();
      if (!piece.ok()) return "";
      texts[i] += *piece;
    }
  }
  std::string all;
  for (const std::string& text : texts) all += text;
  return all;
}

TEST(ResultWriters, PartsAddUpToTheWhole) {
  columnar::Encoders encoders;
  for (const auto& [count, chunk_rows] : std::vector<std::pair<int64_t, int64_t>>{
           {0, 1}, {1, 1}, {2048, 2048}, {40'000, 2048}, {40'000, 1500}, {33'000, 33}}) {
    const auto result = ResultOf(count, chunk_rows);
    for (const Format format : {Format::kJson, Format::kNdjson, Format::kCsv}) {
      for (const RowShape shape : {RowShape::kObjects, RowShape::kArrays}) {
        const ResultForm form{format, shape, false};
        const auto writers = MakeResultWriters(encoders, result, form);
        ASSERT_TRUE(writers.ok());
        EXPECT_EQ(writers->size() > 1, count >= 33'000) << count;
        EXPECT_EQ(Written(*writers), ResultText(result, form).value());
      }
    }
  }
}

TEST(ResultWriters, ArrowIsOnePart) {
  columnar::Encoders encoders;
  const auto writers = MakeResultWriters(encoders, ResultOf(40'000, 2048), {Format::kArrow});
  ASSERT_TRUE(writers.ok());
  EXPECT_EQ(writers->size(), 1u);
  EXPECT_GT(Written(*writers).size(), 40'000u * 8);
}

}  // namespace
}  // namespace millrace::http::result_writer_test
