// All messages, as a list that other files expand (X macro): MILLRACE_KAFKA_MESSAGES(X) is X(Name)
// for each API, whose messages are NameRequest and NameResponse.
#pragma once

#include "kafka/config_messages.h"
#include "kafka/fetch_messages.h"
#include "kafka/group_admin_messages.h"
#include "kafka/group_messages.h"
#include "kafka/metadata_messages.h"
#include "kafka/offset_messages.h"
#include "kafka/produce_messages.h"
#include "kafka/sasl_messages.h"
#include "kafka/topic_messages.h"
#include "kafka/transaction_messages.h"

#define MILLRACE_KAFKA_DATA_MESSAGES(X) \
  X(Produce)                            \
  X(InitProducerId)                     \
  X(Fetch)                              \
  X(ListOffsets)                        \
  X(OffsetForLeaderEpoch)               \
  X(ApiVersions)                        \
  X(Metadata)                           \
  X(DescribeCluster)                    \
  X(FindCoordinator)

#define MILLRACE_KAFKA_GROUP_MESSAGES(X) \
  X(JoinGroup)                           \
  X(SyncGroup)                           \
  X(Heartbeat)                           \
  X(LeaveGroup)                          \
  X(DescribeGroups)                      \
  X(ListGroups)                          \
  X(DeleteGroups)                        \
  X(OffsetCommit)                        \
  X(OffsetFetch)                         \
  X(OffsetDelete)                        \
  X(AddPartitionsToTxn)                  \
  X(AddOffsetsToTxn)                     \
  X(EndTxn)                              \
  X(TxnOffsetCommit)

#define MILLRACE_KAFKA_ADMIN_MESSAGES(X) \
  X(CreateTopics)                        \
  X(DeleteTopics)                        \
  X(DescribeConfigs)                     \
  X(AlterConfigs)                        \
  X(IncrementalAlterConfigs)             \
  X(DeleteRecords)                       \
  X(CreatePartitions)                    \
  X(DescribeLogDirs)                     \
  X(SaslHandshake)                       \
  X(SaslAuthenticate)

#define MILLRACE_KAFKA_MESSAGES(X) \
  MILLRACE_KAFKA_DATA_MESSAGES(X)  \
  MILLRACE_KAFKA_GROUP_MESSAGES(X) \
  MILLRACE_KAFKA_ADMIN_MESSAGES(X)
