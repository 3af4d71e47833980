#include "kafka/group_handlers.h"

#include <algorithm>

#include "net/await.h"

namespace millrace::kafka {

namespace {

constexpr int16_t kJoinGivesIdFirst = 4;  // the first version of JoinGroup with KIP-394
constexpr int16_t kJoinCanSkip = 9;       // with KIP-814
constexpr int16_t kLeaveOfSeveral = 3;    // the first version of LeaveGroup with members
constexpr std::string_view kClassic = "classic";

constexpr kafka_groups::GroupState kStates[] = {
    kafka_groups::GroupState::kEmpty, kafka_groups::GroupState::kPreparingRebalance,
    kafka_groups::GroupState::kCompletingRebalance, kafka_groups::GroupState::kStable,
    kafka_groups::GroupState::kDead};

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

}  // namespace

asio::awaitable<JoinGroupResponse> JoinGroup(GroupCoordinator& groups, const Request& request,
                                             JoinGroupRequest& message) {
  kafka_groups::JoinRequest join;
  join.group = std::move(message.group_id);
  join.member_id = std::move(message.member_id);
  join.instance_id = std::move(message.group_instance_id);
  join.client_id = request.client_id;
  join.client_host = "/" + request.client_host;  // as Kafka shows it
  join.protocol_type = std::move(message.protocol_type);
  for (auto& protocol : message.protocols)
    join.protocols.push_back({std::move(protocol.name), std::move(protocol.metadata.value)});
  join.session_timeout = std::chrono::milliseconds(message.session_timeout_ms);
  // Version 0 has one timeout for both.
  join.rebalance_timeout = std::chrono::milliseconds(
      request.version == 0 ? message.session_timeout_ms : message.rebalance_timeout_ms);
  join.require_known_member_id = request.version >= kJoinGivesIdFirst;
  join.supports_skip_assignment = request.version >= kJoinCanSkip;

  net::Waiting<kafka_groups::JoinAnswer> waiting;
  groups.Join(std::move(join), net::TellTo(waiting));
  Result<kafka_groups::JoinAnswer> joined = co_await waiting.Get();
  kafka_groups::JoinAnswer& answer = *joined;
  JoinGroupResponse response;
  response.error_code = answer.error;
  response.generation_id = answer.generation;
  response.protocol_type = std::move(answer.protocol_type);
  response.protocol_name = std::move(answer.protocol);
  response.leader = std::move(answer.leader);
  response.member_id = std::move(answer.member_id);
  response.skip_assignment = answer.skip_assignment;
  for (auto& member : answer.members) {
    response.members.push_back(
        {std::move(member.id), std::move(member.instance_id), {std::move(member.metadata)}});
  }
  co_return response;
}

asio::awaitable<SyncGroupResponse> SyncGroup(GroupCoordinator& groups, const Request&,
                                             SyncGroupRequest& message) {
  kafka_groups::SyncRequest sync;
  sync.who = {std::move(message.group_id), message.generation_id, std::move(message.member_id),
              std::move(message.group_instance_id)};
  sync.protocol_type = std::move(message.protocol_type);
  sync.protocol = std::move(message.protocol_name);
  for (auto& assignment : message.assignments) {
    sync.assignments.push_back(
        {std::move(assignment.member_id), std::move(assignment.assignment.value)});
  }
  net::Waiting<kafka_groups::SyncAnswer> waiting;
  groups.Sync(std::move(sync), net::TellTo(waiting));
  Result<kafka_groups::SyncAnswer> synced = co_await waiting.Get();
  SyncGroupResponse response;
  response.error_code = synced->error;
  response.protocol_type = std::move(synced->protocol_type);
  response.protocol_name = std::move(synced->protocol);
  response.assignment.value = std::move(synced->assignment);
  co_return response;
}

asio::awaitable<DeleteGroupsResponse> DeleteGroups(GroupCoordinator& groups, const Request&,
                                                   DeleteGroupsRequest& message) {
  net::Waiting<std::vector<ErrorCode>> waiting;
  groups.DeleteGroups(message.groups_names, net::TellTo(waiting));
  const Result<std::vector<ErrorCode>> errors = co_await waiting.Get();
  DeleteGroupsResponse response;
  for (size_t i = 0; i < message.groups_names.size(); ++i)
    response.results.push_back({message.groups_names[i], (*errors)[i]});
  co_return response;
}

HeartbeatResponse Heartbeat(GroupCoordinator& groups, const HeartbeatRequest& message) {
  HeartbeatResponse response;
  response.error_code = groups.Heartbeat(
      {message.group_id, message.generation_id, message.member_id, message.group_instance_id});
  return response;
}

LeaveGroupResponse LeaveGroup(GroupCoordinator& groups, const Request& request,
                              const LeaveGroupRequest& message) {
  std::vector<kafka_groups::LeavingMember> leaving;
  const bool several = request.version >= kLeaveOfSeveral;
  if (!several) leaving.push_back({message.member_id});
  for (const auto& member : message.members)
    leaving.push_back({member.member_id, member.group_instance_id});
  const kafka_groups::LeaveAnswer left = groups.Leave(message.group_id, leaving);
  LeaveGroupResponse response;
  response.error_code = left.error;
  if (left.error != ErrorCode::kNone) return response;
  if (!several) {
    response.error_code = left.members.front();
    return response;
  }
  for (size_t i = 0; i < leaving.size(); ++i)
    response.members.push_back({leaving[i].member_id, leaving[i].instance_id, left.members[i]});
  return response;
}

DescribeGroupsResponse DescribeGroups(const GroupCoordinator& groups,
                                      const DescribeGroupsRequest& message) {
  DescribeGroupsResponse response;
  for (const std::string& name : message.groups) {
    kafka_groups::GroupDescription group = groups.Describe(name);
    auto& out = response.groups.emplace_back();
    // A group that is not there is described as dead: an error of its own came with version 6.
    out.error_code = group.error == ErrorCode::kGroupIdNotFound ? ErrorCode::kNone : group.error;
    out.group_id = name;
    out.group_state = kafka_groups::GroupStateName(group.state);
    out.protocol_type = std::move(group.protocol_type);
    out.protocol_data = std::move(group.protocol);
    for (auto& member : group.members) {
      out.members.push_back({std::move(member.id),
                             std::move(member.instance_id),
                             std::move(member.client_id),
                             std::move(member.client_host),
                             {std::move(member.metadata)},
                             {std::move(member.assignment)}});
    }
  }
  return response;
}

ListGroupsResponse ListGroups(const GroupCoordinator& groups, const ListGroupsRequest& message) {
  ListGroupsResponse response;
  std::vector<kafka_groups::GroupState> states;
  for (const std::string& name : message.states_filter) {
    for (const kafka_groups::GroupState state : kStates) {
      if (EqualsIgnoringCase(kafka_groups::GroupStateName(state), name)) states.push_back(state);
    }
  }
  const bool no_such_state = states.empty() && !message.states_filter.empty();
  const bool wants_classic =
      message.types_filter.empty() ||
      std::any_of(message.types_filter.begin(), message.types_filter.end(),
                  [](const std::string& type) { return EqualsIgnoringCase(type, kClassic); });
  if (no_such_state || !wants_classic) return response;
  for (const kafka_groups::GroupListing& group : groups.List(states)) {
    response.groups.push_back({group.group, group.protocol_type,
                               std::string(kafka_groups::GroupStateName(group.state)),
                               std::string(kClassic)});
  }
  return response;
}

}  // namespace millrace::kafka
