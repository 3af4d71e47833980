// LogStorage: a coordinator's records in partition 0 of an internal topic of the log, one record
// batch of one record each (no key).
//
// Appends are never refused for want of space: a group must be able to rebalance and to commit when
// the disk is above its high mark, so that consumers go on and retention can free something.
//
// Trimmed records go segment by segment, so the topic keeps up to two of the log's segments beyond
// what is needed. Thread-safe. The Log must be closed before this is destroyed.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "kafka_groups/storage.h"
#include "log/log.h"

namespace millrace::kafka_groups {

class LogStorage final : public Storage {
 public:
  // Makes the topic when it is not there.
  static Result<std::unique_ptr<LogStorage>> Open(log::Log& log, const std::string& topic);

  // kTooLarge: the record is larger than one request to the log may be.
  Status Append(std::string record, AppendDone done) override;
  // What is damaged on disk is left out, listed by Log::damage and in the log.
  Status ReadAll(const Visitor& visit) override;
  bool lost_records() const override { return lost_records_; }
  Status Trim(StoragePosition before) override;

 private:
  LogStorage(log::Log& log, std::string topic, log::PartitionId partition)
      : log_(log), topic_(std::move(topic)), partition_(partition) {}

  log::Log& log_;
  const std::string topic_;
  const log::PartitionId partition_;
  std::atomic<bool> lost_records_{false};
};

}  // namespace millrace::kafka_groups
