// DistinctValues remembers which values each group of an Aggregate has, for the calls with
// DISTINCT: a weight per group and value, and per FILTER under which the value is counted, so that
// count(DISTINCT x), sum(DISTINCT x) and count(DISTINCT x) FILTER (…) share one look-up.
//
// Within a step equal values of a group are summed first; then each value's cell is read once. A
// value comes where its weight under a filter rises above 0, and goes where it falls to 0.
//
// State: a cell per group and value, `weight under the first filter | … the second | …`, by
//   key of the group | number of the argument | key of the value (its exact encoding, where the
//   type has no order)
// in the virtual shard of the group, where all its state lies.
// Cost: one hash look-up in the step per row and argument, one cell per value of a group.
// Not thread-safe: one instance per operator.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "rows/key.h"
#include "rows/row_codec.h"
#include "stream/accumulator.h"
#include "stream/group_index.h"
#include "stream/state_rows.h"

namespace millrace::stream {

class DistinctValues {
 public:
  // For the slots of `layout` that are distinct; there is at least one.
  DistinctValues(const CellLayout& layout, const rows::Types& input, state::WorkerState& state,
                 state::TableId table);

  // A value that came (+1) to a group under the slot's filter, or went (-1): it is the slot's
  // argument in that row of the part.
  struct Change {
    size_t slot;
    const rows::Batch::Part& part;
    size_t row;
    uint32_t group;
    int64_t change;
  };
  // A value that has a cell from now on; its key is that of the cell.
  struct New {
    state::Key key;
    uint32_t group;
  };
  // Arguments, in the order of the first slots over them.
  size_t arguments() const { return arguments_.size(); }
  // Rows of one argument. `group_of_row`: over all parts; `groups`: the keys of the groups. `note`
  // gets the new values, unless it is empty.
  Status Apply(size_t argument, const rows::Batch& input, const std::vector<uint32_t>& group_of_row,
               std::span<const state::Key> groups, const std::function<void(const Change&)>& visit,
               const std::function<Status(std::span<const New>)>& note);
  state::CellTable& cells() { return *cells_; }

 private:
  // One argument, with the slots over it.
  struct Argument {
    Argument(ColumnIndex argument, const rows::Types& input);

    ColumnIndex column;
    std::vector<size_t> slots;
    std::vector<std::optional<ColumnIndex>> filters;  // of the slots
    ColumnView view;
    bool is_key_type;
    rows::KeyEncoder key;
    rows::RowEncoder encoding;
  };
  // A value of a group in the step under way.
  struct Value {
    uint32_t part;
    uint32_t row;
    uint32_t group;
  };

  void Gather(Argument& argument, const rows::Batch& input,
              const std::vector<uint32_t>& group_of_row);
  Status Merge(size_t number, const rows::Batch& input, std::span<const state::Key> groups,
               const std::function<void(const Change&)>& visit);
  Status NoteNew(const std::function<Status(std::span<const New>)>& note) const;

  std::vector<std::unique_ptr<Argument>> arguments_;
  size_t width_ = 0;  // weights in a cell
  state::CellTable* cells_;

  // Of one argument in the step under way.
  GroupIndex values_;  // by number of the group and key of the value
  std::vector<Value> firsts_;
  std::vector<int64_t> deltas_;  // width_ for each value
  // Scratch.
  std::string in_step_;
  ByteArena bytes_;
  std::vector<state::Key> keys_;
  std::vector<std::byte*> found_;
  std::vector<uint8_t> created_;
};

}  // namespace millrace::stream
