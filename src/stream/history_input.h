// What of a relation a view that is being built takes in: all changes of the steps from its first
// one on, and beside them, a slice per step, the history before.
//
// A stream's history is records, which never change, so its slices are simply fed. The content of a
// table or view changes while it is read: it is taken in parts (state::ViewTable::kParts), by the
// hash of its key, as it stands on disk, or of the row. In the step that takes a part, its rows as
// of the step before come in as history; a change of a row is followed from that step on, and
// passed over before. So nothing needs to be pinned, and a build goes on after a restart where it
// was.
//
// Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "rows/batch.h"

namespace millrace::stream {

// The changes of rows that stand in parts below `parts`, by the hash of the columns `by`, or of the
// row.
rows::Batch InParts(const rows::Batch& changes, const rows::Types& types, uint32_t parts,
                    const std::vector<size_t>& by);

}  // namespace millrace::stream
