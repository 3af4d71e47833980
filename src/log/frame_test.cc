#include "log/frame.h"

#include <gtest/gtest.h>

#include <cstring>

#include "log/testing.h"

namespace millrace::log::frame_test {
namespace {

TEST(Frame, HasTheCrcOfItsBytesThoughItWasComputedFromTheBatchesOwn) {
  const auto buffers = std::make_shared<FrameBuffers>(1 << 20);
  for (const size_t size : {10, 5000, 16'000, 17'000, 100'000}) {
    SCOPED_TRACE(size);
    FrameBuilder builder;
    const std::string large = MakeBatch(std::string(size, 'x'), 3), small = MakeBatch("small");
    builder.AddBatch({{1}, 0}, {7}, 3, large);
    builder.AddControl(EntryKind::kDeleteTopic, {{2}, 0}, {}, "payload");
    builder.AddBatch({{1}, 1}, {0}, 1, small);
    builder.AddBatch({{1}, 0}, {10}, 3, large);
    const auto frame = builder.Build({}, /*leader_epoch=*/5, *buffers);
    EXPECT_TRUE(BodyIsIntact(frame->meta, frame->bytes()));
    EXPECT_TRUE(RecordBatchView::Parse(frame->payload(frame->meta.entries[3])).ok());
    frame->buffer->data()[frame->meta.entries[3].position + size] ^= 1;
    EXPECT_FALSE(BodyIsIntact(frame->meta, frame->bytes()));
  }
}

TEST(FrameBuffers, GiveMemoryOutAgainAndKeepNoMoreThanTheirBound) {
  const auto buffers = std::make_shared<FrameBuffers>(64 << 10);
  const char* first;
  {
    const auto buffer = buffers->Take(9000);
    first = buffer->data();
    EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % kFrameAlignment, 0u);
    std::memset(buffer->data(), 1, buffer->size());
  }
  EXPECT_EQ(buffers->kept_bytes(), 12u << 10);
  EXPECT_EQ(buffers->Take(10'000)->data(), first) << "about the same size";
  {
    std::vector<std::unique_ptr<FrameBuffer>> many;
    for (int i = 0; i < 40; ++i) many.push_back(buffers->Take(4096 * (1 + i % 4)));
  }
  EXPECT_LE(buffers->kept_bytes(), 64u << 10);
  EXPECT_GE(buffers->kept_bytes(), 48u << 10);
  buffers->Take(60 << 10).reset();
  EXPECT_LE(buffers->kept_bytes(), 64u << 10);
  const auto last = buffers->Take(60 << 10);
  EXPECT_LT(buffers->kept_bytes(), 8u << 10) << "other sizes made way for it";
  buffers->Take(65 << 10).reset();
  EXPECT_LT(buffers->kept_bytes(), 8u << 10) << "larger than all that may be kept";
}

TEST(FrameBuffers, MayGoBeforeWhatTheyGaveOut) {
  auto buffers = std::make_shared<FrameBuffers>(1 << 20);
  const auto buffer = buffers->Take(4096);
  buffers.reset();
  std::memset(buffer->data(), 1, buffer->size());
}

}  // namespace
}  // namespace millrace::log::frame_test
