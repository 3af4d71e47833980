// The books, with what Kafka's producers do: batches that are sent again, transactions that are
// aborted.
#include <gtest/gtest.h>

#include <future>
#include <map>

#include "runtime/testing.h"

namespace millrace::runtime::ledger_test {
namespace {

class LedgerTest : public testing::Test {
 protected:
  void Start() {
    auto started = Node::Start(disk_.Options(2));
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    node_ = *std::move(started);
  }
  void SetUp() override {
    Start();
    ASSERT_TRUE(node_
                    ->ApplyProject({{"project.sql",
                                     "CREATE STREAM s (id BIGINT);"
                                     "CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM s;"}},
                                   {})
                    .ok());
    partition_ = {node_->log().FindTopic("s")->id, 0};
  }

  // `count` rows of a producer.
  static std::string Batch(log::Producer producer, int32_t sequence, int count,
                           bool transactional) {
    log::RecordBatchBuilder builder;
    for (int i = 0; i < count; ++i) builder.Add(std::nullopt, R"({"id": 1})", {1000});
    builder.SetProducer(producer, sequence, transactional);
    return builder.Finish();
  }
  void Send(std::string batch) {
    auto sent = std::make_shared<std::promise<Status>>();
    const Status queued = node_->ingest().AppendBatches(
        {"s", 0, std::move(batch), "kafka"}, [sent](Result<log::Appended> appended) {
          sent->set_value(appended.ok() ? Ok() : Status(appended.error()));
        });
    ASSERT_TRUE(queued.ok()) << queued.error().ToString();
    const Status outcome = sent->get_future().get();
    ASSERT_TRUE(outcome.ok()) << outcome.error().ToString();
  }
  void End(log::Producer producer, log::TransactionOutcome outcome) {
    ASSERT_TRUE(node_->log().AppendMarkersAndWait({producer, outcome, 0, {partition_}}).ok());
  }
  // A row over HTTP's way, visible: everything before it is then counted.
  void InsertVisible() {
    const auto inserted = node_->Execute("INSERT INTO s VALUES (1)", {});
    ASSERT_TRUE(inserted.ok()) << inserted.error().ToString();
  }
  std::map<std::string, int64_t> Line(const std::string& edge) {
    std::map<std::string, int64_t> counters;
    for (const LedgerLine& line : node_->Ledger()) {
      if (line.edge == edge) counters[line.counter] = line.value;
    }
    return counters;
  }

  TestDisk disk_;
  std::unique_ptr<Node> node_;
  log::PartitionId partition_;
};

TEST_F(LedgerTest, CountsABatchThatIsSentAgainAsRepeated) {
  const std::string batch = Batch({7, 0}, 0, 3, false);
  Send(batch);
  Send(batch);
  Send(Batch({7, 0}, 3, 2, false));
  InsertVisible();
  InsertVisible();  // the counts of the door stand in a later step's record
  auto door = Line("kafka → s");
  EXPECT_EQ(door["sent"], 8);
  EXPECT_EQ(door["appended"], 5);
  EXPECT_EQ(door["repeated"], 3);
  auto log = Line("log → s");
  EXPECT_EQ(log["records"], 7);
  EXPECT_EQ(log["in flight"], 0);
  EXPECT_EQ(log["recovered"], 0);
  EXPECT_TRUE(node_->CheckBooks().ok());
}

TEST_F(LedgerTest, CountsWhatATransactionAbortedApartOverARestartToo) {
  Send(Batch({8, 0}, 0, 4, true));
  End({8, 0}, log::TransactionOutcome::kAbort);
  Send(Batch({8, 0}, 4, 2, true));
  End({8, 0}, log::TransactionOutcome::kCommit);
  InsertVisible();
  InsertVisible();
  const auto check = [&] {
    auto line = Line("log → s");
    EXPECT_EQ(line["records"], 8);
    EXPECT_EQ(line["rows"], 4);
    EXPECT_EQ(line["aborted"], 4);
    EXPECT_EQ(line["in flight"], 0);
    EXPECT_EQ(line["recovered"], 0);
    EXPECT_TRUE(node_->CheckBooks().ok()) << node_->CheckBooks().error().ToString();
    EXPECT_EQ(Query(*node_, "SELECT n FROM n"), (Rows{{"4"}}));
  };
  check();
  node_.reset();
  Start();
  check();
}

TEST_F(LedgerTest, AWriteBehindAnOpenTransactionIsNotVisibleBeforeItEnds) {
  Send(Batch({9, 0}, 0, 1, true));
  StatementOptions options;
  options.timeout = std::chrono::seconds(1);
  const auto held = node_->Execute("INSERT INTO s VALUES (1)", options);
  ASSERT_FALSE(held.ok());
  EXPECT_EQ(held.error().code(), Code::kTimeout);
  EXPECT_NE(held.error().message().find("open Kafka transaction"), std::string::npos)
      << held.error().message();
  End({9, 0}, log::TransactionOutcome::kCommit);
  InsertVisible();
  EXPECT_EQ(Query(*node_, "SELECT n FROM n"), (Rows{{"3"}}));
}

}  // namespace
}  // namespace millrace::runtime::ledger_test
