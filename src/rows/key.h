// Order-preserving keys: bytes whose memcmp order is SQL order, for any type (DuckDB's sort key,
// with the version of our own and a golden test because what is persisted must not change with
// DuckDB). They serve equality and order of keys only (INTERVAL and TIMETZ are normalised first,
// also inside nested types): a row's identity is its exact encoding, row_codec.h, because -0.0 and
// 0.0 are equal and still differ.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "rows/batch.h"

namespace millrace::rows {

// Written into everything persistent that holds keys.
inline constexpr uint32_t kKeyEncodingVersion = 1;
// Virtual shards: the owner of a key is the worker that owns StableHash(key) % kVirtualShards.
inline constexpr int kVirtualShards = 256;

struct KeyOrder {
  bool descending = false;
  bool nulls_first = false;
};

// Keys of all rows of a chunk. Holds the bytes; views stay valid until the next call. Not
// thread-safe. Keys of several columns are prefix-free: no key is a prefix of another of the same
// columns.
class KeyEncoder {
 public:
  // `orders` empty: ascending, NULLs last.
  explicit KeyEncoder(std::vector<KeyOrder> orders = {});
  ~KeyEncoder();
  KeyEncoder(KeyEncoder&&) noexcept;
  KeyEncoder& operator=(KeyEncoder&&) noexcept;
  // `columns` is a chunk of just the key columns. No columns: every key is the empty string.
  const std::vector<std::string_view>& Encode(duckdb::DataChunk& columns);
  // The same of these columns of a chunk.
  const std::vector<std::string_view>& Encode(duckdb::DataChunk& rows,
                                              const std::vector<size_t>& columns);
  // True per row where any key column is NULL (of the last Encode).
  const std::vector<uint8_t>& has_null() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Ascending, NULLs last; one for each thread, for single keys: its memory is kept between them.
// What it encodes stays valid until the thread's next call.
KeyEncoder& ThreadKeyEncoder();

// False for the few types that have no order. REQUIRES of Encode: all columns are key types.
bool IsKeyType(const duckdb::LogicalType& type);

uint64_t KeyHash(std::string_view key);
inline int VirtualShard(uint64_t hash) { return static_cast<int>(hash % kVirtualShards); }
inline int WorkerOfShard(int shard, int workers) { return shard % workers; }

}  // namespace millrace::rows
