// What of the runtime itself belongs to the state of a step: how far each partition was read, the
// clocks and the books. It is a function of the journal like everything else, and is flushed with
// the operators' state. A value.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "ingest/door_counters.h"
#include "log/types.h"
#include "runtime/build_state.h"
#include "state/store.h"
#include "stream/engine.h"

namespace millrace::runtime {

inline constexpr int64_t kNoEventTime = INT64_MIN;

// Where the engine stands in one partition of a stream or table.
struct Position {
  log::Offset next;                       // first record that no step has taken
  int64_t event_time_max = kNoEventTime;  // greatest event time so far, microseconds
  Micros moved_at;                        // step clock when it last gave rows; 0: never
};

// The books of a stream (docs/guarantees.md): records = rows + duplicates + late_diverted +
// invalid + aborted.
struct StreamBooks {
  int64_t records = 0;
  int64_t rows = 0;
  int64_t duplicates = 0;
  int64_t late_kept = 0;  // among rows
  int64_t late_diverted = 0;
  int64_t invalid = 0;
  int64_t aborted = 0;  // of Kafka transactions
};

// By (stream, view that reads it), internal names: rows = used + filtered + failed.
using ReadBooks = std::map<std::pair<std::string, std::string>, stream::ReadCounts>;

struct NodeState {
  state::Step step;
  Micros clock;
  log::FrameSequence frame;  // everything up to it is in
  uint64_t catalog_version = 0;
  std::map<log::PartitionId, Position> positions;
  std::map<std::string, Micros> watermarks;  // by stream; never go back
  std::map<std::string, StreamBooks> books;  // by stream
  ingest::DoorCountMap door;                 // by (stream, source), since ever
  ReadBooks reads;                           // since the view was made, its history included
  std::map<uint64_t, BuildState> builds;     // by number (catalog::Build)
  // By view, internal name: operators that it shares with views of another generation.
  std::map<std::string, stream::Sharing::Generations> shared;
};

std::string EncodeNodeState(const NodeState& state);
Result<NodeState> DecodeNodeState(std::string_view bytes);

}  // namespace millrace::runtime
