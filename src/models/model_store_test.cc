#include "models/model_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "models/testing.h"

namespace millrace::models {
namespace {

using ::testing::HasSubstr;

class ModelStoreTest : public ::testing::Test {
 protected:
  ModelStoreTest() {
    std::string pattern = ::testing::TempDir() + "/modelsXXXXXX";
    folder_ = mkdtemp(pattern.data());
    std::filesystem::create_directories(folder_ + "/project");
  }
  ~ModelStoreTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& bytes) {
    ASSERT_TRUE(Files::System().Replace(folder_ + "/project/" + name, bytes).ok());
  }
  ModelStore Open() {
    return ModelStore({nullptr, folder_ + "/data", folder_ + "/project", {folder_ + "/project"}});
  }

  std::string folder_;
};

TEST_F(ModelStoreTest, KeepsTheBytesWhateverBecomesOfTheFile) {
  Write("a.onnx", testing::LogisticModel({1}, 0));
  std::string digest;
  {
    ModelStore store = Open();
    digest = store.Examine("a.onnx").value().model->digest();
    EXPECT_FALSE(Files::System().Exists(folder_ + "/data").value());
    ASSERT_TRUE(store.Keep("a.onnx", digest).ok());
  }
  Write("a.onnx", "something else");
  ModelStore store = Open();
  EXPECT_EQ(store.Get(digest).value()->digest(), digest);
  EXPECT_TRUE(store.Keep("a.onnx", digest).ok());
}

TEST_F(ModelStoreTest, AFileThatChangedMeanwhileIsNotKept) {
  Write("a.onnx", testing::LogisticModel({1}, 0));
  ModelStore store = Open();
  const std::string digest = store.Examine("a.onnx").value().model->digest();
  Write("a.onnx", testing::LogisticModel({2}, 0));
  EXPECT_EQ(store.Keep("a.onnx", digest).error().code(), Code::kConflict);
}

TEST_F(ModelStoreTest, DamageIsFound) {
  Write("a.onnx", testing::LogisticModel({1}, 0));
  std::string digest;
  {
    ModelStore store = Open();
    digest = store.Examine("a.onnx").value().model->digest();
    ASSERT_TRUE(store.Keep("a.onnx", digest).ok());
  }
  ASSERT_TRUE(Files::System()
                  .Replace(folder_ + "/data/" + digest + ".onnx", testing::LogisticModel({2}, 0))
                  .ok());
  EXPECT_EQ(Open().Get(digest).error().code(), Code::kCorruption);
}

TEST_F(ModelStoreTest, ReadsOnlyWhatItMay) {
  ASSERT_TRUE(
      Files::System().Replace(folder_ + "/secret.onnx", testing::LogisticModel({1}, 0)).ok());
  std::filesystem::create_symlink(folder_ + "/secret.onnx", folder_ + "/project/link.onnx");
  ModelStore store = Open();
  for (const std::string& path :
       {std::string("../secret.onnx"), folder_ + "/secret.onnx", std::string("link.onnx")}) {
    EXPECT_THAT(store.Examine(path).error().message(), HasSubstr("outside of the folders")) << path;
  }
  const auto missing = store.Examine("models/b.onnx");
  EXPECT_EQ(missing.error().code(), Code::kNotFound);
  EXPECT_THAT(missing.error().message(), HasSubstr("models/b.onnx"));
  EXPECT_THAT(store.Examine(".").error().message(), HasSubstr("folder"));
}

TEST_F(ModelStoreTest, ForgetsWhatNobodyNames) {
  Write("a.onnx", testing::LogisticModel({1}, 0));
  Write("b.onnx", testing::LogisticModel({2}, 0));
  ModelStore store = Open();
  const std::string a = store.Examine("a.onnx").value().model->digest();
  const std::string b = store.Examine("b.onnx").value().model->digest();
  ASSERT_TRUE(store.Keep("a.onnx", a).ok());
  ASSERT_TRUE(store.Keep("b.onnx", b).ok());
  ASSERT_TRUE(store.Retain({b}, /*on_disk=*/true).ok());
  EXPECT_FALSE(store.Get(a).ok());
  EXPECT_TRUE(store.Get(b).ok());
}

}  // namespace
}  // namespace millrace::models
