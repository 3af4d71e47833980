// Each rule of transactions by itself.
#include <gtest/gtest.h>

#include "kafka_groups/transaction_testing.h"

namespace millrace::kafka_groups::transaction_test {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

const TopicPartition kA{"a", 0};
const TopicPartition kB{"b", 1};

// ---- Producer ids ----

TEST(ProducerIds, AreNeverGivenTwiceAndDurableInBlocks) {
  Transactions t;
  std::set<int64_t> given;
  for (int i = 0; i < 2500; ++i) {
    const auto answer = t.Init(std::nullopt);
    ASSERT_EQ(answer->producer.epoch, 0);
    ASSERT_TRUE(given.insert(answer->producer.id).second);
    if (i % 500 == 250) t.Crash();
  }
  EXPECT_LT(t.storage().appends() + t.disk.records.size(), 20u);
}

TEST(ProducerIds, WaitForTheirBlockAndComeFromTheNextOneAfterACrash) {
  Transactions t;
  Awaited<InitProducerIdAnswer> first, second;
  t->InitProducerId(std::nullopt, milliseconds(0), {}, first.Done());
  t->InitProducerId(std::nullopt, milliseconds(0), {}, second.Done());
  EXPECT_FALSE(first.answered());
  EXPECT_EQ(t.storage().queued(), 1u);
  t.Store();
  EXPECT_EQ(first->producer.id, 0);
  EXPECT_EQ(second->producer.id, 1);
  t.Crash();
  EXPECT_EQ(t.Init(std::nullopt)->producer.id, 1000);
}

TEST(ProducerIds, AreRefusedWhenTheirBlockCannotBeStored) {
  Transactions t;
  t.storage().RefuseWith(Error(Code::kOverloaded, "full"));
  EXPECT_EQ(t.Init(std::nullopt)->error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(t.Init("t")->error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_TRUE(t->List().empty());
  t.storage().RefuseWith(std::nullopt);
  EXPECT_EQ(t.Init("t")->error, ErrorCode::kNone);
}

// ---- InitProducerId ----

TEST(InitProducerId, KeepsTheIdAndRaisesTheEpochOverRestartsToo) {
  Transactions t;
  const ProducerIdentity first = t.InitOk();
  EXPECT_EQ(first.epoch, 0);
  EXPECT_EQ(t.InitOk(), (ProducerIdentity{first.id, 1}));
  t.Crash();
  EXPECT_EQ(t.InitOk(), (ProducerIdentity{first.id, 2}));
  EXPECT_NE(t.InitOk("another").id, first.id);
}

TEST(InitProducerId, IsAnsweredWhenItIsDurableAndOthersWait) {
  Transactions t;
  t.InitOk();
  Awaited<InitProducerIdAnswer> first, second;
  t->InitProducerId("t", seconds(1), {}, first.Done());
  t->InitProducerId("t", seconds(1), {}, second.Done());
  EXPECT_FALSE(first.answered());
  EXPECT_EQ(second->error, ErrorCode::kConcurrentTransactions);
  t.Store();
  EXPECT_EQ(first->producer.epoch, 1);
}

TEST(InitProducerId, RefusesTimeoutsOutOfRangeAndAnEmptyId) {
  Transactions t;
  EXPECT_EQ(t.Init("t", {}, milliseconds(0))->error, ErrorCode::kInvalidTransactionTimeout);
  EXPECT_EQ(t.Init("t", {}, milliseconds(60'001))->error, ErrorCode::kInvalidTransactionTimeout);
  EXPECT_EQ(t.Init("t", {}, milliseconds(60'000))->error, ErrorCode::kNone);
  EXPECT_EQ(t.Init("")->error, ErrorCode::kInvalidRequest);
}

TEST(InitProducerId, RefusesMoreIdsThanTheLimit) {
  TransactionOptions options;
  options.ids_max = 1;
  Transactions t(options);
  t.InitOk("t");
  EXPECT_EQ(t.Init("another")->error, ErrorCode::kPolicyViolation);
  EXPECT_EQ(t.Init("t")->error, ErrorCode::kNone);
}

TEST(InitProducerId, OfAnOpenTransactionAbortsItUnderTheNextEpochAndIsToComeAgain) {
  Transactions t;
  const ProducerIdentity old = t.InitOk();
  EXPECT_EQ(t.Add(old, {kA}), ErrorCode::kNone);
  EXPECT_EQ(t.Init()->error, ErrorCode::kConcurrentTransactions);
  ASSERT_EQ(t.participants.ended.size(), 1u);
  EXPECT_FALSE(t.participants.ended[0].commit);
  EXPECT_EQ(t.participants.ended[0].producer, (ProducerIdentity{old.id, 1}));
  EXPECT_EQ(t.participants.ended[0].partitions, std::vector{kA});
  EXPECT_EQ(t.Init()->error, ErrorCode::kConcurrentTransactions);
  EXPECT_EQ(t.End(old, true), ErrorCode::kProducerFenced);
  EXPECT_EQ(t.Add(old, {kA}), ErrorCode::kProducerFenced);
  t.Told();
  EXPECT_EQ(t.State(), TransactionState::kCompleteAbort);
  EXPECT_EQ(t.InitOk(), (ProducerIdentity{old.id, 2}));
}

TEST(InitProducerId, OfAProducerThatGoesOnIsKnownWhenItIsRepeated) {
  Transactions t;
  const ProducerIdentity first = t.InitOk();
  const auto next = t.Init("t", first);
  EXPECT_EQ(next->producer, (ProducerIdentity{first.id, 1}));
  EXPECT_EQ(t.Init("t", first)->producer, next->producer) << "the answer was lost";
  t.Crash();
  EXPECT_EQ(t.Init("t", first)->producer, next->producer);
  EXPECT_EQ(t.InitOk().epoch, 2) << "somebody new";
  EXPECT_EQ(t.Init("t", next->producer)->error, ErrorCode::kProducerFenced);
  EXPECT_EQ(t.Init("t", first)->error, ErrorCode::kProducerFenced);
  EXPECT_EQ(t.Init("t", ProducerIdentity{first.id + 1, 2})->error, ErrorCode::kProducerFenced);
}

TEST(InitProducerId, OfAFencedProducerDoesNotAbortTheTransactionOfTheCurrentOne) {
  Transactions t;
  const ProducerIdentity old = t.InitOk();
  const ProducerIdentity current = t.InitOk();
  EXPECT_EQ(t.Add(current, {kA}), ErrorCode::kNone);
  EXPECT_EQ(t.Init("t", old)->error, ErrorCode::kProducerFenced);
  EXPECT_EQ(t.State(), TransactionState::kOngoing);
}

TEST(InitProducerId, GivesANewIdWhenTheEpochsAreUsedUp) {
  Transactions t;
  ProducerIdentity producer = t.InitOk();
  const int64_t id = producer.id;
  while (producer.epoch < kLastEpochGiven) {
    const int16_t before = producer.epoch;
    producer = t.Init("t", producer)->producer;
    ASSERT_EQ(producer, (ProducerIdentity{id, static_cast<int16_t>(before + 1)}));
  }
  // Even the last one can be fenced.
  EXPECT_EQ(t.Add(producer, {kA}), ErrorCode::kNone);
  EXPECT_EQ(t.End(producer, true), ErrorCode::kNone);
  t.Told();
  const auto rotated = t.Init("t", producer);
  EXPECT_NE(rotated->producer.id, id);
  EXPECT_EQ(rotated->producer.epoch, 0);
  EXPECT_EQ(t.Init("t", producer)->producer, rotated->producer) << "the answer was lost";
  EXPECT_EQ(t.Add(producer, {kA}), ErrorCode::kInvalidProducerIdMapping);
}

TEST(InitProducerId, FencesEvenTheLastEpoch) {
  Transactions t;
  ProducerIdentity producer = t.InitOk();
  while (producer.epoch < kLastEpochGiven) producer = t.Init("t", producer)->producer;
  EXPECT_EQ(t.Add(producer, {kA}), ErrorCode::kNone);
  EXPECT_EQ(t.Init()->error, ErrorCode::kConcurrentTransactions);
  EXPECT_EQ(t.participants.ended.at(0).producer.epoch, INT16_MAX);
  t.Told();
  const ProducerIdentity fresh = t.InitOk();
  EXPECT_NE(fresh.id, producer.id);
  EXPECT_EQ(fresh.epoch, 0);
}

// ---- The transaction ----

TEST(Transaction, TellsAllParticipantsAndIsComplete) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  EXPECT_EQ(t.Add(producer, {kA}), ErrorCode::kNone);
  EXPECT_EQ(t.Add(producer, {kB, kA}), ErrorCode::kNone);
  EXPECT_EQ(t.AddOffsets(producer, "g"), ErrorCode::kNone);
  ASSERT_EQ(t.participants.begun.size(), 1u);
  EXPECT_EQ(t.participants.begun[0], std::pair(std::string("g"), producer));
  const auto described = t->Describe("t");
  EXPECT_EQ(described.transaction.state, TransactionState::kOngoing);
  EXPECT_EQ(described.transaction.partitions.size(), 2u);
  EXPECT_EQ(described.transaction.started_at, t.clock.Now());
  EXPECT_EQ(t.End(producer, true), ErrorCode::kNone);
  EXPECT_EQ(t.State(), TransactionState::kPrepareCommit);
  ASSERT_EQ(t.participants.ended.size(), 1u);
  EXPECT_TRUE(t.participants.ended[0].commit);
  EXPECT_EQ(t.participants.ended[0].producer, producer);
  EXPECT_EQ(t.participants.ended[0].partitions, (std::vector{kA, kB}));
  EXPECT_EQ(t.participants.ended[0].groups, std::vector<std::string>{"g"});
  t.Told();
  EXPECT_EQ(t.State(), TransactionState::kCompleteCommit);
  EXPECT_EQ(TransactionStateName(t.State()), "CompleteCommit");
  EXPECT_TRUE(t->Describe("t").transaction.partitions.empty());
}

TEST(Transaction, WhatIsThereAlreadyIsNotStoredAgain) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  EXPECT_EQ(t.Add(producer, {kA, kB}), ErrorCode::kNone);
  EXPECT_EQ(t.AddOffsets(producer, "g"), ErrorCode::kNone);
  const uint64_t appends = t.storage().appends();
  EXPECT_EQ(t.Add(producer, {kB}), ErrorCode::kNone);
  EXPECT_EQ(t.AddOffsets(producer, "g"), ErrorCode::kNone);
  EXPECT_EQ(t.storage().appends(), appends);
}

TEST(Transaction, TellsWhyAProducerIsNotTheCurrentOne) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  EXPECT_EQ(t.Add(producer, {kA}, "unknown"), ErrorCode::kInvalidProducerIdMapping);
  EXPECT_EQ(t.Add(producer, {kA}, ""), ErrorCode::kInvalidRequest);
  EXPECT_EQ(t.Add({producer.id + 1, 0}, {kA}), ErrorCode::kInvalidProducerIdMapping);
  EXPECT_EQ(t.Add({producer.id, 1}, {kA}), ErrorCode::kProducerFenced);
  t.InitOk();
  EXPECT_EQ(t.Add(producer, {kA}), ErrorCode::kProducerFenced);
  EXPECT_EQ(t.AddOffsets(producer, "g"), ErrorCode::kProducerFenced);
  EXPECT_EQ(t.End(producer, true), ErrorCode::kProducerFenced);
}

TEST(Transaction, EndsOnceAndARepeatedEndIsAnsweredAlike) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  EXPECT_EQ(t.End(producer, true), ErrorCode::kInvalidTxnState) << "nothing was begun";
  EXPECT_EQ(t.End(producer, false), ErrorCode::kInvalidTxnState);
  t.Add(producer, {kA});
  EXPECT_EQ(t.End(producer, true), ErrorCode::kNone);
  EXPECT_EQ(t.End(producer, true), ErrorCode::kConcurrentTransactions);
  EXPECT_EQ(t.End(producer, false), ErrorCode::kInvalidTxnState);
  EXPECT_EQ(t.Add(producer, {kA}), ErrorCode::kConcurrentTransactions);
  t.Told();
  EXPECT_EQ(t.End(producer, true), ErrorCode::kNone);
  EXPECT_EQ(t.End(producer, false), ErrorCode::kInvalidTxnState);
  t.Add(producer, {kA});
  EXPECT_EQ(t.End(producer, false), ErrorCode::kNone);
  EXPECT_EQ(t.End(producer, false), ErrorCode::kConcurrentTransactions);
  EXPECT_EQ(t.End(producer, true), ErrorCode::kInvalidTxnState);
  t.Told();
  EXPECT_EQ(t.End(producer, false), ErrorCode::kNone);
  EXPECT_EQ(t.End(producer, true), ErrorCode::kInvalidTxnState);
  EXPECT_EQ(t.participants.ended.size(), 2u);
}

TEST(Transaction, RequestsWaitForTheOneThatIsOnItsWay) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  Awaited<ErrorCode> first, second;
  t->AddPartitions("t", producer, {kA}, first.Done());
  t->AddPartitions("t", producer, {kB}, second.Done());
  EXPECT_FALSE(first.answered());
  EXPECT_EQ(*second, ErrorCode::kConcurrentTransactions);
  t.Store();
  EXPECT_EQ(*first, ErrorCode::kNone);
}

TEST(Transaction, ThatTakesTooLongIsAbortedAndItsProducerFenced) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  t.Add(producer, {kA});
  t.Advance(seconds(29));
  EXPECT_EQ(t.Add(producer, {kB}), ErrorCode::kNone);
  EXPECT_EQ(t.State(), TransactionState::kOngoing);
  t.Advance(seconds(1));
  EXPECT_EQ(t.State(), TransactionState::kPrepareAbort) << "counted from its begin";
  EXPECT_EQ(t.participants.ended.at(0).producer.epoch, producer.epoch + 1);
  EXPECT_EQ(t.End(producer, true), ErrorCode::kProducerFenced);
}

TEST(Transaction, IdleProducersDoNotTimeOut) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  t.Advance(hours(1));
  EXPECT_EQ(t.Add(producer, {kA}), ErrorCode::kNone);
}

TEST(Transaction, ParticipantsThatFailAreToldAgain) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  t.Add(producer, {kA});
  t.End(producer, true);
  t.Told(Error(Code::kOverloaded, "full"));
  EXPECT_EQ(t.State(), TransactionState::kPrepareCommit);
  t.Advance(milliseconds(100));
  EXPECT_EQ(t.participants.ended.size(), 1u);
  t.Advance(milliseconds(500));
  ASSERT_EQ(t.participants.ended.size(), 2u);
  t.Told();
  EXPECT_EQ(t.State(), TransactionState::kCompleteCommit);
}

TEST(Transaction, ParticipantsAreToldOnceWhenOnlyTheCompleteRecordIsRefused) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  t.Add(producer, {kA});
  t.End(producer, true);
  t.storage().RefuseWith(Error(Code::kOverloaded, "full"));
  t.Told();
  t.storage().RefuseWith(std::nullopt);
  t.Advance(seconds(1));
  EXPECT_EQ(t.State(), TransactionState::kCompleteCommit);
  EXPECT_EQ(t.participants.ended.size(), 1u);
}

TEST(Transaction, IsAsBeforeWhenTheStorageRefuses) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  t.storage().RefuseWith(Error(Code::kOverloaded, "full"));
  EXPECT_EQ(t.Add(producer, {kA}), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(t.State(), TransactionState::kEmpty);
  EXPECT_EQ(t.Init()->error, ErrorCode::kCoordinatorNotAvailable);
  t.storage().RefuseWith(Error(Code::kTooLarge, "large"));
  EXPECT_EQ(t.Add(producer, {kA}), ErrorCode::kUnknownServerError);
  t.storage().RefuseWith(std::nullopt);
  EXPECT_EQ(t.Add(producer, {kA}), ErrorCode::kNone);
  t.storage().Fail();
  EXPECT_EQ(t.End(producer, true), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_TRUE(t.participants.ended.empty()) << "nothing was decided";
}

// ---- Restart ----

TEST(TransactionRestart, AnOpenTransactionGoesOnWithItsTimeAgain) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  t.Add(producer, {kA});
  t.AddOffsets(producer, "g");
  t.clock.Advance(seconds(100));
  t.Crash();
  ASSERT_EQ(t.participants.begun.size(), 1u) << "the group has to know again";
  t.Advance(seconds(29));
  EXPECT_EQ(t.State(), TransactionState::kOngoing);
  EXPECT_EQ(t.End(producer, true), ErrorCode::kNone);
  EXPECT_EQ(t.participants.ended.at(0).partitions, std::vector{kA});
}

TEST(TransactionRestart, WhatWasDecidedIsToldAgainUntilItIsComplete) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  t.Add(producer, {kA});
  t.End(producer, true);
  for (int i = 0; i < 3; ++i) {
    t.Crash();
    ASSERT_EQ(t.participants.ended.size(), 1u);
    EXPECT_TRUE(t.participants.ended[0].commit);
    EXPECT_EQ(t.participants.ended[0].producer, producer);
  }
  t.Told();
  t.Crash();
  EXPECT_TRUE(t.participants.ended.empty());
  EXPECT_EQ(t.State(), TransactionState::kCompleteCommit);
}

TEST(TransactionRestart, WhatWasNotDurableIsNotDecided) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  t.Add(producer, {kA});
  Awaited<ErrorCode> end;
  t->End("t", producer, true, end.Done());
  EXPECT_TRUE(t.participants.ended.empty());
  t.Crash();
  EXPECT_FALSE(end.answered());
  EXPECT_EQ(t.State(), TransactionState::kOngoing);
  EXPECT_EQ(t.End(producer, false), ErrorCode::kNone);
}

// ---- Ids that go, operators ----

TEST(TransactionalId, ExpiresAfterAWeekWithoutUse) {
  Transactions t;
  const ProducerIdentity idle = t.InitOk("idle");
  const ProducerIdentity open = t.InitOk("open");
  t.Advance(hours(24 * 6));
  const ProducerIdentity used = t.InitOk("used");
  t.Add(open, {kA}, "open");
  t.Advance(hours(24));
  EXPECT_EQ(t->Describe("idle").error, ErrorCode::kTransactionalIdNotFound);
  EXPECT_EQ(t->Describe("open").error, ErrorCode::kNone);
  EXPECT_EQ(t->Describe("used").error, ErrorCode::kNone);
  EXPECT_EQ(t.Add(idle, {kA}, "idle"), ErrorCode::kInvalidProducerIdMapping);
  t.Crash();
  EXPECT_EQ(t->List().size(), 2u);
  EXPECT_NE(t.InitOk("idle").id, idle.id);
  EXPECT_EQ(t.Add(used, {kA}, "used"), ErrorCode::kNone);
}

TEST(TransactionalId, IsNotExpiredWhileTheDeletionIsOnItsWay) {
  Transactions t;
  t.InitOk();
  t.clock.Advance(hours(24 * 7));
  t->Tick();
  Awaited<InitProducerIdAnswer> init;
  t->InitProducerId("t", seconds(1), {}, init.Done());
  EXPECT_EQ(init->error, ErrorCode::kConcurrentTransactions);
  t.Store();
  EXPECT_EQ(t.InitOk().epoch, 0);
}

TEST(TransactionCoordinator, AnswersNothingMoreAfterShutdown) {
  Transactions t;
  const ProducerIdentity producer = t.InitOk();
  Awaited<ErrorCode> waiting;
  t->AddPartitions("t", producer, {kA}, waiting.Done());
  t->Shutdown();
  t.Store();
  EXPECT_EQ(*waiting, ErrorCode::kNone) << "its record was on its way";
  EXPECT_EQ(t.End(producer, true), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(t.Init()->error, ErrorCode::kCoordinatorNotAvailable);
}

TEST(TransactionCoordinator, RefusesDamagedRecords) {
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"X", "x"}, {"I", "12"}, {"T", ""}, {"Tt", ""}, {"Tt", "\x01\x09"}, {"Tt", "\x02"}}) {
    MemoryDisk disk;
    std::string record("\x01", 1);
    PutBytes(record, key);
    record.push_back(1);
    PutBytes(record, value);
    disk.records.emplace_back(0, record);
    MemoryStorage storage(disk);
    FakeParticipants participants;
    ManualClock clock{Micros{1}};
    TransactionOptions options;
    options.clock = &clock;
    options.timers = &clock;
    EXPECT_FALSE(TransactionCoordinator::Open(options, storage, participants).ok()) << key;
  }
}

}  // namespace
}  // namespace millrace::kafka_groups::transaction_test
