// The source of a table inside a step: records of its changelog → changes of its content.
//
// A record of a keyed table: key = the primary key as a JSON object, value = the whole row as a
// JSON object, or null when it is gone. Of a table without key (a bag): key = the row as a JSON
// object, value = how often it stands in the table, or null for not at all. A table has one
// partition, so one worker reads it.
//
// The records of a topic that a table stands on are as change_decoder.h says. Those of all
// partitions count in the order in which they were appended, so that a key may move between them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "rows/decode.h"
#include "rows/row_codec.h"
#include "runtime/change_decoder.h"
#include "runtime/partition_reader.h"
#include "runtime/relation.h"
#include "stream/engine.h"

namespace millrace::runtime {

// Source → [Upsert] → Output, for the engine.
stream::Plan TablePlan(const Relation& relation);

class TableSource final : public stream::SourceReader {
 public:
  // What a step found out, besides the changes.
  struct Findings {
    int64_t records = 0;
    int64_t invalid = 0;  // records that are no rows of the table
    int64_t aborted = 0;
    // By partition, those of them that are set aside, ascending. Of a table of a topic.
    std::vector<std::vector<Exclusions::Item>> exclusions;
  };

  static Result<std::unique_ptr<TableSource>> Make(std::shared_ptr<const Relation> relation,
                                                   const catalog::Catalog& catalog,
                                                   sql::Database& database);

  // Sets what the next step reads. REQUIRES: no step is running.
  void Prepare(std::vector<PartitionSlice> slices);
  Result<rows::Batch> Read(int worker) override;
  // After the step.
  const Findings& findings() const { return findings_; }
  const Relation& relation() const { return *relation_; }

 private:
  TableSource(std::shared_ptr<const Relation> relation, std::unique_ptr<ChangeDecoder> decoder);
  Result<rows::Batch> ReadKeyed();
  Result<rows::Batch> ReadBag();
  Result<rows::Batch> ReadTopic();
  Status AddCleared(int64_t order, rows::Batch& out) const;
  std::shared_ptr<duckdb::DataChunk> KeyedChunk(duckdb::DataChunk& chunk, bool deleted,
                                                const std::vector<int64_t>& orders) const;

  const std::shared_ptr<const Relation> relation_;
  const bool keyed_;
  std::vector<size_t> key_columns_;
  rows::JsonDecoder row_decoder_;
  rows::JsonDecoder key_decoder_;
  rows::RowEncoder encoder_;
  const std::unique_ptr<ChangeDecoder> decoder_;  // of a table of a topic
  std::vector<PartitionSlice> slices_;
  Findings findings_;
};

}  // namespace millrace::runtime
