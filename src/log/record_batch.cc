#include "log/record_batch.h"

#include "base/coding.h"

namespace millrace::log {
namespace {

// Reads one zigzag varint of at most 10 bytes. nullptr: it does not end within [at, end).
inline const char* ReadZigzag(const char* at, const char* end, int64_t* out) {
  if (at < end && static_cast<uint8_t>(*at) < 0x80) {  // nearly always: one byte
    const auto raw = static_cast<uint8_t>(*at);
    *out = static_cast<int64_t>(raw >> 1) ^ -static_cast<int64_t>(raw & 1);
    return at + 1;
  }
  uint64_t raw = 0;
  for (int shift = 0; shift < 70 && at < end; shift += 7, ++at) {
    const auto byte = static_cast<uint8_t>(*at);
    if (shift == 63 && byte > 1) return nullptr;
    raw |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) {
      *out = static_cast<int64_t>(raw >> 1) ^ -static_cast<int64_t>(raw & 1);
      return at + 1;
    }
  }
  return nullptr;
}

// A length, then that many bytes; -1 is null. nullptr: out of bounds.
inline const char* ReadField(const char* at, const char* end,
                             std::optional<std::string_view>* out) {
  int64_t length;
  at = ReadZigzag(at, end, &length);
  if (at == nullptr || length < -1 || length > end - at) return nullptr;
  if (length < 0) {
    out->reset();
    return at;
  }
  out->emplace(at, static_cast<size_t>(length));
  return at + length;
}

inline char* WriteZigzag(char* at, int64_t value) {
  uint64_t raw = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  while (raw >= 0x80) {
    *at++ = static_cast<char>(raw | 0x80);
    raw >>= 7;
  }
  *at++ = static_cast<char>(raw);
  return at;
}

inline int ZigzagBytes(int64_t value) {
  const uint64_t raw = (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
  return (64 - __builtin_clzll(raw | 1) + 6) / 7;
}

inline char* WriteField(char* at, const std::optional<std::string_view>& field) {
  if (!field) return WriteZigzag(at, -1);
  at = WriteZigzag(at, static_cast<int64_t>(field->size()));
  std::memcpy(at, field->data(), field->size());
  return at + field->size();
}

inline size_t FieldBytes(const std::optional<std::string_view>& field) {
  if (!field) return 1;
  return static_cast<size_t>(ZigzagBytes(static_cast<int64_t>(field->size()))) + field->size();
}

template <typename T>
void PutBigAt(char* at, T value) {
  const auto swapped = ByteSwap(static_cast<std::make_unsigned_t<T>>(value));
  std::memcpy(at, &swapped, sizeof(swapped));
}

Error Bad(std::string_view what, int64_t found) {
  return Error(Code::kCorruption, "record batch: {} {}", what, found);
}

}  // namespace

bool HeaderCursor::Next() {
  if (left_ <= 0) return false;
  --left_;
  std::optional<std::string_view> key;
  const char* end = bytes_.data() + bytes_.size();
  const char* at = ReadField(bytes_.data(), end, &key);
  if (at != nullptr) at = ReadField(at, end, &header_.value);
  if (at == nullptr || !key) {
    left_ = 0;
    return false;
  }
  header_.key = *key;
  bytes_ = std::string_view(at, static_cast<size_t>(end - at));
  return true;
}

bool RecordCursor::Next() {
  if (left_ == 0) return false;
  from_ = at_;
  int64_t length, timestamp_delta, offset_delta, header_count;
  const char* at = ReadZigzag(at_, end_, &length);
  if (at == nullptr || length < 1 || length > end_ - at) return malformed_ = true, left_ = 0, false;
  const char* end = at + length;
  ++at;  // attributes: none are defined
  at = ReadZigzag(at, end, &timestamp_delta);
  if (at != nullptr) at = ReadZigzag(at, end, &offset_delta);
  if (at != nullptr) at = ReadField(at, end, &record_.key);
  if (at != nullptr) at = ReadField(at, end, &record_.value);
  if (at != nullptr) at = ReadZigzag(at, end, &header_count);
  // A header takes two bytes at least.
  if (at == nullptr || header_count < 0 || header_count > (end - at) / 2 || offset_delta < 0 ||
      offset_delta > INT32_MAX) {
    malformed_ = true;
    left_ = 0;
    return false;
  }
  record_.offset = base_ + offset_delta;
  // Wraps where a producer sent nonsense, instead of undefined behaviour.
  record_.timestamp = append_time_.value_or(Millis{static_cast<int64_t>(
      static_cast<uint64_t>(base_timestamp_.value) + static_cast<uint64_t>(timestamp_delta))});
  record_.header_count = static_cast<int32_t>(header_count);
  record_.header_bytes = std::string_view(at, static_cast<size_t>(end - at));
  at_ = end;
  --left_;
  return true;
}

Status RecordCursor::status() const {
  if (malformed_) return Error(Code::kCorruption, "record batch: malformed record");
  return Ok();
}

Result<RecordBatchView> RecordBatchView::Parse(std::string_view bytes, CrcCheck crc) {
  if (bytes.size() < kRecordBatchHeaderBytes) {
    return Bad("shorter than its header:", static_cast<int64_t>(bytes.size()));
  }
  const char* at = bytes.data();
  const auto length = GetBig<int32_t>(at + 8);
  if (length < static_cast<int64_t>(kRecordBatchHeaderBytes - kRecordBatchSizeFieldEnd) ||
      static_cast<size_t>(length) > bytes.size() - kRecordBatchSizeFieldEnd) {
    return Bad("length does not fit:", length);
  }
  if (at[16] != 2) return Bad("magic is not 2 but", at[16]);
  RecordBatchView view;
  view.bytes_ = bytes.substr(0, kRecordBatchSizeFieldEnd + static_cast<size_t>(length));
  view.base_offset_ = Offset{GetBig<int64_t>(at)};
  view.attributes_ = GetBig<uint16_t>(at + 21);
  view.last_delta_ = GetBig<int32_t>(at + 23);
  view.base_timestamp_ = Millis{GetBig<int64_t>(at + 27)};
  view.max_timestamp_ = Millis{GetBig<int64_t>(at + 35)};
  view.record_count_ = GetBig<int32_t>(at + 57);
  if (view.base_offset_.value < 0) return Bad("negative base offset", view.base_offset_.value);
  if (view.record_count_ < 1) return Bad("record count is", view.record_count_);
  if (view.last_delta_ < view.record_count_ - 1) {
    return Bad("last offset delta is", view.last_delta_);
  }
  // The base offset is not covered by the CRC, and a record's delta may say anything of 31 bits.
  if (view.base_offset_.value >= INT64_MAX - INT32_MAX)
    return Bad("offsets go beyond 64 bits from", view.base_offset_.value);
  if ((view.attributes_ & 7) > 4) return Bad("unknown codec", view.attributes_ & 7);
  // A record takes seven bytes at least: length, attributes, two deltas, key, value, header count.
  if (view.codec() == Codec::kNone &&
      view.bytes_.size() - kRecordBatchHeaderBytes < static_cast<size_t>(view.record_count_) * 7) {
    return Bad("too short for its record count", view.record_count_);
  }
  if (crc == CrcCheck::kVerify && Crc32c(view.bytes_.substr(kRecordBatchCrcFrom)) != BatchCrc(at)) {
    return Error(Code::kCorruption, "record batch: crc mismatch");
  }
  return view;
}

Status RecordBatchView::CheckRecords() const {
  if (codec() != Codec::kNone) return Ok();
  RecordCursor cursor = records();
  Offset expected = base_offset_;
  while (cursor.Next()) {
    const Offset offset = cursor.record().offset;
    if (offset < expected || (is_dense() && offset != expected) || offset > last_offset()) {
      return Bad("offset deltas are not dense at", offset - base_offset_);
    }
    expected = offset + 1;
    int32_t headers = 0;
    for (HeaderCursor header = cursor.record().headers(); header.Next();) ++headers;
    if (headers != cursor.record().header_count) return Bad("malformed header", headers);
  }
  TRY(cursor.status());
  if (cursor.at_ != cursor.end_)
    return Bad("bytes behind the last record:", cursor.end_ - cursor.at_);
  return Ok();
}

int32_t RecordBatchView::leader_epoch() const { return GetBig<int32_t>(bytes_.data() + 12); }
int64_t RecordBatchView::producer_id() const { return ProducerId(bytes_.data()); }
int16_t RecordBatchView::producer_epoch() const { return GetBig<int16_t>(bytes_.data() + 51); }
int32_t RecordBatchView::base_sequence() const { return GetBig<int32_t>(bytes_.data() + 53); }

std::optional<TransactionOutcome> RecordBatchView::marker() const {
  if (!is_control() || codec() != Codec::kNone) return std::nullopt;
  RecordCursor cursor = records();
  if (!cursor.Next()) return std::nullopt;
  const std::optional<std::string_view> key = cursor.record().key;
  if (!key || key->size() < 4) return std::nullopt;
  // Later versions of the key may only add to it.
  switch (GetBig<int16_t>(key->data() + 2)) {
    case static_cast<int16_t>(TransactionOutcome::kAbort):
      return TransactionOutcome::kAbort;
    case static_cast<int16_t>(TransactionOutcome::kCommit):
      return TransactionOutcome::kCommit;
    default:
      return std::nullopt;
  }
}

RecordCursor RecordBatchView::records() const {
  CHECK(codec() == Codec::kNone) << "records of a compressed batch";
  std::optional<Millis> append_time;
  if (timestamp_type() == TimestampType::kLogAppendTime) append_time = max_timestamp_;
  return RecordCursor(bytes_.substr(kRecordBatchHeaderBytes), base_offset_, base_timestamp_,
                      record_count_, append_time);
}

FilteredBatch FilterRecords(const RecordBatchView& batch,
                            const std::function<bool(const RecordView&)>& keep) {
  FilteredBatch filtered;
  filtered.bytes = batch.bytes().substr(0, kRecordBatchHeaderBytes);
  RecordCursor cursor = batch.records();
  while (cursor.Next()) {
    if (!keep(cursor.record())) continue;
    filtered.bytes += cursor.record_bytes();
    ++filtered.records;
  }
  if (filtered.records == 0) {
    filtered.bytes.clear();
    return filtered;
  }
  char* const at = filtered.bytes.data();
  PutBigAt(at + 8, static_cast<int32_t>(filtered.bytes.size() - kRecordBatchSizeFieldEnd));
  PutBigAt(at + 57, filtered.records);
  PutBigAt(at + 17, Crc32c(std::string_view(filtered.bytes).substr(kRecordBatchCrcFrom)));
  return filtered;
}

void SetBaseOffset(char* batch, Offset base) { PutBigAt(batch, base.value); }
void SetLeaderEpoch(char* batch, int32_t epoch) { PutBigAt(batch + 12, epoch); }
void SetAppendTime(std::span<char> batch, Millis time) {
  PutBigAt(batch.data() + 35, time.value);
  PutBigAt(batch.data() + 21,
           static_cast<uint16_t>(BatchAttributes(batch.data()) | kLogAppendTimeBit));
  const std::string_view bytes(batch.data(), batch.size());
  PutBigAt(batch.data() + 17, Crc32c(bytes.substr(kRecordBatchCrcFrom)));
}
Millis MaxTimestamp(const char* batch) { return {GetBig<int64_t>(batch + 35)}; }
uint32_t BatchCrc(const char* batch) { return GetBig<uint32_t>(batch + 17); }
uint16_t BatchAttributes(const char* batch) { return GetBig<uint16_t>(batch + 21); }
int64_t ProducerId(const char* batch) { return GetBig<int64_t>(batch + 43); }

void RecordBatchBuilder::Clear() {
  bytes_.assign(kRecordBatchHeaderBytes, '\0');
  count_ = 0;
  producer_ = {};
  base_sequence_ = -1;
  attributes_ = 0;
}

void RecordBatchBuilder::SetProducer(Producer producer, int32_t base_sequence, bool transactional) {
  producer_ = producer;
  base_sequence_ = base_sequence;
  attributes_ = transactional ? kTransactionalBit : 0;
}

void RecordBatchBuilder::Add(std::optional<std::string_view> key,
                             std::optional<std::string_view> value, Millis timestamp,
                             const std::vector<Header>& headers) {
  if (count_ == 0) base_timestamp_ = max_timestamp_ = timestamp;
  if (timestamp > max_timestamp_) max_timestamp_ = timestamp;
  const int64_t timestamp_delta = static_cast<int64_t>(
      static_cast<uint64_t>(timestamp.value) - static_cast<uint64_t>(base_timestamp_.value));
  size_t body = 1 + static_cast<size_t>(ZigzagBytes(timestamp_delta) + ZigzagBytes(count_)) +
                FieldBytes(key) + FieldBytes(value) +
                static_cast<size_t>(ZigzagBytes(static_cast<int64_t>(headers.size())));
  for (const Header& header : headers) body += FieldBytes(header.key) + FieldBytes(header.value);

  const size_t before = bytes_.size();
  const auto length = static_cast<int64_t>(body);
  bytes_.resize(before + static_cast<size_t>(ZigzagBytes(length)) + body);
  char* at = WriteZigzag(bytes_.data() + before, length);
  *at++ = 0;  // attributes
  at = WriteZigzag(at, timestamp_delta);
  at = WriteZigzag(at, count_);
  at = WriteField(at, key);
  at = WriteField(at, value);
  at = WriteZigzag(at, static_cast<int64_t>(headers.size()));
  for (const Header& header : headers) at = WriteField(WriteField(at, header.key), header.value);
  ++count_;
}

void RecordBatchBuilder::FillHeader() {
  CHECK(count_ > 0) << "a batch holds at least one record";
  char* at = bytes_.data();
  PutBigAt(at + 8, static_cast<int32_t>(bytes_.size() - kRecordBatchSizeFieldEnd));
  at[16] = 2;
  PutBigAt(at + 21, attributes_);
  PutBigAt(at + 23, count_ - 1);
  PutBigAt(at + 27, base_timestamp_.value);
  PutBigAt(at + 35, max_timestamp_.value);
  PutBigAt(at + 43, producer_.id);
  PutBigAt(at + 51, producer_.epoch);
  PutBigAt(at + 53, base_sequence_);
  PutBigAt(at + 57, count_);
  PutBigAt(at + 17, Crc32c(std::string_view(bytes_).substr(kRecordBatchCrcFrom)));
}

std::string RecordBatchBuilder::Finish() {
  FillHeader();
  std::string out = std::move(bytes_);
  Clear();
  return out;
}

void RecordBatchBuilder::FinishInto(std::string& out) {
  FillHeader();
  out.append(bytes_);
  Clear();
}

std::string MarkerBatch(Producer producer, TransactionOutcome outcome, int32_t coordinator_epoch,
                        Millis timestamp) {
  std::string key, value;
  PutBig(key, int16_t{0});
  PutBig(key, static_cast<int16_t>(outcome));
  PutBig(value, int16_t{0});
  PutBig(value, coordinator_epoch);
  RecordBatchBuilder builder;
  builder.Add(key, value, timestamp);
  builder.producer_ = producer;
  builder.attributes_ = kTransactionalBit | kControlBit;
  return builder.Finish();
}

}  // namespace millrace::log
