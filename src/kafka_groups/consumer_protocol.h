// What members of protocol type "consumer" send as metadata: their subscription (Kafka's
// ConsumerProtocolSubscription.json). The coordinator passes it on without looking; only who wants
// to know whether a topic is in use parses it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::kafka_groups {

// kCorruption: not a subscription. Fields of newer versions behind the topics are not looked at.
Result<std::vector<std::string>> ParseSubscribedTopics(std::string_view metadata);

}  // namespace millrace::kafka_groups
