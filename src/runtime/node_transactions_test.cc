// A view shows at each step what readers of committed records could see at the end of one frame of
// the log: a transaction comes into view in all its partitions at once, also while the engine is
// behind.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "base/random.h"
#include "log/record_batch.h"
#include "runtime/testing.h"

namespace millrace::runtime::node_transactions_test {
namespace {

constexpr int kPartitions = 3;
constexpr int kTransactions = 200;
constexpr uint64_t kNever = UINT64_MAX;

using Content = std::map<int64_t, int64_t>;  // records by transaction

// What was written, as a reader of committed records comes to see it.
class Model {
 public:
  void Append(int partition, int64_t producer, int64_t tx, int64_t records, uint64_t frame) {
    batches_[partition].push_back({producer, tx, records, producer < 0 ? frame : kNever});
  }
  void End(int64_t producer, bool commit, uint64_t frame) {
    for (auto& [partition, batches] : batches_) {
      for (Batch& batch : batches) {
        if (batch.producer != producer || batch.visible != kNever) continue;
        batch.visible = frame;
        if (!commit) batch.records = 0;
        if (!commit) batch.visible = 0;  // holds nothing back, once it has ended
      }
    }
  }
  // What comes into view with each frame: a partition's records in their order.
  std::map<uint64_t, Content> Additions() const {
    std::map<uint64_t, Content> additions;
    for (const auto& [partition, batches] : batches_) {
      uint64_t visible = 0;
      for (const Batch& batch : batches) {
        visible = std::max(visible, batch.visible);
        if (batch.records > 0) additions[visible][batch.tx] += batch.records;
      }
    }
    return additions;
  }

 private:
  struct Batch {
    int64_t producer;  // -1: outside of transactions
    int64_t tx;
    int64_t records;
    uint64_t visible;
  };
  std::map<int, std::vector<Batch>> batches_;
};

class NodeTransactions : public testing::Test {
 protected:
  void SetUp() override {
    SetLogLevel(LogLevel::kOff);
    Start();
    Query(*node_, "CREATE STREAM events (tx BIGINT) INTO 3 PARTITIONS");
    Query(*node_,
          "CREATE MATERIALIZED VIEW per_tx AS SELECT tx, count(*) AS n FROM events GROUP BY tx");
    topic_ = {node_->catalog()->FindRelation("events")->topic_id};
  }
  void TearDown() override { SetLogLevel(LogLevel::kWarning); }
  void Start() {
    NodeOptions options = disk_.Options();
    options.step_rows_max = 1;
    auto started = Node::Start(options);
    ASSERT_TRUE(started.ok()) << started.error().ToString();
    node_ = *std::move(started);
  }

  void Append(int partition, int64_t tx, int records, int64_t producer = -1) {
    log::RecordBatchBuilder batch;
    for (int i = 0; i < records; ++i)
      batch.Add(std::nullopt, fmt::format(R"({{"tx": {}}})", tx), log::Millis{1});
    if (producer >= 0) {
      int32_t& sequence = sequences_[{producer, partition}];
      batch.SetProducer({producer, 0}, sequence, /*transactional=*/true);
      sequence += records;
    }
    const auto done = node_->log().AppendAndWait({{{topic_, partition}, batch.Finish()}});
    ASSERT_TRUE(done.ok()) << done.error().ToString();
    model_.Append(partition, producer, tx, records, done->frame.value);
  }
  void End(int64_t producer, bool commit, const std::set<int>& partitions) {
    const auto outcome =
        commit ? log::TransactionOutcome::kCommit : log::TransactionOutcome::kAbort;
    log::TransactionEnd end{{producer, 0}, outcome, 0, {}};
    for (const int partition : partitions) end.partitions.push_back({topic_, partition});
    const auto done = node_->log().AppendMarkersAndWait(end);
    ASSERT_TRUE(done.ok()) << done.error().ToString();
    model_.End(producer, commit, done->frame.value);
  }

  // Until it ends, nothing behind is committed; as it is aborted, all that was written meanwhile is
  // to be seen at once, and the engine behind by so much.
  static constexpr int64_t kHolder = 99;
  void Hold() {
    for (int i = 0; i < kPartitions; ++i) Append(i, kTransactions, 1, kHolder);
  }
  void LetGo() { End(kHolder, /*commit=*/false, {0, 1, 2}); }

  // Transactions of four producers at once, and records outside of any.
  void WriteTransactions(Random& random) {
    std::map<int64_t, std::pair<int64_t, std::set<int>>> open;  // by producer
    for (int64_t next = 0; next < kTransactions || !open.empty();) {
      const auto producer = static_cast<int64_t>(1 + random.Below(4));
      const auto at = open.find(producer);
      const int partition = static_cast<int>(random.Below(kPartitions));
      if (at != open.end() && random.OneIn(3)) {
        End(producer, /*commit=*/!random.OneIn(5), at->second.second);
        open.erase(at);
      } else if (at != open.end() || next < kTransactions) {
        auto& [tx, partitions] = open[producer];
        if (partitions.empty()) tx = next++;
        Append(partition, tx, 1 + static_cast<int>(random.Below(3)), producer);
        partitions.insert(partition);
      }
      if (random.OneIn(4)) Append(partition, -1, 2);
    }
  }

  std::unique_ptr<Subscription> Subscribe() {
    auto subscribed = node_->Subscribe("per_tx", {.content = true, .after = {}});
    EXPECT_TRUE(subscribed.ok()) << subscribed.error().ToString();
    return *std::move(subscribed);
  }
  // Reads the view's changes until it shows everything. Gives the number of steps.
  int ExpectAFrameAtEachStep(Subscription& subscription) {
    const std::map<uint64_t, Content> additions = model_.Additions();
    auto frame = additions.begin();
    Content committed;  // in view at the end of the frame before `frame`
    const auto shows_a_frame = [&](const Content& shown) {
      while (committed != shown && frame != additions.end()) {
        for (const auto& [tx, records] : frame->second) committed[tx] += records;
        ++frame;
      }
      return committed == shown;
    };
    int steps = 0;
    state::Step step{-1};
    Content shown;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
    while (frame != additions.end()) {
      const auto event = subscription.Next(std::chrono::milliseconds(100));
      EXPECT_TRUE(event.ok()) << event.error().ToString();
      if (std::chrono::steady_clock::now() > deadline || !event.ok()) return steps;
      if (!*event) continue;
      if ((*event)->step != step || (*event)->kind == FeedEvent::Kind::kProgress) {
        EXPECT_TRUE(shows_a_frame(shown)) << "step " << step.value;
        step = (*event)->step;
        ++steps;
      }
      for (const auto& part : (*event)->rows.parts) {
        for (size_t i = 0; i < part.rows->size(); ++i) {
          const auto tx = part.rows->GetValue(0, i).GetValue<int64_t>();
          const auto n = part.rows->GetValue(1, i).GetValue<int64_t>();
          if ((shown[tx] += part.weight(i) * n) == 0) shown.erase(tx);
        }
      }
    }
    return steps;
  }

  TestDisk disk_;
  std::unique_ptr<Node> node_;
  log::TopicId topic_;
  std::map<std::pair<int64_t, int>, int32_t> sequences_;  // by producer and partition
  Model model_;
};

TEST_F(NodeTransactions, ComeIntoViewWholeWhileTheEngineIsBehind) {
  Random random(SeedOf(std::random_device()()));
  Hold();
  WriteTransactions(random);
  const auto subscription = Subscribe();
  LetGo();
  EXPECT_GT(ExpectAFrameAtEachStep(*subscription), 20);
}

// One that is larger than what is read ahead at most is not waited for in memory.
TEST_F(NodeTransactions, ComeIntoViewInPiecesWhereTheyAreTooLarge) {
  constexpr int kBatches = 12;
  const std::string padding(10 << 20, 'x');
  Hold();
  const auto subscription = Subscribe();
  for (int i = 0; i < kBatches; ++i) {
    log::RecordBatchBuilder batch;
    batch.Add(std::nullopt, fmt::format(R"({{"tx": {}, "padding": "{}"}})", i, padding),
              log::Millis{1});
    batch.SetProducer({1, 0}, i, /*transactional=*/true);
    ASSERT_TRUE(node_->log().AppendAndWait({{{topic_, 0}, batch.Finish()}}).ok());
    model_.Append(0, /*producer=*/1, /*tx=*/i, /*records=*/1, /*frame=*/0);
  }
  End(1, /*commit=*/true, {0});
  LetGo();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(120);
  int64_t most_at_once = 0;
  int64_t shown = 0;
  while (shown < kBatches) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << shown;
    const auto event = subscription->Next(std::chrono::milliseconds(100));
    ASSERT_TRUE(event.ok()) << event.error().ToString();
    if (!*event) continue;
    int64_t rows = 0;
    for (const auto& part : (*event)->rows.parts) rows += static_cast<int64_t>(part.rows->size());
    shown += rows;
    most_at_once = std::max(most_at_once, rows);
  }
  EXPECT_EQ(shown, kBatches);
  EXPECT_LT(most_at_once, kBatches);
}

TEST_F(NodeTransactions, ComeIntoViewWholeThroughAKill) {
  Random random(SeedOf(std::random_device()()));
  Hold();
  WriteTransactions(random);
  LetGo();
  std::this_thread::sleep_for(std::chrono::milliseconds(random.Below(100)));
  disk_.CutOff();
  node_.reset();
  disk_.ProcessDied();
  Start();
  ExpectAFrameAtEachStep(*Subscribe());
}

}  // namespace
}  // namespace millrace::runtime::node_transactions_test
