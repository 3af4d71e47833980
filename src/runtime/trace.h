// One record's way (`millrace trace`, GET /v1/trace/…): where it lies in the log, what the stream
// made of it, in which step, and which views have passed that step. All of it is read back from
// what is kept anyway (log, exclusions, journal), so what nothing keeps is said to be unknown.
// Thread-safe. May take long.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "log/record_batch.h"
#include "log/types.h"
#include "runtime/node.h"
#include "sql/database.h"

namespace millrace::runtime {

struct RecordTrace {
  enum class Outcome {
    kInFlight,      // durable, no visible step has taken it yet
    kRow,           // a row of the stream
    kDuplicate,     // its key was there already (DEDUPLICATE ON)
    kLateKept,      // late, a row all the same
    kLateDiverted,  // late, in "<stream>.late"
    kInvalid,       // in "<stream>.quarantine"
    kDamaged,       // lost to damage on disk
  };

  std::string stream;
  int32_t partition = 0;
  log::Offset offset;

  // In the log. Only durable records are shown.
  std::string topic;
  log::Offset start;  // what the partition has: [start, end)
  log::Offset end;
  Micros appended_at;
  log::Millis timestamp;
  std::optional<std::string> key;
  size_t key_bytes = 0;
  size_t value_bytes = 0;
  std::string value;                  // as it was sent
  std::optional<std::string> source;  // noted for quarantined records

  Outcome outcome = Outcome::kInFlight;
  std::string error;         // kInvalid, kDamaged: why
  std::string error_column;  // kInvalid: where the error names one
  sql::QueryResult row;      // its columns, where it decodes; else no row
  struct Place {
    int32_t partition;
    log::Offset offset;
  };
  std::optional<Place> duplicate_of;  // kDuplicate
  std::string duplicate_of_unknown;   // why not
  std::optional<int64_t> step;        // that took it
  std::string step_unknown;           // why not
  int64_t visible_step = 0;
  struct View {
    std::string name;
    bool passed = false;  // it shows the content of that step or of a later one
  };
  std::vector<View> views;  // materialized views over the stream, also through others
};
std::string_view OutcomeName(RecordTrace::Outcome outcome);

// Errors: kNotFound (no such stream, with the nearest name; an offset that is not there yet or was
// freed by retention), kInvalidArgument (no such partition). `options`: timeout and cancel of the
// search for the first record of a duplicate.
Result<RecordTrace> TraceRecord(Node::Impl& node, std::string_view stream, int32_t partition,
                                log::Offset offset, const StatementOptions& options);

}  // namespace millrace::runtime
