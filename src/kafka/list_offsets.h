// ListOffsets and OffsetForLeaderEpoch: where a reader can begin.
#pragma once

#include "kafka/backend.h"
#include "kafka/fetch_messages.h"
#include "kafka/request.h"

namespace millrace::kafka {

// May take long: reads batches to find a time.
ListOffsetsResponse ListOffsets(Backend& backend, const Request& request,
                                const ListOffsetsRequest& message);

// Nothing that a reader has seen is ever cut off, so every epoch reaches to the durable end.
OffsetForLeaderEpochResponse EndOfEpochs(Backend& backend, const Request& request,
                                         const OffsetForLeaderEpochRequest& message);

}  // namespace millrace::kafka
