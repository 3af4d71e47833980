#include "cli/find_node.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

namespace millrace::cli::find_node_test {
namespace {

net::ClientAnswer Answer(int status, std::string body) {
  net::ClientAnswer answer;
  answer.status = status;
  answer.body = std::move(body);
  return answer;
}

TEST(FindNode, GoesByTheUrlFirstThenByTheEnvironment) {
  ::setenv("MILLRACE_URL", "not a url", 1);
  EXPECT_TRUE(FindNode({"http://127.0.0.1:1", ""}).ok());
  EXPECT_FALSE(FindNode({}).ok());
  EXPECT_FALSE(FindNode({"ftp://127.0.0.1", ""}).ok());
  ::unsetenv("MILLRACE_URL");
  EXPECT_TRUE(FindNode({}).ok());
}

TEST(NodeOfNote, KnowsTheCertificateOfANodeWithTls) {
  const std::string fingerprint(64, 'a');
  EXPECT_EQ(AddressNote({"127.0.0.1", 8080}, ""), "127.0.0.1:8080");
  const std::string note = AddressNote({"::1", 8080}, fingerprint);
  EXPECT_EQ(note, "https://[::1]:8080 " + fingerprint);
  EXPECT_TRUE(NodeOfNote(note).ok());
  EXPECT_TRUE(NodeOfNote("127.0.0.1:8080").ok());
  EXPECT_FALSE(NodeOfNote("nothing of a note").ok());
}

TEST(ErrorOfAnswer, IsTheErrorThatTheNodeMeant) {
  const Error error = ErrorOfAnswer(Answer(
      404, R"({"error": {"code": "not_found", "message": "no x", "hint": "did you mean \"y\"?",
               "position": {"line": 2, "column": 5, "file": "a.sql", "text": "FROM x"}}})"));
  EXPECT_EQ(error.code(), Code::kNotFound);
  EXPECT_EQ(error.message(), "no x");
  EXPECT_EQ(error.hint(), "did you mean \"y\"?");
  ASSERT_TRUE(error.position().has_value());
  EXPECT_EQ(error.position()->file, "a.sql");
  EXPECT_EQ(error.position()->line, 2);
  EXPECT_EQ(error.position()->column, 5);
  EXPECT_EQ(error.position()->line_text, "FROM x");
}

TEST(ErrorOfAnswer, ShowsWhatIsNoErrorOfOurs) {
  const Error error = ErrorOfAnswer(Answer(502, "<html>bad gateway</html>"));
  EXPECT_THAT(error.message(), ::testing::HasSubstr("502"));
  EXPECT_THAT(error.message(), ::testing::HasSubstr("bad gateway"));
}

TEST(PercentEncoded, KeepsPlainBytesAndNothingElse) {
  EXPECT_EQ(PercentEncoded("order_lines-1.a~"), "order_lines-1.a~");
  EXPECT_EQ(PercentEncoded("a b/c%ä"), "a%20b%2Fc%25%C3%A4");
}

}  // namespace
}  // namespace millrace::cli::find_node_test
