// An Exchange moves the rows of one input of a node to the workers that own their keys.
//
// For each pair of workers there is one mailbox. In a step every worker sends to every mailbox of
// its own row, empty batches too, and a receiver takes the batches in the order of the senders:
// what arrives does not depend on timing. There is no barrier: a receiver waits only for the
// senders of this exchange, by the number of the step in the mailbox.
//
// Thread rule: Send(from) and Receive(to) are called by those workers' threads, once each per step;
// steps do not overlap.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "rows/batch.h"
#include "rows/key.h"
#include "rows/row_codec.h"
#include "stream/distribution.h"

namespace millrace::stream {

// Waits until `value` is `wanted`: spins for some microseconds, then sleeps. The other side stores
// and notifies.
void SpinThenWait(std::atomic<uint32_t>& value, uint32_t wanted);

// What one worker sends to another: the rows, and what a Splitter may put beside them.
using Mail = std::vector<rows::Batch>;

// Divides batches among the workers. Not thread-safe: one per sending worker.
class Splitter {
 public:
  virtual ~Splitter() = default;
  // One mail per worker, all of equally many batches.
  virtual std::vector<Mail> Split(const rows::Batch& batch) = 0;
};

// Sends each row to its owner.
class Partitioner final : public Splitter {
 public:
  Partitioner(const Requirement& requirement, const rows::Types& types, int workers);
  std::vector<Mail> Split(const rows::Batch& batch) override;

 private:
  // The owner of each row of the chunk, in owners_.
  void FindOwners(duckdb::DataChunk& chunk);

  Requirement requirement_;
  rows::Types types_;
  int workers_;
  rows::KeyEncoder keys_;
  rows::RowEncoder rows_;
  duckdb::DataChunk key_columns_;
  std::vector<uint8_t> owners_;
};

class Exchange {
 public:
  // One splitter for each worker.
  explicit Exchange(std::vector<std::unique_ptr<Splitter>> splitters);

  // `batch` null: no rows. `ticket` is a different number for each step.
  void Send(int from, uint32_t ticket, const rows::Batch* batch);
  // At least one batch, the rows.
  Mail Receive(int to, uint32_t ticket);

 private:
  struct alignas(64) Mailbox {
    std::atomic<uint32_t> ticket{0};
    Mail mail;
  };
  Mailbox& mailbox(int from, int to) {
    return mailboxes_[static_cast<size_t>(to) * workers_ + from];
  }

  const int workers_;
  std::vector<std::unique_ptr<Splitter>> splitters_;  // by sender
  std::unique_ptr<Mailbox[]> mailboxes_;
};

}  // namespace millrace::stream
