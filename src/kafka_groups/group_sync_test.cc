// Assignments, heartbeats, leaving, static members, and what a restart leaves of it.
#include <gtest/gtest.h>

#include "kafka_groups/group_testing.h"

namespace millrace::kafka_groups::group_sync_test {
namespace {

using std::chrono::seconds;

// Two members in generation 2 whose leader, the first, has not sent its assignment.
std::vector<JoinAnswer> TwoThatWait(Groups& groups) {
  const auto first = groups.Join(Groups::Request());
  const auto second = groups.Join(Groups::Request());
  groups.Store();
  std::vector<JoinAnswer> out{*first, *second};
  if (out[0].leader != out[0].member_id) std::swap(out[0], out[1]);
  return out;
}

TEST(GroupSync, FollowersWaitForTheLeadersAssignmentToBeDurable) {
  Groups groups;
  const auto members = TwoThatWait(groups);
  const auto follower = groups.Sync(members[1]);
  EXPECT_FALSE(follower.answered());
  const auto leader =
      groups.Sync(members[0], {{members[0].member_id, "a"}, {members[1].member_id, "b"}});
  EXPECT_FALSE(leader.answered());
  EXPECT_EQ(groups.State(), GroupState::kCompletingRebalance);
  groups.Store();
  EXPECT_EQ(leader->assignment, "a");
  EXPECT_EQ(follower->assignment, "b");
  EXPECT_EQ(follower->protocol, "range");
  EXPECT_EQ(follower->protocol_type, "consumer");
  EXPECT_EQ(groups.State(), GroupState::kStable);
  EXPECT_EQ(groups.Sync(members[1])->assignment, "b") << "asked again";
}

TEST(GroupSync, AMemberThatTheLeaderLeftOutGetsAnEmptyAssignment) {
  Groups groups;
  const auto members = TwoThatWait(groups);
  const auto follower = groups.Sync(members[1]);
  (void)groups.Sync(members[0], {{members[0].member_id, "a"}, {"nobody", "x"}});
  groups.Store();
  EXPECT_EQ(follower->error, ErrorCode::kNone);
  EXPECT_EQ(follower->assignment, "");
}

TEST(GroupSync, RefusesStrangersAndOtherGenerationsAndProtocols) {
  Groups groups;
  JoinAnswer stranger;
  stranger.member_id = "stranger";
  EXPECT_EQ(groups.Sync(stranger)->error, ErrorCode::kUnknownMemberId) << "no such group";
  const auto members = TwoThatWait(groups);
  stranger.generation = members[0].generation;
  EXPECT_EQ(groups.Sync(stranger)->error, ErrorCode::kUnknownMemberId);
  JoinAnswer old = members[0];
  --old.generation;
  EXPECT_EQ(groups.Sync(old)->error, ErrorCode::kIllegalGeneration);
  Awaited<SyncAnswer> other;
  groups->Sync({Groups::Who(members[0]), "consumer", "sticky", {}}, other.Done());
  EXPECT_EQ(other->error, ErrorCode::kInconsistentGroupProtocol);
  Awaited<SyncAnswer> type;
  groups->Sync({Groups::Who(members[0]), "connect", "range", {}}, type.Done());
  EXPECT_EQ(type->error, ErrorCode::kInconsistentGroupProtocol);
}

TEST(GroupSync, WhoWaitsIsToldToJoinAgainWhenSomebodyComes) {
  Groups groups;
  const auto members = TwoThatWait(groups);
  const auto follower = groups.Sync(members[1]);
  const auto third = groups.Join(Groups::Request());
  EXPECT_EQ(follower->error, ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(groups.Sync(members[0])->error, ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(groups.Heartbeat(members[0]), ErrorCode::kRebalanceInProgress);
  EXPECT_FALSE(third.answered());
}

TEST(GroupSync, AnAssignmentOnItsWayIsVoidWhenARebalanceBegins) {
  Groups groups;
  const auto members = TwoThatWait(groups);
  const auto leader = groups.Sync(members[0], {{members[0].member_id, "a"}});
  const auto third = groups.Join(Groups::Request());
  EXPECT_EQ(leader->error, ErrorCode::kRebalanceInProgress);
  groups.Store();
  EXPECT_EQ(groups.State(), GroupState::kPreparingRebalance);
}

TEST(GroupSync, ALeaderThatSendsNoAssignmentIsDropped) {
  Groups groups;
  const auto members = TwoThatWait(groups);
  const auto follower = groups.Sync(members[1]);
  for (int i = 0; i < 12; ++i) {
    EXPECT_EQ(groups.Heartbeat(members[0]), ErrorCode::kNone);
    groups.Advance(seconds(5));
  }
  groups.Advance(seconds(1));
  EXPECT_EQ(follower->error, ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(groups.Heartbeat(members[0]), ErrorCode::kUnknownMemberId);
  const auto rejoin = groups.Join(Groups::Request(members[1].member_id));
  groups.Store();
  EXPECT_EQ(rejoin->leader, members[1].member_id);
}

TEST(GroupSync, AnswersAnErrorToTryAgainWhenTheStorageRefusesTheAssignment) {
  Groups groups;
  const auto members = TwoThatWait(groups);
  const auto follower = groups.Sync(members[1]);
  groups.storage().RefuseWith(Error(Code::kOverloaded, "full"));
  const auto leader = groups.Sync(members[0], {{members[0].member_id, "a"}});
  EXPECT_EQ(leader->error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(follower->error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(groups.State(), GroupState::kPreparingRebalance);
}

TEST(GroupHeartbeat, KeepsAMemberInAndSilenceThrowsItOut) {
  Groups groups;
  const auto members = groups.MakeStable(2);
  for (int i = 0; i < 4; ++i) {
    groups.Advance(seconds(9));
    EXPECT_EQ(groups.Heartbeat(members[0]),
              i == 0 ? ErrorCode::kNone : ErrorCode::kRebalanceInProgress);
  }
  EXPECT_EQ(groups.Heartbeat(members[1]), ErrorCode::kUnknownMemberId);
}

TEST(GroupHeartbeat, TellsWhyAMemberIsNotCurrent) {
  Groups groups;
  JoinAnswer stranger;
  stranger.member_id = "stranger";
  EXPECT_EQ(groups.Heartbeat(stranger), ErrorCode::kUnknownMemberId);
  const auto members = groups.MakeStable(1);
  EXPECT_EQ(groups.Heartbeat(members[0]), ErrorCode::kNone);
  JoinAnswer old = members[0];
  --old.generation;
  EXPECT_EQ(groups.Heartbeat(old), ErrorCode::kIllegalGeneration);
}

TEST(GroupLeave, TheOthersRebalanceAndTheLastOneLeavesAnEmptyGroup) {
  Groups groups;
  const auto members = groups.MakeStable(2);
  const auto left = groups->Leave("g", {{members[0].member_id}, {"stranger"}});
  EXPECT_EQ(left.members, (std::vector{ErrorCode::kNone, ErrorCode::kUnknownMemberId}));
  EXPECT_EQ(groups.Heartbeat(members[1]), ErrorCode::kRebalanceInProgress);
  EXPECT_EQ(groups->Leave("g", {{members[1].member_id}}).members[0], ErrorCode::kNone);
  groups.Store();
  EXPECT_EQ(groups.State(), GroupState::kEmpty);
  groups.Crash();
  EXPECT_EQ(groups.State(), GroupState::kEmpty);
  EXPECT_EQ(groups->Leave("other", {{"x"}}).members[0], ErrorCode::kUnknownMemberId);
}

TEST(GroupLeave, AnIdThatWasNotUsedYetMayLeave) {
  Groups groups;
  JoinRequest request = Groups::Request();
  request.require_known_member_id = true;
  const auto first = groups.Join(request);
  EXPECT_EQ(groups->Leave("g", {{first->member_id}}).members[0], ErrorCode::kNone);
  EXPECT_TRUE(groups->List({}).empty());
}

TEST(GroupLeave, AWaitingJoinOfWhoLeavesIsAnswered) {
  Groups groups;
  const auto members = groups.MakeStable(2);
  const auto waiting = groups.Join(Groups::Request(members[0].member_id));
  EXPECT_EQ(groups->Leave("g", {{members[0].member_id}}).members[0], ErrorCode::kNone);
  EXPECT_EQ(waiting->error, ErrorCode::kUnknownMemberId);
}

// ---- Static members ----

// A stable group of the static members "i0" (leading) and "i1".
std::vector<JoinAnswer> TwoStatic(Groups& groups) {
  const auto first = groups.Join(Groups::Static("i0"));
  groups.Store();
  const auto second = groups.Join(Groups::Static("i1"));
  const auto again = groups.Join(Groups::Static("i0", first->member_id));
  groups.Store();
  return groups.SyncAll({again, second});
}

TEST(StaticMember, ComesBackToItsAssignmentWithoutARebalanceAndFencesItsFormerSelf) {
  Groups groups;
  const auto members = TwoStatic(groups);
  const auto back = groups.Join(Groups::Static("i1"));
  EXPECT_FALSE(back.answered()) << "its new id has to be durable";
  groups.Store();
  EXPECT_EQ(back->error, ErrorCode::kNone);
  EXPECT_EQ(back->generation, members[1].generation);
  EXPECT_NE(back->member_id, members[1].member_id);
  EXPECT_EQ(groups.Sync(*back)->assignment, "a1");
  EXPECT_EQ(groups.State(), GroupState::kStable);
  MemberIdentity old = Groups::Who(members[1]);
  old.instance_id = "i1";
  EXPECT_EQ(groups->Heartbeat(old), ErrorCode::kFencedInstanceId);
  EXPECT_EQ(groups.Join(Groups::Static("i1", members[1].member_id))->error,
            ErrorCode::kFencedInstanceId);
  EXPECT_EQ(groups.Commit(old, {{{"orders", 0}, 1}})->at(0), ErrorCode::kFencedInstanceId);
  Awaited<SyncAnswer> sync;
  groups->Sync({old}, sync.Done());
  EXPECT_EQ(sync->error, ErrorCode::kFencedInstanceId);
  EXPECT_EQ(groups->Leave("g", {{old.member_id, "i1"}}).members[0], ErrorCode::kFencedInstanceId);
  groups.Crash();
  EXPECT_EQ(groups.Heartbeat(*back), ErrorCode::kNone) << "after a restart too";
}

TEST(StaticMember, ALeaderThatComesBackIsToldToSkipTheAssignmentWhereItKnowsHow) {
  Groups groups;
  const auto members = TwoStatic(groups);
  JoinRequest request = Groups::Static("i0");
  request.supports_skip_assignment = true;
  const auto knows = groups.Join(request);
  groups.Store();
  EXPECT_TRUE(knows->skip_assignment);
  EXPECT_EQ(knows->leader, knows->member_id);
  EXPECT_EQ(knows->members.size(), 2u);
  const auto does_not = groups.Join(Groups::Static("i0"));
  groups.Store();
  EXPECT_FALSE(does_not->skip_assignment);
  EXPECT_EQ(does_not->leader, knows->member_id) << "it must not take itself for the leader";
  EXPECT_TRUE(does_not->members.empty());
}

TEST(StaticMember, RebalancesWhenItComesBackSpeakingSomethingThatChangesTheProtocol) {
  Groups groups;
  JoinRequest both = Groups::Static("i0");
  both.protocols = {{"range", "m"}, {"sticky", "m"}};
  const auto first = groups.Join(both);
  groups.Store();
  groups.SyncAll({first});
  both.protocols = {{"sticky", "m"}, {"range", "m"}};
  const auto back = groups.Join(both);
  groups.Store();
  EXPECT_EQ(back->protocol, "sticky");
  EXPECT_EQ(back->generation, first->generation + 1);
}

TEST(StaticMember, ThatComesBackWhileTheLeaderAssignsRebalances) {
  Groups groups;
  const auto first = groups.Join(Groups::Static("i0"));
  groups.Store();
  const auto back = groups.Join(Groups::Static("i0"));
  groups.Store();
  EXPECT_EQ(back->generation, first->generation + 1);
}

TEST(StaticMember, FencesAJoinOfItsFormerSelfThatWaits) {
  Groups groups;
  const auto members = TwoStatic(groups);
  const auto waiting = groups.Join(Groups::Static("i0", members[0].member_id));
  EXPECT_FALSE(waiting.answered());
  const auto back = groups.Join(Groups::Static("i0"));
  EXPECT_EQ(waiting->error, ErrorCode::kFencedInstanceId);
  EXPECT_FALSE(back.answered());
}

TEST(StaticMember, ThatComesBackBeforeItsFirstGenerationWaitsAsLongAsOneThatIsNew) {
  Groups groups;
  const auto members = groups.MakeStable(1);
  (void)groups.Join(Groups::Static("i0"));
  const auto back = groups.Join(Groups::Static("i0"));
  for (int i = 0; i < 4; ++i) {
    groups.Advance(seconds(9));
    EXPECT_EQ(groups.Heartbeat(members[0]), ErrorCode::kRebalanceInProgress);
  }
  EXPECT_FALSE(back.answered());
  const auto rejoin = groups.Join(Groups::Request(members[0].member_id));
  groups.Store();
  EXPECT_EQ(back->error, ErrorCode::kNone);
  EXPECT_EQ(back->generation, rejoin->generation);
}

TEST(StaticMember, KeepsItsPlaceThroughARebalanceUntilItsSessionEnds) {
  Groups groups;
  JoinRequest away = Groups::Static("i1");
  away.session_timeout = seconds(300);
  const auto first = groups.Join(Groups::Static("i0"));
  groups.Store();
  const auto second = groups.Join(away);
  const auto again = groups.Join(Groups::Static("i0", first->member_id));
  groups.Store();
  const auto members = groups.SyncAll({again, second});
  auto rejoin = groups.Join(Groups::Static("i0", members[0].member_id));
  groups.Advance(seconds(61));
  EXPECT_EQ(rejoin->members.size(), 2u) << "i1 is away, and still a member";
  groups.SyncAll({rejoin});
  const auto expire = [&](int periods) {
    for (int i = 0; i < periods; ++i) {
      groups.Advance(seconds(9));
      EXPECT_NE(groups.Heartbeat(*rejoin), ErrorCode::kUnknownMemberId);
    }
  };
  expire(20);
  EXPECT_EQ(groups.State(), GroupState::kStable);
  expire(8);
  EXPECT_EQ(groups.State(), GroupState::kPreparingRebalance) << "its session has ended";
}

TEST(StaticMember, LeavesByItsInstanceIdAlone) {
  Groups groups;
  TwoStatic(groups);
  const auto left = groups->Leave("g", {{"", "i1"}, {"", "i7"}});
  EXPECT_EQ(left.members, (std::vector{ErrorCode::kNone, ErrorCode::kUnknownMemberId}));
}

// ---- Restart ----

TEST(GroupRestart, MembersOfAStableGroupGoOnWithFreshSessions) {
  Groups groups;
  const auto members = groups.MakeStable(3);
  groups.clock.Advance(seconds(100));
  groups.Crash();
  groups.Advance(seconds(9));
  for (const JoinAnswer& member : members) EXPECT_EQ(groups.Heartbeat(member), ErrorCode::kNone);
  EXPECT_EQ(groups.Sync(members[2])->assignment, "a2");
  const auto description = groups->Describe("g");
  EXPECT_EQ(description.protocol, "range");
  ASSERT_EQ(description.members.size(), 3u);
  EXPECT_EQ(description.members[0].client_id, "client");
  EXPECT_EQ(description.members[0].client_host, "/10.0.0.1");
  EXPECT_EQ(description.members[0].metadata, Subscription({"orders"}));
  const auto rejoin = groups.Join(Groups::Request(members[1].member_id));
  EXPECT_EQ(rejoin->generation, members[1].generation) << "unchanged, so nobody is disturbed";
  groups.Advance(seconds(11));
  EXPECT_EQ(groups.Heartbeat(members[0]), ErrorCode::kUnknownMemberId);
}

TEST(GroupRestart, AGenerationThatWaitedForItsLeaderWaitsOn) {
  Groups groups;
  const auto members = TwoThatWait(groups);
  groups.Crash();
  const auto follower = groups.Sync(members[1]);
  const auto leader = groups.Sync(members[0], {{members[1].member_id, "b"}});
  groups.Store();
  EXPECT_EQ(follower->assignment, "b");
  EXPECT_EQ(leader->error, ErrorCode::kNone);
}

TEST(GroupRestart, NoGenerationIsGivenTwice) {
  Groups groups;
  const auto members = TwoThatWait(groups);
  groups.Crash();
  (void)groups.Join(Groups::Request());
  const auto first = groups.Join(Groups::Request(members[0].member_id));
  const auto second = groups.Join(Groups::Request(members[1].member_id));
  groups.Store();
  EXPECT_EQ(first->generation, members[0].generation + 1);
  EXPECT_EQ(second->generation, members[0].generation + 1);
}

TEST(GroupRestart, AMemberOfADurableGenerationThatWasNotToldMayStillExpire) {
  Groups groups;
  const auto join = groups.Join(Groups::Request());
  groups.Crash(1);
  EXPECT_FALSE(join.answered());
  EXPECT_EQ(groups.State(), GroupState::kCompletingRebalance);
  groups.Advance(seconds(11));
  EXPECT_EQ(groups.State(), GroupState::kEmpty);
}

}  // namespace
}  // namespace millrace::kafka_groups::group_sync_test
