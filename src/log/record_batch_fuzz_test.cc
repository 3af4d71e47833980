// Mutated record batches against everything that reads them: nothing may crash, read beyond its
// bytes (the sanitizers watch) or take memory that the bytes do not justify. MILLRACE_SEED repeats
// the same mutations, MILLRACE_FUZZ_SECONDS says how long to go on (default 10).
#include <gtest/gtest.h>
#include <zstd.h>

#include <chrono>
#include <random>

#include "base/coding.h"
#include "base/fuzzing.h"
#include "log/testing.h"
#include "log/unpack.h"

namespace millrace::log::record_batch_fuzz_test {
namespace {

constexpr size_t kUnpackedMax = 1 << 20;

void FixLengthAndCrc(std::string& batch) {
  if (batch.size() < kRecordBatchHeaderBytes) return;
  std::string field;
  PutBig(field, static_cast<int32_t>(batch.size() - 12));
  batch.replace(8, 4, field);
  field.clear();
  PutBig(field, Crc32c(std::string_view(batch).substr(kRecordBatchCrcFrom)));
  batch.replace(17, 4, field);
}

std::vector<std::string> Corpus() {
  std::vector<std::string> corpus;
  corpus.push_back(MakeBatch("text", 1));
  corpus.push_back(MakeBatch("text", 40));
  corpus.push_back(MakeProducerBatch({7, 1}, 5, "mine", 3, true));
  corpus.push_back(MarkerBatch({7, 1}, TransactionOutcome::kAbort, 3, {1000}));
  RecordBatchBuilder builder;
  builder.Add(std::nullopt, std::nullopt, {-1}, {{"header", "value"}, {"null", std::nullopt}});
  builder.Add("", "", {INT32_MAX}, {});
  corpus.push_back(builder.Finish());
  const std::string plain = MakeBatch("packed", 30);
  const std::string_view records = std::string_view(plain).substr(kRecordBatchHeaderBytes);
  std::string packed(ZSTD_compressBound(records.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), records.data(), records.size(), 3));
  std::string zstd = plain.substr(0, kRecordBatchHeaderBytes) + packed;
  zstd[22] = static_cast<char>(Codec::kZstd);
  FixLengthAndCrc(zstd);
  corpus.push_back(zstd);
  for (const Codec codec : {Codec::kGzip, Codec::kSnappy, Codec::kLz4}) {
    zstd[22] = static_cast<char>(codec);  // bytes that are none of it
    FixLengthAndCrc(zstd);
    corpus.push_back(zstd);
  }
  return corpus;
}

// What was read, so that nothing of it is left out by the compiler.
uint64_t Touch(const RecordBatchView& batch) {
  uint64_t sum = 0;
  RecordCursor records = batch.records();
  while (records.Next()) {
    const RecordView& record = records.record();
    sum += Crc32c(record.key.value_or("")) + Crc32c(record.value.value_or(""));
    HeaderCursor headers = record.headers();
    while (headers.Next()) sum += Crc32c(headers.header().key);
  }
  return sum;
}

// How far into the reader the bytes came: a fuzzer that is turned away at the door tests nothing.
struct Depths {
  uint64_t parsed = 0;
  uint64_t checked = 0;
  uint64_t unpacked = 0;
  uint64_t touched = 0;
};

void ReadAll(std::string_view bytes, Depths& depths) {
  // In memory of exactly that size: a byte too far is seen.
  const std::vector<char> exact(bytes.begin(), bytes.end());
  const auto batch = RecordBatchView::Parse({exact.data(), exact.size()});
  if (!batch.ok()) return;
  ++depths.parsed;
  ASSERT_LE(batch->size(), exact.size());
  ASSERT_GE(batch->record_count(), 1);
  ASSERT_GE(batch->last_offset() - batch->base_offset() + 1, batch->record_count());
  static_cast<void>(batch->marker());
  if (batch->codec() != Codec::kNone) {
    const auto unpacked = Unpack(*batch, kUnpackedMax);
    if (!unpacked.ok()) return;
    ++depths.unpacked;
    ASSERT_LE(unpacked->size(), kUnpackedMax + kRecordBatchHeaderBytes);
    const auto view = RecordBatchView::Parse(*unpacked, CrcCheck::kAlreadyVerified);
    ASSERT_TRUE(view.ok()) << view.error().ToString();
    depths.touched += Touch(*view);
    return;
  }
  depths.touched += Touch(*batch);  // the walk itself must end at what is malformed
  if (!batch->CheckRecords().ok()) return;
  ++depths.checked;
  int32_t count = 0;
  RecordCursor records = batch->records();
  while (records.Next()) ++count;
  ASSERT_TRUE(records.status().ok());
  ASSERT_EQ(count, batch->record_count());
}

TEST(RecordBatchFuzz, NoBytesAreReadAsMoreThanTheyAre) {
  const uint64_t seed = SeedFromEnvironment(std::random_device()());
  Random random(seed);
  const std::vector<std::string> corpus = Corpus();
  Depths depths;
  uint64_t cases = 0;
  const auto until = FuzzUntil();
  for (; cases < 20'000 || std::chrono::steady_clock::now() < until; ++cases) {
    std::string bytes = corpus[random.Below(corpus.size())];
    Mutate(bytes, random);
    if (!random.OneIn(8)) FixLengthAndCrc(bytes);
    ReadAll(bytes, depths);
    if (HasFatalFailure()) {
      std::fprintf(stderr, "case %llu\n", static_cast<unsigned long long>(cases));
      return;
    }
  }
  std::fprintf(stderr, "%llu cases: %llu parsed, %llu checked, %llu unpacked\n",
               static_cast<unsigned long long>(cases),
               static_cast<unsigned long long>(depths.parsed),
               static_cast<unsigned long long>(depths.checked),
               static_cast<unsigned long long>(depths.unpacked));
  EXPECT_GT(depths.parsed, cases / 20);
  EXPECT_GT(depths.checked, cases / 200);
  EXPECT_GT(depths.unpacked, 0u);
}

}  // namespace
}  // namespace millrace::log::record_batch_fuzz_test
