#include "ingest/partitioner.h"

#include <cstring>

#include "base/coding.h"
#include "rows/encode.h"

namespace millrace::ingest {

uint32_t Murmur2(std::string_view bytes) {
  constexpr uint32_t kMultiplier = 0x5bd1e995;
  constexpr int kShift = 24;
  constexpr uint32_t kSeed = 0x9747b28c;
  uint32_t hash = kSeed ^ static_cast<uint32_t>(bytes.size());
  const char* at = bytes.data();
  size_t left = bytes.size();
  for (; left >= 4; left -= 4, at += 4) {
    uint32_t k = GetFixed<uint32_t>(at) * kMultiplier;
    k ^= k >> kShift;
    hash = (hash * kMultiplier) ^ (k * kMultiplier);
  }
  if (left >= 3) hash ^= static_cast<uint32_t>(static_cast<uint8_t>(at[2])) << 16;
  if (left >= 2) hash ^= static_cast<uint32_t>(static_cast<uint8_t>(at[1])) << 8;
  if (left >= 1) hash = (hash ^ static_cast<uint8_t>(at[0])) * kMultiplier;
  hash ^= hash >> 13;
  hash *= kMultiplier;
  return hash ^ (hash >> 15);
}

std::vector<std::optional<std::string>> RecordKeys(duckdb::DataChunk& rows,
                                                   const std::vector<size_t>& columns) {
  rows::Types types;
  duckdb::DataChunk key;
  for (size_t column : columns) types.push_back(rows.data[column].GetType());
  key.InitializeEmpty(types);
  for (size_t i = 0; i < columns.size(); ++i) key.data[i].Reference(rows.data[columns[i]]);
  key.SetCardinality(rows.size());
  rows::RowWriter writer(std::vector<std::string>(columns.size()));
  writer.Bind(key);

  std::vector<std::optional<std::string>> keys(rows.size());
  std::string text;
  for (size_t row = 0; row < rows.size(); ++row) {
    bool any = false;
    std::string out = columns.size() == 1 ? "" : "[";
    for (size_t i = 0; i < columns.size(); ++i) {
      text.clear();
      const bool valid = writer.Text(row, i, text);
      any = any || valid;
      if (columns.size() == 1) {
        out = text;
        continue;
      }
      if (i > 0) out += ',';
      out += valid ? rows::ValueToJson(duckdb::Value(text)) : "null";
    }
    if (columns.size() > 1) out += ']';
    if (any) keys[row] = std::move(out);
  }
  return keys;
}

}  // namespace millrace::ingest
