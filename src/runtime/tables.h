// The runtime's own tables in the Store, by fixed id. Ids of operators and relations are
// fingerprints and never this small.
#pragma once

#include "state/store.h"

namespace millrace::runtime {

inline constexpr state::TableId kNodeStateTable{1};   // "state" → NodeState
inline constexpr state::TableId kExclusionsTable{2};  // topic, partition, offset → reason
inline constexpr state::TableId kFailuresTable{3};    // rows of millrace.errors
inline constexpr state::TableId kFeedsTable{4};       // feeds.cc: headers and entries
inline constexpr uint64_t kFirstFreeTableId = 1024;
inline constexpr char kNodeStateKey[] = "state";

}  // namespace millrace::runtime
