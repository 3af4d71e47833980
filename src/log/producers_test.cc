#include "log/producers.h"

#include <gtest/gtest.h>

#include "log/append_problem.h"

namespace millrace::log::producers_test {
namespace {

ProducerBatch Batch(int32_t sequence) { return {{7, 0}, sequence, 1}; }

TEST(Producers, KnowTheSameAfterEncodingAndDecoding) {
  Producers producers;
  EXPECT_EQ(producers.Encoded({0}), "");
  for (int i = 0; i < 7; ++i) producers.Apply(Batch(i), {10 + i}, {1000 + i});
  Producers decoded = Producers::Decode(producers.Encoded({0})).value();
  EXPECT_EQ(decoded.Encoded({0}), producers.Encoded({0}));
  const ProducerState state = decoded.Find(7);
  EXPECT_EQ(state.last_clock(), Micros{1006});
  EXPECT_EQ(state.Check(Batch(2), {17}).value(), Offset{12});
  EXPECT_EQ(state.Check(Batch(7), {17}).value(), std::nullopt);
  EXPECT_EQ(AppendProblemOf(state.Check(Batch(8), {17}).error()),
            AppendProblem::kOutOfOrderSequence);
}

// A checkpoint may know of batches that are replayed behind it. Told twice, they would push older
// ones out of memory.
TEST(Producers, TakeNoBatchTwice) {
  Producers producers;
  for (int i = 0; i < 5; ++i) producers.Apply(Batch(i), {10 + i}, {1000});
  Producers decoded = Producers::Decode(producers.Encoded({0})).value();
  for (int i = 3; i < 5; ++i) decoded.Apply(Batch(i), {10 + i}, {1000});
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(decoded.Find(7).Check(Batch(i), {15}).value(), Offset{10 + i});
  }
  decoded.Apply(Batch(5), {15}, {1000});
  EXPECT_EQ(decoded.Find(7).Check(Batch(5), {16}).value(), Offset{15});
}

TEST(Producers, RefuseDamagedBytesAtEveryLength) {
  Producers producers;
  for (int i = 0; i < 5; ++i) producers.Apply(Batch(i), {10 + i}, {1000});
  const std::string whole = producers.Encoded({0});
  for (size_t size = 1; size < whole.size(); ++size) {
    EXPECT_FALSE(Producers::Decode(std::string_view(whole).substr(0, size)).ok()) << size;
  }
}

}  // namespace
}  // namespace millrace::log::producers_test
