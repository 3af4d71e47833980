// Tokens: "everything that a write appended", as text. The log's frames are one order over all
// partitions, so one number says it, but for what an open transaction of a Kafka producer holds
// back: then the token has the partitions' ends too. To a user a token is opaque.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "log/log.h"
#include "log/types.h"

namespace millrace::ingest {

struct Token {
  struct End {
    log::PartitionId partition;
    log::Offset end;  // one after the last record that was appended
  };
  log::FrameSequence frame;
  std::vector<End> held = {};  // ordered by partition; visible only when steps have come so far
};

// Of an append; `records` of each PartitionAppend, in the request's order.
Token TokenOf(const log::Appended& appended, const std::vector<log::PartitionId>& partitions,
              const std::vector<int64_t>& records);

std::string EncodeToken(const Token& token);
// kInvalidArgument where it is none.
Result<Token> DecodeToken(std::string_view token);

}  // namespace millrace::ingest
