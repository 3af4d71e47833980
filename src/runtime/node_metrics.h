// The node's metrics in the Prometheus text format. Names are listed in docs/operations.md.
#pragma once

#include <string>

#include "runtime/node_impl.h"

namespace millrace::runtime {

// Thread-safe.
std::string NodeMetricsText(const Node::Impl& node);

}  // namespace millrace::runtime
