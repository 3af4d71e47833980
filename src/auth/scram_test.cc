#include "auth/scram.h"

#include <gtest/gtest.h>

#include "auth/crypto.h"
#include "base/random.h"

namespace millrace::auth::scram_test {
namespace {

// RFC 7677, section 3.
constexpr std::string_view kClientFirst = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
constexpr std::string_view kServerFirst =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
constexpr std::string_view kClientFinal =
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
constexpr std::string_view kServerFinal = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
constexpr std::string_view kServerNonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

ScramVerifier Pencil() {
  return MakeVerifier("pencil", *FromBase64("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096);
}

TEST(Scram, SpeaksAsTheRfcDoes) {
  ScramExchange exchange;
  EXPECT_EQ(*exchange.ReadClientFirst(kClientFirst), "user");
  EXPECT_EQ(exchange.ServerFirst(Pencil(), kServerNonce), kServerFirst);
  EXPECT_EQ(*exchange.ReadClientFinal(kClientFinal), kServerFinal);
}

TEST(Scram, RefusesAnotherPassword) {
  ScramExchange exchange;
  ASSERT_TRUE(exchange.ReadClientFirst(kClientFirst).ok());
  exchange.ServerFirst(MakeVerifier("Pencil", Pencil().salt, 4096), kServerNonce);
  EXPECT_FALSE(exchange.ReadClientFinal(kClientFinal).ok());
  EXPECT_TRUE(IsPasswordOf(Pencil(), "pencil"));
  EXPECT_FALSE(IsPasswordOf(Pencil(), "Pencil"));
}

TEST(Scram, RefusesWhateverDiffersFromTheRightMessage) {
  constexpr uint64_t kSeed = 7677;
  SCOPED_TRACE(testing::Message() << "seed " << kSeed);
  Random random(kSeed);
  const ScramVerifier pencil = Pencil();
  for (int i = 0; i < 2000; ++i) {
    std::string message(kClientFinal);
    const size_t at = random.Below(message.size());
    const char byte = static_cast<char>(random.Below(256));
    if (message[at] == byte) continue;
    message[at] = byte;
    if (random.OneIn(4)) message.resize(random.Below(message.size()));
    ScramExchange exchange;
    ASSERT_TRUE(exchange.ReadClientFirst(kClientFirst).ok());
    exchange.ServerFirst(pencil, kServerNonce);
    // The last letter before the padding has bits that mean nothing.
    const auto answer = exchange.ReadClientFinal(message);
    if (answer.ok()) {
      EXPECT_EQ(at, kClientFinal.size() - 2) << message;
    }
  }
}

TEST(Scram, RefusesAMalformedFirstMessage) {
  for (const char* message :
       {"", "n", "n,", "n,,", "n,,n=user", "n,,r=abc", "n,,n=user,r=", "p=tls-unique,,n=user,r=abc",
        "n,a=other,n=user,r=abc", "n,,m=x,n=user,r=abc", "n,,n=us=er,r=abc", "x,,n=user,r=abc"}) {
    ScramExchange exchange;
    EXPECT_FALSE(exchange.ReadClientFirst(message).ok()) << message;
  }
  ScramExchange exchange;
  EXPECT_EQ(*exchange.ReadClientFirst("y,,n=a=2Cb=3Dc,r=abc"), "a,b=c");
}

TEST(Crypto, ComputesWhatTheStandardsSay) {
  // FIPS 180-2, appendix B.1; RFC 4231, test case 2; RFC 4648, section 10.
  EXPECT_EQ(Hex(Sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(HmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(Base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(Base64("foob"), "Zm9vYg==");
  EXPECT_EQ(*FromBase64("Zm9vYg=="), "foob");
  for (const char* text : {"Zm9", "Zm9vY===", "Zm 9vYg=", "Zm9v\n", "===="}) {
    EXPECT_FALSE(FromBase64(text).ok()) << text;
  }
}

}  // namespace
}  // namespace millrace::auth::scram_test
