#include "cli/backup_manifest.h"

#include <gtest/gtest.h>

#include "base/coding.h"

namespace millrace::cli::backup_manifest_test {
namespace {

BackupManifest Some() {
  BackupManifest manifest;
  manifest.step = 7;
  manifest.frame = 9;
  manifest.made_at = 1'700'000'000'000'000;
  manifest.files = {{"log/a topic/0/1.log", 10, 0xdeadbeef, 3, -5},
                    {"wal/checkpoint", 0, 0, UINT64_MAX, INT64_MAX}};
  return manifest;
}

TEST(BackupManifest, ComesBackAsItWas) {
  const std::string text = EncodeManifest(Some());
  const auto read = DecodeManifest(text);
  ASSERT_TRUE(read.ok()) << read.error().ToString();
  EXPECT_EQ(read->step, 7);
  EXPECT_EQ(read->files[0].path, "log/a topic/0/1.log");
  EXPECT_EQ(read->files[0].crc, 0xdeadbeef);
  EXPECT_EQ(EncodeManifest(*read), text);
}

TEST(BackupManifest, NoChangedOrMissingByteIsTakenForWhole) {
  const std::string text = EncodeManifest(Some());
  for (size_t at = 0; at < text.size(); ++at) {
    EXPECT_FALSE(DecodeManifest(std::string_view(text).substr(0, at)).ok()) << at;
    std::string changed = text;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    EXPECT_FALSE(DecodeManifest(changed).ok()) << at;
  }
}

TEST(BackupManifest, APathThatLeadsOutOfTheBackupIsRefused) {
  for (const char* path : {"/etc/passwd", "../x", "a/../../x", "a/..", ""}) {
    BackupManifest manifest = Some();
    manifest.files[0].path = path;
    EXPECT_FALSE(DecodeManifest(EncodeManifest(manifest)).ok()) << path;
  }
}

TEST(BackupManifest, ANewerVersionIsNamed) {
  const auto read = DecodeManifest("millrace backup 2\nwhatever\n");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), Code::kNotSupported);
}

}  // namespace
}  // namespace millrace::cli::backup_manifest_test
