// Rows of a content as chunks, and their keys.
#pragma once

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "rows/batch.h"
#include "rows/key.h"
#include "rows/row_codec.h"

namespace millrace::state {

// Hashes of the keys of a chunk's rows, by these columns.
inline std::vector<uint64_t> KeyHashes(duckdb::DataChunk& rows, const std::vector<size_t>& columns,
                                       rows::KeyEncoder& keys) {
  std::vector<uint64_t> hashes;
  hashes.reserve(rows.size());
  for (const std::string_view key : keys.Encode(rows, columns))
    hashes.push_back(rows::KeyHash(key));
  return hashes;
}

// Decodes a vector's worth at a time: row_of(item) is an encoding; visit(chunk, first item).
template <typename Items, typename RowOf, typename Visit>
Status DecodeInChunks(const rows::Types& types, const Items& items, const RowOf& row_of,
                      const Visit& visit) {
  rows::RowDecoder decoder(types);
  std::vector<std::string_view> encoded;
  for (size_t begin = 0; begin < items.size(); begin += STANDARD_VECTOR_SIZE) {
    const size_t count = std::min<size_t>(STANDARD_VECTOR_SIZE, items.size() - begin);
    encoded.clear();
    for (size_t i = 0; i < count; ++i) encoded.push_back(row_of(items[begin + i]));
    duckdb::DataChunk chunk;
    rows::MakeRoom(chunk, types, count);
    TRY(decoder.Decode(encoded, chunk, 0));
    chunk.SetCardinality(count);
    visit(chunk, begin);
  }
  return Ok();
}

}  // namespace millrace::state
