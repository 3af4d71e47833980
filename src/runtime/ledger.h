// The books of every hop, and whether they balance (docs/guarantees.md).
//
//   producer → log:   sent = appended + repeated + rejected            by stream and source
//   log → stream:     records = rows + duplicates + late_diverted + invalid + aborted
//                     and so of a table of a topic
//   stream → view:    rows = used + filtered + failed                  by view, at its filters and
//   projections door ↔ log:       records taken by steps = appended (+ recovered: acknowledged or
//   not, their count at the door was lost in a crash)
// Pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/published.h"

namespace millrace::runtime {

struct LedgerLine {
  std::string edge;     // "http → order_lines", "order_lines"
  std::string counter;  // "sent", "appended", "rows", "duplicates", …
  int64_t value = 0;
};

std::vector<LedgerLine> LedgerOf(const Published& published);
// The error names the edge and both sides.
Status CheckBooks(const Published& published);

}  // namespace millrace::runtime
