// A row as bytes and back: exact, compact, the same bytes for the same row on every machine and
// version. This is a row's identity (weights, consolidation, bags), and what state tables hold. It
// has a version and a golden test.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "rows/batch.h"

namespace millrace::rows {

inline constexpr uint32_t kRowEncodingVersion = 1;

// Not thread-safe.
class RowEncoder {
 public:
  explicit RowEncoder(Types types);
  ~RowEncoder();
  RowEncoder(RowEncoder&&) noexcept;
  RowEncoder& operator=(RowEncoder&&) noexcept;
  // One encoding per row of the chunk; views stay valid until the next call.
  const std::vector<std::string_view>& Encode(duckdb::DataChunk& rows);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Not thread-safe.
class RowDecoder {
 public:
  explicit RowDecoder(Types types);
  ~RowDecoder();
  RowDecoder(RowDecoder&&) noexcept;
  RowDecoder& operator=(RowDecoder&&) noexcept;
  // Writes `rows` into `out` from row `at` on (column `first_column` + i for the i-th type): the
  // chunk has room and vectors are flat. Rows may come from disk: bytes that no RowEncoder of these
  // types makes are kCorruption, never an access out of bounds; what stands in `out` from `at` on
  // is then unspecified. Sets no cardinality.
  [[nodiscard]] Status Decode(std::span<const std::string_view> rows, duckdb::DataChunk& out,
                              size_t at, size_t first_column = 0);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::rows
