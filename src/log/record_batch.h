// A Kafka RecordBatch, version 2 (magic 2): the unit that producers send, the log stores and
// readers get back, byte for byte. Layout: https://kafka.apache.org/documentation/#recordbatch; all
// numbers big-endian, records in zigzag varints.
//
//    0 base offset i64     8 length i32 (of what follows)   12 leader epoch i32   16 magic i8   17
//    CRC32C u32 (of 21..end)
//   21 attributes i16     23 last offset delta i32          27 base timestamp i64  35 max timestamp
//   i64 43 producer id i64    51 producer epoch i16             53 base sequence i32   57 record
//   count i32   61 records
//
// Base offset and leader epoch lie outside the CRC: the log fills them in without touching the
// rest.
//
// RecordBatchBuilder makes one, RecordBatchView checks one and walks its records. Neither is
// thread-safe; a view borrows its bytes and may be copied freely. Timestamps are milliseconds since
// 1970, as Kafka counts.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "log/types.h"

namespace millrace::log {

inline constexpr size_t kRecordBatchHeaderBytes = 61;
inline constexpr size_t kRecordBatchSizeFieldEnd =
    12;  // base offset and length: enough to find the next batch
inline constexpr size_t kRecordBatchCrcFrom = 21;  // the CRC is of what follows

// Milliseconds since 1970-01-01 UTC.
struct Millis {
  int64_t value = 0;
  auto operator<=>(const Millis&) const = default;
};

struct Header {
  std::string_view key;
  std::optional<std::string_view> value;
};

// The low three bits of the attributes. The log stores every codec as sent; it reads the records of
// kNone only.
enum class Codec : uint8_t { kNone = 0, kGzip = 1, kSnappy = 2, kLz4 = 3, kZstd = 4 };

// Walks a record's headers.
//
//   for (HeaderCursor headers = record.headers(); headers.Next();) Use(headers.header());
class HeaderCursor {
 public:
  HeaderCursor(std::string_view bytes, int32_t count) : bytes_(bytes), left_(count) {}
  bool Next();
  const Header& header() const { return header_; }

 private:
  std::string_view bytes_;
  int32_t left_;
  Header header_;
};

// One record, borrowed from its batch.
struct RecordView {
  Offset offset;
  Millis timestamp;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  int32_t header_count = 0;
  std::string_view header_bytes;

  HeaderCursor headers() const { return HeaderCursor(header_bytes, header_count); }
};

enum class TimestampType : uint8_t { kCreateTime = 0, kLogAppendTime = 1 };

// Further bits of the attributes.
inline constexpr uint16_t kLogAppendTimeBit = 0x08;
inline constexpr uint16_t kTransactionalBit = 0x10;
inline constexpr uint16_t kControlBit = 0x20;

class RecordBatchView;

// Walks the records of a batch of codec kNone, without allocation. A record whose lengths do not
// add up ends the walk: look at status() after the loop where the batch has not been through
// CheckRecords (what Log::Read returns has).
//
//   RecordCursor records = batch.records();
//   while (records.Next()) Use(records.record());
class RecordCursor {
 public:
  // False at the end and at a malformed record.
  bool Next();
  const RecordView& record() const { return record_; }
  // Of that record, with its length; relative to the batch's base offset and timestamp.
  std::string_view record_bytes() const { return {from_, static_cast<size_t>(at_ - from_)}; }
  Status status() const;

 private:
  friend class RecordBatchView;
  // `append_time`: that of all records; nullopt: each has its own.
  RecordCursor(std::string_view records, Offset base, Millis base_timestamp, int32_t count,
               std::optional<Millis> append_time)
      : from_(records.data()),
        at_(records.data()),
        end_(records.data() + records.size()),
        base_(base),
        base_timestamp_(base_timestamp),
        left_(count),
        append_time_(append_time) {}

  const char* from_;
  const char* at_;
  const char* end_;
  Offset base_;
  Millis base_timestamp_;
  int32_t left_;
  std::optional<Millis> append_time_;
  bool malformed_ = false;
  RecordView record_;
};

enum class CrcCheck {
  kVerify,
  kAlreadyVerified,  // the bytes come from Log::Read or were just verified: lengths are checked,
                     // the CRC is not
};

class RecordBatchView {
 public:
  // The batch at the front of `bytes`, which may hold more behind it (see size()). Checks magic,
  // every length, counts (1 ≤ record count ≤ last offset delta + 1), codec, and the CRC.
  // kCorruption names what is wrong.
  static Result<RecordBatchView> Parse(std::string_view bytes, CrcCheck crc = CrcCheck::kVerify);

  // Walks every record and checks every length, that offset deltas rise (0, 1, 2, … in a dense
  // batch), and that nothing is left over. Always ok for compressed batches, whose records the log
  // cannot see.
  Status CheckRecords() const;

  std::string_view bytes() const { return bytes_; }  // of this batch alone
  size_t size() const { return bytes_.size(); }
  Offset base_offset() const { return base_offset_; }
  Offset last_offset() const { return base_offset_ + last_delta_; }
  int32_t record_count() const { return record_count_; }
  // As producers must send it: an offset for every record. Compaction takes records out.
  bool is_dense() const { return last_delta_ == record_count_ - 1; }
  Millis base_timestamp() const { return base_timestamp_; }
  Millis max_timestamp() const { return max_timestamp_; }
  int32_t leader_epoch() const;
  uint16_t attributes() const { return attributes_; }
  Codec codec() const { return static_cast<Codec>(attributes_ & 7); }
  TimestampType timestamp_type() const {
    return (attributes_ & kLogAppendTimeBit) != 0 ? TimestampType::kLogAppendTime
                                                  : TimestampType::kCreateTime;
  }
  bool is_transactional() const { return (attributes_ & kTransactionalBit) != 0; }
  bool is_control() const { return (attributes_ & kControlBit) != 0; }
  // -1 where the batch has none.
  int64_t producer_id() const;
  int16_t producer_epoch() const;
  Producer producer() const { return {producer_id(), producer_epoch()}; }
  // Of the first record; the others follow, and after 2^31-1 comes 0.
  int32_t base_sequence() const;

  // REQUIRES: codec() == Codec::kNone.
  RecordCursor records() const;
  // What a control batch says; nullopt: it is not the end of a transaction.
  std::optional<TransactionOutcome> marker() const;

 private:
  RecordBatchView() = default;

  std::string_view bytes_;
  Offset base_offset_;
  Millis base_timestamp_;
  Millis max_timestamp_;
  int32_t record_count_ = 0;
  int32_t last_delta_ = 0;
  uint16_t attributes_ = 0;
};

// A batch without the records of which `keep` is false: the same offsets, header and bytes
// otherwise. `bytes` is empty when none was kept.
struct FilteredBatch {
  std::string bytes;
  int32_t records = 0;
};
// REQUIRES: codec kNone, and the records were checked.
FilteredBatch FilterRecords(const RecordBatchView& batch,
                            const std::function<bool(const RecordView&)>& keep);

// Fills in what the log decides, both outside the CRC. REQUIRES: `batch` points to a whole batch.
void SetBaseOffset(char* batch, Offset base);
void SetLeaderEpoch(char* batch, int32_t epoch);
// Gives all records of a whole batch `time` in place of their own, as LogAppendTime. Makes the CRC
// anew.
void SetAppendTime(std::span<char> batch, Millis time);
// Without checking anything else. REQUIRES: `batch` points to a whole batch.
Millis MaxTimestamp(const char* batch);
uint32_t BatchCrc(const char* batch);
int64_t ProducerId(const char* batch);
uint16_t BatchAttributes(const char* batch);

// Builds batches one after the other; its buffers are reused.
//
//   RecordBatchBuilder builder;
//   builder.Add(key, value, timestamp);
//   std::string bytes = builder.Finish();   // the builder is empty again
class RecordBatchBuilder {
 public:
  RecordBatchBuilder() { Clear(); }

  // nullopt is Kafka's null, which differs from the empty string.
  void Add(std::optional<std::string_view> key, std::optional<std::string_view> value,
           Millis timestamp) {
    Add(key, value, timestamp, {});
  }
  void Add(std::optional<std::string_view> key, std::optional<std::string_view> value,
           Millis timestamp, const std::vector<Header>& headers);

  // Makes the batch one of an idempotent producer, or of its transaction. Until Finish.
  void SetProducer(Producer producer, int32_t base_sequence, bool transactional = false);

  int32_t record_count() const { return count_; }
  bool empty() const { return count_ == 0; }
  // Bytes that Finish would return now.
  size_t size() const { return bytes_.size(); }

  // The batch: base offset 0 (the log sets it), codec none, no producer id unless SetProducer.
  // REQUIRES: !empty().
  std::string Finish();
  // The same, put behind what `out` holds: several batches in one append.
  void FinishInto(std::string& out);

 private:
  void Clear();
  void FillHeader();

  std::string bytes_;
  int32_t count_ = 0;
  Millis base_timestamp_;
  Millis max_timestamp_;
  Producer producer_;
  int32_t base_sequence_ = -1;
  uint16_t attributes_ = 0;

  friend std::string MarkerBatch(Producer producer, TransactionOutcome outcome,
                                 int32_t coordinator_epoch, Millis timestamp);
};

// A control batch of one record that ends the producer's transaction in the partition to which it
// is written: key version i16 = 0, type i16; value version i16 = 0, coordinator epoch i32.
std::string MarkerBatch(Producer producer, TransactionOutcome outcome, int32_t coordinator_epoch,
                        Millis timestamp);

}  // namespace millrace::log
