#include "rows/decode_rows.h"

#include "rows/row_codec.h"
#include "rows/testing.h"

namespace millrace::rows::decode_rows_test {
namespace {

using testing::Query;
using testing::Table;

std::vector<std::string> EncodeAll(Table& table) {
  RowEncoder encoder(table.types);
  std::vector<std::string> rows;
  for (auto& chunk : table.chunks) {
    for (const auto row : encoder.Encode(*chunk)) rows.emplace_back(row);
  }
  return rows;
}

TEST(DecodeRows, CutsManyRowsIntoPartsAndKeepsTheirOrderAndWeights) {
  Table table = Query("SELECT i, 'row ' || i FROM range(5000) r(i)");
  const std::vector<std::string> rows = EncodeAll(table);
  const std::vector<std::string_view> views(rows.begin(), rows.end());
  std::vector<Weight> weights;
  for (size_t i = 0; i < rows.size(); ++i) weights.push_back(static_cast<Weight>(i % 7) - 3);
  const auto batch = DecodeRows(table.types, views, weights);
  ASSERT_TRUE(batch.ok()) << batch.error().ToString();
  ASSERT_EQ(batch->parts.size(), 3u);
  ASSERT_EQ(batch->row_count(), 5000u);
  RowEncoder encoder(table.types);
  size_t at = 0;
  for (const Batch::Part& part : batch->parts) {
    const auto& encoded = encoder.Encode(*part.rows);
    for (size_t i = 0; i < encoded.size(); ++i, ++at) {
      ASSERT_EQ(encoded[i], rows[at]);
      ASSERT_EQ(part.weight(i), weights[at]);
    }
  }
  const auto unweighted = DecodeRows(table.types, views);
  ASSERT_TRUE(unweighted.ok());
  EXPECT_TRUE(unweighted->insert_only());
  EXPECT_TRUE(DecodeRows(table.types, {})->empty());
}

TEST(DecodeRows, SaysCorruptionWhereverTheBrokenRowStands) {
  Table table = Query("SELECT i, 'row ' || i FROM range(3000) r(i)");
  const std::vector<std::string> rows = EncodeAll(table);
  for (const size_t broken : {size_t{0}, size_t{2047}, size_t{2048}, size_t{2999}}) {
    std::vector<std::string_view> views(rows.begin(), rows.end());
    views[broken].remove_suffix(1);
    const auto batch = DecodeRows(table.types, views);
    ASSERT_FALSE(batch.ok()) << broken;
    EXPECT_EQ(batch.error().code(), Code::kCorruption);
  }
}

}  // namespace
}  // namespace millrace::rows::decode_rows_test
