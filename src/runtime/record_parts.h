// Parts that the step journal and the node's state write alike (docs/formats/journal.md).
#pragma once

#include <string>

#include "base/coding.h"
#include "ingest/door_counters.h"
#include "log/types.h"

namespace millrace::runtime {

void PutPartition(std::string& out, log::PartitionId partition);
Result<log::PartitionId> ReadPartition(Reader& reader);

void PutDoor(std::string& out, const ingest::DoorCountMap& door);
Result<ingest::DoorCountMap> ReadDoor(Reader& reader);

}  // namespace millrace::runtime
