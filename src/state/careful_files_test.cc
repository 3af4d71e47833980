#include "state/careful_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/sst_file_writer.h>
#include <unistd.h>

#include <filesystem>

#include "state/faulty_rocks_files.h"

namespace millrace::state::careful_files_test {
namespace {

// As many calls as a compaction makes.
constexpr int kCallsMax = 8;

class CarefulFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        std::filesystem::temp_directory_path() / ("careful_files." + std::to_string(::getpid()));
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    faulty_ = std::make_shared<FaultyRocksFiles>();
    env_ = rocksdb::NewCompositeEnv(std::make_shared<CarefulFiles>(faulty_));
    options_.create_if_missing = true;
    options_.env = env_.get();
    options_.disable_auto_compactions = true;
    options_.table_properties_collector_factories.push_back(CarefulFiles::EntryCounter());
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open(options_, (directory_ / "db").string(), &db).ok());
    db_.reset(db);
  }
  void TearDown() override {
    db_.reset();
    std::filesystem::remove_all(directory_);
  }

  // A file with a drop of [from, to), and an entry unless `key` is empty.
  void Ingest(const std::string& from, const std::string& to, const std::string& key) {
    const std::string path = (directory_ / "in.sst").string();
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options_);
    ASSERT_TRUE(writer.Open(path).ok());
    ASSERT_TRUE(writer.DeleteRange(from, to).ok());
    if (!key.empty()) {
      ASSERT_TRUE(writer.Put(key, "v").ok());
    }
    ASSERT_TRUE(writer.Finish().ok());
    rocksdb::IngestExternalFileOptions ingest;
    ingest.write_global_seqno = false;
    ASSERT_TRUE(db_->IngestExternalFile({path}, ingest).ok());
  }
  rocksdb::Status Compact() {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
    return db_->CompactRange(options, nullptr, nullptr);
  }

  std::filesystem::path directory_;
  std::shared_ptr<FaultyRocksFiles> faulty_;
  std::unique_ptr<rocksdb::Env> env_;
  rocksdb::Options options_;
  std::unique_ptr<rocksdb::DB> db_;
};

class CarefulFilesFaultTest : public CarefulFilesTest, public testing::WithParamInterface<int> {};

TEST_P(CarefulFilesFaultTest, ACompactionOfWhichNothingIsLeftMayFailButDoesNotEndTheProcess) {
  Ingest("a", "y", "");
  Ingest("b", "z", "");
  faulty_->Arm(FaultyRocksFiles::Fault::kAllAfter, GetParam(), rocksdb::IOStatus::NoSpace("full"));
  const auto status = Compact();
  EXPECT_TRUE(status.ok() || status.IsNoSpace()) << status.ToString();
  faulty_->Disarm();
  db_.reset();
  rocksdb::DB* db = nullptr;
  ASSERT_TRUE(rocksdb::DB::Open(options_, (directory_ / "db").string(), &db).ok());
  db_.reset(db);
}

INSTANTIATE_TEST_SUITE_P(AtEachCall, CarefulFilesFaultTest, testing::Range(1, kCallsMax + 1));

TEST_F(CarefulFilesTest, AFileForIngestionFailsWhateverItHolds) {
  const std::string path = (directory_ / "1-0.sst").string();
  for (int call = 1; call <= 4; ++call) {
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), options_);
    faulty_->Arm(FaultyRocksFiles::Fault::kOne, call, rocksdb::IOStatus::NoSpace("full"));
    auto status = writer.Open(path);
    if (status.ok()) status = writer.DeleteRange("a", "b");
    if (status.ok()) status = writer.Finish();
    EXPECT_EQ(status.ok(), !faulty_->Disarm()) << call;
  }
}

// Of the new file: to make it, write it, sync it and close it.
class CarefulFilesCallTest : public CarefulFilesTest, public testing::WithParamInterface<int> {
 protected:
  void ExpectCompactionFails() {
    faulty_->Arm(FaultyRocksFiles::Fault::kOne, GetParam(), rocksdb::IOStatus::NoSpace("full"));
    const auto status = Compact();
    EXPECT_TRUE(faulty_->Disarm());
    EXPECT_TRUE(status.IsNoSpace()) << status.ToString();
  }
};

TEST_P(CarefulFilesCallTest, AFileWithEntriesFails) {
  Ingest("a", "y", "k1");
  Ingest("b", "z", "k2");
  ExpectCompactionFails();
}

// They are entries as well.
TEST_P(CarefulFilesCallTest, AFileOfDropsThatStandFails) {
  Ingest("a", "y", "k0");
  const auto* snapshot = db_->GetSnapshot();
  Ingest("a", "y", "");
  Ingest("b", "z", "");
  ExpectCompactionFails();
  db_->ReleaseSnapshot(snapshot);
}

INSTANTIATE_TEST_SUITE_P(AtEachCall, CarefulFilesCallTest, testing::Range(1, 5));

}  // namespace
}  // namespace millrace::state::careful_files_test
