#include "http/cloud_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace millrace::http::cloud_events_test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What came of a body: the rows, and what was wrong with others.
struct Outcome {
  std::vector<std::string> rows;
  std::vector<std::string> wrong;
};

Outcome Of(RowSplitter& splitter, std::string_view body) {
  CutRows cut;
  Outcome out;
  const auto used = splitter.Cut(body, /*last=*/true, cut);
  if (!used.ok()) out.wrong.push_back(used.error().message());
  for (const auto row : cut.rows) out.rows.emplace_back(row);
  for (const auto& wrong : cut.wrong)
    out.wrong.push_back(fmt::format("{}: {}", wrong.row, wrong.message));
  return out;
}

// Of a request in binary mode; a wrong header alone.
Outcome Binary(const std::string& fields, std::string_view body) {
  const std::string text = "POST /v1/streams/s HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
  RequestHead head;
  EXPECT_EQ(ParseHead(text, head).state, ParsedHead::State::kComplete) << text;
  auto splitter = MakeEventDataSplitter(head);
  if (!splitter.ok()) return {{}, {splitter.error().message()}};
  return Of(**splitter, body);
}

constexpr char kEvent[] =
    "ce-specversion: 1.0\r\nCE-Id: 7\r\nce-source: /till/4\r\nce-type: sale\r\n";
constexpr char kRow[] = R"({"specversion":"1.0","id":"7","source":"/till/4","type":"sale")";

TEST(CloudEvents, OfABinaryRequestAreARow) {
  EXPECT_THAT(Binary(kEvent, "").rows, ElementsAre(std::string(kRow) + "}"));
  const std::string json = std::string(kEvent) + "Content-Type: application/json\r\n";
  const std::string row = std::string(kRow) + R"(,"datacontenttype":"application/json")";
  EXPECT_THAT(Binary(json, R"({"amount": 2.5})").rows,
              ElementsAre(row + R"(,"data":{"amount": 2.5}})"));
  EXPECT_THAT(Binary(json, "[1, null]").rows, ElementsAre(row + R"(,"data":[1, null]})"));
  EXPECT_THAT(
      Binary(std::string(kEvent) + "Content-Type: text/plain; charset=utf-8\r\n", "a \"b\"").rows,
      ElementsAre(std::string(kRow) +
                  R"(,"datacontenttype":"text/plain; charset=utf-8","data":"a \"b\""})"));
  EXPECT_THAT(
      Binary(std::string(kEvent) + "Content-Type: image/png\r\n", "\x89P").rows,
      ElementsAre(std::string(kRow) + R"(,"datacontenttype":"image/png","data_base64":"iVA="})"));
}

// Data that is no JSON cannot end the member that it is in and begin another.
TEST(CloudEvents, DataCannotBreakOutOfItsMember) {
  const std::string json = std::string(kEvent) + "Content-Type: application/json\r\n";
  const auto out = Binary(json, R"(1, "id": "forged")");
  ASSERT_EQ(out.rows.size(), 1u);
  EXPECT_THAT(out.rows[0], HasSubstr(R"("data":"1, \"id\": \"forged\"")"));
  EXPECT_THAT(Binary(json, "\xff\xfe").rows.at(0), HasSubstr(R"("data_base64":"//4=")"));
}

TEST(CloudEvents, HeadersAreDecoded) {
  EXPECT_THAT(Binary(std::string(kEvent) + "ce-subject: caf%C3%A9%20%22x%22\r\n", "").rows.at(0),
              HasSubstr(R"("subject":"café \"x\"")"));
  EXPECT_THAT(Binary(std::string(kEvent) + "ce-subject: \"a \\\"b\\\"\"\r\n", "").rows.at(0),
              HasSubstr(R"("subject":"a \"b\"")"));
  EXPECT_THAT(Binary(std::string(kEvent) + "ce-subject: %zz\r\n", "").wrong,
              ElementsAre(HasSubstr("the header ce-subject")));
  EXPECT_THAT(Binary(std::string(kEvent) + "ce-subject: %ff\r\n", "").wrong,
              ElementsAre(HasSubstr("UTF-8")));
  EXPECT_THAT(Binary(std::string(kEvent) + "ce-id: 8\r\n", "").wrong,
              ElementsAre("the header ce-id is there twice"));
  EXPECT_THAT(Binary(std::string(kEvent) + "ce-data: x\r\n", "").wrong,
              ElementsAre(HasSubstr("no attribute")));
}

TEST(CloudEvents, WithoutWhatTheyMustHaveAreWrong) {
  EXPECT_THAT(Binary("ce-id: 7\r\nce-source: a\r\nce-type: b\r\n", "").wrong,
              ElementsAre("0: a CloudEvent must have specversion, a text that is not empty"));
  EXPECT_THAT(Binary("ce-specversion: 0.3\r\nce-id: 7\r\nce-source: a\r\nce-type: b\r\n", "").wrong,
              ElementsAre("0: CloudEvents of specversion 0.3 are not understood, only 1.0"));
  const std::string good = std::string(kRow) + R"(,"data":{"id":1}})";
  const auto batch = MakeEventSplitter();
  const auto out =
      Of(*batch, "[" + good + R"(, {"specversion":"1.0","id":"","source":"a"}, 5, )" + good + "]");
  EXPECT_THAT(out.rows, ElementsAre(good, "5", good))
      << "what is no object is the decoder's to say";
  EXPECT_THAT(out.wrong, ElementsAre("1: a CloudEvent must have id, a text that is not empty"));
  EXPECT_EQ(batch->row_count(), 4u);
}

// However the body comes, the rows are the same.
TEST(CloudEvents, OfABodyInPiecesAreTheSame) {
  std::mt19937_64 random(11);
  std::string body = "[";
  for (int i = 0; i < 200; ++i) {
    body += fmt::format("{}{},\"n\":{}}}", i == 0 ? "" : ", ",
                        random() % 5 == 0 ? std::string(R"({"specversion":"1.0")") : kRow, i);
  }
  body += "]";
  const auto whole = MakeEventSplitter();
  const Outcome expected = Of(*whole, body);
  const auto pieces = MakeEventSplitter();
  Outcome out;
  std::string rest;
  for (size_t at = 0; at < body.size();) {
    const size_t size = std::min<size_t>(1 + random() % 300, body.size() - at);
    rest += body.substr(at, size);
    at += size;
    CutRows cut;
    const auto used = pieces->Cut(rest, at == body.size(), cut);
    ASSERT_TRUE(used.ok()) << used.error().ToString();
    for (const auto row : cut.rows) out.rows.emplace_back(row);
    for (const auto& wrong : cut.wrong)
      out.wrong.push_back(fmt::format("{}: {}", wrong.row, wrong.message));
    rest.erase(0, *used);
  }
  EXPECT_EQ(out.rows, expected.rows);
  EXPECT_EQ(out.wrong, expected.wrong);
  EXPECT_THAT(out.wrong, testing::Not(IsEmpty()));
}

}  // namespace
}  // namespace millrace::http::cloud_events_test
