#include "stream/pre_aggregate.h"

#include <algorithm>

#include "base/coding.h"
#include "duckdb/common/vector_operations/vector_operations.hpp"

namespace millrace::stream {
namespace {

using duckdb::LogicalTypeId;

bool IsPlainKey(const duckdb::LogicalType& type) {
  switch (type.id()) {
    case LogicalTypeId::FLOAT:
    case LogicalTypeId::DOUBLE:
    case LogicalTypeId::INTERVAL:
    case LogicalTypeId::TIME_TZ:
      return false;
    default:
      return !type.IsNested();
  }
}

rows::Types Select(const rows::Types& types, const std::vector<ColumnIndex>& columns) {
  rows::Types selected;
  for (const ColumnIndex column : columns) selected.push_back(types[column]);
  return selected;
}

void AddColumn(std::vector<ColumnIndex>& columns, ColumnIndex column) {
  if (std::find(columns.begin(), columns.end(), column) == columns.end()) columns.push_back(column);
}

std::vector<Feed> FeedsOf(const std::vector<Slot>& slots,
                          const std::vector<const AggregateCall*>& extremes) {
  std::vector<Feed> feeds;
  for (const Slot& slot : slots) {
    if (!slot.distinct) continue;
    auto feed = std::find_if(feeds.begin(), feeds.end(),
                             [&](const Feed& known) { return known.columns[0] == *slot.argument; });
    if (feed == feeds.end()) feed = feeds.insert(feed, Feed{{*slot.argument}});
    if (slot.filter) AddColumn(feed->columns, *slot.filter);
  }
  for (const AggregateCall* call : extremes) {
    feeds.push_back({{call->arguments[0]}});
    if (call->filter) AddColumn(feeds.back().columns, *call->filter);
  }
  return feeds;
}

// Rows of parts on their way to their owners, collected part by part.
class Outbox {
 public:
  Outbox(const rows::Types& types, int workers) : selected_(workers), weights_(workers) {
    for (int worker = 0; worker < workers; ++worker) builders_.emplace_back(types);
  }
  void Add(int owner, size_t row, rows::Weight weight) {
    selected_[owner].push_back(static_cast<duckdb::sel_t>(row));
    weights_[owner].push_back(weight);
  }
  // The rows added since the last call stand in `part`.
  void EndPart(duckdb::DataChunk& part) {
    for (size_t owner = 0; owner < builders_.size(); ++owner) {
      auto& weights = weights_[owner];
      const bool inserts =
          std::all_of(weights.begin(), weights.end(), [](rows::Weight w) { return w == 1; });
      builders_[owner].Append(part, selected_[owner].data(), selected_[owner].size(),
                              inserts ? nullptr : weights.data());
      selected_[owner].clear();
      weights.clear();
    }
  }
  void Finish(std::vector<Mail>& mails, size_t batch) {
    for (size_t owner = 0; owner < builders_.size(); ++owner)
      mails[owner][batch] = builders_[owner].Finish();
  }

 private:
  std::vector<rows::BatchBuilder> builders_;  // by owner
  std::vector<std::vector<duckdb::sel_t>> selected_;
  std::vector<std::vector<rows::Weight>> weights_;
};

}  // namespace

// Not of TIME WITH TIME ZONE: DuckDB's min and max compare those by other rules than its ORDER BY
// and `<` do, so they are evaluated by DuckDB.
bool IsExtremeCall(const AggregateCall& call, const rows::Types& input) {
  const std::string& name = call.function->function.name;
  return (name == "min" || name == "max") && call.arguments.size() == 1 &&
         rows::IsKeyType(input[call.arguments[0]]) &&
         input[call.arguments[0]].id() != duckdb::LogicalTypeId::TIME_TZ &&
         call.function->return_type == input[call.arguments[0]];
}

bool ArePlainKeys(const rows::Types& groups) {
  return std::all_of(groups.begin(), groups.end(), IsPlainKey);
}

std::unique_ptr<PreAggregate> PreAggregate::Make(const Node& node, const rows::Types& input,
                                                 bool insert_only, int workers) {
  const auto* op = std::get_if<Aggregate>(&node.op);
  if (op == nullptr || !ArePlainKeys(Select(input, op->groups))) return nullptr;
  CellLayout layout;
  std::vector<const AggregateCall*> extremes;
  for (const AggregateCall& call : op->calls) {
    if (layout.Place(call, input, insert_only)) continue;
    if (!IsExtremeCall(call, input)) return nullptr;
    extremes.push_back(&call);
  }
  const std::vector<Feed> feeds = FeedsOf(layout.slots(), extremes);
  return std::unique_ptr<PreAggregate>(
      new PreAggregate(*op, input, std::move(layout), feeds, workers));
}

PreAggregate::PreAggregate(const Aggregate& op, const rows::Types& input, CellLayout layout,
                           const std::vector<Feed>& feeds, int workers)
    : op_(op),
      types_(input),
      layout_(std::move(layout)),
      workers_(workers),
      cell_types_(Select(input, op.groups)) {
  if (!op_.groups.empty()) key_columns_.emplace(op_.groups, input);
  cell_types_.push_back(duckdb::LogicalType::BLOB);
  for (const Feed& feed : feeds) {
    feeds_.push_back(std::unique_ptr<FeedReader>(new FeedReader{
        ColumnView(feed.columns, input), rows::RowEncoder(Select(input, feed.columns))}));
  }
}

std::vector<Mail> PreAggregate::Split(const rows::Batch& batch) {
  std::vector<Mail> mails(workers_, Mail(kFeeds + feeds_.size()));
  FindGroups(batch);
  SendRows(batch, mails);
  if (summed_ == 0) return mails;
  SumCells(batch);
  SendCells(batch, mails);
  for (size_t i = 0; i < feeds_.size(); ++i) SendFeed(i, batch, mails);
  return mails;
}

int PreAggregate::OwnerOf(uint32_t group) const {
  return rows::WorkerOfShard(rows::VirtualShard(index_.keys()[group].hash), workers_);
}

void PreAggregate::FindGroups(const rows::Batch& batch) {
  index_.Reset(batch.row_count());
  group_of_row_.clear();
  groups_.clear();
  if (!key_columns_) {
    index_.FindOrAdd({}, rows::KeyHash({}));
    groups_.push_back({static_cast<uint32_t>(batch.row_count()), 0, 0, 0});
    group_of_row_.assign(batch.row_count(), 0);
  }
  for (size_t p = 0; key_columns_ && p < batch.parts.size(); ++p) {
    const auto& encoded = keys_.Encode(key_columns_->Of(*batch.parts[p].rows));
    for (size_t row = 0; row < encoded.size(); ++row) {
      const uint32_t group = index_.FindOrAdd(encoded[row], rows::KeyHash(encoded[row]));
      if (group == groups_.size()) {
        groups_.push_back({0, static_cast<uint32_t>(p), static_cast<duckdb::sel_t>(row), 0});
      }
      ++groups_[group].rows;
      group_of_row_.push_back(group);
    }
  }
  summed_ = 0;
  for (size_t i = 0; i < groups_.size(); ++i) {
    if (IsSummed(static_cast<uint32_t>(i))) groups_[i].cell = static_cast<uint32_t>(summed_++);
  }
  for (size_t i = 0; i < groups_.size(); ++i) {
    if (!IsSummed(static_cast<uint32_t>(i))) groups_[i].cell = static_cast<uint32_t>(summed_);
  }
}

void PreAggregate::SendRows(const rows::Batch& batch, std::vector<Mail>& mails) {
  if (summed_ == groups_.size()) return;
  Outbox outbox(types_, workers_);
  const uint32_t* groups = group_of_row_.data();
  for (const rows::Batch::Part& part : batch.parts) {
    for (size_t row = 0; row < part.rows->size(); ++row) {
      if (!IsSummed(groups[row])) outbox.Add(OwnerOf(groups[row]), row, part.weight(row));
    }
    outbox.EndPart(*part.rows);
    groups += part.rows->size();
  }
  outbox.Finish(mails, kRows);
}

// Rows of groups that are not summed fall into one cell more, which nobody reads: cheaper than to
// leave them out.
void PreAggregate::SumCells(const rows::Batch& batch) {
  cells_.assign((summed_ + 1) * layout_.bytes(), std::byte{0});
  outside_.clear();
  std::vector<uint32_t> cell_of_row;
  const uint32_t* groups = group_of_row_.data();
  for (const rows::Batch::Part& part : batch.parts) {
    const size_t count = part.rows->size();
    cell_of_row.resize(count);
    for (size_t row = 0; row < count; ++row) {
      cell_of_row[row] = groups_[groups[row]].cell;
      CellLayout::AddRows(cells_.data() + cell_of_row[row] * layout_.bytes(), part.weight(row));
    }
    for (size_t slot = 0; slot < layout_.slots().size(); ++slot) {
      if (!layout_.slots()[slot].distinct)
        layout_.Accumulate(slot, part, cell_of_row.data(), cells_.data(), outside_);
    }
    groups += count;
  }
  std::erase_if(outside_, [this](const OutsideValue& value) { return value.group == summed_; });
  std::stable_sort(outside_.begin(), outside_.end(),
                   [](const OutsideValue& a, const OutsideValue& b) { return a.group < b.group; });
}

// Groups stand in the order of their first rows, and so part by part.
void PreAggregate::SendCells(const rows::Batch& batch, std::vector<Mail>& mails) {
  std::vector<rows::BatchBuilder> builders;
  for (int worker = 0; worker < workers_; ++worker) builders.emplace_back(cell_types_);
  std::vector<std::vector<uint32_t>> of_owner(workers_);
  for (size_t group = 0; group < groups_.size();) {
    const uint32_t part = groups_[group].part;
    for (; group < groups_.size() && groups_[group].part == part; ++group) {
      const auto number = static_cast<uint32_t>(group);
      if (IsSummed(number)) of_owner[OwnerOf(number)].push_back(number);
    }
    for (int worker = 0; worker < workers_; ++worker) {
      if (of_owner[worker].empty()) continue;
      duckdb::DataChunk& out = builders[worker].Room(of_owner[worker].size());
      WriteCells(*batch.parts[part].rows, of_owner[worker], out);
      builders[worker].Commit(of_owner[worker].size(), nullptr);
      of_owner[worker].clear();
    }
  }
  for (int worker = 0; worker < workers_; ++worker)
    mails[worker][kCells] = builders[worker].Finish();
}

// Behind the rows that `out` has.
void PreAggregate::WriteCells(duckdb::DataChunk& rows, std::span<const uint32_t> groups,
                              duckdb::DataChunk& out) {
  const size_t at = out.size();
  duckdb::SelectionVector first_rows(groups.size());
  for (size_t i = 0; i < groups.size(); ++i) first_rows.set_index(i, groups_[groups[i]].row);
  for (size_t column = 0; column < op_.groups.size(); ++column) {
    duckdb::VectorOperations::Copy(rows.data[op_.groups[column]], out.data[column], first_rows,
                                   groups.size(), 0, at);
  }
  duckdb::Vector& blobs = out.data[op_.groups.size()];
  std::string blob;
  for (size_t i = 0; i < groups.size(); ++i) {
    const uint32_t cell = groups_[groups[i]].cell;
    blob.assign(reinterpret_cast<const char*>(cells_.data() + cell * layout_.bytes()),
                layout_.bytes());
    const auto first = std::lower_bound(
        outside_.begin(), outside_.end(), cell,
        [](const OutsideValue& value, uint32_t wanted) { return value.group < wanted; });
    for (auto value = first; value != outside_.end() && value->group == cell; ++value) {
      PutFixed(blob, value->slot);
      PutFixed(blob, value->weight);
      PutFixed(blob, value->value);
    }
    duckdb::FlatVector::GetData<duckdb::string_t>(blobs)[at + i] =
        duckdb::StringVector::AddStringOrBlob(blobs, blob.data(), blob.size());
  }
}

void PreAggregate::FindDifferent(size_t feed, const rows::Batch& batch) {
  FeedReader& reader = *feeds_[feed];
  values_.Reset(group_of_row_.size());
  different_.clear();
  const uint32_t* groups = group_of_row_.data();
  for (size_t p = 0; p < batch.parts.size(); ++p) {
    const rows::Batch::Part& part = batch.parts[p];
    const auto& encoded = reader.encoder.Encode(reader.columns.Of(*part.rows));
    for (size_t row = 0; row < encoded.size(); ++row) {
      if (!IsSummed(groups[row])) continue;
      value_.assign(reinterpret_cast<const char*>(&groups[row]), sizeof(groups[row]));
      value_.append(encoded[row]);
      const uint32_t value = values_.FindOrAdd(value_, rows::KeyHash(value_));
      if (value == different_.size()) {
        different_.push_back(
            {static_cast<uint32_t>(p), static_cast<duckdb::sel_t>(row), groups[row], 0});
      }
      different_[value].weight += part.weight(row);
    }
    groups += part.rows->size();
  }
}

void PreAggregate::SendFeed(size_t feed, const rows::Batch& batch, std::vector<Mail>& mails) {
  FindDifferent(feed, batch);
  Outbox outbox(types_, workers_);
  for (size_t i = 0; i < different_.size();) {
    const uint32_t part = different_[i].part;
    for (; i < different_.size() && different_[i].part == part; ++i) {
      const Different& value = different_[i];
      if (value.weight != 0) outbox.Add(OwnerOf(value.group), value.row, value.weight);
    }
    outbox.EndPart(*batch.parts[part].rows);
  }
  outbox.Finish(mails, kFeeds + feed);
}

Result<std::string_view> ReadCellBlob(std::string_view blob, size_t cell_bytes, uint32_t group,
                                      std::vector<OutsideValue>& outside) {
  if (blob.size() < cell_bytes) return Error(Code::kInternal, "a cell of {} bytes", blob.size());
  Reader reader(blob.substr(cell_bytes));
  while (reader.remaining() > 0) {
    TRY(const auto slot, reader.Fixed<uint16_t>());
    TRY(const auto weight, reader.Fixed<int64_t>());
    TRY(const auto value, reader.Fixed<double>());
    outside.push_back({group, slot, value, weight});
  }
  return blob.substr(0, cell_bytes);
}

}  // namespace millrace::stream
