// Fetch: batches of many partitions as they are stored, up to the durable end; where there is too
// little, it waits for more.
#pragma once

#include "kafka/fetch_messages.h"
#include "kafka/service.h"

namespace millrace::kafka {

// All arguments outlive it. Encodes the reply, too: the batches' memory is held only until then.
asio::awaitable<void> Fetch(Service& service, const Request& request, const FetchRequest& message,
                            Reply& reply);

}  // namespace millrace::kafka
