// The cursor of a page (endpoint_pages.h) as bytes. Pure functions, thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rows/batch.h"

namespace millrace::runtime {

// The row that the client had last, and how many rows like it the client has.
struct PageCursor {
  std::vector<duckdb::Value> order;  // what it was ordered by
  uint64_t row_hash = 0;             // of all its columns
  uint64_t repeated = 1;
};

// `subject`: what the cursor belongs to. It is part of the digest in the bytes, not of the bytes.
// kTooLarge: what the row is ordered by is longer than a URL can hold.
Result<std::string> EncodeCursor(const PageCursor& cursor, const rows::Types& types,
                                 uint64_t subject);
// kInvalidArgument: the bytes are none that EncodeCursor made of these types and this subject. The
// digest finds what was changed or mixed up. It keeps no secret, and needs to keep none: a cursor
// opens nothing that its client may not read anyway.
Result<PageCursor> DecodeCursor(std::string_view bytes, const rows::Types& types, uint64_t subject);

}  // namespace millrace::runtime
