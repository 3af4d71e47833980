// Join of two relations by equal keys and an optional condition over both rows.
//
//   inner:  Δout = ΔA ⋈ I(B) + z⁻¹I(A) ⋈ ΔB,   weights multiply
//   left:   inner, and each row of A without match stands once per weight with NULLs on the right
//
// ΔB is joined first, against A as it was before the step, and applied; then ΔA against B as it is
// after the step.
//
// Left join, keys only: the padded rows follow the presence of their key in B ("ghost row" of
// Feldera's outer join): all of A's rows of a key flip when the key's first row comes to B or its
// last one leaves. Left join with a condition: what matches differs from row to row, so each left
// row of the key keeps the weight of its matches, and flips when that leaves 0 or gets there.
//
// A row whose key holds a NULL that equals nothing is in no state: it matches nothing now or later.
// A pair whose condition fails (`'abc'::INT`) counts as no match and is reported.
//
// With a closing, the state of keys that no later row can have is dropped after the step's changes.
//
// State: table + 0, A by key; table + 1, B by key; table + 2 (left join with a condition), per key:
// left row → weight of its matches, where that is not 0.
// Cost: one look-up in both tables for each changed row, and the pairs.
// Not thread-safe: one instance per worker.
// Errors: those of the state, kCorruption for a row that does not decode.
//
// Source: Budiu et al., "DBSP", VLDB 2023, section 5 (bilinear operators).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "stream/closing.h"
#include "stream/expressions.h"
#include "stream/operator.h"
#include "stream/state_rows.h"

namespace millrace::stream {

// Output rows in the making: on one side rows of a chunk, on the other rows as bytes, or NULLs on
// one of them. Not thread-safe.
class JoinRows {
 public:
  enum class From { kChunk, kStored, kNull };
  JoinRows(From left, const rows::Types& left_types, From right, const rows::Types& right_types);

  // The rows of the next Add calls stand in `chunk`, which outlives the next Clear.
  void SetChunk(duckdb::DataChunk& chunk);
  // `row`: in the chunk. `stored` stays valid until the next Clear. Either is ignored where no side
  // is from there.
  void Add(duckdb::sel_t row, std::string_view stored, rows::Weight weight);
  size_t size() const { return weights_.size(); }
  bool full() const { return size() == STANDARD_VECTOR_SIZE; }
  duckdb::sel_t row(size_t i) const { return rows_[i]; }
  std::string_view stored(size_t i) const { return stored_[i]; }
  const std::vector<rows::Weight>& weights() const { return weights_; }
  // Writes all rows from row `at` of `out` on.
  Status Write(duckdb::DataChunk& out, size_t at);
  // About what they take when they are written.
  size_t bytes() const;
  void Clear();

 private:
  struct Half {
    From from;
    size_t first_column;
    size_t columns;
  };
  struct Run {
    duckdb::DataChunk* chunk;
    size_t begin;  // first row here
  };
  Half halves_[2];
  size_t row_bytes_ = 0;  // without texts and nested values
  std::optional<rows::RowDecoder> decoder_;
  std::vector<Run> runs_;
  std::vector<duckdb::sel_t> rows_;
  std::vector<std::string_view> stored_;
  std::vector<rows::Weight> weights_;
};

class JoinOperator final : public Operator {
 public:
  JoinOperator(const Node& node, const OperatorContext& context);
  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override;

 private:
  using OnMatch =
      std::function<Status(duckdb::sel_t row, std::string_view stored, rows::Weight weight)>;
  // One input and its integral.
  struct Side {
    Side(const std::vector<ColumnIndex>& keys, const std::vector<bool>& nulls_equal,
         const rows::Types& types, state::BagTable& table);

    KeyReader keys;
    std::vector<ColumnIndex> columns;   // the key's
    std::vector<ColumnIndex> not_null;  // key columns in which a NULL matches nothing
    rows::RowEncoder encoder;
    state::BagTable& table;
  };
  // A key that came to B (+1) or left it (-1).
  struct Flip {
    std::string_view key;  // in flip_keys_
    uint64_t hash;
    int change;
  };

  Status StepRight(StepContext& context, const rows::Batch::Part& part);
  Status StepLeft(StepContext& context, const rows::Batch::Part& part);
  Status ReadKeys(Side& side, const rows::Batch::Part& part, bool pad_nulls);
  Status EmitPairs(StepContext& context, const rows::Batch::Part& part,
                   const state::BagTable& stored, JoinRows& pairs, const OnMatch* on_match);
  Status FlushPairs(StepContext& context, JoinRows& pairs, const OnMatch* on_match);
  Status Pad(JoinRows& padded, duckdb::sel_t row, std::string_view stored, rows::Weight weight);
  Status Flush(JoinRows& rows);
  Status ApplyRight(const rows::Batch::Part& part);
  Status ApplyLeft(const rows::Batch::Part& part);
  Status EmitFlips();
  Status MatchRight(StepContext& context, const rows::Batch::Part& part);
  Status MatchLeft(StepContext& context, const rows::Batch::Part& part);
  Status FindMatchGroups(const std::function<bool(size_t)>& wanted);
  Status NoteKeys(Side& side, duckdb::DataChunk& rows);
  Status DropClosed(StepContext& context);

  const bool is_left_;
  const rows::Types types_;
  Side left_;
  Side right_;
  state::BagTable* matches_;  // null unless a left join with a condition
  std::optional<ExpressionRunner> condition_;
  const size_t closing_key_;  // number of the key column that closes keys
  std::optional<ClosingKeys> closing_;

  JoinRows left_is_new_;       // a row of ΔA, a stored row of B
  JoinRows right_is_new_;      // a stored row of A, a row of ΔB
  JoinRows new_is_padded_;     // a row of ΔA, NULLs
  JoinRows stored_is_padded_;  // a stored row of A, NULLs
  rows::BatchBuilder out_;
  rows::Batch::Part candidates_;  // pairs under the condition

  // Of one chunk: the rows that take part (no NULL key, no zero weight), their keys and groups.
  std::vector<duckdb::sel_t> rows_;
  std::vector<state::Key> keys_;
  std::vector<state::BagTable::Group*> groups_;
  std::vector<state::BagTable::Entry> entries_;
  // By row of the chunk, left join with a condition: weight of the matches, and where the key's are
  // kept.
  std::vector<rows::Weight> match_weight_;
  std::vector<state::BagTable::Group*> match_groups_;
  std::vector<ClosingKeys::Opened> opened_;
  // Of one step.
  std::vector<Flip> flips_;
  ByteArena flip_keys_;
};

}  // namespace millrace::stream
