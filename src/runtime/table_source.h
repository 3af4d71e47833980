// The source of a table inside a step: records of its changelog → changes of its content.
//
// A record of a keyed table: key = the primary key as a JSON object, value = the whole row as a
// JSON object, or null when it is gone. Of a table without key (a bag): key = the row as a JSON
// object, value = how often it stands in the table, or null for not at all. A table has one
// partition, so one worker reads it.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "rows/decode.h"
#include "rows/row_codec.h"
#include "runtime/partition_reader.h"
#include "runtime/relation.h"
#include "stream/engine.h"

namespace millrace::runtime {

// Source → [Upsert] → Output, for the engine.
stream::Plan TablePlan(const Relation& relation);

class TableSource final : public stream::SourceReader {
 public:
  explicit TableSource(std::shared_ptr<const Relation> relation);

  // Sets what the next step reads. REQUIRES: no step is running.
  void Prepare(PartitionSlice slice);
  Result<rows::Batch> Read(int worker) override;
  // After the step: records that are no rows of the table.
  int64_t invalid() const { return invalid_; }
  int64_t records() const { return slice_.records; }
  const Relation& relation() const { return *relation_; }

 private:
  Result<rows::Batch> ReadKeyed();
  Result<rows::Batch> ReadBag();

  const std::shared_ptr<const Relation> relation_;
  const bool keyed_;
  std::vector<size_t> key_columns_;
  rows::JsonDecoder row_decoder_;
  rows::JsonDecoder key_decoder_;
  rows::RowEncoder encoder_;
  PartitionSlice slice_;
  int64_t invalid_ = 0;
};

}  // namespace millrace::runtime
