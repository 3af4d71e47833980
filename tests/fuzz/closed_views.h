// Views with EMIT ON WINDOW CLOSE, and what they must hold.
#pragma once

#include "fuzz/queries.h"

namespace millrace::fuzz {

// REQUIRES: the relation has an event time. `answer` is over the rows that were not late, of the
// windows that are closed.
Query MakeClosedView(Expressions& expressions, const RelationSpec& relation);

}  // namespace millrace::fuzz
