// The step journal: one small record per step in the internal topic __steps, with everything that
// went into the step and is not a function of the log and the state before it. A step can be
// computed again from it, bit for bit. Step s is the record at offset s - 1. Format:
// docs/formats/journal.md. Thread rule: owned by the step loop.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "ingest/door_counters.h"
#include "log/log.h"
#include "runtime/build_state.h"
#include "state/store.h"

namespace millrace::runtime {

inline constexpr char kJournalTopic[] = "__steps";
inline constexpr char kCatalogTopic[] = "__catalog";
// Rises whenever the same journal would give another result than with the build before: steps of
// another number are not replayed.
inline constexpr uint32_t kSemantics = 3;

struct StepRecord {
  uint32_t semantics = kSemantics;
  state::Step step;
  Micros clock;
  log::FrameSequence frame;                                    // of the cut
  uint64_t catalog_version = 0;                                // in force in this step
  std::vector<std::pair<log::PartitionId, log::Offset>> ends;  // of the partitions that moved
  ingest::DoorCountMap door;            // what was counted since the last step
  std::vector<std::string> followed;    // internal names of relations whose feeds begin here
  std::optional<HistorySlice> history;  // what the step feeds to a build
};

inline log::Offset JournalOffset(state::Step step) { return {step.value - 1}; }

std::string EncodeStepRecord(const StepRecord& record);
Result<StepRecord> DecodeStepRecord(std::string_view bytes);

// Reads the journal from `from` to its durable end, in order. kCorruption where a record is damaged
// or missing.
Status ReadJournal(const log::Log& log, log::TopicId topic, log::Offset from,
                   const std::function<Status(log::Offset offset, StepRecord record)>& visit);

}  // namespace millrace::runtime
