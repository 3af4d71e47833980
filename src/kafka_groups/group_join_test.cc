// Joining: who gets in, when a generation begins, what it agrees on.
#include <gtest/gtest.h>

#include "kafka_groups/group_testing.h"

namespace millrace::kafka_groups::group_join_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(GroupJoin, TheFirstMemberLeadsAGenerationOfItself) {
  Groups groups;
  const auto join = groups.Join(Groups::Request());
  groups.Store();
  EXPECT_EQ(join->error, ErrorCode::kNone);
  EXPECT_EQ(join->generation, 1);
  EXPECT_EQ(join->protocol_type, "consumer");
  EXPECT_EQ(join->protocol, "range");
  EXPECT_EQ(join->leader, join->member_id);
  EXPECT_TRUE(join->member_id.starts_with("client-"));
  ASSERT_EQ(join->members.size(), 1u);
  EXPECT_EQ(join->members[0].id, join->member_id);
  EXPECT_EQ(join->members[0].metadata, Subscription({"orders"}));
  EXPECT_EQ(groups.State(), GroupState::kCompletingRebalance);
}

TEST(GroupJoin, IsAnsweredWhenTheGenerationIsDurable) {
  Groups groups;
  const auto join = groups.Join(Groups::Request());
  EXPECT_FALSE(join.answered());
  groups.Store();
  EXPECT_TRUE(join.answered());
}

TEST(GroupJoin, OnlyTheLeaderLearnsTheMembers) {
  Groups groups;
  const auto members = groups.MakeStable(3);
  EXPECT_EQ(members[0].members.size(), 3u);
  for (size_t i = 1; i < 3; ++i) {
    EXPECT_TRUE(members[i].members.empty());
    EXPECT_EQ(members[i].leader, members[0].member_id);
    EXPECT_EQ(members[i].generation, members[0].generation);
  }
}

TEST(GroupJoin, ANewGroupWaitsForMoreMembersAndLongerWhenTheyCome) {
  GroupOptions options;
  options.initial_rebalance_delay = milliseconds(500);
  Groups groups(options);
  const auto first = groups.Join(Groups::Request());
  groups.Advance(milliseconds(400));
  const auto second = groups.Join(Groups::Request());
  groups.Advance(milliseconds(400));
  EXPECT_FALSE(first.answered());
  groups.Advance(milliseconds(200));
  EXPECT_EQ(first->generation, 1);
  EXPECT_EQ(second->generation, 1);
}

TEST(GroupJoin, ANewGroupWaitsNoLongerThanTheRebalanceTimeout) {
  GroupOptions options;
  options.initial_rebalance_delay = milliseconds(500);
  Groups groups(options);
  JoinRequest request = Groups::Request();
  request.rebalance_timeout = milliseconds(1200);
  const auto first = groups.Join(request);
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(first.answered());
    groups.Advance(milliseconds(300));
    (void)groups.Join(request);
  }
  EXPECT_TRUE(first.answered());
}

TEST(GroupJoin, AMemberIdThatNobodyGaveOutIsRefused) {
  Groups groups;
  EXPECT_EQ(groups.Join(Groups::Request("made up"))->error, ErrorCode::kUnknownMemberId);
  EXPECT_TRUE(groups->List({}).empty()) << "no group was made for it";
  groups.MakeStable(1);
  EXPECT_EQ(groups.Join(Groups::Request("made up"))->error, ErrorCode::kUnknownMemberId);
}

TEST(GroupJoin, ANewMemberIsGivenAnIdFirstWhereTheClientKnowsHow) {
  Groups groups;
  JoinRequest request = Groups::Request();
  request.require_known_member_id = true;
  const auto first = groups.Join(request);
  EXPECT_EQ(first->error, ErrorCode::kMemberIdRequired);
  ASSERT_FALSE(first->member_id.empty());
  request.member_id = first->member_id;
  const auto second = groups.Join(request);
  groups.Store();
  EXPECT_EQ(second->error, ErrorCode::kNone);
  EXPECT_EQ(second->member_id, first->member_id);
}

TEST(GroupJoin, AnIdThatIsNotUsedInASessionIsForgotten) {
  Groups groups;
  JoinRequest request = Groups::Request();
  request.require_known_member_id = true;
  request.member_id = groups.Join(request)->member_id;
  groups.Advance(seconds(11));
  EXPECT_EQ(groups.Join(request)->error, ErrorCode::kUnknownMemberId);
  EXPECT_TRUE(groups->List({}).empty()) << "nor is its group kept";
}

TEST(GroupJoin, ARebalanceWaitsForMembersThatWereGivenAnIdUntilItIsForgotten) {
  Groups groups;
  const auto members = groups.MakeStable(1);
  JoinRequest request = Groups::Request();
  request.require_known_member_id = true;
  EXPECT_EQ(groups.Join(request)->error, ErrorCode::kMemberIdRequired);
  const auto rejoin = groups.Join(Groups::Request(members[0].member_id));
  groups.Store();
  EXPECT_FALSE(rejoin.answered());
  groups.Advance(seconds(11));
  EXPECT_EQ(rejoin->error, ErrorCode::kNone);
}

TEST(GroupJoin, SessionTimeoutsOutOfRangeAreRefused) {
  Groups groups;
  JoinRequest request = Groups::Request();
  request.session_timeout = milliseconds(5999);
  EXPECT_EQ(groups.Join(request)->error, ErrorCode::kInvalidSessionTimeout);
  request.session_timeout = milliseconds(30 * 60'000 + 1);
  EXPECT_EQ(groups.Join(request)->error, ErrorCode::kInvalidSessionTimeout);
  request.session_timeout = milliseconds(6000);
  EXPECT_FALSE(groups.Join(request).answered());
}

TEST(GroupJoin, AGroupNeedsAName) {
  Groups groups;
  JoinRequest request = Groups::Request();
  request.group = "";
  EXPECT_EQ(groups.Join(request)->error, ErrorCode::kInvalidGroupId);
}

TEST(GroupJoin, ProtocolsThatNotAllSpeakAreRefused) {
  Groups groups;
  JoinRequest none = Groups::Request();
  none.protocols.clear();
  EXPECT_EQ(groups.Join(none)->error, ErrorCode::kInconsistentGroupProtocol);
  groups.MakeStable(1);
  JoinRequest other = Groups::Request();
  other.protocols = {{"sticky", ""}};
  EXPECT_EQ(groups.Join(other)->error, ErrorCode::kInconsistentGroupProtocol);
  JoinRequest type = Groups::Request();
  type.protocol_type = "connect";
  EXPECT_EQ(groups.Join(type)->error, ErrorCode::kInconsistentGroupProtocol);
  EXPECT_EQ(groups.State(), GroupState::kStable);
}

TEST(GroupJoin, ChoosesWhatMostPreferAmongTheProtocolsThatAllSpeak) {
  GroupOptions options;
  options.initial_rebalance_delay = milliseconds(500);
  Groups groups(options);
  const auto speaking = [](const std::vector<std::string>& names) {
    JoinRequest request = Groups::Request();
    request.protocols.clear();
    for (const std::string& name : names) request.protocols.push_back({name, "m"});
    return request;
  };
  const auto a = groups.Join(speaking({"only a", "range", "sticky"}));
  const auto b = groups.Join(speaking({"sticky", "range"}));
  const auto c = groups.Join(speaking({"sticky", "range", "only c"}));
  groups.Advance(seconds(2));
  EXPECT_EQ(a->protocol, "sticky");
  EXPECT_EQ(b->protocol, "sticky");
  EXPECT_EQ(c->protocol, "sticky");
}

TEST(GroupJoin, AFullGroupTakesNobodyMore) {
  GroupOptions options = Groups::Options();
  options.members_max = 2;
  Groups groups(options);
  const auto members = groups.MakeStable(2);
  EXPECT_EQ(groups.Join(Groups::Request())->error, ErrorCode::kGroupMaxSizeReached);
  EXPECT_EQ(groups.State(), GroupState::kStable);
  const auto rejoin = groups.Join(Groups::Request(members[1].member_id));
  EXPECT_EQ(rejoin->error, ErrorCode::kNone) << "who is in may join again";
}

TEST(GroupJoin, NoMoreIdsAreGivenOutThanAGroupMayHaveMembers) {
  GroupOptions options = Groups::Options();
  options.members_max = 2;
  Groups groups(options);
  JoinRequest request = Groups::Request();
  request.require_known_member_id = true;
  EXPECT_EQ(groups.Join(request)->error, ErrorCode::kMemberIdRequired);
  EXPECT_EQ(groups.Join(request)->error, ErrorCode::kMemberIdRequired);
  EXPECT_EQ(groups.Join(request)->error, ErrorCode::kGroupMaxSizeReached);
}

TEST(GroupJoin, MoreGroupsThanTheLimitAreRefused) {
  GroupOptions options = Groups::Options();
  options.groups_max = 1;
  Groups groups(options);
  groups.MakeStable(1);
  JoinRequest request = Groups::Request();
  request.group = "another";
  EXPECT_EQ(groups.Join(request)->error, ErrorCode::kPolicyViolation);
}

TEST(GroupJoin, AFollowerThatJoinsAStableGroupUnchangedDisturbsNobody) {
  Groups groups;
  const auto members = groups.MakeStable(2);
  const auto rejoin = groups.Join(Groups::Request(members[1].member_id));
  EXPECT_EQ(rejoin->error, ErrorCode::kNone);
  EXPECT_EQ(rejoin->generation, members[1].generation);
  EXPECT_EQ(groups.State(), GroupState::kStable);
}

TEST(GroupJoin, AFollowerWithOtherMetadataAndTheLeaderInAnyCaseRebalance) {
  Groups groups;
  const auto members = groups.MakeStable(2);
  JoinRequest changed = Groups::Request(members[1].member_id);
  changed.protocols[0].metadata = Subscription({"clicks"});
  const auto follower = groups.Join(changed);
  EXPECT_EQ(groups.State(), GroupState::kPreparingRebalance);
  const auto leader = groups.Join(Groups::Request(members[0].member_id));
  groups.Store();
  EXPECT_EQ(follower->generation, members[1].generation + 1);
  const auto stable = groups.SyncAll({leader, follower});
  const auto again = groups.Join(Groups::Request(stable[0].member_id));
  EXPECT_FALSE(again.answered());
  EXPECT_EQ(groups.State(), GroupState::kPreparingRebalance);
}

TEST(GroupJoin, AMemberThatLostTheAnswerGetsItAgainWhileTheGroupWaitsForTheLeader) {
  Groups groups;
  const auto join = groups.Join(Groups::Request());
  groups.Store();
  const auto again = groups.Join(Groups::Request(join->member_id));
  EXPECT_EQ(again->generation, join->generation);
  EXPECT_EQ(again->members.size(), 1u);
}

TEST(GroupJoin, OneThatIsRepeatedAnswersTheOneBefore) {
  Groups groups;
  const auto members = groups.MakeStable(2);
  const auto first = groups.Join(Groups::Request(members[0].member_id));
  const auto second = groups.Join(Groups::Request(members[0].member_id));
  EXPECT_EQ(first->error, ErrorCode::kRebalanceInProgress);
  EXPECT_FALSE(second.answered());
}

TEST(GroupJoin, MembersThatDoNotJoinAgainInTimeAreDropped) {
  Groups groups;
  const auto members = groups.MakeStable(2);
  const auto rejoin = groups.Join(Groups::Request(members[0].member_id));
  for (int i = 0; i < 13; ++i) {
    EXPECT_EQ(groups.Heartbeat(members[1]),
              i < 12 ? ErrorCode::kRebalanceInProgress : ErrorCode::kUnknownMemberId);
    groups.Advance(seconds(5));
  }
  EXPECT_EQ(rejoin->generation, members[0].generation + 1);
  EXPECT_EQ(rejoin->members.size(), 1u);
}

TEST(GroupJoin, WhereTheLeaderDoesNotJoinAgainAnotherOneLeads) {
  Groups groups;
  const auto members = groups.MakeStable(2);
  JoinRequest changed = Groups::Request(members[1].member_id);
  changed.protocols[0].metadata = Subscription({"clicks"});
  const auto rejoin = groups.Join(changed);
  groups.Advance(seconds(61));
  EXPECT_EQ(rejoin->leader, members[1].member_id);
  EXPECT_EQ(rejoin->members.size(), 1u);
}

TEST(GroupJoin, NobodyIsLostWhenMembersComeWhileAGenerationIsOnItsWay) {
  Groups groups;
  const auto first = groups.Join(Groups::Request());
  EXPECT_EQ(groups.storage().queued(), 1u) << "generation 1 is on its way";
  const auto second = groups.Join(Groups::Request());
  groups.Store();
  EXPECT_EQ(first->error, ErrorCode::kNone);
  EXPECT_EQ(second->error, ErrorCode::kNone);
  EXPECT_EQ(first->generation, second->generation);
  EXPECT_EQ(first->members.size() + second->members.size(), 2u);
}

TEST(GroupJoin, ANewMembersJoinDoesNotWaitForEver) {
  Groups groups;
  const auto members = groups.MakeStable(1);
  const auto waiting = groups.Join(Groups::Request());
  for (int i = 0; i < 7; ++i) groups.Advance(seconds(5));
  EXPECT_TRUE(groups.Heartbeat(members[0]) == ErrorCode::kUnknownMemberId) << "it expired";
  EXPECT_EQ(waiting->error, ErrorCode::kNone) << "so the new one is alone";
}

TEST(GroupJoin, IsAnsweredWithAnErrorToTryAgainWhenTheStorageRefuses) {
  Groups groups;
  groups.storage().RefuseWith(Error(Code::kOverloaded, "full"));
  const auto join = groups.Join(Groups::Request());
  EXPECT_EQ(join->error, ErrorCode::kCoordinatorNotAvailable);
  groups.storage().RefuseWith(std::nullopt);
  const auto again = groups.Join(Groups::Request(join->member_id));
  groups.Store();
  EXPECT_EQ(again->error, ErrorCode::kNone);
  groups.storage().RefuseWith(Error(Code::kTooLarge, "too large"));
  EXPECT_EQ(groups.Join(Groups::Request(again->member_id))->error, ErrorCode::kNone);
}

TEST(GroupJoin, IsAnsweredWhenTheStorageFailsAndWhenTheNodeStops) {
  Groups groups;
  const auto join = groups.Join(Groups::Request());
  groups.storage().Fail();
  groups.Store();
  EXPECT_EQ(join->error, ErrorCode::kCoordinatorNotAvailable);

  Groups others;
  const auto members = others.MakeStable(2);
  const auto waiting = others.Join(Groups::Request(members[0].member_id));
  EXPECT_FALSE(waiting.answered());
  others->Shutdown();
  EXPECT_EQ(waiting->error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(others.Heartbeat(members[0]), ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(others.Join(Groups::Request())->error, ErrorCode::kCoordinatorNotAvailable);
}

}  // namespace
}  // namespace millrace::kafka_groups::group_join_test
