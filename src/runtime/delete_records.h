// Deletes a stream's oldest records because somebody asks for it, where nothing needs them any
// more: views keep what they have of them.
#pragma once

#include "runtime/node.h"

namespace millrace::runtime {

// See Node.
Result<int64_t> DeleteRecords(Node::Impl& node, std::string_view stream, int32_t partition,
                              std::optional<int64_t> before, std::chrono::milliseconds timeout);

}  // namespace millrace::runtime
