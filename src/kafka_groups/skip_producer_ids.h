// For a copy of a log that goes on beside the original, or in its place.
#pragma once

#include "base/result.h"
#include "log/log.h"

namespace millrace::kafka_groups {

// Producer ids that the original may give out after the copy was taken are never given out by the
// copy: two producers with one id would take each other's batches for their own. Durable when it
// returns. REQUIRES: nobody else uses the log, and it is manual.
Status SkipProducerIds(log::Log& log);

}  // namespace millrace::kafka_groups
