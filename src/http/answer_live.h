// The live answer of an endpoint: a stream of Server-Sent Events, without end (docs/http.md).
#pragma once

#include "http/live_queries.h"
#include "http/service.h"

namespace millrace::http {

// `timeout`: for the first content. REQUIRES: not yet answered.
asio::awaitable<void> AnswerLive(ServiceContext& context, Backend& backend, Exchange& exchange,
                                 LiveRequest request, std::chrono::milliseconds timeout);

}  // namespace millrace::http
