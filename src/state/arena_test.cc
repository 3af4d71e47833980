#include "state/arena.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "state/hash_index.h"

namespace millrace::state::arena_test {
namespace {

uint64_t Seed() {
  const char* text = std::getenv("MILLRACE_SEED");
  return text == nullptr ? static_cast<uint64_t>(getpid()) : std::strtoull(text, nullptr, 10);
}

TEST(ArenaTest, GivesOutPiecesThatDoNotOverlapAndTakesAllBack) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(testing::Message() << "MILLRACE_SEED=" << seed);
  Random random(seed);
  auto arena = Arena::Create().value();
  struct Piece {
    Arena::Ref ref;
    size_t bytes;
    int fill;
  };
  std::vector<Piece> pieces;
  const auto expect_intact = [&](const Piece& piece) {
    const auto* at = arena->At<unsigned char>(piece.ref);
    for (size_t i = 0; i < piece.bytes; ++i) ASSERT_EQ(at[i], piece.fill);
  };
  for (int i = 0; i < 20000; ++i) {
    if (!pieces.empty() && random.Below(100) < (i < 10000 ? 40u : 60u)) {
      std::swap(pieces[random.Below(pieces.size())], pieces.back());
      expect_intact(pieces.back());
      arena->Free(pieces.back().ref, pieces.back().bytes);
      pieces.pop_back();
      continue;
    }
    const size_t limit = random.OneIn(500) ? 300000 : random.OneIn(10) ? 9000 : 300;
    const size_t bytes = 1 + random.Below(limit);
    const Piece piece{arena->Allocate(bytes), bytes, static_cast<int>(random.Below(256))};
    std::memset(arena->At<char>(piece.ref), piece.fill, bytes);
    EXPECT_EQ(arena->RefOf(arena->At<char>(piece.ref)), piece.ref);
    pieces.push_back(piece);
  }
  for (const Piece& piece : pieces) {
    expect_intact(piece);
    arena->Free(piece.ref, piece.bytes);
  }
  EXPECT_EQ(arena->live_bytes(), 0u);
  // One page of each size class may stay.
  EXPECT_LE(arena->page_bytes(), 60 * Arena::kPageBytes);
}

TEST(HashIndexTest, HoldsWhatAMultimapHolds) {
  const uint64_t seed = Seed();
  SCOPED_TRACE(testing::Message() << "MILLRACE_SEED=" << seed);
  Random random(seed);
  HashIndex index;
  std::vector<HashIndex::Slot> model;
  for (uint32_t i = 1; i <= 30000; ++i) {
    if (!model.empty() && random.Below(10) < (i < 15000 ? 3u : 7u)) {
      std::swap(model[random.Below(model.size())], model.back());
      index.Remove(model.back().tag, model.back().ref);
      model.pop_back();
    } else {
      // Few tags, so that many entries share one.
      model.push_back({static_cast<uint32_t>(random.Below(4000)), i});
      index.Insert(model.back().tag, model.back().ref);
    }
    if (i % 5000 == 0) index.ShrinkIfSparse();
  }
  ASSERT_EQ(index.size(), model.size());
  for (const auto& entry : model) {
    EXPECT_NE(index.Candidate(entry.tag), 0u);
    EXPECT_EQ(index.Find(entry.tag, [&](Arena::Ref ref) { return ref == entry.ref; }), entry.ref);
    EXPECT_EQ(index.Find(entry.tag + 4000, [](Arena::Ref) { return true; }), 0u);
  }
}

}  // namespace
}  // namespace millrace::state::arena_test
