// ProducerStaging decides on the batches of idempotent producers while the leader gathers a frame:
// the order of queuing is the order of deciding, and a batch counts for those behind it, in the
// same frame and in later ones, until the partitions know of it: they follow when the frame is
// durable, and when one fails there is nothing to take back from them. Used by the leader alone.
#pragma once

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "log/partition.h"
#include "log/producers.h"

namespace millrace::log {

class ProducerStaging {
 public:
  // Takes the batch as the next one of the partition, at `base`. The offset at which it is stored
  // already where it is sent again; nullopt where it is new. kConflict with an AppendProblem:
  // refused, nothing changed.
  Result<std::optional<Offset>> Add(const Partition& partition, const ProducerBatch& batch,
                                    Offset base);
  // Takes back what was added since mark() was `to`.
  size_t mark() const { return former_.size(); }
  void Rewind(size_t to);
  // A new frame begins. `durable`: the partitions know of all frames before; otherwise what was
  // added for those still counts.
  void BeginFrame(bool durable);

 private:
  std::map<std::pair<const Partition*, int64_t>, ProducerState> staged_;
  std::vector<std::pair<ProducerState*, ProducerState>> former_;  // what Add replaced, in order
};

}  // namespace millrace::log
