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

ProducerBatch ProducerBatch::Of(std::string_view batch) {
  const RecordBatchView view = RecordBatchView::Parse(batch, CrcCheck::kAlreadyVerified).value();
  return {view.producer(), view.base_sequence(), view.record_count(), view.is_transactional(),
          view.marker()};
}

// ---- One producer ----

Result<std::optional<Offset>> ProducerState::Check(const ProducerBatch& batch, Offset base) const {
  if (batch.producer.epoch < epoch_) {
    return WithProblem(
        Error(Code::kConflict, "producer {} was fenced: its epoch is {}, sent was {}",
              batch.producer.id, epoch_, batch.producer.epoch),
        AppendProblem::kInvalidProducerEpoch);
  }
  if (batch.marker) return std::optional<Offset>();
  if (epoch_ < 0) {
    if (base == Offset{0} && batch.base_sequence != 0) {
      return OutOfOrder(batch, "nothing was ever stored here, so 0 comes first");
    }
    return std::optional<Offset>();
  }
  const bool new_epoch = batch.producer.epoch > epoch_;
  for (size_t i = 0; i < batch_count_ && !new_epoch; ++i) {
    const Remembered& stored = batches_[i];
    if (stored.base_sequence == batch.base_sequence && stored.records == batch.records) {
      return std::optional<Offset>(stored.base_offset);
    }
  }
  if (open_ && !batch.transactional) {
    return WithProblem(Error(Code::kConflict,
                             "producer {} has a transaction open since offset {}, and sent a batch "
                             "outside of it",
                             batch.producer.id, open_->first.value),
                       AppendProblem::kInvalidTransactionState);
  }
  if (new_epoch && batch.base_sequence != 0) {
    return OutOfOrder(batch, "a new epoch begins at 0");
  }
  if (!new_epoch && next_sequence_ >= 0 && batch.base_sequence != next_sequence_) {
    return OutOfOrder(batch, fmt::format("{} comes next", next_sequence_));
  }
  return std::optional<Offset>();
}

void ProducerState::Add(const ProducerBatch& batch, Offset base, Micros clock) {
  last_clock_ = clock;
  if (batch.producer.epoch != epoch_) {
    batch_count_ = 0;
    next_sequence_ = epoch_ < 0 ? -1 : 0;
  }
  epoch_ = batch.producer.epoch;
  if (batch.marker) {
    open_.reset();
    return;
  }
  if (batch.transactional && !open_) open_ = {base, clock};
  next_sequence_ = SequenceBehind(batch.base_sequence, batch.records);
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
  PutFixed(out, open_ ? open_->first.value : int64_t{-1});
  if (open_) PutFixed(out, open_->since.value);
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
  TRY(const int64_t open, in.Fixed<int64_t>());
  if (open >= 0) {
    TRY(const int64_t since, in.Fixed<int64_t>());
    state.open_ = {{open}, {since}};
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
  changed_ = true;
  ProducerState& state = states_[batch.producer.id];
  const std::optional<ProducerState::Open> before = state.open();
  state.Add(batch, base, clock);
  if (!before && state.open()) transactions_.Begin(base);
  if (before && !state.open()) {
    transactions_.End({batch.producer.id, before->first, base}, *batch.marker);
  }
}

void Producers::Expire(Micros before) {
  const size_t erased = std::erase_if(states_, [before](const auto& entry) {
    return entry.second.last_clock() < before && !entry.second.open();
  });
  if (erased > 0) changed_ = true;
}

void Producers::AddOpenTransactions(PartitionId partition, std::vector<OpenTransaction>& to) const {
  const size_t begin = to.size();
  for (const auto& [id, state] : states_) {
    if (!state.open()) continue;
    to.push_back({partition, {id, state.epoch()}, state.open()->first, state.open()->since});
  }
  std::sort(to.begin() + static_cast<ptrdiff_t>(begin), to.end(),
            [](const OpenTransaction& a, const OpenTransaction& b) { return a.first < b.first; });
}

const std::string& Producers::Encoded(Offset filled) {
  if (!changed_) return encoded_;  // which may hold more of the aborted ones than is needed now
  encoded_.clear();
  const std::vector<EndedTransaction> aborted = transactions_.AbortedAt(filled, kOffsetMax);
  if (!states_.empty() || !aborted.empty()) {
    PutFixed(encoded_, applied_.value);
    PutVarint(encoded_, states_.size());
    for (const auto& [id, state] : states_) {
      PutFixed(encoded_, id);
      state.Encode(encoded_);
    }
    PutVarint(encoded_, aborted.size());
    for (const EndedTransaction& ended : aborted) ended.Encode(encoded_);
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
    TRY(const ProducerState state, ProducerState::Decode(in));
    producers.states_[id] = state;
    if (state.open()) producers.transactions_.Begin(state.open()->first);
  }
  TRY(const uint64_t aborted, in.Varint());
  for (uint64_t i = 0; i < aborted; ++i) {
    TRY(const EndedTransaction ended, EndedTransaction::Decode(in));
    producers.transactions_.AddAborted(ended);
  }
  producers.encoded_ = bytes;
  return producers;
}

}  // namespace millrace::log
