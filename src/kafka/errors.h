// What a client is told when the node refuses something.
#pragma once

#include "base/error.h"
#include "kafka/message.h"

namespace millrace::kafka {

// Of an append: retriable where trying again can help.
ErrorCode AppendErrorCode(const Error& error);
// Of a read.
ErrorCode ReadErrorCode(const Error& error);
// Of creating and changing topics.
ErrorCode TopicErrorCode(const Error& error);

}  // namespace millrace::kafka
