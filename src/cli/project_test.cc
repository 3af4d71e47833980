#include "cli/project.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"

namespace millrace::cli::project_test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

class ProjectTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(files_.RemoveAll(folder_).ok());
    ASSERT_TRUE(files_.CreateDirectories(folder_ + "/more").ok());
  }
  void TearDown() override { ASSERT_TRUE(files_.RemoveAll(folder_).ok()); }
  void Write(const std::string& name, std::string_view text) {
    ASSERT_TRUE(files_.Replace(folder_ + "/" + name, text).ok());
  }

  Files& files_ = Files::System();
  const std::string folder_ = ::testing::TempDir() + "/millrace_project_test";
};

TEST_F(ProjectTest, HasAllSqlFilesBelowItsFolderInOrder) {
  Write("b.sql", "two");
  Write("a.sql", "one");
  Write("more/c.sql", "three");
  Write("notes.txt", "no");
  ASSERT_TRUE(files_.CreateDirectories(folder_ + "/.millrace").ok());
  Write(".millrace/d.sql", "no");
  const Project project = ReadProject(folder_).value();
  ASSERT_EQ(project.files.size(), 3u);
  EXPECT_EQ(project.files[0].path, folder_ + "/a.sql");
  EXPECT_EQ(project.files[0].text, "one");
  EXPECT_EQ(project.files[1].text, "two");
  EXPECT_EQ(project.files[2].path, folder_ + "/more/c.sql");
  EXPECT_TRUE(project.settings.empty());
}

TEST_F(ProjectTest, WithoutFolderOrFilesThereIsNone) {
  EXPECT_EQ(ReadProject(folder_ + "/none").error().code(), Code::kNotFound);
  EXPECT_THAT(ReadProject(folder_).error().message(), HasSubstr("no *.sql file"));
}

TEST_F(ProjectTest, SettingsAreTextsAndNumbers) {
  Write("millrace.toml", "# shop\nname = \"shop\"\nworkers = 2\nmemory = '1GiB'\n");
  EXPECT_THAT(ReadSettings(folder_).value(),
              ElementsAre(Pair("memory", "1GiB"), Pair("name", "shop"), Pair("workers", "2")));
}

TEST_F(ProjectTest, AnUnknownSettingHasItsPlaceAndTheNearestName) {
  Write("millrace.toml", "name = \"shop\"\n\n  wrokers = 2\n");
  const Error error = ReadSettings(folder_).error();
  EXPECT_EQ(error.hint(), "did you mean \"workers\"?");
  ASSERT_TRUE(error.position().has_value());
  EXPECT_EQ(error.position()->file, folder_ + "/millrace.toml");
  EXPECT_EQ(error.position()->line, 3);
  EXPECT_EQ(error.position()->column, 3);
  EXPECT_EQ(error.position()->line_text, "  wrokers = 2");
  Write("millrace.toml", "completely_else = 1");
  EXPECT_EQ(ReadSettings(folder_).error().hint(),
            "there are auth, column_cache, data, disk_reserve, http, http_cors_origins, "
            "io_threads, kafka, "
            "kafka_advertised, "
            "kafka_auto_create, kafka_client_fetch_quota, kafka_client_produce_quota, "
            "kafka_stream_fetch_quota, "
            "kafka_stream_produce_quota, log_level, memory, name, pg, tls, "
            "tls_certificate, tls_key, view_step_seconds, workers");
}

TEST_F(ProjectTest, AValueOfAnotherKindHasItsPlace) {
  Write("millrace.toml", "workers = 1.5\n");
  const Error error = ReadSettings(folder_).error();
  EXPECT_THAT(error.message(), HasSubstr("\"workers\""));
  EXPECT_EQ(error.position()->line, 1);
  Write("millrace.toml", "[http]\nport = 1\n");
  EXPECT_THAT(ReadSettings(folder_).error().message(), HasSubstr("a text or a whole number"));
}

TEST_F(ProjectTest, WhatIsNoTomlHasItsPlace) {
  Write("millrace.toml", "name = \"shop\"\nworkers 2\n");
  const Error error = ReadSettings(folder_).error();
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  ASSERT_TRUE(error.position().has_value());
  EXPECT_EQ(error.position()->line, 2);
  EXPECT_EQ(error.position()->line_text, "workers 2");
}

}  // namespace
}  // namespace millrace::cli::project_test
