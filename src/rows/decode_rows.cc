#include "rows/decode_rows.h"

#include <algorithm>

#include "base/check.h"
#include "rows/row_codec.h"

namespace millrace::rows {

Result<Batch> DecodeRows(const Types& types, std::span<const std::string_view> rows,
                         std::span<const Weight> weights) {
  CHECK(weights.empty() || weights.size() == rows.size());
  Batch out;
  if (rows.empty()) return out;
  RowDecoder decoder(types);
  for (size_t begin = 0; begin < rows.size(); begin += STANDARD_VECTOR_SIZE) {
    const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, rows.size() - begin);
    auto chunk = std::make_shared<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(), types, count);
    TRY(decoder.Decode(rows.subspan(begin, count), *chunk, 0));
    chunk->SetCardinality(count);
    Batch::Part part{std::move(chunk), {}};
    if (!weights.empty()) {
      const auto of_part = weights.subspan(begin, count);
      part.weights.assign(of_part.begin(), of_part.end());
    }
    out.parts.push_back(std::move(part));
  }
  return out;
}

}  // namespace millrace::rows
