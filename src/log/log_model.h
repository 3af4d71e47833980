// What the model of log_model_test.cc knows of a log.
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "log/log.h"

namespace millrace::log::model {

inline constexpr int kNone = -1;

struct ModelPartition {
  std::vector<std::string> values;  // by offset; durable as far as `end`
  std::vector<int> transactions;    // by offset, the transaction of the record; kNone
  std::set<size_t> markers;         // offsets of control records
  int64_t start_max = 0;            // retention may have freed up to here
  int64_t deleted = 0;              // by hand
  int64_t seen_end = 0;
};

// A request whose outcome nobody has learnt yet.
struct Pending {
  std::vector<std::pair<PartitionId, std::vector<std::string>>> writes;
  AppendRequest again;  // of an idempotent producer: to be sent until it is acknowledged
  int64_t producer = -1;
  int transaction = kNone;
  std::optional<TransactionEnd> end;  // the same, of a coordinator
  bool acknowledged = false;
  bool refused = false;
  Appended appended;
};
// A transactional producer's view: what it does belongs to one transaction until that is ended.
struct Owner {
  int transaction = kNone;
  std::set<PartitionId> partitions;
};
// An idempotent producer's view of a partition.
struct Sender {
  int32_t next_sequence = 0;
  std::deque<std::pair<AppendRequest, Offset>> acknowledged;  // the newest five
};

}  // namespace millrace::log::model
