// What a step computes is a function of its journal record and the log: replayed, and by any number
// of workers, it gives the same bytes as it gave when it ran first.
#include <gtest/gtest.h>

#include "base/random.h"
#include "runtime/relation.h"
#include "runtime/tables.h"
#include "runtime/testing.h"
#include "state/content_disk.h"
#include "state/store.h"

namespace millrace::runtime::node_determinism_test {
namespace {

const char* const kProject =
    "CREATE STREAM lines (id BIGINT, at_time TIMESTAMP, k VARCHAR, v DOUBLE, d DECIMAL(12,3),"
    " WATERMARK FOR at_time AS at_time - INTERVAL 1 MINUTE,"
    " DEDUPLICATE ON (id)) PARTITION BY (k) INTO 4 PARTITIONS;"
    "CREATE TABLE names (k VARCHAR PRIMARY KEY, name VARCHAR);"
    "CREATE MATERIALIZED VIEW sums AS SELECT k, count(*) AS n, sum(v) AS v, sum(d) AS d,"
    " min(v) AS low, count(DISTINCT id % 7) AS sevens FROM lines GROUP BY k;"
    "CREATE MATERIALIZED VIEW named AS SELECT name, n FROM sums LEFT JOIN names USING (k);"
    "CREATE MATERIALIZED VIEW pairs AS SELECT a.id, b.id AS other FROM lines a JOIN lines b"
    " ON a.k = b.k AND a.id < b.id AND a.id % 5 = b.id % 5;"
    "CREATE MATERIALIZED VIEW best AS SELECT k, id, v FROM lines"
    " QUALIFY row_number() OVER (PARTITION BY k ORDER BY v DESC, id) <= 2;"
    "CREATE MATERIALIZED VIEW of_inverse AS SELECT"
    " sum(CASE WHEN id % 10 = 0 THEN 'x' ELSE '2' END::BIGINT) AS s FROM lines;"
    // SQL leaves open in which order equal ids % 3 come, and which of equal parities is taken.
    "CREATE MATERIALIZED VIEW peers AS SELECT k, l, count(*) AS n FROM"
    " (SELECT k, list(id) OVER (PARTITION BY k ORDER BY id % 3) AS l FROM lines) GROUP BY k, l;"
    "CREATE MATERIALIZED VIEW nearest AS SELECT a.id, b.id AS other FROM lines a"
    " ASOF JOIN (SELECT k, id, id % 2 AS parity FROM lines) b ON a.k = b.k AND a.id % 3 >= parity;"
    "CREATE MATERIALIZED VIEW middle AS SELECT k, median(v) AS m FROM lines GROUP BY k;";

struct Image {
  int64_t step;
  Rows ledger;
  std::map<std::string, Rows> relations;
  bool operator==(const Image&) const = default;
};

Image ImageOf(Node& node) {
  Image image;
  image.step = node.visible_step();
  image.ledger = Query(node, "FROM millrace.ledger ORDER BY ALL");
  for (const char* relation : {"lines", "names", "sums", "named", "pairs", "best", "of_inverse",
                               "peers", "nearest", "middle", "millrace.errors"}) {
    image.relations[relation] = Query(node, fmt::format("FROM {} ORDER BY ALL", relation));
  }
  return image;
}

// Everything that the runtime has in the state store: key and value of every entry.
std::map<std::string, std::string> StateBytes(const TestDisk& disk, const catalog::Catalog& catalog,
                                              int workers) {
  std::map<std::string, std::string> bytes;
  const NodeOptions options = disk.Options(workers);
  auto store = state::Store::Open({.directory = options.data_directory + "/state",
                                   .workers = workers,
                                   .env = options.state_env});
  EXPECT_TRUE(store.ok()) << store.error().ToString();
  if (!store.ok()) return bytes;
  std::vector<state::TableId> tables{kNodeStateTable, kExclusionsTable, kFailuresTable};
  for (const catalog::Object* object : catalog.InOrder()) {
    if (HoldsRows(*object)) tables.push_back(ContentTable(*object));
  }
  for (const state::TableId table : tables) {
    const Status scanned = (*store)->Scan(table, "", [&](std::string_view key, std::string_view v) {
      bytes[fmt::format("{} {}", table.value, key)] = v;
      return Ok();
    });
    EXPECT_TRUE(scanned.ok()) << scanned.error().ToString();
    state::ContentDisk::Cursor rows = state::ContentDisk((*store)->disk(), table).All();
    for (rows.Begin(); rows.Valid(); rows.Next()) {
      const auto weight = rows.weight();
      EXPECT_TRUE(weight.ok()) << weight.error().ToString();
      bytes[fmt::format("{} row {}", table.value, rows.key())] =
          std::to_string(weight.ok() ? *weight : 0);
    }
    EXPECT_TRUE(rows.status().ok());
  }
  return bytes;
}

void Feed(Node& node, Random& random, int64_t& next_id) {
  std::string text = "INSERT INTO lines VALUES ";
  const size_t count = 1 + random.Below(40);
  for (size_t i = 0; i < count; ++i) {
    // Some ids come again, some rows are late, doubles have no exact sum.
    const int64_t id = random.OneIn(8) ? static_cast<int64_t>(random.Below(50)) : next_id++;
    const uint64_t late = random.OneIn(10) ? random.Below(400) : 0;
    text += fmt::format(
        "{}({}, TIMESTAMP '2026-01-01' + INTERVAL '{} seconds', 'k{}', {} / 7.0, {}.125)",
        i == 0 ? "" : ", ", id, 3 * id - static_cast<int64_t>(late), random.Below(9),
        random.Below(100000), random.Below(1000));
  }
  Query(node, text);
  if (random.OneIn(3)) {
    Query(node, fmt::format("INSERT INTO names VALUES ('k{}', 'name {}') ON CONFLICT DO UPDATE"
                            " SET name = excluded.name",
                            random.Below(9), next_id));
  }
}

TEST(NodeDeterminism, AReplayedStepHasTheSameBytesWithAnyNumberOfWorkers) {
  const uint64_t seed = SeedOf(1);
  SCOPED_TRACE(testing::Message() << "MILLRACE_SEED=" << seed);
  Random random(seed);
  TestDisk disk;
  int64_t next_id = 0;
  Image before;
  {
    auto node = Node::Start(disk.Options(2));
    ASSERT_TRUE(node.ok()) << node.error().ToString();
    const auto applied = (*node)->ApplyProject({{"project.sql", kProject}}, {});
    ASSERT_TRUE(applied.ok()) << applied.error().ToString();
    for (int i = 0; i < 60; ++i) Feed(**node, random, next_id);
    const auto last = (*node)->Execute("INSERT INTO names VALUES ('end', 'end')", {});
    ASSERT_TRUE(last.ok()) << last.error().ToString();
    ASSERT_TRUE((*node)->WaitVisible(last->token, std::chrono::seconds(60)).ok());
    before = ImageOf(**node);
    disk.CutOff();
    SetLogLevel(LogLevel::kOff);  // its last flush fails
  }
  SetLogLevel(LogLevel::kWarning);
  disk.ProcessDied();
  EXPECT_GT(before.relations["pairs"].size(), 100u);
  EXPECT_GT(before.relations["millrace.errors"].size(), 0u);

  std::map<std::string, std::string> bytes;
  for (const int workers : {1, 2, 3}) {
    SCOPED_TRACE(testing::Message() << workers << " workers");
    const auto copied = disk.Copy();
    ASSERT_TRUE(copied.ok()) << copied.error().ToString();
    TestDisk* copy = copied->get();
    catalog::CatalogPtr catalog;
    {
      auto node = Node::Start(copy->Options(workers));
      ASSERT_TRUE(node.ok()) << node.error().ToString();
      catalog = (*node)->catalog();
      EXPECT_TRUE(ImageOf(**node) == before);
    }
    const auto replayed = StateBytes(*copy, *catalog, workers);
    EXPECT_GT(replayed.size(), 1000u);
    if (bytes.empty()) bytes = replayed;
    EXPECT_TRUE(replayed == bytes);
  }
}

}  // namespace
}  // namespace millrace::runtime::node_determinism_test
