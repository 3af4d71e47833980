// Random histories of appends, reads, crashes, power losses, calls to the disk that fail, clocks
// that jump, retention and changes of topics, against a model that is a vector of values per
// partition. MILLRACE_SEED repeats a history, MILLRACE_HISTORIES says how many to run.
//
// Held at every step: what was acknowledged is there, offsets are dense and never given twice, the
// durable end never goes back, every request is there in all its partitions or in none, what an
// idempotent producer sends again, knowing the answer or not, is there once, and readers of
// committed records see the transactions that were committed, whole, and nothing of the others.
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>

#include "base/random.h"
#include "log/log_model.h"
#include "log/testing.h"

namespace millrace::log {
namespace {

using model::kNone;
using model::ModelPartition;
using model::Owner;
using model::Pending;
using model::Sender;

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

 private:
  LogOptions Options() {
    LogOptions options = SmallOptions(*files_, clock_);
    options.write_ahead_bytes_max = 128 << 10;
    options.request_bytes_max = 32 << 10;
    options.segment_bytes = 512 + random_.Below(random_.OneIn(2) ? 4096 : 32 << 10);
    options.tail_bytes_max = 16 << 10;
    return options;
  }

  void Open() {
    auto log = Log::Open(Options());
    ASSERT_TRUE(log.ok()) << log.error().ToString();
    log_ = *std::move(log);
  }

  void Step() {
    Settle();
    clock_.Advance(std::chrono::milliseconds(random_.Below(50)));
    // Somebody sets the machine's clock, now and then, back or ahead.
    if (random_.OneIn(40))
      clock_.Advance(std::chrono::minutes(random_.Below(60)) - std::chrono::minutes(30));
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

  PartitionId AnyPartition() {
    auto at = partitions_.begin();
    std::advance(at, random_.Below(partitions_.size()));
    return at->first;
  }

  void CreateTopic() {
    const std::string name = "topic" + std::to_string(random_.Below(4));
    TopicConfig config;
    config.partitions = 1 + static_cast<int32_t>(random_.Below(3));
    if (random_.OneIn(2)) config.retention_bytes = 1024 + random_.Below(4096);
    if (random_.OneIn(2)) config.retention_time = std::chrono::milliseconds(random_.Below(1000));
    const bool taken = log_->FindTopic(name).has_value();
    const auto created = log_->CreateTopic(name, config);
    ASSERT_EQ(created.ok(), !taken);
    if (!created.ok()) return;
    for (int32_t p = 0; p < config.partitions; ++p) {
      ASSERT_TRUE(partitions_.try_emplace({created->id, p}).second) << "incarnation given twice";
    }
  }

  void DeleteTopic() {
    if (partitions_.empty()) return;
    const TopicId topic = AnyPartition().topic;
    ASSERT_TRUE(log_->DeleteTopic(topic).ok());
    Settle();
    std::erase_if(partitions_, [&](const auto& entry) { return entry.first.topic == topic; });
    std::erase_if(senders_, [&](const auto& entry) { return entry.first.first.topic == topic; });
    for (auto& [producer, owner] : owners_) {
      std::erase_if(owner.partitions, [&](PartitionId id) { return id.topic == topic; });
    }
  }

  void AlterTopic() {
    if (partitions_.empty()) return;
    const TopicId topic = AnyPartition().topic;
    for (TopicInfo& info : log_->Topics()) {
      if (info.id != topic) continue;
      info.config.partitions += static_cast<int32_t>(random_.Below(2));
      ASSERT_TRUE(log_->AlterTopic(topic, info.config).ok());
      partitions_.try_emplace({topic, info.config.partitions - 1});
    }
    Settle();
  }

  void MoveFloor() {
    if (partitions_.empty()) return;
    const PartitionId id = AnyPartition();
    const int64_t floor = static_cast<int64_t>(random_.Below(partitions_[id].values.size() + 1));
    ModelPartition& model = partitions_[id];
    model.start_max = std::max(model.start_max, floor);
    if (!random_.OneIn(4)) {
      ASSERT_TRUE(log_->SetFreeFloor(id, {floor}).ok());
      return;
    }
    model.deleted = std::max(model.deleted, floor);
    ASSERT_TRUE(log_->DeleteRecords(id, {floor}).ok());
    Settle();
  }

  void Append() {
    if (partitions_.empty()) return;
    auto pending = std::make_shared<Pending>();
    AppendRequest request;
    for (uint64_t n = 1 + random_.Below(3); n > 0; --n) {
      const PartitionId id = AnyPartition();
      std::string batches;
      std::vector<std::string> values;
      for (uint64_t b = 1 + random_.Below(2); b > 0; --b) {
        const std::string text = std::to_string(next_value_++) +
                                 std::string(random_.OneIn(10) ? 700 : random_.Below(60), '.');
        const int count = 1 + static_cast<int>(random_.Below(4));
        batches += MakeBatch(text, count);
        for (int i = 0; i < count; ++i) values.push_back(text + "/" + std::to_string(i));
      }
      request.push_back({id, std::move(batches)});
      pending->writes.push_back({id, std::move(values)});
    }
    Queue(std::move(pending), std::move(request));
  }

  void Queue(std::shared_ptr<Pending> pending, AppendRequest request) {
    const auto done = [pending](Result<Appended> result) {
      pending->acknowledged = result.ok();
      pending->refused = !result.ok() && result.error().code() != Code::kIo;
      if (result.ok()) pending->appended = *std::move(result);
    };
    const Status queued = pending->end ? log_->AppendMarkers(*pending->end, done)
                                       : log_->Append(std::move(request), done);
    ASSERT_TRUE(queued.ok()) << queued.error().ToString();
    pending_.push_back(std::move(pending));
    if (random_.OneIn(3)) log_->RunOnce(false);
    Settle();
  }

  void AppendIdempotent() {
    if (partitions_.empty()) return;
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
    int32_t& sequence = senders_[{id, pending->producer}].next_sequence;
    const std::string text = "once" + std::to_string(next_value_++);
    const int count = 1 + static_cast<int>(random_.Below(4));
    std::vector<std::string> values;
    for (int i = 0; i < count; ++i) values.push_back(text + "/" + std::to_string(i));
    pending->writes.push_back({id, std::move(values)});
    pending->again = {
        {id, MakeProducerBatch({pending->producer, 0}, sequence, text, count, transactional)}};
    sequence += count;
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
      pending->writes.push_back({id, {std::string(6, '\0')}});  // what stands in a marker
    }
    owner = {};
    Queue(pending, {});
  }

  void SendAgain() {
    if (senders_.empty()) return;
    auto sender = senders_.begin();
    std::advance(sender, random_.Below(senders_.size()));
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

  void Remember(const Pending& pending, Offset offset) {
    if (pending.producer < 0) return;
    auto& acknowledged = senders_[{pending.writes[0].first, pending.producer}].acknowledged;
    acknowledged.emplace_back(pending.again, offset);
    if (acknowledged.size() > 5) acknowledged.pop_front();
  }

  // Moves what was acknowledged into the model.
  void Settle() {
    while (!pending_.empty() && (pending_.front()->acknowledged || pending_.front()->refused)) {
      SettleFirst();
    }
  }

  void SettleFirst() {
    const auto done = pending_.front();
    pending_.pop_front();
    for (size_t i = 0; done->acknowledged && i < done->writes.size(); ++i) {
      const auto& [id, values] = done->writes[i];
      const auto at = partitions_.find(id);
      if (at == partitions_.end()) continue;  // deleted since
      ASSERT_EQ(done->appended.base_offsets[i].value, EndOf(id)) << "offsets are not dense";
      Store(*done, id, values);
      Remember(*done, done->appended.base_offsets[i]);
    }
  }

  void Store(const Pending& pending, PartitionId id, const std::vector<std::string>& values) {
    ModelPartition& model = partitions_[id];
    if (pending.end) {
      model.markers.insert(model.values.size());
      outcomes_[pending.transaction] = pending.end->outcome;
    }
    model.values.insert(model.values.end(), values.begin(), values.end());
    model.transactions.resize(model.values.size(), pending.transaction);
  }

  void RunBackground() {
    log_->RunOnce(true);
    Settle();
  }

  void Reopen() {
    ASSERT_TRUE(log_->Close().ok());
    Settle();
    ASSERT_TRUE(pending_.empty());
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
    // What was in flight has an unknown outcome: it is there whole, in order, or not at all.
    while (!pending_.empty() && pending_.front()->acknowledged) SettleFirst();
    const auto in_flight = std::move(pending_);
    pending_.clear();
    log_.reset();
    files_ = std::move(after);
    Open();
    if (::testing::Test::HasFatalFailure()) return;
    std::map<const Pending*, Offset> applied;
    for (const auto& pending : in_flight) {
      if (pending->refused) continue;
      const Offset end{EndOf(pending->writes[0].first)};
      if (!AppliedWhole(*pending)) break;
      applied[pending.get()] = end;
    }
    CheckAll();
    for (const auto& pending : in_flight) {
      const auto there = applied.find(pending.get());
      if (pending->end && there == applied.end()) {
        ASSERT_TRUE(log_->AppendMarkersAndWait(*pending->end).ok());
        for (const auto& [id, values] : pending->writes) Store(*pending, id, values);
      }
      if (pending->producer < 0) continue;
      const auto& [id, values] = pending->writes[0];
      const Offset expected = there != applied.end() ? there->second : Offset{EndOf(id)};
      const auto answer = log_->AppendAndWait(pending->again);
      ASSERT_TRUE(answer.ok()) << answer.error().ToString();
      ASSERT_EQ(answer->base_offsets[0], expected);
      Remember(*pending, expected);
      if (there == applied.end()) Store(*pending, id, values);
    }
    CheckAll();
  }

  int64_t EndOf(PartitionId id) { return static_cast<int64_t>(partitions_[id].values.size()); }

  // Whether a request of unknown outcome is there. Takes it into the model when it is.
  bool AppliedWhole(const Pending& pending) {
    std::map<PartitionId, std::vector<std::string>> added;
    for (const auto& [id, values] : pending.writes) {
      added[id].insert(added[id].end(), values.begin(), values.end());
    }
    std::set<bool> there;
    for (const auto& [id, values] : added) {
      const int64_t end = log_->DurableCut()->Find(id)->end.value;
      const auto wanted = static_cast<int64_t>(partitions_[id].values.size() + values.size());
      there.insert(end >= wanted);
    }
    EXPECT_EQ(there.size(), 1u) << "a request is there in part";
    if (!*there.begin()) return false;
    for (const auto& [id, values] : added) Store(pending, id, values);
    return true;
  }

  void CheckRead() {
    if (partitions_.empty()) return;
    const PartitionId id = AnyPartition();
    ModelPartition& model = partitions_[id];
    const Cut::End* range = log_->DurableCut()->Find(id);
    ASSERT_NE(range, nullptr);
    const int64_t span = range->end - range->start;
    const Offset from =
        range->start + static_cast<int64_t>(random_.Below(static_cast<uint64_t>(span + 1)));
    const auto read = log_->Read(id, {.from = from, .bytes_max = random_.Below(3000)});
    ASSERT_TRUE(read.ok()) << read.error().ToString();
    ASSERT_TRUE(read->damaged.empty());
    ASSERT_EQ(read->batches.empty(), from == range->end);
    FrameSequence frame;
    uint32_t index = 0;
    for (const ReadBatch& batch : read->batches) {
      ASSERT_TRUE(batch.frame > frame || (batch.frame == frame && batch.index_in_frame > index));
      frame = batch.frame;
      index = batch.index_in_frame;
      RecordCursor records = batch.view().records();
      while (records.Next()) {
        const auto offset = static_cast<size_t>(records.record().offset.value);
        ASSERT_LT(offset, model.values.size());
        ASSERT_EQ(*records.record().value, model.values[offset]);
      }
    }
  }

  void CheckAll() {
    Settle();
    const auto cut = log_->DurableCut();
    ASSERT_EQ(cut->ends.size(), partitions_.size());
    for (auto& [id, model] : partitions_) {
      const Cut::End* range = cut->Find(id);
      ASSERT_NE(range, nullptr);
      ASSERT_EQ(range->end.value, static_cast<int64_t>(model.values.size()));
      ASSERT_GE(range->end.value, model.seen_end) << "the durable end went back";
      model.seen_end = range->end.value;
      ASSERT_LE(range->start.value, model.start_max) << "freed above the floor";
      ASSERT_GE(range->start.value, model.deleted) << "what was deleted is back";
      const auto values = ReadAllValues(*log_, id, range->start);
      ASSERT_TRUE(values.ok()) << values.error().ToString();
      ASSERT_EQ(*values, std::vector<std::string>(model.values.begin() + range->start.value,
                                                  model.values.end()));
      CheckCommitted(id, model, *range);
    }
    ASSERT_TRUE(log_->damage().empty());
  }

  void CheckCommitted(PartitionId id, const ModelPartition& model, const Cut::End& range) {
    std::vector<std::string> expected;
    auto at = static_cast<size_t>(range.start.value);
    for (; at < model.values.size(); ++at) {
      const int transaction = model.transactions[at];
      if (model.markers.contains(at)) continue;
      if (transaction != kNone && !outcomes_.contains(transaction)) break;  // open
      if (transaction != kNone && outcomes_.at(transaction) == TransactionOutcome::kAbort) continue;
      expected.push_back(model.values[at]);
    }
    // Retention may have freed the beginning of an open transaction, and all of it.
    for (size_t below = 0; below < static_cast<size_t>(range.start.value); ++below) {
      const int transaction = model.transactions[below];
      if (transaction == kNone || outcomes_.contains(transaction)) continue;
      at = static_cast<size_t>(range.start.value);
      expected.clear();
    }
    ASSERT_EQ(range.stable, Offset{static_cast<int64_t>(at)});
    const auto values = ReadCommittedValues(*log_, id, range.start, random_.Below(3000));
    ASSERT_TRUE(values.ok()) << values.error().ToString();
    ASSERT_EQ(*values, expected);
  }

  static constexpr int64_t kFirstTransactional = 3;

  Random random_;
  ManualClock clock_{Micros{1'000'000}};
  std::unique_ptr<FaultyFiles> files_;
  std::unique_ptr<Log> log_;
  std::map<PartitionId, ModelPartition> partitions_;
  std::deque<std::shared_ptr<Pending>> pending_;
  std::map<std::pair<PartitionId, int64_t>, Sender> senders_;
  std::map<int64_t, Owner> owners_;  // by producer
  std::map<int, TransactionOutcome> outcomes_;
  int next_transaction_ = 0;
  int next_value_ = 0;
};

TEST(LogModel, RandomHistoriesAgreeWithTheModel) {
  const uint64_t seed = SeedFromEnvironment(20261123);
  const char* text = std::getenv("MILLRACE_HISTORIES");
  const uint64_t histories = text == nullptr ? 1000 : std::strtoull(text, nullptr, 10);
  for (uint64_t i = 0; i < histories; ++i) {
    SCOPED_TRACE("MILLRACE_SEED=" + std::to_string(seed + i) + " MILLRACE_HISTORIES=1");
    History(seed + i).Run(/*steps=*/150);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace millrace::log
