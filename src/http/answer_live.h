// The live answer of an endpoint: a stream of Server-Sent Events, or the messages of a WebSocket,
// without end (docs/http.md).
#pragma once

#include "http/live_queries.h"
#include "http/service.h"

namespace millrace::http {

// `last`: the id of the last event that the client has, where the request's head does not say it;
// may be empty. `timeout`: for the first content. REQUIRES: not yet answered; where the request
// asks for a WebSocket its handshake is without fault.
asio::awaitable<void> AnswerLive(ServiceContext& context, Backend& backend, Exchange& exchange,
                                 LiveRequest request, std::string last,
                                 std::chrono::milliseconds timeout);

}  // namespace millrace::http
