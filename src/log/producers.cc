#include "log/producers.h"

#include <algorithm>

#include "log/append_problem.h"

namespace millrace::log {
namespace {

Error OutOfOrder(const ProducerBatch& batch, std::string_view expected) {
  return WithProblem(
      Error(Code::kConflict, "out of order sequence {} of producer {} in epoch {}: {}",
            batch.base_sequence, batch.producer.id, batch.producer.epoch, expected),
      AppendProblem::kOutOfOrderSequence);
}

}  // namespace

ProducerBatch ProducerBatch::Of(const char* batch) {
  return {{GetBig<int64_t>(batch + 43), GetBig<int16_t>(batch + 51)},
          GetBig<int32_t>(batch + 53),
          GetBig<int32_t>(batch + 57)};
}

// ---- One producer ----

Result<std::optional<Offset>> ProducerState::Check(const ProducerBatch& batch, Offset base) const {
  if (epoch_ < 0) {
    if (base == Offset{0} && batch.base_sequence != 0) {
      return OutOfOrder(batch, "nothing was ever stored here, so 0 comes first");
    }
    return std::optional<Offset>();
  }
  if (batch.producer.epoch < epoch_) {
    return WithProblem(
        Error(Code::kConflict, "producer {} was fenced: its epoch is {}, sent was {}",
              batch.producer.id, epoch_, batch.producer.epoch),
        AppendProblem::kInvalidProducerEpoch);
  }
  if (batch.producer.epoch > epoch_) {
    if (batch.base_sequence != 0) return OutOfOrder(batch, "a new epoch begins at 0");
    return std::optional<Offset>();
  }
  for (size_t i = 0; i < batch_count_; ++i) {
    const Remembered& stored = batches_[i];
    if (stored.base_sequence == batch.base_sequence && stored.records == batch.records) {
      return std::optional<Offset>(stored.base_offset);
    }
  }
  if (next_sequence_ >= 0 && batch.base_sequence != next_sequence_) {
    return OutOfOrder(batch, fmt::format("{} comes next", next_sequence_));
  }
  return std::optional<Offset>();
}

void ProducerState::Add(const ProducerBatch& batch, Offset base, Micros clock) {
  if (batch.producer.epoch != epoch_) batch_count_ = 0;
  epoch_ = batch.producer.epoch;
  next_sequence_ = SequenceBehind(batch.base_sequence, batch.records);
  last_clock_ = clock;
  if (batch_count_ == kRememberedBatches) {
    std::rotate(batches_.begin(), batches_.begin() + 1, batches_.end());
    --batch_count_;
  }
  batches_[batch_count_++] = {batch.base_sequence, batch.records, base};
}

void ProducerState::Encode(std::string& out) const {
  PutFixed(out, epoch_);
  PutFixed(out, next_sequence_);
  PutFixed(out, last_clock_.value);
  PutFixed(out, batch_count_);
  for (size_t i = 0; i < batch_count_; ++i) {
    PutFixed(out, batches_[i].base_sequence);
    PutFixed(out, batches_[i].records);
    PutFixed(out, batches_[i].base_offset.value);
  }
}

Result<ProducerState> ProducerState::Decode(Reader& in) {
  ProducerState state;
  TRY(state.epoch_, in.Fixed<int16_t>());
  TRY(state.next_sequence_, in.Fixed<int32_t>());
  TRY(state.last_clock_.value, in.Fixed<int64_t>());
  TRY(state.batch_count_, in.Fixed<uint8_t>());
  if (state.batch_count_ > kRememberedBatches) {
    return Error(Code::kCorruption, "producer with {} batches", state.batch_count_);
  }
  for (size_t i = 0; i < state.batch_count_; ++i) {
    TRY(state.batches_[i].base_sequence, in.Fixed<int32_t>());
    TRY(state.batches_[i].records, in.Fixed<int32_t>());
    TRY(state.batches_[i].base_offset.value, in.Fixed<int64_t>());
  }
  return state;
}

// ---- All of a partition ----

ProducerState Producers::Find(int64_t producer_id) const {
  const auto state = states_.find(producer_id);
  return state == states_.end() ? ProducerState() : state->second;
}

void Producers::Apply(const ProducerBatch& batch, Offset base, Micros clock) {
  if (base < applied_) return;
  applied_ = base + batch.records;
  states_[batch.producer.id].Add(batch, base, clock);
  changed_ = true;
}

void Producers::Expire(Micros before) {
  const size_t erased = std::erase_if(
      states_, [before](const auto& entry) { return entry.second.last_clock() < before; });
  if (erased > 0) changed_ = true;
}

const std::string& Producers::Encoded() {
  if (!changed_) return encoded_;
  encoded_.clear();
  if (!states_.empty()) {
    PutFixed(encoded_, applied_.value);
    PutVarint(encoded_, states_.size());
    for (const auto& [id, state] : states_) {
      PutFixed(encoded_, id);
      state.Encode(encoded_);
    }
  }
  changed_ = false;
  return encoded_;
}

Result<Producers> Producers::Decode(std::string_view bytes) {
  Producers producers;
  if (bytes.empty()) return producers;
  Reader in(bytes);
  TRY(producers.applied_.value, in.Fixed<int64_t>());
  TRY(const uint64_t count, in.Varint());
  for (uint64_t i = 0; i < count; ++i) {
    TRY(const int64_t id, in.Fixed<int64_t>());
    TRY(producers.states_[id], ProducerState::Decode(in));
  }
  producers.encoded_ = bytes;
  return producers;
}

}  // namespace millrace::log
