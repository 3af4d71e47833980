// The events as JSON records in a log of their own, read as a running node reads them: partitions
// read ahead, records decoded by the stream's source on the engine's workers.
//
// Each stream is a topic with one partition per worker. Not thread-safe, but for the sources, which
// the engine's workers read.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "nexmark/generator.h"
#include "runtime/partition_reader.h"
#include "runtime/stream_source.h"

namespace millrace::nexmark {

class LoggedEvents {
 public:
  // Writes the events [0, events) into a log in `directory`, so that steps of `step_events` can be
  // taken. `database` outlives it.
  static Result<std::unique_ptr<LoggedEvents>> Write(const std::string& directory,
                                                     const Generator& generator, int64_t events,
                                                     int64_t step_events, int workers,
                                                     sql::Database& database);

  // What the circuit reads the streams with, by relation name (Dataflow::Start).
  std::map<std::string, stream::Plan> Plans() const;
  std::map<std::string, stream::SourceReader*> Sources();
  // Sets what the next step reads. REQUIRES: no step is running; there is one left.
  Status Prepare();
  uint64_t bytes() const { return bytes_; }

 private:
  struct Stream {
    std::shared_ptr<runtime::Relation> relation;
    std::unique_ptr<runtime::StreamSource> source;
    std::vector<std::unique_ptr<runtime::PartitionReader>> readers;
    std::vector<std::vector<log::Offset>> ends;  // by partition and step
  };

  LoggedEvents() = default;
  Status AddStream(Kind kind, int workers, sql::Database& database);
  // The rows as record batches of one partition, appended.
  Status Append(Stream& stream, int32_t partition, const rows::Batch& rows);

  std::unique_ptr<log::Log> log_;
  std::map<Kind, Stream> streams_;
  size_t step_ = 0;
  Micros clock_;  // the time of the last event
  uint64_t bytes_ = 0;
};

}  // namespace millrace::nexmark
