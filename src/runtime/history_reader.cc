#include "runtime/history_reader.h"

#include <numeric>

#include "catalog/stream_versions.h"
#include "rows/decode_rows.h"
#include "runtime/stream_history.h"

namespace millrace::runtime {

namespace {

class StreamSlice final : public HistoryReader {
 public:
  StreamSlice(const log::Log& log, std::shared_ptr<const Relation> relation,
              const BuildInput& input, const HistorySlice& slice, int workers)
      : HistoryReader(workers),
        log_(log),
        relation_(std::move(relation)),
        layout_(*relation_->stream()) {
    for (const auto& [partition, end] : slice.ends)
      ranges_.push_back({partition, input.ranges.at(partition).next, end});
  }

 private:
  Result<rows::Batch> ReadShare(int worker, Share& share) override {
    std::vector<StreamHistory::Range> ranges;
    for (const StreamHistory::Range& range : ranges_) {
      if (range.partition % workers() == worker) ranges.push_back(range);
    }
    std::vector<size_t> columns(relation_->shape.schema.columns.size());
    std::iota(columns.begin(), columns.end(), 0);
    StreamHistory history(log_, relation_, columns, std::move(ranges));
    rows::Batch out;
    while (true) {
      TRY(auto chunk, history.Next());
      if (chunk == nullptr) break;
      out.parts.push_back({layout_.plain() ? std::move(chunk) : ForEngine(*chunk), {}});
    }
    share.lost = history.lost();
    return out;
  }

  // What is built is bound to the columns that there are; those that went stay NULL.
  std::shared_ptr<duckdb::DataChunk> ForEngine(duckdb::DataChunk& rows) const {
    const rows::Types types = layout_.schema().types();
    const std::vector<size_t> positions = layout_.PositionsOf(relation_->stream()->schema);
    auto out = std::make_shared<duckdb::DataChunk>();
    out->InitializeEmpty(types);
    for (size_t i = 0; i < types.size(); ++i) out->data[i].Reference(duckdb::Value(types[i]));
    for (size_t i = 0; i < positions.size(); ++i) out->data[positions[i]].Reference(rows.data[i]);
    out->SetCardinality(rows.size());
    return out;
  }

  const log::Log& log_;
  const std::shared_ptr<const Relation> relation_;
  const catalog::EngineLayout layout_;
  std::vector<StreamHistory::Range> ranges_;
};

class ContentSlice final : public HistoryReader {
 public:
  ContentSlice(std::shared_ptr<const Relation> relation, const BuildInput& input,
               const HistorySlice& slice, int workers)
      : HistoryReader(workers),
        relation_(std::move(relation)),
        first_(input.parts),
        last_(slice.parts) {}

 private:
  Result<rows::Batch> ReadShare(int worker, Share&) override {
    const state::ViewTable& content = *relation_->content;
    // The rows' bytes stay where they are: nothing is applied while a step reads.
    std::vector<std::string_view> encoded;
    for (uint32_t part = first_; part < last_; ++part) {
      if (static_cast<int>(part) % workers() != worker) continue;
      content.ScanParts(part, part + 1, [&](std::string_view row, rows::Weight weight) {
        // As often as it stands: operators take an insert-only input as rows of weight 1.
        encoded.insert(encoded.end(), static_cast<size_t>(weight), row);
      });
    }
    return rows::DecodeRows(content.types(), encoded);
  }

  const std::shared_ptr<const Relation> relation_;
  const uint32_t first_;
  const uint32_t last_;
};

}  // namespace

Result<rows::Batch> HistoryReader::Read(int worker) {
  Share& share = shares_[static_cast<size_t>(worker)];
  if (!share.rows) {
    TRY(share.rows, ReadShare(worker, share));
  }
  return *share.rows;
}

std::vector<std::string> HistoryReader::lost() const {
  std::vector<std::string> all;
  for (const Share& share : shares_) all.insert(all.end(), share.lost.begin(), share.lost.end());
  return all;
}

std::unique_ptr<HistoryReader> MakeHistoryReader(const log::Log& log,
                                                 std::shared_ptr<const Relation> relation,
                                                 const BuildInput& input, const HistorySlice& slice,
                                                 int workers) {
  if (input.content)
    return std::make_unique<ContentSlice>(std::move(relation), input, slice, workers);
  return std::make_unique<StreamSlice>(log, std::move(relation), input, slice, workers);
}

}  // namespace millrace::runtime
