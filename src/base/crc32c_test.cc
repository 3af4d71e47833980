#include <gtest/gtest.h>

#include <string>

#include "base/coding.h"
#include "base/random.h"

namespace millrace::crc32c_test {
namespace {

// By the definition: bit by bit.
uint32_t SlowCrc(std::string_view bytes) {
  uint32_t crc = 0xFFFFFFFF;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78u : 0);
  }
  return crc ^ 0xFFFFFFFF;
}

std::string RandomBytes(Random& random, size_t size) {
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random.Next());
  return bytes;
}

TEST(Crc32c, IsCastagnolis) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);            // the usual check value
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);  // RFC 3720, B.4
}

TEST(Crc32c, AgreesWithTheDefinitionAtEveryLengthWhereTheWayOfComputingChanges) {
  Random random(1);
  const std::string bytes = RandomBytes(random, 60'000);
  for (const size_t around : {0, 8, 256, 768, 1536, 8192, 24'576, 25'344, 49'152}) {
    for (size_t size = around < 9 ? 0 : around - 9; size <= around + 9; ++size) {
      const std::string_view piece = std::string_view(bytes).substr(size % 7, size);
      EXPECT_EQ(Crc32c(piece), SlowCrc(piece)) << size;
    }
  }
}

TEST(Crc32c, GoesOnFromASeedAndCombinesPieces) {
  Random random(2);
  for (int i = 0; i < 200; ++i) {
    const std::string bytes = RandomBytes(random, random.Below(i < 100 ? 300 : 100'000));
    const size_t cut = random.Below(bytes.size() + 1);
    const std::string_view first(bytes.data(), cut);
    const std::string_view second = std::string_view(bytes).substr(cut);
    EXPECT_EQ(Crc32c(second, Crc32c(first)), Crc32c(bytes));
    EXPECT_EQ(Crc32cCombine(Crc32c(first), Crc32c(second), second.size()), Crc32c(bytes));
  }
}

}  // namespace
}  // namespace millrace::crc32c_test
