// Which keys of an operator are closed: those whose time column lies below all that the watermarks
// let later steps bring (TimeBound). The operator notes each key that it begins to keep state of,
// and takes the closed ones at the end of each of its steps: first come the step's changes, then
// what is closed goes.
//
// Thread rule: belongs to one operator instance. Errors: those of the state.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "rows/key.h"
#include "stream/operator.h"
#include "stream/time_index.h"

namespace millrace::stream {

// The least value that later steps can bring into a column of `type`, as bytes of its key.
class BoundReader {
 public:
  // The bound outlives the reader.
  BoundReader(duckdb::ClientContext& client, const TimeBound& bound, duckdb::LogicalType type);
  // True where the bound is another than at the last call, or this is the first.
  bool Moved(const std::map<std::string, Micros>& watermarks);
  // As of the last Moved. Empty: nothing is closed yet.
  std::string_view bytes() const { return bytes_; }
  // Values equal to the bound are closed too.
  bool inclusive() const { return inclusive_; }
  bool IsClosed(std::string_view value) const;

 private:
  std::string Evaluate(const TimeBound::Term& term, Micros watermark);

  duckdb::ClientContext& client_;
  const TimeBound& bound_;
  const duckdb::LogicalType type_;
  rows::KeyEncoder encoder_;
  std::vector<std::optional<Micros>> seen_;  // by term
  std::string bytes_;
  bool inclusive_ = false;
};

class ClosingKeys {
 public:
  // `type`: of the key column that tells the time. REQUIRES: the node has a closing.
  ClosingKeys(const Node& node, duckdb::LogicalType type, const OperatorContext& context);

  struct Opened {
    duckdb::sel_t row;  // of `times`
    state::Key key;
    std::string_view payload;  // comes back with the key
  };
  // Keys that have state from now on. NULL never closes.
  Status Note(duckdb::Vector& times, size_t count, const std::vector<Opened>& opened);
  // The keys that no later change can touch, each once; they stay valid until the next call.
  Result<std::span<const TimeIndex::Entry>> Take(const StepContext& context);

 private:
  BoundReader bound_;
  TimeIndex index_;
  rows::KeyEncoder encoder_;
  duckdb::DataChunk times_;
  std::vector<TimeIndex::New> new_;
  bool has_new_ = false;
};

// Forget what is kept of these keys.
Status EraseCells(state::CellTable& table, std::span<const TimeIndex::Entry> keys);
Status EraseGroups(state::BagTable& table, std::span<const TimeIndex::Entry> keys);

}  // namespace millrace::stream
