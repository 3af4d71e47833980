#include "net/tls_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/tls_testing.h"

namespace millrace::net::tls_identity_test {
namespace {

using ::testing::HasSubstr;

Error WhyNot(const PemPair& pair) {
  const PemFiles files(pair);
  auto identity = TlsIdentity::Load(files.paths());
  EXPECT_FALSE(identity.ok());
  return identity.ok() ? Error(Code::kInternal, "it was taken") : identity.error();
}

TEST(TlsIdentity, SaysWhatIsWrongWithItsFiles) {
  const PemPair good = MakePair();
  const PemPair other = MakePair();
  EXPECT_FALSE(TlsIdentity::Load(PemFiles().paths()).ok());
  EXPECT_THAT(WhyNot({"", good.key}).message(), HasSubstr("certificate.pem: there is no certif"));
  EXPECT_THAT(WhyNot({good.certificate, "nothing"}).message(),
              HasSubstr("key.pem: there is no private key"));
  EXPECT_THAT(WhyNot({good.certificate, other.key}).message(),
              HasSubstr("key.pem: the key is not that of the certificate"));
  const PemPair locked = MakePair(3600, "secret");
  EXPECT_THAT(WhyNot(locked).message(), HasSubstr("encrypted"));
  EXPECT_THAT(WhyNot(locked).hint(), HasSubstr("openssl pkey"));
  EXPECT_THAT(WhyNot({good.certificate + good.certificate.substr(0, 200), "x"}).message(),
              HasSubstr("key.pem"));
}

TEST(TlsIdentity, TakesAnExpiredCertificateWithAWarning) {
  const PemFiles files(MakePair(-60));
  EXPECT_TRUE(TlsIdentity::Load(files.paths()).ok());
}

TEST(TlsIdentity, TakesAChangedPairOnceItsFilesAreStill) {
  const PemFiles files(MakePair());
  const auto identity = files.Load();
  const std::string first = identity->fingerprint();
  EXPECT_FALSE(identity->Refresh());
  files.Write(MakePair());
  EXPECT_FALSE(identity->Refresh());  // it may still be written
  files.Write(MakePair());
  EXPECT_FALSE(identity->Refresh());
  EXPECT_EQ(identity->fingerprint(), first);
  EXPECT_TRUE(identity->Refresh());
  EXPECT_NE(identity->fingerprint(), first);
  EXPECT_FALSE(identity->Refresh());
  EXPECT_THAT(identity->Metrics(), HasSubstr("tls_certificate_reloads_total 1"));
}

TEST(TlsIdentity, KeepsTheOldPairWhileTheNewOneIsNoGood) {
  const PemFiles files(MakePair());
  const auto identity = files.Load();
  const std::string first = identity->fingerprint();
  const PemPair next = MakePair();
  files.Write({next.certificate, MakePair().key});
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(identity->Refresh());
  EXPECT_EQ(identity->fingerprint(), first);
  EXPECT_THAT(identity->Metrics(), HasSubstr("tls_certificate_reload_failures_total 1"));
  std::filesystem::remove(files.paths().key);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(identity->Refresh());
  files.Write(next);
  EXPECT_FALSE(identity->Refresh());
  EXPECT_TRUE(identity->Refresh());
  EXPECT_NE(identity->fingerprint(), first);
}

}  // namespace
}  // namespace millrace::net::tls_identity_test
