// Reads what a stream holds up to a step: the log's records below the step's ends, less the
// exclusions. Queries and backfill read through it. Not thread-safe; several may read the same
// stream at once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "log/log.h"
#include "runtime/node_state.h"
#include "runtime/relation.h"
#include "runtime/version_decoder.h"

namespace millrace::runtime {

class StreamHistory {
 public:
  struct Range {
    int32_t partition;
    log::Offset next;
    log::Offset end;
  };
  // All that the log has below the step's ends.
  static std::vector<Range> RangesUntil(const log::Log& log, const Relation& relation,
                                        const NodeState& state);
  // `columns`: of the relation's shape, in the order wanted.
  StreamHistory(const log::Log& log, std::shared_ptr<const Relation> relation,
                const std::vector<size_t>& columns, std::vector<Range> ranges);

  // The same in parts of so many records, in order. REQUIRES: Next was not called.
  std::vector<StreamHistory> Split(int64_t records) const;

  // The next rows; nullptr at the end. Rows of one partition come in order of offset.
  Result<std::shared_ptr<duckdb::DataChunk>> Next();

  // What of the rows asked for is lost to damage on disk, as far as it was met: one text per range.
  const std::vector<std::string>& lost() const { return lost_; }

 private:
  Status Decode();

  const log::Log& log_;
  std::shared_ptr<const Relation> relation_;
  std::vector<size_t> columns_;
  std::vector<size_t> wanted_;  // declared columns to decode, ascending
  rows::Types types_;
  // Of the version that reads what comes next.
  std::unique_ptr<VersionDecoder> decoder_;

  std::vector<Range> ranges_;
  size_t range_ = 0;
  std::vector<std::shared_ptr<duckdb::DataChunk>> ready_;
  size_t ready_next_ = 0;
  std::vector<std::string> lost_;
};

}  // namespace millrace::runtime
