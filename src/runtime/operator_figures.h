// What the running operators of views have done and what they remember, as EXPLAIN and
// millrace.operators show it. A value; pure functions but for MeasureOnDisk.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "state/store.h"
#include "stream/engine.h"

namespace millrace::runtime {

struct OperatorFigures {
  stream::OperatorStats stats;
  size_t state_bytes_on_disk = 0;  // about; see Store::DiskBytes
};

// Reads the indexes of the state's files: not between two steps.
Result<std::vector<OperatorFigures>> MeasureOnDisk(const state::Store& store,
                                                   std::vector<stream::OperatorStats> operators);

// What share of the look-ups in its state the operator found in memory; none: it has looked
// nothing up.
std::optional<double> HitRate(const OperatorFigures& figures);

// `names`: the user's names by internal name (relation.h).
using UserNameMap = std::map<std::string, std::string>;
// "aggregate by k: count(*); state: one entry per group", "relation clicks".
std::string OperatorText(const OperatorFigures& figures, const UserNameMap& names);
// The views beside `view` (its internal name) that the operator serves: "a, b"; empty: none.
std::string SharedWith(const OperatorFigures& figures, const std::string& view,
                       const UserNameMap& names);
// What EXPLAIN ANALYZE says of the operator: rows, steps, time, state.
std::string FiguresText(const OperatorFigures& figures);

}  // namespace millrace::runtime
