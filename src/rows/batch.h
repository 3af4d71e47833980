// A Batch is a change of a relation: a Z-set, rows with integer weights (Budiu et al., "DBSP", VLDB
// 2023). +1 adds a row, -1 takes one away, and equal rows may stand more than once. A batch is
// *consolidated* when equal rows are merged and zero weights are gone; operators that need it say
// so.
//
// Rows stand in DuckDB chunks of at most STANDARD_VECTOR_SIZE rows. Copies of a Batch share the
// chunks, which are immutable once they are in a batch. Thread rule: a value. Chunks may be read by
// several threads at once when their vectors are flat or constant.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "duckdb.hpp"

namespace millrace::rows {

using Types = duckdb::vector<duckdb::LogicalType>;
using Weight = int64_t;

// Room for `capacity` rows in a chunk that is filled once. What DataChunk::Initialize allocates
// beyond that is for Reset, and counts where chunks have few rows.
void MakeRoom(duckdb::DataChunk& chunk, const Types& types, size_t capacity);

struct Batch {
  struct Part {
    std::shared_ptr<duckdb::DataChunk> rows;
    std::vector<Weight> weights;  // one per row; empty: all are +1
    Weight weight(size_t row) const { return weights.empty() ? 1 : weights[row]; }
  };

  std::vector<Part> parts;  // no part is empty

  bool empty() const { return parts.empty(); }
  size_t row_count() const;
  // True when every weight is +1: operators may take their fast path.
  bool insert_only() const;
  void Append(Batch other);
};

// Merges equal rows (by their exact binary encoding, row_codec.h) and drops zero weights.
Batch Consolidate(const Batch& batch, const Types& types);
// The same, with the rows in the order of their encoding: the same bytes whatever order they came
// in.
Batch ConsolidateSorted(const Batch& batch, const Types& types);
// A batch of the rows of `batch` with every weight multiplied by -1.
Batch Negate(const Batch& batch);

// Collects rows into parts of full chunks. Not thread-safe.
class BatchBuilder {
 public:
  explicit BatchBuilder(Types types);
  // Copies rows `selection[0..count)` of `rows` (all rows where selection is null) with one weight
  // each.
  void Append(duckdb::DataChunk& rows, const duckdb::sel_t* selection, size_t count,
              const Weight* weights);
  void AppendRow(duckdb::DataChunk& rows, size_t row, Weight weight);
  // All rows of `rows`, without a copy: it is empty afterwards. One weight each.
  void Take(duckdb::DataChunk& rows, std::vector<Weight> weights);
  // The chunk being filled, for writing columns directly: it has room for `count` rows more; write
  // them to rows [size(), size() + count) of its flat vectors, then Commit. REQUIRES: count <=
  // STANDARD_VECTOR_SIZE.
  duckdb::DataChunk& Room(size_t count);
  // `weights` null: all +1.
  void Commit(size_t count, const Weight* weights);
  Batch Finish();

 private:
  void Close();

  Types types_;
  Batch batch_;
  std::unique_ptr<Batch::Part> open_;
};

}  // namespace millrace::rows
