#include "kafka/codec.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "base/fuzzing.h"
#include "kafka/apis.h"
#include "kafka/messages.h"

namespace millrace::kafka::codec_test {
namespace {

// Fills every field that a version has with something that is not its default.
class Filler {
 public:
  Filler(uint64_t seed, int16_t version) : random_(seed), version_(version) {}

  template <typename T>
  void operator()(std::string_view, T& field, FieldVersions versions) {
    if (versions.Has(version_)) Fill(field, version_ >= versions.null_from);
  }

 private:
  template <typename T>
  void Fill(T& field, bool nullable) {
    if constexpr (codec::IsOptional<T>::value) {
      if (nullable && random_() % 3 == 0) return field.reset();
      Fill(field.emplace(), false);
    } else if constexpr (codec::IsVector<T>::value) {
      for (uint64_t i = random_() % 4; i > 0; --i) Fill(field.emplace_back(), false);
    } else if constexpr (std::is_same_v<T, std::string>) {
      field.assign(random_() % 200, 'a');
    } else if constexpr (std::is_same_v<T, Bytes>) {
      field.value.assign(random_() % 200, 'b');
    } else if constexpr (std::is_same_v<T, Records>) {
      static const std::string kBatches(300, 'r');
      field.null = random_() % 4 == 0;
      if (!field.null) field.pieces = {std::string_view(kBatches).substr(random_() % 299)};
    } else if constexpr (std::is_same_v<T, Uuid>) {
      for (uint8_t& byte : field) byte = static_cast<uint8_t>(random_());
    } else if constexpr (std::is_same_v<T, ErrorCode>) {
      field = static_cast<ErrorCode>(random_() % 100);
    } else if constexpr (std::is_same_v<T, bool>) {
      field = random_() % 2 == 0;
    } else if constexpr (std::is_same_v<T, double>) {
      field = static_cast<double>(random_() % 1000) / 4;
    } else if constexpr (std::is_integral_v<T>) {
      field = static_cast<T>(random_());
    } else {
      field.Fields(*this);
    }
  }

  std::mt19937_64 random_;
  const int16_t version_;
};

uint64_t Seed() {
  const char* given = std::getenv("MILLRACE_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::printf("MILLRACE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  return seed;
}

template <typename M>
void ComesBack(uint64_t seed, const Api& api) {
  for (int16_t version = api.version_min; version <= api.version_max; ++version) {
    for (uint64_t round = 0; round < 8; ++round) {
      M message;
      Filler fill(seed + round, version);
      message.Fields(fill);
      std::string bytes;
      EncodeInto(bytes, message, version);
      const Result<M> decoded = Decode<M>(bytes, version);
      ASSERT_TRUE(decoded.ok()) << decoded.error().ToString() << " seed " << seed + round;
      std::string again;
      EncodeInto(again, *decoded, version);
      EXPECT_EQ(bytes, again) << M::kInfo.name << " " << version << " seed " << seed + round;
      EXPECT_TRUE(*decoded == message) << M::kInfo.name << " " << version;
    }
  }
}

// Neither a shorter message nor one with a changed byte does harm; the shorter one is refused.
template <typename M>
void DamageIsSeen(uint64_t seed, const Api& api) {
  std::mt19937_64 random(seed);
  for (int16_t version = api.version_min; version <= api.version_max; ++version) {
    M message;
    Filler fill(seed, version);
    message.Fields(fill);
    std::string bytes;
    EncodeInto(bytes, message, version);
    for (size_t size = 0; size < bytes.size(); size += 1 + random() % 7)
      EXPECT_FALSE(Decode<M>(std::string_view(bytes).substr(0, size), version).ok());
    EXPECT_TRUE(Decode<M>(bytes + '\0', version).ok());
    for (int i = 0; i < 30 && !bytes.empty(); ++i) {
      std::string changed = bytes;
      changed[random() % changed.size()] = static_cast<char>(random());
      const Result<M> decoded = Decode<M>(changed, version);
      if (decoded.ok()) {
        std::string again;
        EncodeInto(again, *decoded, version);
      }
    }
  }
}

TEST(Codec, EveryMessageComesBackAsItWasWrittenInEveryVersion) {
  const uint64_t seed = Seed();
  for (const Api& api : Apis()) {
#define MILLRACE_KAFKA_TEST(Name)         \
  if (api.key == ApiKey::k##Name) {       \
    ComesBack<Name##Request>(seed, api);  \
    ComesBack<Name##Response>(seed, api); \
  }
    MILLRACE_KAFKA_MESSAGES(MILLRACE_KAFKA_TEST)
#undef MILLRACE_KAFKA_TEST
  }
}

TEST(Codec, AMessageThatIsCutOrDamagedIsRefusedOrReadWithoutHarm) {
  const uint64_t seed = Seed();
  for (const Api& api : Apis()) {
#define MILLRACE_KAFKA_TEST(Name)            \
  if (api.key == ApiKey::k##Name) {          \
    DamageIsSeen<Name##Request>(seed, api);  \
    DamageIsSeen<Name##Response>(seed, api); \
  }
    MILLRACE_KAFKA_MESSAGES(MILLRACE_KAFKA_TEST)
#undef MILLRACE_KAFKA_TEST
  }
}

// The same for longer, of what clients send: MILLRACE_FUZZ_SECONDS (default 10).
TEST(CodecFuzz, RequestsThatAreCutOrDamagedAreRefusedOrReadWithoutHarm) {
  const auto until = FuzzUntil();
  uint64_t seed = Seed();
  uint64_t rounds = 0;
  do {
    for (const Api& api : Apis()) {
#define MILLRACE_KAFKA_TEST(Name) \
  if (api.key == ApiKey::k##Name) DamageIsSeen<Name##Request>(seed, api);
      MILLRACE_KAFKA_MESSAGES(MILLRACE_KAFKA_TEST)
#undef MILLRACE_KAFKA_TEST
      ASSERT_FALSE(HasFailure()) << "MILLRACE_SEED=" << seed;
    }
    ++seed;
    ++rounds;
  } while (std::chrono::steady_clock::now() < until);
  std::printf("%llu rounds\n", static_cast<unsigned long long>(rounds));
}

TEST(Codec, AnArrayLongerThanWhatIsLeftTakesNoMemory) {
  std::string bytes;
  PutBig(bytes, int32_t{0x7fffffff});
  EXPECT_FALSE(Decode<MetadataRequest>(bytes, 1).ok());
}

TEST(Codec, ATagThatIsNotKnownIsPassedOver) {
  HeartbeatRequest heartbeat;
  heartbeat.group_id = "g";
  std::string bytes;
  EncodeInto(bytes, heartbeat, 4);
  bytes.back() = 1;                        // one tagged field:
  bytes += std::string("\x2a\x03xyz", 5);  // number 42, three bytes
  const auto decoded = Decode<HeartbeatRequest>(bytes, 4);
  ASSERT_TRUE(decoded.ok()) << decoded.error().ToString();
  EXPECT_EQ(decoded->group_id, "g");
}

}  // namespace
}  // namespace millrace::kafka::codec_test
