// How far the views of a build have read the history of what they read. It is part of the state of
// a step, and moves by the slices that the steps' journal records name: so a build goes on after a
// restart where it was, and recovery feeds the same rows in the same steps. Values and pure
// functions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/coding.h"
#include "base/result.h"
#include "log/types.h"

namespace millrace::runtime {

// The history of one relation, as of the step before the build's first one.
struct BuildInput {
  struct Range {
    log::Offset first;
    log::Offset next;  // records below are in
    log::Offset end;
  };
  std::map<int32_t, Range> ranges;  // of a stream, by partition
  bool content = false;             // a table or view: taken by parts (stream/history_input.h)
  uint32_t parts = 0;               // of a content: parts below are in
  // Of a content: the columns whose hash names the part, its key as the build began; none: the row.
  std::vector<size_t> parts_by;
  int64_t rows = 0;  // of a content: how many it had

  bool complete() const;
  int64_t rows_total() const;
  int64_t rows_done() const;
};

struct BuildState {
  Micros started;
  std::map<std::string, BuildInput> inputs;  // by internal name

  bool complete() const;
  double fraction() const;  // 0 to 1
};

// What a step feeds to a build.
struct HistorySlice {
  uint64_t build = 0;
  std::string relation;                               // internal name
  std::vector<std::pair<int32_t, log::Offset>> ends;  // of a stream: up to where, per partition
  uint32_t parts = 0;                                 // of a content: up to which part
};

// The next slice of about `rows` rows; contents before streams, so that what rows are joined with
// is there when they come. None: complete.
std::optional<HistorySlice> NextSlice(uint64_t number, const BuildState& build, int64_t rows);
// Notes that the slice is in. kCorruption: it is not one of the build.
Status TakeSlice(const HistorySlice& slice, BuildState& build);
// Records, or about as many rows of a content, of a slice that is not in yet.
int64_t RowsOf(const HistorySlice& slice, const BuildState& build);

void PutBuild(std::string& out, const BuildState& build);
Result<BuildState> ReadBuild(Reader& reader);
void PutSlice(std::string& out, const HistorySlice& slice);
Result<HistorySlice> ReadSlice(Reader& reader);

}  // namespace millrace::runtime
