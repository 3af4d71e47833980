#include "state/cold_entries.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "base/random.h"
#include "rows/key.h"

namespace millrace::state::cold_entries_test {
namespace {

using Where = ColdEntries::Found::Where;

uint32_t HashOf(const std::string& key) { return static_cast<uint32_t>(rows::KeyHash(key)); }

std::unique_ptr<ColdEntries> Create(bool complete = true) {
  auto created = ColdEntries::Create(testing::TempDir(), complete);
  EXPECT_TRUE(created.ok()) << created.error().ToString();
  return std::move(*created);
}

void Put(ColdEntries& cold, const std::string& key, const std::string& value) {
  const Status put = cold.Put(HashOf(key), key, value);
  ASSERT_TRUE(put.ok()) << put.error().ToString();
}

ColdEntries::Found Find(const ColdEntries& cold, const std::string& key) {
  auto found = cold.Find(HashOf(key), key);
  EXPECT_TRUE(found.ok()) << found.error().ToString();
  return *found;
}

// The process's only file without a name.
int FileWithoutName() {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const auto target = std::filesystem::read_symlink(entry.path(), error).string();
    if (!error && target.starts_with(testing::TempDir()) && target.ends_with("(deleted)")) {
      return std::atoi(entry.path().filename().c_str());
    }
  }
  return -1;
}

TEST(ColdEntriesTest, HoldsWhatAMapHolds) {
  const uint64_t seed = static_cast<uint64_t>(getpid()) * 7919;
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  const auto cold = Create();
  std::map<std::string, std::string> model;
  for (int i = 0; i < 100000; ++i) {
    const std::string key = "key " + std::to_string(random.Below(20000));
    if (random.OneIn(4)) {
      ASSERT_TRUE(cold->Erase(HashOf(key), key).ok());
      model.erase(key);
    } else {
      // Mostly of one size, as cells are.
      std::string value(random.OneIn(10) ? random.Below(80) : 24, 'v');
      if (!value.empty()) value[0] = static_cast<char>(random.Below(256));
      ASSERT_NO_FATAL_FAILURE(Put(*cold, key, value));
      model[key] = value;
    }
  }
  size_t here = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string key = "key " + std::to_string(i);
    const auto found = Find(*cold, key);
    const auto expected = model.find(key);
    if (expected == model.end()) {
      EXPECT_NE(found.where, Where::kHere) << key;
    } else if (found.where == Where::kHere) {
      EXPECT_EQ(found.value, expected->second) << key;
      ++here;
    } else {
      EXPECT_EQ(found.where, Where::kUnknown) << key;  // its page was full once
    }
  }
  EXPECT_GT(here, model.size() * 95 / 100);
  EXPECT_LT(cold->file_bytes(), model.size() * 160 + (1 << 20));
}

TEST(ColdEntriesTest, KnowsWhatIsNowhereOnlyWhereItWasCompleteFromTheStart) {
  for (const bool complete : {true, false}) {
    const auto cold = Create(complete);
    for (int i = 0; i < 5000; ++i) {
      ASSERT_NO_FATAL_FAILURE(Put(*cold, "key " + std::to_string(i), "value"));
    }
    size_t unknown = 0;
    for (int i = 5000; i < 6000; ++i) {
      const auto found = Find(*cold, "key " + std::to_string(i));
      EXPECT_NE(found.where, Where::kHere);
      if (found.where == Where::kUnknown) ++unknown;
    }
    EXPECT_EQ(Find(*cold, "key 4711").value, "value");
    if (complete) {
      EXPECT_LT(unknown, 50u);
    } else {
      EXPECT_EQ(unknown, 1000u);
    }
  }
}

TEST(ColdEntriesTest, LeavesOutWhatIsTooLargeForAPage) {
  const auto cold = Create();
  ASSERT_NO_FATAL_FAILURE(Put(*cold, "key", "small"));
  ASSERT_NO_FATAL_FAILURE(Put(*cold, "key", std::string(5000, 'v')));
  EXPECT_EQ(Find(*cold, "key").where, Where::kUnknown);
  const std::string long_key(70000, 'k');
  ASSERT_NO_FATAL_FAILURE(Put(*cold, long_key, "value"));
  EXPECT_EQ(Find(*cold, long_key).where, Where::kUnknown);
}

TEST(ColdEntriesTest, LeavesOutWhatTheDiskHasNoRoomFor) {
  const auto cold = Create();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit tight{.rlim_cur = cold->file_bytes() + 100, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
  for (int i = 0; i < 50000; ++i) {
    const std::string key = "key " + std::to_string(i);
    EXPECT_TRUE(cold->Put(HashOf(key), key, std::to_string(i)).ok());
  }
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  size_t here = 0;
  for (int i = 0; i < 50000; ++i) {
    const auto found = Find(*cold, "key " + std::to_string(i));
    EXPECT_NE(found.where, Where::kNowhere) << i;
    if (found.where != Where::kHere) continue;
    EXPECT_EQ(found.value, std::to_string(i));
    ++here;
  }
  EXPECT_GT(here, 4000u);
  EXPECT_LT(here, 50000u);
}

TEST(ColdEntriesTest, BelievesNothingThatWasDamaged) {
  const auto cold = Create();
  for (int i = 0; i < 500; ++i) {
    ASSERT_NO_FATAL_FAILURE(Put(*cold, "key " + std::to_string(i), std::to_string(i)));
  }
  const int file = FileWithoutName();
  ASSERT_GE(file, 0);
  Random random(1);
  size_t noticed = 0;
  for (int round = 0; round < 300; ++round) {
    const auto at = static_cast<off_t>(random.Below(cold->file_bytes() / 4));
    char byte = 0;
    ASSERT_EQ(pread(file, &byte, 1, at), 1);
    const char wrong = static_cast<char>(byte ^ (1 << random.Below(8)));
    ASSERT_EQ(pwrite(file, &wrong, 1, at), 1);
    for (int i = 0; i < 500; ++i) {
      const std::string key = "key " + std::to_string(i);
      const auto found = cold->Find(HashOf(key), key);
      if (!found.ok()) {
        EXPECT_EQ(found.error().code(), Code::kCorruption);
        ++noticed;
      } else {
        ASSERT_EQ(found->where, Where::kHere) << "byte " << at;
        ASSERT_EQ(found->value, std::to_string(i)) << "byte " << at;
      }
    }
    ASSERT_EQ(pwrite(file, &byte, 1, at), 1);
  }
  EXPECT_GT(noticed, 0u);
}

}  // namespace
}  // namespace millrace::state::cold_entries_test
