// Topics: create, delete, and how they are set.
#pragma once

#include "kafka/config_messages.h"
#include "kafka/service.h"
#include "kafka/topic_messages.h"

namespace millrace::kafka {

// These may take long.
CreateTopicsResponse CreateTopics(Service& service, const CreateTopicsRequest& message);
DeleteTopicsResponse DeleteTopics(Service& service, const Request& request,
                                  const DeleteTopicsRequest& message);

DeleteRecordsResponse DeleteRecords(Service& service, const DeleteRecordsRequest& message);

CreatePartitionsResponse CreatePartitions(Service& service, const CreatePartitionsRequest& message);
DescribeLogDirsResponse DescribeLogDirs(Service& service, const DescribeLogDirsRequest& message);

AlterConfigsResponse AlterConfigs(Service& service, const AlterConfigsRequest& message);
IncrementalAlterConfigsResponse IncrementalAlterConfigs(
    Service& service, const IncrementalAlterConfigsRequest& message);

DescribeConfigsResponse DescribeConfigs(Service& service, const DescribeConfigsRequest& message);

}  // namespace millrace::kafka
