// Consumer groups: the protocol's messages to and from the coordinator of groups
// (kafka_groups/group_coordinator.h).
#pragma once

#include "kafka/group_admin_messages.h"
#include "kafka/group_messages.h"
#include "kafka/request.h"
#include "kafka_groups/group_coordinator.h"
#include "net/asio.h"

namespace millrace::kafka {

using kafka_groups::GroupCoordinator;

// These wait for the group's other members, or for the disk.
asio::awaitable<JoinGroupResponse> JoinGroup(GroupCoordinator& groups, const Request& request,
                                             JoinGroupRequest& message);
asio::awaitable<SyncGroupResponse> SyncGroup(GroupCoordinator& groups, const Request& request,
                                             SyncGroupRequest& message);
asio::awaitable<DeleteGroupsResponse> DeleteGroups(GroupCoordinator& groups, const Request& request,
                                                   DeleteGroupsRequest& message);

HeartbeatResponse Heartbeat(GroupCoordinator& groups, const HeartbeatRequest& message);
LeaveGroupResponse LeaveGroup(GroupCoordinator& groups, const Request& request,
                              const LeaveGroupRequest& message);
DescribeGroupsResponse DescribeGroups(const GroupCoordinator& groups,
                                      const DescribeGroupsRequest& message);
ListGroupsResponse ListGroups(const GroupCoordinator& groups, const ListGroupsRequest& message);

}  // namespace millrace::kafka
