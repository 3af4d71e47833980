// A look into a producer's record batches before they are appended.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "ingest/row_checker.h"

namespace millrace::ingest {

// Walks the batches, unpacks those that are packed, and counts their records. With `rejecting`,
// every record has to be a row for it. kCorruption: malformed, or does not unpack.
// kInvalidArgument: a record is no row; the message says which and why. CRCs are left to the log.
Result<int64_t> CheckBatches(std::string_view batches, RowChecker* rejecting);

}  // namespace millrace::ingest
