// A look into a producer's record batches before they are appended.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "ingest/row_checker.h"

namespace millrace::ingest {

struct BatchRules {
  RowChecker* rows = nullptr;  // every record has to be a row for it; nullptr: need not
  // Every record of a packed batch has to have a key; the log looks at those of others.
  bool packed_keys = false;
};

// Walks the batches, unpacks those that are packed, and counts their records. kCorruption:
// malformed, or does not unpack. kInvalidArgument: a record is against a rule; the message says
// which and why. CRCs are left to the log.
Result<int64_t> CheckBatches(std::string_view batches, const BatchRules& rules);

}  // namespace millrace::ingest
