// ProducerIds hands out producer ids, each once for ever: in blocks of 1,000 that are made durable
// before the first of them is used. What is left of a block is lost when the node stops.
//
// Not thread-safe; every call, and every `done`, is within a turn of the table's.
#pragma once

#include <functional>
#include <vector>

#include "kafka_groups/durable_table.h"

namespace millrace::kafka_groups {

inline constexpr int64_t kProducerIdBlock = 1'000;
// Where it is not known which ids were given out: more than can have been.
inline constexpr int64_t kProducerIdsSkipped = 1'000'000'000'000;

class ProducerIds {
 public:
  using Done = std::function<void(Result<int64_t>)>;

  explicit ProducerIds(DurableTable& table) : table_(table) {}
  // After the table was loaded. kCorruption.
  Status Load();
  // `done` may run inside.
  void Next(Done done);

 private:
  void Reserve();
  void Serve(const Status& reserved);

  DurableTable& table_;
  int64_t next_ = 0;  // in [next_, end_) are free
  int64_t end_ = 0;   // durable
  bool reserving_ = false;
  std::vector<Done> waiting_;
};

}  // namespace millrace::kafka_groups
