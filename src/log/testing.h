// Helpers of this module's tests: small logs on a disk that can fail, and batches to put into them.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/coding.h"
#include "base/faulty_files.h"
#include "log/log.h"

namespace millrace::log {

// Small sizes, so that a few appends roll segments and go round the write-ahead file.
inline LogOptions SmallOptions(Files& files, Clock& clock) {
  LogOptions options;
  options.files = &files;
  options.clock = &clock;
  options.directory = "data";
  options.write_ahead_bytes_max = 64 << 10;
  options.segment_bytes = 2 << 10;
  options.request_bytes_max = 8 << 10;
  options.frame_bytes_target = 8 << 10;
  options.tail_bytes_max = 32 << 10;
  options.direct_fill_bytes_min = 1;
  options.disk_reserve_bytes = 0;
  options.manual = true;
  return options;
}

// `count` records whose values are "<text>/0", "<text>/1", …
inline std::string MakeBatch(std::string_view text, int count = 1, Millis timestamp = {1000}) {
  RecordBatchBuilder builder;
  for (int i = 0; i < count; ++i) {
    builder.Add("key", std::string(text) + "/" + std::to_string(i), timestamp);
  }
  return builder.Finish();
}

// The same, of a producer.
inline std::string MakeProducerBatch(Producer producer, int32_t sequence, std::string_view text,
                                     int count = 1, bool transactional = false) {
  RecordBatchBuilder builder;
  for (int i = 0; i < count; ++i) {
    builder.Add("key", std::string(text) + "/" + std::to_string(i), {1000});
  }
  builder.SetProducer(producer, sequence, transactional);
  return builder.Finish();
}

// The batch `plain` of codec none, with its records packed as `packed`.
inline std::string Packed(const std::string& plain, Codec codec, std::string_view packed) {
  std::string out = plain.substr(0, kRecordBatchHeaderBytes).append(packed);
  std::string length;
  PutBig(length, static_cast<int32_t>(out.size() - 12));
  out.replace(8, 4, length);
  out[22] = static_cast<char>(codec);
  std::string crc;
  PutBig(crc, Crc32c(std::string_view(out).substr(kRecordBatchCrcFrom)));
  out.replace(17, 4, crc);
  return out;
}

inline std::vector<std::string> Values(const ReadResult& result) {
  std::vector<std::string> values;
  for (const ReadBatch& batch : result.batches) {
    RecordCursor records = batch.view().records();
    while (records.Next()) values.emplace_back(*records.record().value);
  }
  return values;
}

// All values of a partition from `from` on, over as many reads as it takes. Damaged records count
// as "<lost>".
inline Result<std::vector<std::string>> ReadAllValues(const Log& log, PartitionId partition,
                                                      Offset from = {0}) {
  std::vector<std::string> values;
  for (;;) {
    TRY(const ReadResult result, log.Read(partition, {.from = from, .bytes_max = 1}));
    if (result.next == from) return values;
    const size_t begin = values.size();
    values.resize(begin + static_cast<size_t>(result.next - from), "<neither there nor lost>");
    const auto at = [&](Offset offset) { return begin + static_cast<size_t>(offset - from); };
    for (const ReadBatch& batch : result.batches) {
      RecordCursor records = batch.view().records();
      while (records.Next()) {
        const Offset offset = records.record().offset;
        if (offset >= from) values.at(at(offset)) = *records.record().value;
      }
    }
    for (const DamagedRange& range : result.damaged) {
      for (Offset lost = range.first; lost <= range.last; lost = lost + 1) {
        values.at(at(lost)) = "<lost>";
      }
    }
    from = result.next;
  }
}

// The values that readers of committed records get from `from` on, in reads of `bytes_max`.
inline Result<std::vector<std::string>> ReadCommittedValues(const Log& log, PartitionId partition,
                                                            Offset from, size_t bytes_max) {
  std::vector<std::string> values;
  for (;;) {
    TRY(const ReadResult read,
        log.Read(partition, {.from = from, .bytes_max = bytes_max, .committed_only = true}));
    if (read.next == from) return values;
    for (const ReadBatch& batch : read.batches) {
      RecordCursor records = batch.view().records();
      while (records.Next()) {  // the first batch may begin below `from`
        if (records.record().offset >= from) values.emplace_back(*records.record().value);
      }
    }
    from = read.next;
  }
}

// From the environment variable MILLRACE_SEED, else `otherwise`; printed, so that a failure can be
// repeated.
inline uint64_t SeedFromEnvironment(uint64_t otherwise) {
  const char* text = std::getenv("MILLRACE_SEED");
  const uint64_t seed = text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
  ::testing::Test::RecordProperty("seed", std::to_string(seed));
  std::fprintf(stderr, "MILLRACE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

}  // namespace millrace::log
