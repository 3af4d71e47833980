#include "runtime/history_reader.h"

#include <deque>
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
        by_(input.parts_by),
        first_(input.parts),
        last_(slice.parts) {}

 private:
  Result<rows::Batch> ReadShare(int worker, Share& share) override {
    auto rows = ReadParts(worker);
    if (rows.ok() || !OnlyOfTheContent(rows.error())) return rows;
    share.unreadable = rows.error();
    return rows::Batch();
  }

  Result<rows::Batch> ReadParts(int worker) const {
    const state::ViewTable& content = *relation_->content;
    // The parts p with p % workers() == worker.
    const auto stride = static_cast<uint32_t>(workers());
    const uint32_t first =
        first_ + (static_cast<uint32_t>(worker) + stride - first_ % stride) % stride;
    std::deque<std::string> rows;
    std::vector<std::string_view> encoded;
    TRY(content
            .ScanParts({first, last_, stride, by_},
                       [&](std::string_view row, rows::Weight weight) {
                         // As often as it stands: operators take an insert-only input as rows of
                         // weight 1.
                         encoded.insert(encoded.end(), static_cast<size_t>(weight),
                                        rows.emplace_back(row));
                       })
            .With("read the content of " + Quoted(relation_->object.name())));
    return rows::DecodeRows(content.types(), encoded);
  }

  const std::shared_ptr<const Relation> relation_;
  const std::vector<size_t> by_;
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

std::optional<Error> HistoryReader::unreadable() const {
  for (const Share& share : shares_) {
    if (share.unreadable) return share.unreadable;
  }
  return std::nullopt;
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
