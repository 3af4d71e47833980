// PreAggregate sums a worker's rows per group before they cross the exchange of an Aggregate, so
// that a group with many rows in a step costs its owner one row per sender, whatever its share of
// the input (two-phase aggregation).
//
//   aggregate(rows) = aggregate(what Split gives), for rows split in any way over the senders:
//   cells of equal layout add up exactly (accumulator.h), in any order
//
// What goes to one worker, in this order:
//   rows    as they came: of groups with less than kRowsMin rows, which would not get cheaper
//   cells   one row per other group: its key columns, then a BLOB, `cell | outside value | …`
//   feeds   for each Feed, the different values of its columns within such a group: rows as they
//           came whose weight is that of all equal ones. They count in the feed's calls only. First
//           the arguments of DISTINCT calls (in the order of DistinctValues), then the min and max
//           that are not in cells.
//
// Thread rule: one per sending worker.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rows/key.h"
#include "rows/row_codec.h"
#include "stream/accumulator.h"
#include "stream/exchange.h"
#include "stream/group_index.h"
#include "stream/plan.h"
#include "stream/state_rows.h"

namespace millrace::stream {

// Calls that need rows beside the group's cell: those with DISTINCT over one argument, or one min
// or max over rows that can be retracted.
struct Feed {
  std::vector<ColumnIndex> columns;  // the argument and the filters
};

// Whether the call keeps the ordered values of its argument (min, max).
bool IsExtremeCall(const AggregateCall& call, const rows::Types& input);

// Whether equal keys are equal bytes in every group column, so that a group's key columns are those
// of any of its rows.
bool ArePlainKeys(const rows::Types& groups);

// The bytes of the cell in what a row of cells holds for its group; the values outside are added to
// `outside` as those of `group`.
Result<std::string_view> ReadCellBlob(std::string_view blob, size_t cell_bytes, uint32_t group,
                                      std::vector<OutsideValue>& outside);

class PreAggregate final : public Splitter {
 public:
  static constexpr size_t kRowsMin = 4;
  // Numbers of the batches in a mail.
  static constexpr size_t kRows = 0;
  static constexpr size_t kCells = 1;
  static constexpr size_t kFeeds = 2;  // and following

  // Nothing: the node is no Aggregate, or one of its calls looks at whole rows.
  static std::unique_ptr<PreAggregate> Make(const Node& node, const rows::Types& input,
                                            bool insert_only, int workers);

  std::vector<Mail> Split(const rows::Batch& batch) override;

 private:
  PreAggregate(const Aggregate& op, const rows::Types& input, CellLayout layout,
               const std::vector<Feed>& feeds, int workers);

  struct Group {
    uint32_t rows = 0;
    uint32_t part;  // of its first row
    duckdb::sel_t row;
    uint32_t cell;  // numbers the summed groups; that of the others is behind all of these
  };
  struct FeedReader {
    ColumnView columns;
    rows::RowEncoder encoder;
  };
  // Different rows of a feed.
  struct Different {
    uint32_t part;
    duckdb::sel_t row;
    uint32_t group;
    rows::Weight weight;
  };

  void FindGroups(const rows::Batch& batch);
  int OwnerOf(uint32_t group) const;
  bool IsSummed(uint32_t group) const {
    return op_.groups.empty() || groups_[group].rows >= kRowsMin;
  }
  void SendRows(const rows::Batch& batch, std::vector<Mail>& mails);
  void SumCells(const rows::Batch& batch);
  void SendCells(const rows::Batch& batch, std::vector<Mail>& mails);
  void WriteCells(duckdb::DataChunk& rows, std::span<const uint32_t> groups,
                  duckdb::DataChunk& out);
  void FindDifferent(size_t feed, const rows::Batch& batch);
  void SendFeed(size_t feed, const rows::Batch& batch, std::vector<Mail>& mails);

  const Aggregate op_;
  const rows::Types types_;
  const CellLayout layout_;
  const int workers_;
  rows::Types cell_types_;
  rows::KeyEncoder keys_;
  std::optional<ColumnView> key_columns_;  // none: all rows are one group
  std::vector<std::unique_ptr<FeedReader>> feeds_;

  // Of one batch.
  GroupIndex index_;
  std::vector<uint32_t> group_of_row_;  // over all parts
  std::vector<Group> groups_;
  size_t summed_ = 0;  // groups
  std::vector<std::byte> cells_;
  std::vector<OutsideValue> outside_;
  GroupIndex values_;
  std::vector<Different> different_;
  std::string value_;  // scratch
};

}  // namespace millrace::stream
