// Many rows as bytes (row_codec.h) → a batch.
// Pure functions.
#pragma once

#include <span>
#include <string_view>

#include "base/result.h"
#include "rows/batch.h"

namespace millrace::rows {

// A part for each STANDARD_VECTOR_SIZE rows, in their order. `weights`: one per row; empty: all
// are +1. kCorruption: bytes that no row of these types encodes to.
Result<Batch> DecodeRows(const Types& types, std::span<const std::string_view> rows,
                         std::span<const Weight> weights = {});

}  // namespace millrace::rows
