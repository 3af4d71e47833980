// `millrace trace STREAM/PARTITION/OFFSET`: one record's way through the node.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/find_node.h"

namespace millrace::cli {

struct TraceOptions {
  std::string record;           // "order_lines/2/17"
  std::string format = "text";  // text, json
  NodeFlags node;
};
Status Trace(const TraceOptions& options);

struct RecordName {
  std::string stream;  // may hold slashes itself
  std::string partition;
  std::string offset;
};
Result<RecordName> ParseRecordName(std::string_view text);

// The node's answer (GET /v1/trace/…) as lines for a person.
Result<std::string> TraceText(const std::string& body);

}  // namespace millrace::cli
