// Records of clients for a table: what is taken are rows of it, whatever bytes come.
#include "runtime/table_records.h"

#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/random.h"
#include "log/record_batch.h"
#include "runtime/testing.h"

namespace millrace::runtime::table_records_test {
namespace {

void FixLengthAndCrc(std::string& batch) {
  if (batch.size() < log::kRecordBatchHeaderBytes) return;
  std::string field;
  PutBig(field, static_cast<int32_t>(batch.size() - 12));
  batch.replace(8, 4, field);
  field.clear();
  PutBig(field, Crc32c(std::string_view(batch).substr(log::kRecordBatchCrcFrom)));
  batch.replace(17, 4, field);
}

std::string SomeBatch(Random& random) {
  log::RecordBatchBuilder batch;
  for (uint64_t n = 1 + random.Below(3); n > 0; --n) {
    const std::string id = std::to_string(random.Below(5));
    switch (random.Below(4)) {
      case 0:
        batch.Add(id, std::nullopt, {1000});
        break;
      case 1:
        batch.Add(R"({"id": )" + id + "}", R"({"id": )" + id + R"(, "name": "é", "price": 2.5})",
                  {1000}, {{"header", "value"}});
        break;
      case 2:
        batch.Add(std::nullopt, R"({"name": "tea", "id": )" + id + "}", {1000});
        break;
      default:
        batch.Add("\"" + id + "\"", R"({"id": ")" + id + R"(", "name": "x", "price": null})",
                  {1000});
    }
  }
  return batch.Finish();
}

void Mutate(std::string& bytes, Random& random) {
  for (uint64_t n = 1 + random.Below(3); n > 0 && !bytes.empty(); --n) {
    const size_t at = random.Below(bytes.size());
    switch (random.Below(3)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.Below(8)));
        break;
      case 1:
        bytes.erase(at, 1 + random.Below(8));
        break;
      default:
        bytes.insert(at, 1 + random.Below(8), static_cast<char>(random.Next()));
    }
  }
}

TEST(TableRecords, OfDamagedBatchesTakesRowsOrNothing) {
  constexpr int kBatches = 3000;
  const uint64_t seed = SeedOf(20261127);
  SCOPED_TRACE("MILLRACE_SEED=" + std::to_string(seed));
  Random random(seed);
  const TestDisk disk;
  auto started = Node::Start(disk.Options(1));
  ASSERT_TRUE(started.ok()) << started.error().ToString();
  Node& node = **started;
  ASSERT_TRUE(node.Execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL, price "
                           "DECIMAL(10,2), CHECK (price >= 0))",
                           {})
                  .ok());
  ASSERT_TRUE(
      node.Execute("CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n, sum(price) AS p FROM t", {})
          .ok());
  std::map<Code, int> refused;
  int taken = 0;
  for (int i = 0; i < kBatches; ++i) {
    std::string batch = SomeBatch(random);
    if (!random.OneIn(20)) Mutate(batch, random);
    if (!random.OneIn(4)) FixLengthAndCrc(batch);
    const auto appended = node.AppendToTable("t", batch);
    if (appended.ok()) {
      ++taken;
    } else {
      ++refused[appended.error().code()];
    }
  }
  EXPECT_GT(taken, kBatches / 50);
  EXPECT_GT(refused[Code::kInvalidArgument], 0);
  EXPECT_GT(refused[Code::kCorruption], 0);
  refused.erase(Code::kInvalidArgument);
  refused.erase(Code::kCorruption);
  refused.erase(Code::kNotSupported);  // a transaction's, by its bits
  refused.erase(Code::kTooLarge);      // unpacked, by its bits
  refused.erase(Code::kConflict);      // a producer's out of order, by its bits
  EXPECT_TRUE(refused.empty()) << CodeName(refused.begin()->first);
  EXPECT_EQ(Difference(node, "v"), Rows{});
  EXPECT_TRUE(node.CheckBooks().ok());
  EXPECT_EQ(Query(node, "SELECT count(*) FROM t WHERE price < 0 OR name IS NULL"), Rows{{"0"}});
  // Every record that was taken is a row again.
  const Rows rows = Query(node, "FROM t ORDER BY id");
  started->reset();
  started = Node::Start(disk.Options(1));
  ASSERT_TRUE(started.ok()) << started.error().ToString();
  EXPECT_EQ(Query(**started, "FROM t ORDER BY id"), rows);
}

}  // namespace
}  // namespace millrace::runtime::table_records_test
