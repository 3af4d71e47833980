// What a client that signed in may ask for. Topics that a request names one by one are checked
// where they are handled (Request::May); here is what concerns a request as a whole.
#pragma once

#include "base/result.h"
#include "kafka/metadata_messages.h"
#include "kafka/request.h"

namespace millrace::kafka {

// Groups are for whoever may consume something, producer ids and transactions for whoever may
// ingest something; topics, their configuration and the end of groups are for `admin`. True: the
// request is denied, and answered. kNotSupported: denied, with no answer that would say so: the
// connection ends. kCorruption: malformed.
Result<bool> AnswerIfDenied(const Request& request, Reply& reply);

// A topic is there for those who may ingest or consume it.
bool MayDescribe(const Request& request, std::string_view topic);
// Takes the topics out of an answer that are not to be seen; those that were named are refused.
void HideTopics(const Request& request, const MetadataRequest& message, MetadataResponse& response);

}  // namespace millrace::kafka
