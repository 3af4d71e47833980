// The source of a stream inside a step: records → rows with their hidden columns, less the invalid
// and (where the stream says so) the late ones. Workers share it by partition.
//
// Rows: the columns of the stream's first version, the hidden ones, the append order BIGINT, by
// which what depends on order is decided (frame sequence, then place in the frame), and the columns
// that came later (catalog::EngineLayout).
//
// A step reads by the newest version only: a change of the columns is a step of its own, and what
// was read before it is what the earlier versions read.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "catalog/stream_versions.h"
#include "ingest/row_checker.h"
#include "runtime/exclusions.h"
#include "runtime/node_state.h"
#include "runtime/partition_reader.h"
#include "runtime/relation.h"
#include "stream/engine.h"

namespace millrace::runtime {

// Source → [Deduplicate] → Output, for the engine.
stream::Plan StreamPlan(const Relation& relation);

// Append order of a batch: rows within one batch keep the order of their offsets.
inline int64_t AppendOrder(const log::ReadBatch& batch) {
  return static_cast<int64_t>((batch.frame.value << 20) | batch.index_in_frame);
}

class StreamSource final : public stream::SourceReader {
 public:
  // What a step found out about one partition, besides its rows.
  struct PartitionFindings {
    bool moved = false;
    log::Offset end;
    int64_t records = 0;
    int64_t late_kept = 0;
    int64_t late_diverted = 0;
    int64_t invalid = 0;
    int64_t aborted = 0;
    int64_t event_time_max = kNoEventTime;     // after the step
    std::vector<Exclusions::Item> exclusions;  // ascending; duplicates come from the engine
  };

  static Result<std::unique_ptr<StreamSource>> Make(std::shared_ptr<const Relation> relation,
                                                    const catalog::Catalog& catalog, int workers,
                                                    sql::Database& database);

  // Sets what the next step reads. `state` is the state before the step. REQUIRES: no step is
  // running.
  void Prepare(std::vector<PartitionSlice> slices, const NodeState& state, Micros clock);
  Result<rows::Batch> Read(int worker) override;
  // After the step: by partition.
  const std::vector<PartitionFindings>& findings() const { return findings_; }
  const Relation& relation() const { return *relation_; }

 private:
  StreamSource(std::shared_ptr<const Relation> relation,
               std::vector<std::unique_ptr<ingest::RowChecker>> checkers);
  void WarnOfHeat() const;
  void ReadPartition(ingest::RowChecker& checker, const PartitionSlice& slice, rows::Batch& out);

  const std::shared_ptr<const Relation> relation_;
  const std::vector<std::unique_ptr<ingest::RowChecker>> checkers_;  // one per worker
  const catalog::EngineLayout layout_;
  rows::Types types_;
  // By declared column, its place in the source's rows.
  std::vector<size_t> places_;
  std::vector<size_t> gone_;  // places of columns that went
  std::optional<size_t> time_column_;
  std::vector<PartitionSlice> slices_;  // by partition; empty ones have no batches
  std::vector<PartitionFindings> findings_;
  std::vector<int64_t>
      late_below_;  // by partition: what lies below is late, at the start of the step
  int64_t future_limit_ = INT64_MAX;  // event times beyond do not move the watermark
};

// The stream's watermark at `clock`, from its partitions: the least of (greatest event time -
// delay) over those that are not idle; never below `before`.
std::optional<Micros> WatermarkOf(const catalog::StreamDefinition& stream, log::TopicId topic,
                                  const NodeState& state, Micros clock,
                                  std::optional<Micros> before);

}  // namespace millrace::runtime
