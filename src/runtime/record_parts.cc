#include "runtime/record_parts.h"

namespace millrace::runtime {

void PutPartition(std::string& out, log::PartitionId partition) {
  PutFixed(out, partition.topic.value);
  PutZigzag(out, partition.partition);
}

Result<log::PartitionId> ReadPartition(Reader& reader) {
  log::PartitionId partition;
  TRY(partition.topic.value, reader.Fixed<uint64_t>());
  TRY(const int64_t number, reader.Zigzag());
  partition.partition = static_cast<int32_t>(number);
  return partition;
}

void PutDoor(std::string& out, const ingest::DoorCountMap& door) {
  PutVarint(out, door.size());
  for (const auto& [edge, counts] : door) {
    PutBytes(out, edge.first);
    PutBytes(out, edge.second);
    for (int64_t value : {counts.sent, counts.appended, counts.repeated, counts.rejected}) {
      PutZigzag(out, value);
    }
  }
}

Result<ingest::DoorCountMap> ReadDoor(Reader& reader) {
  ingest::DoorCountMap door;
  TRY(const uint64_t size, reader.Varint());
  for (uint64_t i = 0; i < size; ++i) {
    TRY(const std::string_view stream, reader.Bytes());
    TRY(const std::string_view source, reader.Bytes());
    ingest::DoorCounts& counts = door[{std::string(stream), std::string(source)}];
    for (int64_t* value : {&counts.sent, &counts.appended, &counts.repeated, &counts.rejected}) {
      TRY(*value, reader.Zigzag());
    }
  }
  return door;
}

}  // namespace millrace::runtime
