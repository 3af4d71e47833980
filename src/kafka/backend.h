// What the Kafka listener serves: the topics of a node and their records. The handlers know nothing
// else of it, so tests serve a log alone (testing.h).
//
// Thread-safe. What says "may take long" belongs on a pool thread.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "kafka/message.h"
#include "log/log.h"

namespace millrace::kafka {

struct Topic {
  std::string name;
  log::TopicId id;
  int32_t partitions = 1;
  std::optional<int64_t> retention_ms = {};     // nullopt: unlimited
  std::optional<int64_t> retention_bytes = {};  // per partition
  // The changelog of a table (an append returns when its rows are visible), or the changes of a
  // view, which nobody appends to.
  enum class Kind { kStream, kTable, kChanges };
  Kind kind = Kind::kStream;
  bool compact = false;
  // How long a record may wait for its fdatasync once its producer was answered; nullopt: that is
  // answered after it.
  std::optional<int64_t> flush_ms = {};
  bool append_time = false;  // records get the time of their append
  // nullopt: the broker's.
  std::optional<int64_t> delete_retention_ms = {};
  std::optional<int64_t> max_message_bytes = {};
  std::optional<int64_t> segment_bytes = {};
  std::optional<int64_t> segment_ms = {};
};

// A topic's setting: its name is Kafka's ("retention.ms").
using TopicSettings = std::map<std::string, std::string, std::less<>>;

// Those that can be changed.
inline constexpr std::array<std::string_view, 10> kChangeableSettings = {
    "cleanup.policy",  "delete.retention.ms", "flush.messages",
    "flush.ms",        "max.message.bytes",   "message.timestamp.type",
    "retention.bytes", "retention.ms",        "segment.bytes",
    "segment.ms"};

// Where the log lies.
struct LogDirectory {
  std::string path;
  DiskSpace space;
};

class Backend {
 public:
  virtual ~Backend() = default;

  // The same for as long as the data directory lives.
  virtual std::string cluster_id() const = 0;

  virtual std::vector<Topic> Topics() const = 0;  // ordered by name
  virtual std::optional<Topic> FindTopic(std::string_view name) const = 0;
  virtual std::optional<Topic> FindTopic(log::TopicId id) const = 0;

  virtual Result<LogDirectory> Directory() const = 0;

  // For reading, and for the coordinators' own topics.
  virtual log::Log& log() const = 0;

  // Appends whole batches to one partition, as the producer sent them. When it returns an error,
  // nothing was queued and `done` never runs. As Log::Append, which says the errors. To a table it
  // may take long.
  virtual Status Append(const Topic& topic, int32_t partition, std::string batches,
                        log::AppendDone done) = 0;

  // May take long. kAlreadyExists, kInvalidArgument (name, settings), kNotSupported.
  virtual Status CreateTopic(const std::string& name, int32_t partitions,
                             const TopicSettings& settings, bool validate_only) = 0;
  // Gives it `partitions`, which are more than it has. May take long. kNotFound, kInvalidArgument.
  virtual Status GrowTopic(const std::string& name, int32_t partitions, bool validate_only) = 0;
  // `settings` and those that go back to their default. May take long. kNotFound, kInvalidArgument
  // (unknown, or cannot be changed).
  virtual Status AlterTopic(const std::string& name, const TopicSettings& settings,
                            const std::vector<std::string>& reset, bool validate_only) = 0;
  // The records below `before` (nullopt: all) of one partition go; gives the first offset that is
  // left. May take long. kNotFound, kInvalidArgument (beyond the end), kTimeout, kConflict.
  virtual Result<int64_t> DeleteRecords(const Topic& topic, int32_t partition,
                                        std::optional<int64_t> before,
                                        std::chrono::milliseconds timeout) = 0;
  // May take long. kNotFound, kConflict (something reads it).
  virtual Status DeleteTopic(const std::string& name) = 0;
};

// A topic's id as the protocol has it; never all zeros, which is "none".
Uuid UuidOf(log::TopicId id);
std::optional<log::TopicId> TopicIdOf(const Uuid& uuid);

}  // namespace millrace::kafka
