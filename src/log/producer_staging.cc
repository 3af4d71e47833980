#include "log/producer_staging.h"

namespace millrace::log {

Result<std::optional<Offset>> ProducerStaging::Add(const Partition& partition,
                                                   const ProducerBatch& batch, Offset base) {
  const std::pair<const Partition*, int64_t> key{&partition, batch.producer.id};
  auto staged = staged_.find(key);
  if (staged == staged_.end()) {
    staged = staged_.emplace(key, partition.FindProducer(batch.producer.id)).first;
  }
  ProducerState& state = staged->second;
  TRY(const std::optional<Offset> stored, state.Check(batch, base));
  if (stored) return stored;
  former_.emplace_back(&state, state);
  state.Add(batch, base, {});
  return stored;
}

void ProducerStaging::Rewind(size_t to) {
  for (; former_.size() > to; former_.pop_back()) *former_.back().first = former_.back().second;
}

void ProducerStaging::BeginFrame(bool durable) {
  if (durable) staged_.clear();
  former_.clear();
}

}  // namespace millrace::log
