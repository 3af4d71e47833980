// Transactions is what a partition knows of the transactions in it: which are open, since they hold
// back readers of committed records, and which were aborted, since their batches stay in the log
// and such readers leave them out. A transaction of a partition reaches from the first batch of its
// producer to the marker that ends it.
//
// The aborted ones stand on disk beside the segment that holds their marker (AbortedFile), and are
// kept in memory. Not thread-safe; guarded by its partition.
#pragma once

#include <deque>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/coding.h"
#include "base/result.h"
#include "log/log.h"

namespace millrace::log {

struct EndedTransaction {
  AbortedTransaction aborted;
  // First offset of the oldest transaction that was open when the marker came; the one behind the
  // marker where none was. All that end later begin there or behind, so a search may stop.
  Offset stable;

  void Encode(std::string& out) const;
  static Result<EndedTransaction> Decode(Reader& in);
};

class Transactions {
 public:
  void Begin(Offset first) { open_.insert(first); }
  // REQUIRES: it is open.
  void End(const AbortedTransaction& transaction, TransactionOutcome outcome);
  // Below it every transaction has ended.
  Offset Stable(Offset start, Offset end) const;

  // Those that hold an offset in [from, to), by their markers.
  std::vector<AbortedTransaction> Aborted(Offset from, Offset to) const;
  // Those whose markers lie in [from, to).
  std::vector<EndedTransaction> AbortedAt(Offset from, Offset to) const;
  // Forgets those that lie below the partition's start.
  void DropBelow(Offset start);
  // At the start: those in files, whose markers lie below `end`; what was known of such before
  // makes way for them.
  void SetStored(const std::vector<EndedTransaction>& stored, Offset end);
  // REQUIRES: its marker lies behind all others.
  void AddAborted(const EndedTransaction& ended) { aborted_.push_back(ended); }

 private:
  using Ended = std::deque<EndedTransaction>;
  Ended::const_iterator FirstAt(Offset marker) const;

  std::set<Offset> open_;  // first offsets
  Ended aborted_;          // by marker
};

// `<segment>.aborted`: the aborted transactions whose markers stand in the segment. No file: none.
// Written as a whole, in two copies (doubled.h).
struct AbortedFile {
  std::vector<EndedTransaction> ended;
  // An earlier version of the file was damaged: there may have been more.
  bool incomplete = false;
};
std::string EncodeAborted(const AbortedFile& file);
Result<AbortedFile> DecodeAborted(std::string_view bytes);

}  // namespace millrace::log
