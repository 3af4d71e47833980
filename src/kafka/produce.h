// Produce: batches of many partitions, each appended on its own. The reply comes when all are
// durable, or, with acks = 0, never.
#pragma once

#include <functional>
#include <memory>

#include "kafka/produce_messages.h"
#include "kafka/request.h"
#include "kafka/service.h"

namespace millrace::kafka {

// Returns when every batch is queued or refused; `done` is called once, with the reply, when all of
// them are decided: on the log's flusher thread or on the
// calling one.
asio::awaitable<void> Produce(Service& service, const Request& request,
                              const ProduceRequest& message, const std::shared_ptr<Reply>& reply,
                              const Service::Done& done);

}  // namespace millrace::kafka
