// SessionWindow gives each row the session that it lies in: rows of a partition no further apart
// than the gap are in one, from the first one's time to the last one's time plus the gap.
//
//   out = Δ { (row, start, end) : row ∈ I(in) with a time }
//
// A change touches the sessions within a gap of its time, no others: their rows are read before and
// after it, in order of time, and what differs is emitted. So a row that makes a session longer
// takes away and gives again all rows of that session, and a row in the middle of one only itself.
//
// With a closing, sessions whose end no later row can reach are dropped after the step's changes:
// a change touches only sessions that end at its time or later.
//
// State: table + 0, an ordered bag per partition of `time | row`; table + 1, an ordered bag per
// partition of `last time | first time` of each session, so that the first one that ends at or
// after a time is found at once.
// Cost: the rows of the touched sessions, twice.
// Not thread-safe: one instance per worker.
// Errors: those of the state, kCorruption for a row that does not decode.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stream/closing.h"
#include "stream/group_index.h"
#include "stream/operator.h"
#include "stream/state_rows.h"

namespace millrace::stream {

class SessionWindowOperator final : public Operator {
 public:
  SessionWindowOperator(const Node& node, const OperatorContext& context);
  Result<rows::Batch> Step(StepContext& context,
                           std::span<const rows::Batch* const> inputs) override;

 private:
  // Times in microseconds, both in the session.
  struct Span {
    int64_t first;
    int64_t last;
    bool operator==(const Span&) const = default;
  };
  struct Change {
    uint32_t partition;
    int64_t time;
    std::string_view bytes;  // time | row
    rows::Weight weight;
  };
  struct Member {
    std::string_view bytes;  // time | row
    rows::Weight weight;
    Span session;
  };

  // last time | first time
  static std::string SessionBytes(const Span& session);
  Status ChangeSessions(const rows::Batch& input);
  void Read(const rows::Batch::Part& part);
  Status ChangePartition(uint32_t partition, std::span<const Change> changes,
                         state::BagTable::Group* rows, state::BagTable::Group* sessions);
  // The sessions, and the times alone, that the changes touch, in order; overlapping ones are one.
  std::vector<Span> Touched(std::span<const Change> changes, state::BagTable::Group* sessions);
  // The rows of the spans in order of time, without their sessions; the bytes are copied.
  void Collect(const std::vector<Span>& spans, const state::BagTable::Group* rows,
               std::vector<Member>& out);
  // Splits the rows where the gap is, and puts down the sessions.
  void Assign(std::vector<Member>& members, uint32_t partition, state::BagTable::Group* sessions,
              rows::Weight weight);
  Status EmitDifference();
  Status NoteSessions();
  Status DropClosed(StepContext& context);
  Status Emit(const Member& member, rows::Weight weight);

  // t + gap and t − gap, which the infinities are not moved by.
  int64_t Later(int64_t time) const;
  int64_t Earlier(int64_t time) const;

  const SessionWindow op_;
  KeyReader partitions_;
  rows::RowEncoder encoder_;
  state::BagTable& rows_;
  state::BagTable& sessions_;
  StoredRows out_;
  std::optional<ClosingKeys> closing_;
  struct NewSession {
    uint32_t partition;
    Span span;
  };

  // Of one step.
  std::vector<NewSession> new_sessions_;
  GroupIndex touched_;
  std::vector<Change> changes_;
  ByteArena bytes_;
  std::vector<Member> before_;
  std::vector<Member> after_;
};

}  // namespace millrace::stream
