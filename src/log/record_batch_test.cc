#include "log/record_batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/coding.h"
#include "base/random.h"
#include "log/testing.h"

namespace millrace::log::record_batch_test {
namespace {

std::string Sample() {
  RecordBatchBuilder builder;
  builder.Add("k1", "v1", {1000});
  builder.Add(std::nullopt, "", {900}, {{"h", "x"}, {"", std::nullopt}});
  builder.Add("", std::nullopt, {5000});
  builder.Add("k4", std::string(300, 'z'), {1001});
  return builder.Finish();
}

// A batch whose content was changed by hand, with the CRC made right again.
std::string Resealed(std::string batch) {
  const uint32_t crc = ByteSwap(Crc32c(std::string_view(batch).substr(21)));
  std::memcpy(batch.data() + 17, &crc, 4);
  return batch;
}

TEST(RecordBatch, GivesBackWhatWasAdded) {
  std::string bytes = Sample();
  SetBaseOffset(bytes.data(), {700});
  SetLeaderEpoch(bytes.data(), 3);
  const auto batch = RecordBatchView::Parse(bytes);
  ASSERT_TRUE(batch.ok()) << batch.error().ToString();
  ASSERT_TRUE(batch->CheckRecords().ok());
  EXPECT_EQ(batch->size(), bytes.size());
  EXPECT_EQ(batch->base_offset(), Offset{700});
  EXPECT_EQ(batch->last_offset(), Offset{703});
  EXPECT_EQ(batch->leader_epoch(), 3);
  EXPECT_EQ(batch->base_timestamp(), Millis{1000});
  EXPECT_EQ(batch->max_timestamp(), Millis{5000});
  EXPECT_EQ(batch->codec(), Codec::kNone);
  RecordCursor records = batch->records();
  ASSERT_TRUE(records.Next());
  EXPECT_EQ(records.record().key, "k1");
  EXPECT_EQ(records.record().value, "v1");
  EXPECT_EQ(records.record().offset, Offset{700});
  ASSERT_TRUE(records.Next());
  EXPECT_EQ(records.record().key, std::nullopt);
  EXPECT_EQ(records.record().value, "");
  EXPECT_EQ(records.record().timestamp, Millis{900});
  HeaderCursor headers = records.record().headers();
  ASSERT_TRUE(headers.Next());
  EXPECT_EQ(headers.header().key, "h");
  EXPECT_EQ(headers.header().value, "x");
  ASSERT_TRUE(headers.Next());
  EXPECT_EQ(headers.header().key, "");
  EXPECT_EQ(headers.header().value, std::nullopt);
  EXPECT_FALSE(headers.Next());
  ASSERT_TRUE(records.Next());
  EXPECT_EQ(records.record().key, "");
  EXPECT_EQ(records.record().value, std::nullopt);
  ASSERT_TRUE(records.Next());
  EXPECT_EQ(records.record().value, std::string(300, 'z'));
  EXPECT_EQ(records.record().offset, Offset{703});
  EXPECT_FALSE(records.Next());
  EXPECT_TRUE(records.status().ok());
}

// Bytes of a batch as kafka-python 2.0.2 encodes key b"k", value b"v", timestamp 1, no headers.
TEST(RecordBatch, HasTheLayoutThatKafkaUses) {
  RecordBatchBuilder builder;
  builder.Add("k", "v", {1});
  const std::string bytes = builder.Finish();
  const std::string record = bytes.substr(kRecordBatchHeaderBytes);
  EXPECT_EQ(record, std::string("\x10\x00\x00\x00\x02k\x02v\x00", 9));
  EXPECT_EQ(GetBig<int32_t>(bytes.data() + 8), static_cast<int32_t>(bytes.size() - 12));
  EXPECT_EQ(bytes[16], 2);
  EXPECT_EQ(GetBig<int64_t>(bytes.data() + 43), -1);
  EXPECT_EQ(GetBig<int32_t>(bytes.data() + 57), 1);
}

TEST(RecordBatch, NoticesEveryFlippedByteOfWhatTheCrcCovers) {
  const std::string bytes = Sample();
  for (size_t i = 8; i < bytes.size(); ++i) {
    if (i >= 12 && i < 16) continue;  // the leader epoch, which the log fills in
    std::string bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(RecordBatchView::Parse(bad).ok()) << "byte " << i;
  }
}

TEST(RecordBatch, RefusesEveryPrefix) {
  const std::string bytes = Sample();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(RecordBatchView::Parse(std::string_view(bytes).substr(0, size)).ok()) << size;
  }
}

TEST(RecordBatch, FindsMalformedRecordsBehindARightCrc) {
  for (size_t i = kRecordBatchHeaderBytes; i < kRecordBatchHeaderBytes + 4; ++i) {
    std::string bad = Sample();
    if (i == kRecordBatchHeaderBytes + 1 || i == kRecordBatchHeaderBytes + 2) continue;  // free
    bad[i] = static_cast<char>(bad[i] + 2);
    const std::string sealed = Resealed(bad);
    const auto batch = RecordBatchView::Parse(sealed);
    ASSERT_TRUE(batch.ok());
    EXPECT_FALSE(batch->CheckRecords().ok()) << "byte " << i;
  }
}

TEST(RecordBatch, RefusesCountsThatDoNotFit) {
  std::string bad = Sample();
  bad[60] = 5;  // record count 5, last offset delta 3
  EXPECT_FALSE(RecordBatchView::Parse(Resealed(bad)).ok());
  bad[26] = 4;  // agrees now, but there are four records
  const std::string sealed = Resealed(bad);
  const auto batch = RecordBatchView::Parse(sealed);
  ASSERT_TRUE(batch.ok());
  EXPECT_FALSE(batch->CheckRecords().ok());
  bad[57] = 0x7F;  // two thousand million records in a few bytes
  bad[23] = 0x7F;
  EXPECT_FALSE(RecordBatchView::Parse(Resealed(bad)).ok());
}

// The base offset is not covered by the CRC.
TEST(RecordBatch, RefusesOffsetsBeyond64Bits) {
  std::string batch = Sample();
  constexpr int64_t kLast = INT64_MAX - INT32_MAX - 1;
  SetBaseOffset(batch.data(), {kLast});
  const auto last = RecordBatchView::Parse(batch);
  ASSERT_TRUE(last.ok()) << last.error().ToString();
  EXPECT_TRUE(last->CheckRecords().ok());
  EXPECT_EQ(last->last_offset(), Offset{kLast + 3});
  for (const int64_t base : {kLast + 1, INT64_MAX, int64_t{-1}}) {
    SetBaseOffset(batch.data(), {base});
    EXPECT_FALSE(RecordBatchView::Parse(batch).ok()) << base;
  }
}

TEST(RecordBatch, SurvivesAnyBytesBehindARightCrc) {
  Random random(SeedFromEnvironment(1));
  const std::string good = Sample();
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bad = good;
    for (uint64_t n = random.Below(4); n < 4; ++n) {
      bad[21 + random.Below(bad.size() - 21)] = static_cast<char>(random.Next());
    }
    const std::string sealed = Resealed(bad);
    const auto batch = RecordBatchView::Parse(sealed);
    if (batch.ok() && batch->CheckRecords().ok()) ++accepted;
  }
  EXPECT_GT(accepted, 0);  // bytes inside keys and values are free
  EXPECT_LT(accepted, 20000);
}

TEST(RecordBatch, KeepsCompressedBatchesAsTheyAre) {
  std::string bytes = Sample();
  bytes[22] = 4;  // zstd; the records are opaque
  bytes = Resealed(bytes);
  const auto batch = RecordBatchView::Parse(bytes);
  ASSERT_TRUE(batch.ok());
  EXPECT_EQ(batch->codec(), Codec::kZstd);
  EXPECT_TRUE(batch->CheckRecords().ok());
}

TEST(RecordBatch, KnowsItsProducerAndItsTransaction) {
  RecordBatchBuilder builder;
  builder.Add("k", "v", {1});
  builder.SetProducer({77, 3}, 2147483647, /*transactional=*/true);
  const std::string bytes = builder.Finish();
  const RecordBatchView view = RecordBatchView::Parse(bytes).value();
  EXPECT_EQ(view.producer(), (Producer{77, 3}));
  EXPECT_EQ(view.base_sequence(), 2147483647);
  EXPECT_TRUE(view.is_transactional());
  EXPECT_FALSE(view.is_control());
  EXPECT_EQ(view.marker(), std::nullopt);
  // The producer goes with the batch for which it was set.
  builder.Add("k", "v", {1});
  const std::string next = builder.Finish();
  const RecordBatchView plain = RecordBatchView::Parse(next).value();
  EXPECT_EQ(plain.producer(), Producer{});
  EXPECT_EQ(plain.base_sequence(), -1);
  EXPECT_FALSE(plain.is_transactional());
}

TEST(RecordBatch, MarksTheEndOfATransactionAsKafkaDoes) {
  for (const auto outcome : {TransactionOutcome::kAbort, TransactionOutcome::kCommit}) {
    const std::string bytes = MarkerBatch({9, 4}, outcome, 12, {1000});
    const RecordBatchView view = RecordBatchView::Parse(bytes).value();
    ASSERT_TRUE(view.CheckRecords().ok());
    EXPECT_EQ(view.attributes(), 0x30);
    EXPECT_EQ(view.producer(), (Producer{9, 4}));
    EXPECT_EQ(view.base_sequence(), -1);
    EXPECT_EQ(view.marker(), outcome);
    RecordCursor records = view.records();
    ASSERT_TRUE(records.Next());
    const char type = outcome == TransactionOutcome::kCommit ? 1 : 0;
    EXPECT_EQ(*records.record().key, std::string({0, 0, 0, type}));
    EXPECT_EQ(*records.record().value, std::string({0, 0, 0, 0, 0, 12}));
  }
}

TEST(RecordBatch, IsNoMarkerWhenItsKeyIsShortOrOfAnotherType) {
  for (const std::string& key : {std::string("\0\0\0", 3), std::string("\0\0\0\2", 4)}) {
    RecordBatchBuilder builder;
    builder.Add(key, "", {1});
    std::string bytes = builder.Finish();
    bytes[22] = 0x30;
    bytes = Resealed(bytes);
    const RecordBatchView view = RecordBatchView::Parse(bytes).value();
    EXPECT_TRUE(view.is_control());
    EXPECT_EQ(view.marker(), std::nullopt);
  }
}

TEST(RecordBatch, SaysWhoseTimestampsItHolds) {
  std::string bytes = Sample();
  EXPECT_EQ(RecordBatchView::Parse(bytes).value().timestamp_type(), TimestampType::kCreateTime);
  bytes[22] = 0x08;
  bytes = Resealed(bytes);
  EXPECT_EQ(RecordBatchView::Parse(bytes).value().timestamp_type(), TimestampType::kLogAppendTime);
}

TEST(RecordBatch, KeepsItsOffsetsWhenRecordsAreTakenOut) {
  std::string bytes = Sample();
  SetBaseOffset(bytes.data(), {700});
  const RecordBatchView whole = RecordBatchView::Parse(bytes).value();
  EXPECT_TRUE(whole.is_dense());
  const FilteredBatch filtered = FilterRecords(whole, [](const RecordView& record) {
    return record.offset == Offset{701} || record.offset == Offset{703};
  });
  EXPECT_EQ(filtered.records, 2);
  const auto left = RecordBatchView::Parse(filtered.bytes);
  ASSERT_TRUE(left.ok()) << left.error().ToString();
  EXPECT_TRUE(left->CheckRecords().ok());
  EXPECT_FALSE(left->is_dense());
  EXPECT_EQ(left->record_count(), 2);
  EXPECT_EQ(left->base_offset(), Offset{700});
  EXPECT_EQ(left->last_offset(), Offset{703});
  EXPECT_EQ(left->max_timestamp(), whole.max_timestamp());
  RecordCursor records = left->records();
  ASSERT_TRUE(records.Next());
  EXPECT_EQ(records.record().offset, Offset{701});
  EXPECT_EQ(records.record().timestamp, Millis{900});
  EXPECT_EQ(records.record().header_count, 2);
  ASSERT_TRUE(records.Next());
  EXPECT_EQ(records.record().offset, Offset{703});
  EXPECT_EQ(records.record().key, "k4");
  EXPECT_FALSE(records.Next());
  EXPECT_TRUE(FilterRecords(whole, [](const RecordView&) { return false; }).bytes.empty());
}

}  // namespace
}  // namespace millrace::log::record_batch_test
