#include "stream/exchange.h"

#include <limits>
#include <utility>

#include "base/check.h"
#include "stream/operator.h"

namespace millrace::stream {
namespace {

// About 20 µs: longer than the usual difference between workers, shorter than a wake-up is worth.
constexpr int kSpins = 400;

void Pause() { __builtin_ia32_pause(); }

rows::Types KeyTypes(const Requirement& requirement, const rows::Types& types) {
  rows::Types keys;
  for (const ColumnIndex column : requirement.columns) keys.push_back(types[column]);
  return keys;
}

}  // namespace

void SpinThenWait(std::atomic<uint32_t>& value, uint32_t wanted) {
  for (int i = 0; i < kSpins; ++i) {
    if (value.load(std::memory_order_acquire) == wanted) return;
    Pause();
  }
  for (uint32_t seen = value.load(std::memory_order_acquire); seen != wanted;
       seen = value.load(std::memory_order_acquire)) {
    value.wait(seen, std::memory_order_acquire);
  }
}

Partitioner::Partitioner(const Requirement& requirement, const rows::Types& types, int workers)
    : requirement_(requirement), types_(types), workers_(workers), rows_(types) {
  CHECK(workers <= std::numeric_limits<uint8_t>::max());
  const rows::Types keys = KeyTypes(requirement, types);
  if (!keys.empty()) key_columns_.InitializeEmpty(keys);
}

void Partitioner::FindOwners(duckdb::DataChunk& chunk) {
  const bool by_row = requirement_.kind == Requirement::Kind::kRow;
  if (!by_row) {
    for (size_t i = 0; i < requirement_.columns.size(); ++i) {
      key_columns_.data[i].Reference(chunk.data[requirement_.columns[i]]);
    }
    key_columns_.SetCardinality(chunk.size());
  }
  const auto& keys = by_row ? rows_.Encode(chunk) : keys_.Encode(key_columns_);
  owners_.clear();
  for (const std::string_view key : keys) {
    const int shard = rows::VirtualShard(rows::KeyHash(key));
    owners_.push_back(static_cast<uint8_t>(rows::WorkerOfShard(shard, workers_)));
  }
}

std::vector<Mail> Partitioner::Split(const rows::Batch& batch) {
  std::vector<Mail> out(workers_, Mail(1));
  if (requirement_.kind == Requirement::Kind::kOneOwner) {
    out[OwnerOfEmptyKey(workers_)][0] = batch;
    return out;
  }
  std::vector<rows::BatchBuilder> builders;
  for (int worker = 0; worker < workers_; ++worker) builders.emplace_back(types_);
  std::vector<duckdb::sel_t> selected;
  std::vector<rows::Weight> weights;
  for (const rows::Batch::Part& part : batch.parts) {
    FindOwners(*part.rows);
    for (int worker = 0; worker < workers_; ++worker) {
      selected.clear();
      weights.clear();
      for (size_t row = 0; row < owners_.size(); ++row) {
        if (owners_[row] != worker) continue;
        selected.push_back(static_cast<duckdb::sel_t>(row));
        if (!part.weights.empty()) weights.push_back(part.weights[row]);
      }
      builders[worker].Append(*part.rows, selected.data(), selected.size(),
                              part.weights.empty() ? nullptr : weights.data());
    }
  }
  for (int worker = 0; worker < workers_; ++worker) out[worker][0] = builders[worker].Finish();
  return out;
}

Exchange::Exchange(std::vector<std::unique_ptr<Splitter>> splitters)
    : workers_(static_cast<int>(splitters.size())),
      splitters_(std::move(splitters)),
      mailboxes_(std::make_unique<Mailbox[]>(static_cast<size_t>(workers_) * workers_)) {}

void Exchange::Send(int from, uint32_t ticket, const rows::Batch* batch) {
  std::vector<Mail> split;
  if (batch != nullptr && !batch->empty()) split = splitters_[from]->Split(*batch);
  for (int to = 0; to < workers_; ++to) {
    Mailbox& box = mailbox(from, to);
    box.mail = split.empty() ? Mail() : std::move(split[to]);
    box.ticket.store(ticket, std::memory_order_release);
    box.ticket.notify_one();
  }
}

Mail Exchange::Receive(int to, uint32_t ticket) {
  Mail all(1);
  for (int from = 0; from < workers_; ++from) {
    Mailbox& box = mailbox(from, to);
    SpinThenWait(box.ticket, ticket);
    Mail mail = std::exchange(box.mail, {});
    if (mail.size() > all.size()) all.resize(mail.size());
    for (size_t i = 0; i < mail.size(); ++i) all[i].Append(std::move(mail[i]));
  }
  return all;
}

}  // namespace millrace::stream
