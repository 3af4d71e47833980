// Committed offsets: who may commit, what is shown when, what goes.
#include <gtest/gtest.h>

#include "kafka_groups/group_testing.h"

namespace millrace::kafka_groups::group_offsets_test {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

const TopicPartition kOrders0{"orders", 0};
const TopicPartition kOrders1{"orders", 1};
const TopicPartition kClicks0{"clicks", 0};
const MemberIdentity kNobody{"g", -1, {}, {}};
constexpr ProducerIdentity kProducer{7, 3};

Awaited<PartitionErrors> CommitInTransaction(Groups& groups, const MemberIdentity& who,
                                             const std::vector<OffsetToCommit>& offsets,
                                             ProducerIdentity producer = kProducer) {
  Awaited<PartitionErrors> answer;
  groups->CommitInTransaction({who, offsets}, producer, answer.Done());
  return answer;
}

bool End(Groups& groups, bool commit) {
  std::optional<bool> ok;
  groups->EndTransaction("g", kProducer.id, commit, [&](Status status) { ok = status.ok(); });
  groups.Store();
  EXPECT_TRUE(ok);
  return ok.value_or(false);
}

TEST(GroupOffsets, AreDurableBeforeTheCommitIsAnsweredAndShownThen) {
  Groups groups;
  const auto commit = groups.Commit(kNobody, {{kOrders0, 42, 5, "note"}, {kOrders1, 7}});
  EXPECT_FALSE(commit.answered());
  EXPECT_EQ(groups.Fetched(kOrders0), -1);
  groups.Store();
  EXPECT_EQ(*commit, (PartitionErrors{ErrorCode::kNone, ErrorCode::kNone}));
  groups.Crash();
  const auto fetched = groups->Fetch("g", std::nullopt, false);
  ASSERT_EQ(fetched.offsets.size(), 2u);
  EXPECT_EQ(fetched.offsets[0].partition, kOrders0);
  EXPECT_EQ(fetched.offsets[0].committed, (CommittedOffset{42, 5, "note", groups.clock.Now()}));
  EXPECT_EQ(fetched.offsets[1].committed.offset, 7);
  EXPECT_EQ(groups.Fetched(kClicks0), -1);
  EXPECT_EQ(groups.Fetched(kOrders0, "no such group"), -1);
}

TEST(GroupOffsets, OnlyCurrentMembersCommitWhereThereAreMembers) {
  Groups groups;
  MemberIdentity stale{"g", 3, "m", {}};
  EXPECT_EQ(groups.Commit(stale, {{kOrders0, 1}})->at(0), ErrorCode::kIllegalGeneration)
      << "no such group";
  const auto members = groups.MakeStable(1);
  EXPECT_EQ(groups.Commit(kNobody, {{kOrders0, 1}})->at(0), ErrorCode::kUnknownMemberId);
  MemberIdentity who = Groups::Who(members[0]);
  const auto good = groups.Commit(who, {{kOrders0, 1}});
  groups.Store();
  EXPECT_EQ(good->at(0), ErrorCode::kNone);
  --who.generation;
  EXPECT_EQ(groups.Commit(who, {{kOrders0, 1}})->at(0), ErrorCode::kIllegalGeneration);
  who = {"g", members[0].generation, "stranger", {}};
  EXPECT_EQ(groups.Commit(who, {{kOrders0, 1}})->at(0), ErrorCode::kUnknownMemberId);
}

TEST(GroupOffsets, MembersCommitWhileARebalanceGathersAndNotWhileTheLeaderAssigns) {
  Groups groups;
  const auto members = groups.MakeStable(1);
  const auto second = groups.Join(Groups::Request());
  EXPECT_EQ(groups.State(), GroupState::kPreparingRebalance);
  const auto commit = groups.Commit(Groups::Who(members[0]), {{kOrders0, 1}});
  groups.Store();
  EXPECT_EQ(commit->at(0), ErrorCode::kNone);
  const auto rejoin = groups.Join(Groups::Request(members[0].member_id));
  groups.Store();
  EXPECT_EQ(groups.State(), GroupState::kCompletingRebalance);
  EXPECT_EQ(groups.Commit(Groups::Who(*rejoin), {{kOrders0, 1}})->at(0),
            ErrorCode::kRebalanceInProgress);
}

TEST(GroupOffsets, ACommitKeepsItsMemberAlive) {
  Groups groups;
  const auto members = groups.MakeStable(1);
  for (int i = 0; i < 3; ++i) {
    groups.Advance(seconds(9));
    const auto commit = groups.Commit(Groups::Who(members[0]), {{kOrders0, i}});
    groups.Store();
    EXPECT_EQ(commit->at(0), ErrorCode::kNone);
  }
}

TEST(GroupOffsets, MetadataBeyondTheLimitIsRefusedForItsPartitionAlone) {
  Groups groups;
  const auto commit = groups.Commit(kNobody, {{kOrders0, 1, -1, std::string(4097, 'x')},
                                              {kOrders1, 2, -1, std::string(4096, 'x')}});
  groups.Store();
  EXPECT_EQ(*commit, (PartitionErrors{ErrorCode::kOffsetMetadataTooLarge, ErrorCode::kNone}));
  EXPECT_EQ(groups.Fetched(kOrders0), -1);
  EXPECT_EQ(groups.Fetched(kOrders1), 2);
}

TEST(GroupOffsets, ACommitThatCannotBeStoredIsToldSo) {
  Groups groups;
  groups.storage().RefuseWith(Error(Code::kOverloaded, "full"));
  EXPECT_EQ(groups.Commit(kNobody, {{kOrders0, 1}})->at(0), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_TRUE(groups->List({}).empty()) << "no group is left behind";
  groups.storage().RefuseWith(Error(Code::kTooLarge, "large"));
  EXPECT_EQ(groups.Commit(kNobody, {{kOrders0, 1}})->at(0), ErrorCode::kInvalidCommitOffsetSize);
  groups.storage().RefuseWith(std::nullopt);
  const auto lost = groups.Commit(kNobody, {{kOrders0, 1}});
  groups.storage().Fail();
  groups.Store();
  EXPECT_EQ(lost->at(0), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(groups.Fetched(kOrders0), -1);
}

TEST(GroupOffsets, OfPartitionsThatMembersSubscribeToAreNotDeleted) {
  Groups groups;
  (void)groups.Commit(kNobody, {{kOrders0, 1}, {kClicks0, 2}});
  groups.Store();
  const auto members = groups.MakeStable(1);
  Awaited<DeleteOffsetsAnswer> deleted;
  groups->DeleteOffsets("g", {kOrders0, kClicks0}, deleted.Done());
  EXPECT_EQ(groups.Fetched(kClicks0), 2);
  groups.Store();
  EXPECT_EQ(deleted->error, ErrorCode::kNone);
  EXPECT_EQ(deleted->partitions,
            (PartitionErrors{ErrorCode::kGroupSubscribedToTopic, ErrorCode::kNone}));
  EXPECT_EQ(groups.Fetched(kOrders0), 1);
  EXPECT_EQ(groups.Fetched(kClicks0), -1);
  groups.Crash();
  EXPECT_EQ(groups.Fetched(kClicks0), -1);
  EXPECT_EQ(groups.Fetched(kOrders0), 1);
  Awaited<DeleteOffsetsAnswer> missing;
  groups->DeleteOffsets("other", {kOrders0}, missing.Done());
  EXPECT_EQ(missing->error, ErrorCode::kGroupIdNotFound);
}

TEST(GroupOffsets, OfAGroupThatIsNotOfConsumersAreDeletedWhenItIsEmptyOnly) {
  Groups groups;
  JoinRequest request = Groups::Request();
  request.protocol_type = "connect";
  const auto join = groups.Join(request);
  groups.Store();
  Awaited<DeleteOffsetsAnswer> refused;
  groups->DeleteOffsets("g", {kOrders0}, refused.Done());
  EXPECT_EQ(refused->error, ErrorCode::kNonEmptyGroup);
}

TEST(GroupOffsets, OfDeletedTopicsAreDropped) {
  Groups groups;
  (void)groups.Commit(kNobody, {{kOrders0, 1}, {kClicks0, 2}});
  groups->BeginTransaction("g", kProducer);
  (void)CommitInTransaction(groups, kNobody, {{kClicks0, 9}});
  groups.Store();
  groups->DropOffsets([](const std::string& topic) { return topic == "clicks"; });
  groups.Store();
  EXPECT_EQ(groups.Fetched(kOrders0), 1);
  EXPECT_EQ(groups.Fetched(kClicks0), -1);
  EXPECT_TRUE(End(groups, /*commit=*/true));
  EXPECT_EQ(groups.Fetched(kClicks0), -1);
}

TEST(GroupOffsets, OfAnEmptyGroupExpireAWeekAfterItsLastMemberLeft) {
  Groups groups;
  const auto members = groups.MakeStable(1);
  (void)groups.Commit(Groups::Who(members[0]), {{kOrders0, 1}});
  groups.Store();
  groups.clock.Advance(hours(24 * 8));
  // The long time passed at once: the member's session has ended, and the group is empty from now.
  groups->Tick();
  groups.Store();
  EXPECT_EQ(groups.State(), GroupState::kEmpty);
  groups.clock.Advance(hours(24 * 7 - 1));
  groups->Tick();
  groups.Store();
  EXPECT_EQ(groups.Fetched(kOrders0), 1);
  groups.Crash();
  groups.clock.Advance(hours(1));
  groups->Tick();
  groups.Store();
  EXPECT_EQ(groups.Fetched(kOrders0), -1);
  EXPECT_TRUE(groups->List({}).empty());
  groups.Crash();
  EXPECT_TRUE(groups->List({}).empty());
}

TEST(GroupOffsets, OfAConsumerThatManagesItselfExpireAWeekAfterTheCommit) {
  Groups groups;
  (void)groups.Commit(kNobody, {{kOrders0, 1}, {kOrders1, 1}});
  groups.Store();
  groups.clock.Advance(hours(24 * 6));
  (void)groups.Commit(kNobody, {{kOrders1, 2}});
  groups.Store();
  groups.clock.Advance(hours(24));
  groups->Tick();
  groups.Store();
  EXPECT_EQ(groups.Fetched(kOrders0), -1);
  EXPECT_EQ(groups.Fetched(kOrders1), 2);
}

TEST(GroupOffsets, ThatANewerCommitIsAboutToReplaceDoNotExpire) {
  Groups groups;
  (void)groups.Commit(kNobody, {{kOrders0, 1}});
  groups.Store();
  groups.clock.Advance(hours(24 * 7));
  (void)groups.Commit(kNobody, {{kOrders0, 2}});
  groups->Tick();
  groups.Store();
  EXPECT_EQ(groups.Fetched(kOrders0), 2);
  groups.Crash();
  EXPECT_EQ(groups.Fetched(kOrders0), 2);
}

TEST(GroupOffsets, OfASubscribedTopicNeverExpire) {
  Groups groups;
  const auto members = groups.MakeStable(1);
  (void)groups.Commit(Groups::Who(members[0]), {{kOrders0, 1}, {kClicks0, 1}});
  groups.Store();
  // Heartbeats all week.
  for (int i = 0; i < 24 * 7 * 460; ++i) {
    groups.clock.Advance(seconds(8));
    ASSERT_EQ(groups.Heartbeat(members[0]), ErrorCode::kNone);
    if (i % 75 == 0) groups->Tick();
  }
  groups.storage().RunAll();
  EXPECT_EQ(groups.Fetched(kOrders0), 1);
  EXPECT_EQ(groups.Fetched(kClicks0), -1);
}

// ---- Transactions ----

TEST(TransactionalOffsets, AreUnstableUntilTheTransactionIsDecided) {
  Groups groups;
  (void)groups.Commit(kNobody, {{kOrders0, 1}});
  groups.Store();
  groups->BeginTransaction("g", kProducer);
  const auto commit = CommitInTransaction(groups, kNobody, {{kOrders0, 5}, {kOrders1, 6}});
  const auto stable = [&] {
    return groups->Fetch("g", std::vector{kOrders0}, /*require_stable=*/true).offsets[0].error;
  };
  EXPECT_EQ(stable(), ErrorCode::kUnstableOffsetCommit) << "from the moment it is on its way";
  groups.Store();
  EXPECT_EQ(*commit, (PartitionErrors{ErrorCode::kNone, ErrorCode::kNone}));
  EXPECT_EQ(stable(), ErrorCode::kUnstableOffsetCommit);
  EXPECT_EQ(groups.Fetched(kOrders0), 1);
  groups.Crash();
  EXPECT_EQ(stable(), ErrorCode::kUnstableOffsetCommit) << "after a restart too";
  std::optional<Status> ended;
  groups->EndTransaction("g", kProducer.id, true, [&](Status status) { ended = status; });
  EXPECT_FALSE(ended);
  EXPECT_EQ(stable(), ErrorCode::kUnstableOffsetCommit) << "until what was decided is durable";
  groups.Store();
  EXPECT_TRUE(ended && ended->ok());
  EXPECT_EQ(stable(), ErrorCode::kNone);
  EXPECT_EQ(groups.Fetched(kOrders0), 5);
  EXPECT_EQ(groups.Fetched(kOrders1), 6);
  groups.Crash();
  EXPECT_EQ(groups.Fetched(kOrders1), 6);
  EXPECT_TRUE(End(groups, true)) << "again, with nothing left to do";
}

TEST(TransactionalOffsets, AreDroppedWhenItIsAborted) {
  Groups groups;
  (void)groups.Commit(kNobody, {{kOrders0, 1}});
  groups->BeginTransaction("g", kProducer);
  (void)CommitInTransaction(groups, kNobody, {{kOrders0, 5}});
  groups.Store();
  EXPECT_TRUE(End(groups, /*commit=*/false));
  EXPECT_EQ(groups.Fetched(kOrders0), 1);
  EXPECT_EQ(groups->Fetch("g", std::vector{kOrders0}, true).offsets[0].error, ErrorCode::kNone);
}

TEST(TransactionalOffsets, OfOneProducerDoNotTouchAnothers) {
  Groups groups;
  groups->BeginTransaction("g", kProducer);
  groups->BeginTransaction("g", {8, 0});
  (void)CommitInTransaction(groups, kNobody, {{kOrders0, 5}});
  (void)CommitInTransaction(groups, kNobody, {{kOrders1, 6}}, {8, 0});
  groups.Store();
  EXPECT_TRUE(End(groups, true));
  EXPECT_EQ(groups.Fetched(kOrders0), 5);
  EXPECT_EQ(groups.Fetched(kOrders1), -1);
}

TEST(TransactionalOffsets, AreRefusedOutsideOfATransactionAndOfOlderProducers) {
  Groups groups;
  EXPECT_EQ(CommitInTransaction(groups, kNobody, {{kOrders0, 5}})->at(0),
            ErrorCode::kInvalidTxnState);
  groups->BeginTransaction("g", kProducer);
  EXPECT_EQ(CommitInTransaction(groups, kNobody, {{kOrders0, 5}}, {7, 2})->at(0),
            ErrorCode::kInvalidProducerEpoch);
  EXPECT_TRUE(End(groups, false));
  EXPECT_EQ(CommitInTransaction(groups, kNobody, {{kOrders0, 5}})->at(0),
            ErrorCode::kInvalidTxnState)
      << "one that comes late would never be decided";
  EXPECT_TRUE(groups->List({}).empty());
}

TEST(TransactionalOffsets, OfMembersAreRefusedWhenTheyAreNotCurrent) {
  Groups groups;
  const auto members = groups.MakeStable(1);
  groups->BeginTransaction("g", kProducer);
  MemberIdentity who = Groups::Who(members[0]);
  const auto good = CommitInTransaction(groups, who, {{kOrders0, 5}});
  groups.Store();
  EXPECT_EQ(good->at(0), ErrorCode::kNone);
  --who.generation;
  EXPECT_EQ(CommitInTransaction(groups, who, {{kOrders0, 5}})->at(0),
            ErrorCode::kIllegalGeneration);
  who.member_id = "stranger";
  EXPECT_EQ(CommitInTransaction(groups, who, {{kOrders0, 5}})->at(0), ErrorCode::kUnknownMemberId);
  const auto old_client = CommitInTransaction(groups, kNobody, {{kOrders1, 5}});
  groups.Store();
  EXPECT_EQ(old_client->at(0), ErrorCode::kNone) << "older clients do not say who they are";
}

// ---- Operators ----

TEST(GroupAdmin, ListsAndDescribesGroups) {
  Groups groups;
  const auto members = groups.MakeStable(1);
  (void)groups.Commit({"simple", -1, {}, {}}, {{kOrders0, 1}});
  groups.Store();
  const auto all = groups->List({});
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].group, "g");
  EXPECT_EQ(all[0].protocol_type, "consumer");
  EXPECT_EQ(GroupStateName(all[0].state), "Stable");
  const auto empty = groups->List({GroupState::kEmpty, GroupState::kDead});
  ASSERT_EQ(empty.size(), 1u);
  EXPECT_EQ(empty[0].group, "simple");
  EXPECT_EQ(groups->Describe("g").members.at(0).assignment, "a0");
  (void)groups.Join(Groups::Request());
  EXPECT_EQ(groups->Describe("g").members.at(0).assignment, "") << "not while it rebalances";
  const auto missing = groups->Describe("missing");
  EXPECT_EQ(missing.error, ErrorCode::kGroupIdNotFound);
  EXPECT_EQ(missing.state, GroupState::kDead);
}

TEST(GroupAdmin, DeletesEmptyGroupsWithAllTheirOffsets) {
  Groups groups;
  groups.MakeStable(1);
  (void)groups.Commit({"simple", -1, {}, {}}, {{kOrders0, 1}});
  groups.Store();
  // One that is on its way goes, too.
  (void)groups.Commit({"simple", -1, {}, {}}, {{kOrders1, 1}});
  Awaited<std::vector<ErrorCode>> deleted;
  groups->DeleteGroups({"g", "simple", "missing"}, deleted.Done());
  EXPECT_EQ(groups.Commit({"simple", -1, {}, {}}, {{kOrders0, 2}})->at(0),
            ErrorCode::kCoordinatorNotAvailable)
      << "while it is being deleted";
  EXPECT_FALSE(deleted.answered());
  groups.Store();
  EXPECT_EQ(*deleted, (std::vector{ErrorCode::kNonEmptyGroup, ErrorCode::kNone,
                                   ErrorCode::kGroupIdNotFound}));
  EXPECT_EQ(groups.Fetched(kOrders0, "simple"), -1);
  groups.Crash();
  ASSERT_EQ(groups->List({}).size(), 1u);
  EXPECT_EQ(groups.State(), GroupState::kStable);
}

TEST(GroupAdmin, ADeletionThatCannotBeStoredLeavesTheGroup) {
  Groups groups;
  (void)groups.Commit(kNobody, {{kOrders0, 1}});
  groups.Store();
  groups.storage().RefuseWith(Error(Code::kOverloaded, "full"));
  Awaited<std::vector<ErrorCode>> deleted;
  groups->DeleteGroups({"g"}, deleted.Done());
  EXPECT_EQ(deleted->at(0), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(groups.Fetched(kOrders0), 1);
}

TEST(GroupStart, RefusesDamagedRecords) {
  Groups groups;
  groups.MakeStable(1);
  const auto damaged = [&](const std::string& key, const std::string& value) {
    MemoryDisk disk;
    std::string record("\x01", 1);
    PutBytes(record, key);
    record.push_back(1);
    PutBytes(record, value);
    disk.records.emplace_back(0, record);
    MemoryStorage storage(disk);
    GroupOptions options;
    options.clock = &groups.clock;
    options.timers = &groups.clock;
    return GroupCoordinator::Open(options, storage);
  };
  for (const auto& [key, value] : std::vector<std::pair<std::string, std::string>>{
           {"X", "x"}, {"G\x01g", ""}, {"G\x01g", "\x01\x03\x02"}, {"O\x01g", "\x01"}}) {
    const auto opened = damaged(key, value);
    ASSERT_FALSE(opened.ok());
    EXPECT_NE(opened.error().message().find("load consumer groups"), std::string::npos);
  }
}

}  // namespace
}  // namespace millrace::kafka_groups::group_offsets_test
