#include "runtime/build_state.h"

#include <algorithm>

#include "state/view_table.h"

namespace millrace::runtime {

namespace {

constexpr uint32_t kParts = state::ViewTable::kParts;
// What an input is, on disk.
constexpr uint8_t kStreamInput = 0;
constexpr uint8_t kContentByRow = 1;
constexpr uint8_t kContentByKey = 2;  // the columns follow

bool Complete(const BuildInput::Range& range) { return range.next >= range.end; }

// Of a content of few rows most parts are empty: as many as have that many rows, rounded up.
HistorySlice SliceOfContent(const BuildInput& input, int64_t rows) {
  HistorySlice slice;
  const int64_t total = std::max<int64_t>(input.rows, 1);
  const int64_t wanted =
      rows >= total ? kParts : std::max<int64_t>((rows * kParts + total - 1) / total, 1);
  slice.parts = std::min<uint32_t>(input.parts + static_cast<uint32_t>(wanted), kParts);
  return slice;
}

HistorySlice SliceOfStream(const BuildInput& input, int64_t rows) {
  HistorySlice slice;
  const auto open = std::count_if(input.ranges.begin(), input.ranges.end(),
                                  [](const auto& item) { return !Complete(item.second); });
  const int64_t share = std::max<int64_t>(rows / std::max<int64_t>(open, 1), 1);
  for (const auto& [partition, range] : input.ranges) {
    if (!Complete(range))
      slice.ends.emplace_back(partition, std::min(range.next + share, range.end));
  }
  return slice;
}

}  // namespace

bool BuildInput::complete() const {
  if (content) return parts >= kParts;
  return std::all_of(ranges.begin(), ranges.end(),
                     [](const auto& item) { return Complete(item.second); });
}

int64_t BuildInput::rows_total() const {
  int64_t total = rows;
  for (const auto& [partition, range] : ranges) total += range.end - range.first;
  return total;
}

int64_t BuildInput::rows_done() const {
  int64_t done = content ? rows * parts / kParts : 0;
  for (const auto& [partition, range] : ranges) done += range.next - range.first;
  return done;
}

bool BuildState::complete() const {
  return std::all_of(inputs.begin(), inputs.end(),
                     [](const auto& item) { return item.second.complete(); });
}

double BuildState::fraction() const {
  int64_t total = 0;
  int64_t done = 0;
  for (const auto& [name, input] : inputs) {
    total += input.rows_total();
    done += input.rows_done();
  }
  return total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total);
}

std::optional<HistorySlice> NextSlice(uint64_t number, const BuildState& build, int64_t rows) {
  for (const bool content : {true, false}) {
    for (const auto& [name, input] : build.inputs) {
      if (input.content != content || input.complete()) continue;
      HistorySlice slice = content ? SliceOfContent(input, rows) : SliceOfStream(input, rows);
      slice.build = number;
      slice.relation = name;
      return slice;
    }
  }
  return std::nullopt;
}

Status TakeSlice(const HistorySlice& slice, BuildState& build) {
  const auto foreign = [&] {
    return Error(Code::kCorruption, "the journal feeds a build with {}, which it does not read",
                 slice.relation);
  };
  const auto input = build.inputs.find(slice.relation);
  if (input == build.inputs.end()) return foreign();
  if (input->second.content) input->second.parts = slice.parts;
  for (const auto& [partition, end] : slice.ends) {
    const auto range = input->second.ranges.find(partition);
    if (range == input->second.ranges.end()) return foreign();
    range->second.next = end;
  }
  return Ok();
}

int64_t RowsOf(const HistorySlice& slice, const BuildState& build) {
  BuildState after = build;
  if (!TakeSlice(slice, after).ok()) return 0;
  return after.inputs.at(slice.relation).rows_done() - build.inputs.at(slice.relation).rows_done();
}

void PutBuild(std::string& out, const BuildState& build) {
  PutZigzag(out, build.started.value);
  PutVarint(out, build.inputs.size());
  for (const auto& [name, input] : build.inputs) {
    PutBytes(out, name);
    PutFixed<uint8_t>(out, !input.content           ? kStreamInput
                           : input.parts_by.empty() ? kContentByRow
                                                    : kContentByKey);
    if (!input.parts_by.empty()) {
      PutVarint(out, input.parts_by.size());
      for (const size_t column : input.parts_by) PutVarint(out, column);
    }
    PutVarint(out, input.parts);
    PutZigzag(out, input.rows);
    PutVarint(out, input.ranges.size());
    for (const auto& [partition, range] : input.ranges) {
      PutZigzag(out, partition);
      for (const log::Offset offset : {range.first, range.next, range.end})
        PutZigzag(out, offset.value);
    }
  }
}

Result<BuildState> ReadBuild(Reader& reader) {
  BuildState build;
  TRY(build.started.value, reader.Zigzag());
  TRY(const uint64_t inputs, reader.Varint());
  for (uint64_t i = 0; i < inputs; ++i) {
    TRY(const std::string_view name, reader.Bytes());
    BuildInput& input = build.inputs[std::string(name)];
    TRY(const uint8_t content, reader.Fixed<uint8_t>());
    input.content = content != kStreamInput;
    if (content == kContentByKey) {
      TRY(const uint64_t columns, reader.Varint());
      for (uint64_t j = 0; j < columns; ++j) {
        TRY(const uint64_t column, reader.Varint());
        input.parts_by.push_back(column);
      }
    }
    TRY(const uint64_t parts, reader.Varint());
    input.parts = static_cast<uint32_t>(parts);
    TRY(input.rows, reader.Zigzag());
    TRY(const uint64_t ranges, reader.Varint());
    for (uint64_t j = 0; j < ranges; ++j) {
      TRY(const int64_t partition, reader.Zigzag());
      BuildInput::Range& range = input.ranges[static_cast<int32_t>(partition)];
      TRY(range.first.value, reader.Zigzag());
      TRY(range.next.value, reader.Zigzag());
      TRY(range.end.value, reader.Zigzag());
    }
  }
  return build;
}

void PutSlice(std::string& out, const HistorySlice& slice) {
  PutVarint(out, slice.build);
  PutBytes(out, slice.relation);
  PutVarint(out, slice.parts);
  PutVarint(out, slice.ends.size());
  for (const auto& [partition, end] : slice.ends) {
    PutZigzag(out, partition);
    PutZigzag(out, end.value);
  }
}

Result<HistorySlice> ReadSlice(Reader& reader) {
  HistorySlice slice;
  TRY(slice.build, reader.Varint());
  TRY(const std::string_view relation, reader.Bytes());
  slice.relation = relation;
  TRY(const uint64_t parts, reader.Varint());
  slice.parts = static_cast<uint32_t>(parts);
  TRY(const uint64_t ends, reader.Varint());
  for (uint64_t i = 0; i < ends; ++i) {
    TRY(const int64_t partition, reader.Zigzag());
    TRY(const int64_t end, reader.Zigzag());
    slice.ends.emplace_back(static_cast<int32_t>(partition), log::Offset{end});
  }
  return slice;
}

}  // namespace millrace::runtime
