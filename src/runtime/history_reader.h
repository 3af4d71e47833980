// Gives a slice of a relation's history to the views that are being built: each worker its share,
// the same one to each node that asks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "log/log.h"
#include "runtime/build_state.h"
#include "runtime/relation.h"
#include "stream/engine.h"

namespace millrace::runtime {

// Whether an error of reading a content is one of its bytes (they are damaged, or stand by another
// key than they are read by), which another attempt finds again and other contents do not: it costs
// the views that need them. Any other, of the disk, ends the step loop as one of the operators'
// state does, and the next start computes the step anew.
inline bool OnlyOfTheContent(const Error& error) {
  return error.code() == Code::kCorruption || error.code() == Code::kConflict;
}

// Thread rule: Read is called once or more per worker, by that worker.
class HistoryReader : public stream::SourceReader {
 public:
  explicit HistoryReader(int workers) : shares_(static_cast<size_t>(workers)) {}
  Result<rows::Batch> Read(int worker) final;
  // Rows that are lost to damage on disk, one text per range. REQUIRES: the step is over.
  std::vector<std::string> lost() const;
  // Why a part of the slice could not be given: the build cannot go on. REQUIRES: the step is over.
  std::optional<Error> unreadable() const;

 protected:
  struct Share {
    std::optional<rows::Batch> rows;
    std::vector<std::string> lost;
    std::optional<Error> unreadable;
  };
  virtual Result<rows::Batch> ReadShare(int worker, Share& share) = 0;
  int workers() const { return static_cast<int>(shares_.size()); }

 private:
  std::vector<Share> shares_;
};

// `input`: of the relation, before the slice.
std::unique_ptr<HistoryReader> MakeHistoryReader(const log::Log& log,
                                                 std::shared_ptr<const Relation> relation,
                                                 const BuildInput& input, const HistorySlice& slice,
                                                 int workers);

}  // namespace millrace::runtime
