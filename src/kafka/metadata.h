// How clients find their way: which APIs, which topics, which broker (there is one, and it leads
// every partition and coordinates every group).
#pragma once

#include "kafka/backend.h"
#include "kafka/metadata_messages.h"
#include "kafka/request.h"
#include "kafka/service.h"

namespace millrace::kafka {

// Also to a version that is not served: error 35, in the oldest version's form.
void AnswerApiVersions(const Request& request, Reply& reply);

MetadataResponse DescribeTopics(Service& service, const Request& request,
                                const MetadataRequest& message);
// The topics asked for that are not there, where the client wants them made.
std::vector<std::string> MissingTopics(const Service& service, const Request& request,
                                       const MetadataRequest& message);

DescribeClusterResponse DescribeCluster(Service& service, const DescribeClusterRequest& message);
FindCoordinatorResponse FindCoordinator(Service& service, const Request& request,
                                        const FindCoordinatorRequest& message);

}  // namespace millrace::kafka
