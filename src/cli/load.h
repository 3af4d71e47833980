// `millrace load STREAM FILE…`: files into a stream, over HTTP, so that loading again or going on
// after an interruption adds nothing twice: each block of rows is sent under the key (file digest,
// block number), which the node remembers as long as the stream.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cli/find_node.h"

namespace millrace::cli {

struct LoadOptions {
  std::string stream;
  std::vector<std::string> files;  // "-": standard input
  std::string format;              // csv, json, ndjson; empty: by the file's name
  NodeFlags node;
  std::string id;  // of standard input
  bool again = false;
  bool quiet = false;
};
Status Load(const LoadOptions& options);
Status Replay(const std::string& stream, const NodeFlags& node);

}  // namespace millrace::cli
