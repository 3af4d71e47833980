// Which partition a row goes to: murmur2 of its key, as the Java client of Kafka places records, so
// that producers over HTTP and over the Kafka protocol agree
// (org.apache.kafka.clients.producer.internals.BuiltInPartitioner,
// org.apache.kafka.common.utils.Utils.murmur2). Pure functions, thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rows/schema.h"

namespace millrace::ingest {

uint32_t Murmur2(std::string_view bytes);
inline int32_t PartitionOf(std::string_view key, int32_t partitions) {
  return static_cast<int32_t>((Murmur2(key) & 0x7fffffffu) % static_cast<uint32_t>(partitions));
}

// The record keys of a chunk's rows: the text of the key column, a JSON array for several; nullopt
// where all are NULL.
std::vector<std::optional<std::string>> RecordKeys(duckdb::DataChunk& rows,
                                                   const std::vector<size_t>& columns);

}  // namespace millrace::ingest
