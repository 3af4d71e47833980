#include "rows/json_split.h"

#include "rows/testing.h"

namespace millrace::rows::json_split_test {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Result<std::vector<std::string>> Split(JsonBody body, std::string_view text, size_t piece_bytes,
                                       size_t row_bytes_max = kRowBytesMaxDefault) {
  JsonSplitter splitter(body, row_bytes_max);
  std::vector<std::string> rows;
  for (size_t i = 0; i < text.size(); i += piece_bytes) {
    const std::string piece(text.substr(i, piece_bytes));
    TRY(const auto found, splitter.Feed(piece));
    rows.insert(rows.end(), found.begin(), found.end());
  }
  TRY(const auto last, splitter.Finish());
  rows.insert(rows.end(), last.begin(), last.end());
  EXPECT_EQ(splitter.rows(), rows.size());
  return rows;
}

// The same for pieces of every size; returns what all agree on.
std::vector<std::string> Rows(JsonBody body, std::string_view text) {
  std::vector<std::string> whole;
  for (const size_t piece :
       {text.size() + 1, size_t{1}, size_t{2}, size_t{3}, size_t{7}, size_t{17}}) {
    const auto rows = Split(body, text, piece);
    EXPECT_TRUE(rows.ok()) << rows.error().ToString();
    if (!rows.ok()) return {};
    if (piece == text.size() + 1) whole = *rows;
    EXPECT_EQ(*rows, whole) << piece;
  }
  return whole;
}

std::string Failure(JsonBody body, std::string_view text) {
  std::string whole;
  for (const size_t piece : {text.size() + 1, size_t{1}, size_t{5}}) {
    const auto rows = Split(body, text, piece);
    EXPECT_FALSE(rows.ok()) << text;
    if (rows.ok()) return "";
    if (piece == text.size() + 1) whole = rows.error().message();
    EXPECT_EQ(rows.error().message(), whole) << piece;
  }
  return whole;
}

TEST(JsonSplitter, TakesASingleObjectAlsoOverSeveralLines) {
  EXPECT_THAT(Rows(JsonBody::kAny, "{\"a\":1}"), ElementsAre("{\"a\":1}"));
  EXPECT_THAT(Rows(JsonBody::kAny, " \n{\n  \"a\": {\"b\": [1, 2]}\n}\n"),
              ElementsAre("{\n  \"a\": {\"b\": [1, 2]}\n}"));
}

TEST(JsonSplitter, TakesAnArrayOfObjects) {
  EXPECT_THAT(Rows(JsonBody::kAny, "[{\"a\":1} , {\"b\":\"]},{\"},{}]\n"),
              ElementsAre("{\"a\":1}", "{\"b\":\"]},{\"}", "{}"));
  EXPECT_THAT(Rows(JsonBody::kAny, "[]"), IsEmpty());
  EXPECT_THAT(Rows(JsonBody::kAny, "[1, \"a,\\\"]b\" ,null,[{}], true]"),
              ElementsAre("1", "\"a,\\\"]b\"", "null", "[{}]", "true"));
}

TEST(JsonSplitter, TakesValuesOneAfterAnother) {
  EXPECT_THAT(Rows(JsonBody::kAny, "{\"a\":\"\\\\\"}{\"b\":2}\r\n\r\n{\"c\":\"\\\"}\"}"),
              ElementsAre("{\"a\":\"\\\\\"}", "{\"b\":2}", "{\"c\":\"\\\"}\"}"));
  EXPECT_THAT(Rows(JsonBody::kAny, " \n"), IsEmpty());
}

TEST(JsonSplitter, TakesLinesAsTheyAre) {
  EXPECT_THAT(Rows(JsonBody::kLines, "{\"a\":1}\n\n {\"b\":2}\r\nnot json\n{\"c\":3}"),
              ElementsAre("{\"a\":1}", "{\"b\":2}", "not json", "{\"c\":3}"));
  EXPECT_THAT(Rows(JsonBody::kLines, ""), IsEmpty());
}

TEST(JsonSplitter, NamesRowAndByteOfWhatIsWrong) {
  EXPECT_EQ(Failure(JsonBody::kAny, "{\"a\":1}\nx"),
            "row 2 (byte 9): expected an object, found 'x'");
  EXPECT_EQ(Failure(JsonBody::kAny, "[{} {}]"), "row 2 (byte 5): expected ',' or ']', found '{'");
  EXPECT_EQ(Failure(JsonBody::kAny, "[{},]"), "row 2 (byte 5): expected an object, found ']'");
  EXPECT_EQ(Failure(JsonBody::kAny, "[{}] {}"), "row 2 (byte 6): expected the end, found '{'");
  EXPECT_EQ(Failure(JsonBody::kAny, "\"text\""), "row 1 (byte 1): expected an object, found '\"'");
  EXPECT_EQ(Failure(JsonBody::kAny, "\xff{}"),
            "row 1 (byte 1): expected an object, found byte 0xff");
}

TEST(JsonSplitter, SaysWhenTheBodyEndsTooEarly) {
  EXPECT_EQ(Failure(JsonBody::kAny, "{\"a\":1}{\"b\":"),
            "row 2 (byte 13): the body ends inside the row");
  EXPECT_EQ(Failure(JsonBody::kAny, "[{}"), "row 2 (byte 4): the body ends inside the array");
  EXPECT_EQ(Failure(JsonBody::kAny, "[{},"), "row 2 (byte 5): the body ends inside the array");
  EXPECT_EQ(Failure(JsonBody::kAny, "{\"a\":\"\\"), "row 1 (byte 8): the body ends inside the row");
}

TEST(JsonSplitter, RefusesARowAboveTheLimitBeforeItIsRead) {
  const std::string large = "{\"a\":\"" + std::string(1000, 'x') + "\"}";
  for (const JsonBody body : {JsonBody::kAny, JsonBody::kLines}) {
    const auto fits = Split(body, "{}\n" + large + "\n", 10, large.size());
    EXPECT_TRUE(fits.ok());
    const auto rows = Split(body, "{}\n" + large, 10, large.size() - 1);
    ASSERT_FALSE(rows.ok());
    EXPECT_EQ(rows.error().code(), Code::kTooLarge);
    EXPECT_THAT(rows.error().message(), ::testing::StartsWith("row 2 "));
    JsonSplitter splitter(body, 100);
    size_t fed = 0;
    while (splitter.Feed(fed == 0 ? "{\"a\":\"" : "xxxxxxxxxx").ok()) ++fed;
    EXPECT_LE(fed, 11u);
  }
}

TEST(JsonSplitter, AgreesWithItselfOnRandomBodiesWhateverThePieces) {
  std::mt19937_64 random(testing::Seed());
  const std::string_view alphabet = "{}[],:\"\\ \n1a";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = round % 2 == 0 ? "{\"a\":" : "[{\"a\":";
    const size_t size = random() % 30;
    for (size_t i = 0; i < size; ++i) text.push_back(alphabet[random() % alphabet.size()]);
    const auto whole = Split(JsonBody::kAny, text, text.size());
    const auto pieces = Split(JsonBody::kAny, text, 1 + random() % 5);
    ASSERT_EQ(whole.ok(), pieces.ok()) << text;
    if (whole.ok()) {
      ASSERT_EQ(*whole, *pieces) << text;
    } else {
      ASSERT_EQ(whole.error().message(), pieces.error().message()) << text;
    }
  }
}

}  // namespace
}  // namespace millrace::rows::json_split_test
