// Random histories of appends, reads, crashes, power losses, calls to the disk that fail, clocks
// that jump, retention, compaction and changes of topics, against a model (log_model.h) that knows
// every record. MILLRACE_SEED repeats a history, MILLRACE_HISTORIES says how many to run.
//
// Held at every step: what was acknowledged is there, offsets are dense and never given twice, the
// durable end never goes back, every request is there in all its partitions or in none, what an
// idempotent producer sends again, knowing the answer or not, is there once, and readers of
// committed records see the transactions that were committed, whole, and nothing of the others. Of
// topics with a sync_delay_max what was acknowledged is invisible until it is durable; a power loss
// takes back the newest of it, a crash of the process nothing.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "base/random.h"
#include "log/log_model.h"
#include "log/log_model_flight.h"
#include "log/testing.h"

namespace millrace::log::log_model_test {
namespace {

using model::kNone;
using model::Model;
using model::ModelPartition;
using model::Owner;
using model::Pending;
using model::PendingPtr;
using model::Record;

class History {
 public:
  explicit History(uint64_t seed) : random_(seed), files_(std::make_unique<FaultyFiles>()) {}

  void Run(int steps) {
    Open();
    for (int i = 0; i < steps && !::testing::Test::HasFatalFailure(); ++i) Step();
    if (::testing::Test::HasFatalFailure()) return;
    CheckAll();
    Reopen();
  }

  const model::Counts& counts() const { return model_.counts; }

 private:
  LogOptions Options() {
    LogOptions options = SmallOptions(*files_, clock_);
    options.write_ahead_bytes_max = 128 << 10;
    options.request_bytes_max = 32 << 10;
    options.segment_bytes = 512 + random_.Below(random_.OneIn(2) ? 4096 : 32 << 10);
    options.tail_bytes_max = 16 << 10;
    options.unsynced_bytes_max = random_.OneIn(2) ? 20 << 10 : 1 << 20;
    return options;
  }

  void Open() {
    auto log = Log::Open(Options());
    ASSERT_TRUE(log.ok()) << log.error().ToString();
    log_ = *std::move(log);
    for (const auto& [id, partition] : model_.partitions) {
      if (random_.OneIn(2)) SetFloor(id);
    }
  }

  void Step() {
    Settle();
    clock_.Advance(std::chrono::milliseconds(random_.Below(50)));
    // Somebody sets the machine's clock, now and then, back or ahead.
    if (random_.OneIn(40))
      clock_.Advance(std::chrono::minutes(random_.Below(60)) - std::chrono::minutes(30));
    model_.clocks.Add(clock_.Now());
    switch (random_.Below(20)) {
      case 0:
        return CreateTopic();
      case 1:
        return random_.OneIn(3) ? DeleteTopic() : AlterTopic();
      case 2:
        return MoveFloor();
      case 3:
      case 4:
        return RunBackground();
      case 5:
        return Reopen();
      case 6:
        return Crash(/*power_loss=*/false);
      case 7:
        return Crash(/*power_loss=*/true);
      case 8:
      case 9:
      case 10:
        return CheckRead();
      case 11:
      case 12:
      case 13:
        return AppendIdempotent();
      case 14:
        return SendAgain();
      case 15:
        return EndTransaction();
      default:
        return Append();
    }
  }

  // ---- Topics ----

  PartitionId AnyPartition() {
    auto at = model_.partitions.begin();
    std::advance(at, random_.Below(model_.partitions.size()));
    return at->first;
  }

  std::chrono::milliseconds AnySyncDelay() {
    return random_.OneIn(2) ? std::chrono::milliseconds(1 + random_.Below(10'000))
                            : std::chrono::milliseconds(0);
  }

  void CreateTopic() {
    const std::string name = "topic" + std::to_string(random_.Below(4));
    TopicConfig config;
    config.partitions = 1 + static_cast<int32_t>(random_.Below(3));
    config.compact = random_.OneIn(2);
    config.delete_retention = std::chrono::milliseconds(random_.Below(100));
    config.sync_delay_max = AnySyncDelay();
    config.append_time = random_.OneIn(4);
    const uint64_t retention_odds = config.compact ? 6 : 2;
    if (random_.OneIn(retention_odds)) config.retention_bytes = 1024 + random_.Below(4096);
    if (random_.OneIn(retention_odds))
      config.retention_time = std::chrono::milliseconds(random_.Below(1000));
    const bool taken = log_->FindTopic(name).has_value();
    const auto created = log_->CreateTopic(name, config);
    ASSERT_EQ(created.ok(), !taken);
    if (!created.ok()) return;
    for (int32_t p = 0; p < config.partitions; ++p) AddPartition({created->id, p}, config);
  }

  void AddPartition(PartitionId id, const TopicConfig& config) {
    const auto [at, added] = model_.partitions.try_emplace(id);
    ASSERT_TRUE(added) << "incarnation given twice";
    at->second.config = config;
  }

  void DeleteTopic() {
    if (model_.partitions.empty()) return;
    const TopicId topic = AnyPartition().topic;
    ASSERT_TRUE(log_->DeleteTopic(topic).ok());
    Settle();
    std::erase_if(model_.partitions, [&](const auto& entry) { return entry.first.topic == topic; });
    std::erase_if(flight_.senders,
                  [&](const auto& entry) { return entry.first.first.topic == topic; });
    for (auto& [producer, owner] : owners_) {
      std::erase_if(owner.partitions, [&](PartitionId id) { return id.topic == topic; });
    }
  }

  void AlterTopic() {
    if (model_.partitions.empty()) return;
    const TopicId topic = AnyPartition().topic;
    for (TopicInfo& info : log_->Topics()) {
      if (info.id != topic) continue;
      const int32_t more = static_cast<int32_t>(random_.Below(2));
      info.config.partitions += more;
      if (random_.OneIn(2)) info.config.sync_delay_max = AnySyncDelay();
      if (random_.OneIn(4)) info.config.append_time = !info.config.append_time;
      ASSERT_TRUE(log_->AlterTopic(topic, info.config).ok());
      if (more > 0) AddPartition({topic, info.config.partitions - 1}, info.config);
    }
    Settle();
  }

  int64_t AnyFloor(PartitionId id) {
    ModelPartition& partition = model_.partitions[id];
    const auto end = static_cast<uint64_t>(partition.durable_end());
    const auto floor = static_cast<int64_t>(random_.OneIn(2) ? end : random_.Below(end + 1));
    partition.floor_max = std::max(partition.floor_max, floor);
    return floor;
  }

  void SetFloor(PartitionId id) { ASSERT_TRUE(log_->SetFreeFloor(id, {AnyFloor(id)}).ok()); }

  void MoveFloor() {
    if (model_.partitions.empty()) return;
    const PartitionId id = AnyPartition();
    if (!random_.OneIn(6)) return SetFloor(id);
    const int64_t before = AnyFloor(id);
    model_.partitions[id].deleted = std::max(model_.partitions[id].deleted, before);
    ASSERT_TRUE(log_->DeleteRecords(id, {before}).ok());
    Settle();
  }

  // ---- Appending ----

  std::vector<Record> AnyRecords() {
    const std::string text = std::to_string(next_value_++) +
                             std::string(random_.OneIn(10) ? 700 : random_.Below(60), '.');
    std::vector<Record> records;
    for (uint64_t i = 1 + random_.Below(4); i > 0; --i) {
      Record& record = records.emplace_back();
      record.key = "key" + std::to_string(random_.Below(6));
      if (!random_.OneIn(5)) record.value = text + "/" + std::to_string(i);
    }
    return records;
  }

  void Append() {
    if (model_.partitions.empty()) return;
    auto pending = std::make_shared<Pending>();
    AppendRequest request;
    for (uint64_t n = 1 + random_.Below(3); n > 0; --n) {
      const PartitionId id = AnyPartition();
      std::string batches;
      std::vector<Record> records;
      for (uint64_t b = 1 + random_.Below(2); b > 0; --b) {
        const std::vector<Record> of_batch = AnyRecords();
        batches += model::BatchOf(of_batch);
        records.insert(records.end(), of_batch.begin(), of_batch.end());
      }
      request.push_back({id, std::move(batches)});
      pending->writes.push_back({id, std::move(records)});
    }
    Queue(std::move(pending), std::move(request));
  }

  void Queue(PendingPtr pending, AppendRequest request) {
    const auto done = [pending](Result<Appended> result) {
      pending->acknowledged = result.ok();
      pending->refused = !result.ok() && result.error().code() != Code::kIo;
      if (result.ok()) pending->appended = *std::move(result);
    };
    const Status queued = pending->end ? log_->AppendMarkers(*pending->end, done)
                                       : log_->Append(std::move(request), done);
    ASSERT_TRUE(queued.ok()) << queued.error().ToString();
    flight_.Add(std::move(pending));
    if (random_.OneIn(3)) log_->RunOnce(false);
    Settle();
  }

  void AppendIdempotent() {
    if (model_.partitions.empty()) return;
    auto pending = std::make_shared<Pending>();
    const PartitionId id = AnyPartition();
    pending->producer = static_cast<int64_t>(random_.Below(5));
    const bool transactional = pending->producer >= kFirstTransactional;
    if (transactional) {
      Owner& owner = owners_[pending->producer];
      if (owner.partitions.empty()) owner.transaction = next_transaction_++;
      owner.partitions.insert(id);
      pending->transaction = owner.transaction;
    }
    int32_t& sequence = flight_.senders[{id, pending->producer}].next_sequence;
    const std::vector<Record> records = AnyRecords();
    pending->writes.push_back({id, records});
    pending->again = {
        {id, model::BatchOf(records, {pending->producer, 0}, sequence, transactional)}};
    sequence += static_cast<int32_t>(records.size());
    Queue(pending, pending->again);
    if (::testing::Test::HasFatalFailure() || !random_.OneIn(4)) return;
    // Once more without waiting for the answer, as a client that lost its connection does.
    ASSERT_TRUE(log_->Append(pending->again,
                             [pending](Result<Appended> result) {
                               if (!result.ok()) return;
                               ASSERT_TRUE(pending->acknowledged);
                               ASSERT_EQ(result->base_offsets, pending->appended.base_offsets);
                             })
                    .ok());
  }

  void EndTransaction() {
    const int64_t producer = kFirstTransactional + static_cast<int64_t>(random_.Below(2));
    Owner& owner = owners_[producer];
    if (owner.partitions.empty()) return;
    auto pending = std::make_shared<Pending>();
    pending->transaction = owner.transaction;
    pending->end = {{producer, 0},
                    random_.OneIn(2) ? TransactionOutcome::kCommit : TransactionOutcome::kAbort,
                    0,
                    {owner.partitions.begin(), owner.partitions.end()}};
    for (const PartitionId id : owner.partitions) {
      pending->writes.push_back({id, {model::Marker(pending->end->outcome)}});
    }
    owner = {};
    Queue(pending, {});
  }

  void SendAgain() {
    if (flight_.senders.empty()) return;
    auto sender = flight_.senders.begin();
    std::advance(sender, random_.Below(flight_.senders.size()));
    const auto& acknowledged = sender->second.acknowledged;
    if (acknowledged.empty()) return;
    while (log_->RunOnce(false)) {
    }
    Settle();
    const auto& [request, offset] = acknowledged[random_.Below(acknowledged.size())];
    const auto answer = log_->AppendAndWait(request);
    ASSERT_TRUE(answer.ok()) << answer.error().ToString();
    ASSERT_EQ(answer->base_offsets[0], offset) << "stored twice";
  }

  void Settle() { flight_.Settle(*log_); }

  // ---- Ends and new starts ----

  void RunBackground() {
    log_->RunOnce(true);
    Settle();
    ASSERT_TRUE(flight_.nothing_unsynced());
  }

  void Reopen() {
    ASSERT_TRUE(log_->Close().ok());
    Settle();
    ASSERT_TRUE(flight_.nothing_queued() && flight_.nothing_unsynced());
    log_.reset();
    Open();
    CheckAll();
  }

  void Crash(bool power_loss) {
    // Sometimes in the middle of something.
    const bool failing = random_.OneIn(3);
    if (failing) files_->FailCallAt(1 + random_.Below(20), Error(Code::kIo, "the disk is ill"));
    if (failing || random_.OneIn(2)) {
      if (!failing) files_->LosePowerAt(1 + random_.Below(20));
      if (random_.OneIn(2)) {
        log_->RunOnce(random_.OneIn(2));
      } else {
        log_->RunOnce(false);
        log_->RunOnce(true);
      }
    }
    std::unique_ptr<FaultyFiles> after =
        power_loss
            ? files_->AfterPowerLoss({.keep_some = !random_.OneIn(3), .seed = random_.Next()})
            : files_->AfterCrash();
    if (failing || !files_->Fired()) files_->LosePowerAt(1);  // the old process writes no more
    Settle();
    const std::deque<PendingPtr> in_flight = flight_.TakeAll();
    log_.reset();
    files_ = std::move(after);
    Open();
    if (::testing::Test::HasFatalFailure()) return;
    GoOn(in_flight, power_loss);
  }

  // What was in flight, answered or not, is there whole, in order, or not at all; what was answered
  // is there unless the power was lost. What is not is sent again by those who do that.
  void GoOn(const std::deque<PendingPtr>& in_flight, bool power_loss) {
    std::map<const Pending*, Offset> applied;
    for (const PendingPtr& pending : in_flight) {
      if (pending->refused) continue;
      const Offset end{EndOf(pending->writes[0].first)};
      if (!flight_.AppliedWhole(*log_, *pending)) break;
      applied[pending.get()] = end;
    }
    for (const PendingPtr& pending : in_flight) {
      if (!pending->acknowledged) continue;
      const auto there = applied.find(pending.get());
      if (there == applied.end()) {
        ASSERT_TRUE(power_loss) << "written, and lost";
        ++model_.counts.lost_early;
      } else {
        ASSERT_EQ(there->second, pending->appended.base_offsets[0]);
      }
    }
    CheckAll();
    for (const PendingPtr& pending : in_flight) {
      if (::testing::Test::HasFatalFailure()) return;
      const auto there = applied.find(pending.get());
      const bool stored = there != applied.end();
      if (pending->end && !stored) {
        ASSERT_TRUE(log_->AppendMarkersAndWait(*pending->end).ok());
        for (const auto& [id, records] : pending->writes) model_.Store(*pending, id, records);
      }
      if (pending->producer < 0) continue;
      const auto& [id, records] = pending->writes[0];
      const Offset expected = stored ? there->second : Offset{EndOf(id)};
      if (!stored || !pending->acknowledged) {
        const auto answer = log_->AppendAndWait(pending->again);
        ASSERT_TRUE(answer.ok()) << answer.error().ToString();
        ASSERT_EQ(answer->base_offsets[0], expected);
      }
      flight_.SenderOf(*pending).Remember(pending->again, expected);
      if (!stored) model_.Store(*pending, id, records);
    }
    log_->RunOnce(/*background=*/true);  // so all of it is durable
    CheckAll();
  }

  int64_t EndOf(PartitionId id) { return model_.partitions[id].end(); }

  // ---- Checking ----

  void CheckRead() {
    if (model_.partitions.empty()) return;
    const PartitionId id = AnyPartition();
    const Cut::End* range = log_->DurableCut()->Find(id);
    ASSERT_NE(range, nullptr);
    const int64_t span = range->end - range->start;
    const Offset from =
        range->start + static_cast<int64_t>(random_.Below(static_cast<uint64_t>(span + 1)));
    model_.CheckRead(*log_, id, from, random_.Below(3000));
  }

  void CheckAll() {
    Settle();
    model_.Check(*log_, random_.Below(3000));
  }

  static constexpr int64_t kFirstTransactional = 3;

  Random random_;
  ManualClock clock_{Micros{1'000'000}};
  std::unique_ptr<FaultyFiles> files_;
  std::unique_ptr<Log> log_;
  Model model_;
  model::Flight flight_{model_};
  std::map<int64_t, Owner> owners_;  // by producer
  int next_transaction_ = 0;
  int next_value_ = 0;
};

TEST(LogModel, RandomHistoriesAgreeWithTheModel) {
  const uint64_t seed = SeedFromEnvironment(20261123);
  const char* text = std::getenv("MILLRACE_HISTORIES");
  const uint64_t histories = text == nullptr ? 1000 : std::strtoull(text, nullptr, 10);
  model::Counts sum;
  for (uint64_t i = 0; i < histories; ++i) {
    SCOPED_TRACE("MILLRACE_SEED=" + std::to_string(seed + i) + " MILLRACE_HISTORIES=1");
    History history(seed + i);
    history.Run(/*steps=*/150);
    if (HasFatalFailure()) return;
    sum.Add(history.counts());
  }
  std::fprintf(stderr, "%s\n", sum.text().c_str());
  if (histories < 1000) return;
  // Histories in which these do not happen hold nothing.
  EXPECT_GT(sum.compacted, histories);
  EXPECT_GT(sum.aborted, histories / 100);
  EXPECT_GT(sum.deletions, 0u);
  EXPECT_GT(sum.freed, histories);
  EXPECT_GT(sum.lost_early, histories / 10);
}

}  // namespace
}  // namespace millrace::log::log_model_test
