// Compressed record batches as their records. The log stores every batch as it was sent; who reads
// records unpacks it first.
//
// Codecs: gzip (RFC 1952), snappy (raw, as librdkafka writes it, and in the blocks of snappy-java:
// "\x82SNAPPY\0", two versions, then length and raw snappy again and again), lz4 (the frame format
// 1.6), zstd (RFC 8878). Pure functions.
#pragma once

#include <string>

#include "base/result.h"
#include "log/log.h"
#include "log/record_batch.h"

namespace millrace::log {

// A producer's batch of 16 MiB could hold a thousand times as much.
inline constexpr size_t kUnpackedBytesMax = 256u << 20;

// The same batch with codec none: a whole RecordBatch whose header is the packed one's but for
// length, codec and CRC, which is not made anew (parse it with CrcCheck::kAlreadyVerified). Its
// records have been through CheckRecords. kCorruption: the records do not unpack, or are malformed;
// kTooLarge: more than `bytes_max`.
Result<std::string> Unpack(const RecordBatchView& batch, size_t bytes_max = kUnpackedBytesMax);

// Every packed batch of the result unpacked; those that do not unpack become damaged ranges.
void UnpackAll(ReadResult& result);

}  // namespace millrace::log
