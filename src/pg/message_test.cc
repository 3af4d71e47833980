#include "pg/message.h"

#include <gtest/gtest.h>

#include <random>

#include "pg/copy_in.h"
#include "pg/parameter.h"
#include "pg/replies.h"
#include "pg/testing.h"
#include "pg/types.h"

namespace millrace::pg::message_test {
namespace {

TEST(Message, ComesOnceItIsWhole) {
  const std::string bytes = Framed('Q', std::string("SELECT 1\0", 9)) + Framed('S', "");
  for (size_t length = 0; length < bytes.size(); ++length) {
    std::string_view in = std::string_view(bytes).substr(0, length);
    auto message = TakeMessage(in, 100);
    ASSERT_TRUE(message.ok());
    EXPECT_EQ(message->has_value(), length >= bytes.size() - 5) << length;
  }
  std::string_view in = bytes;
  auto query = TakeMessage(in, 100);
  ASSERT_TRUE(query.ok() && query->has_value());
  EXPECT_EQ((*query)->type, 'Q');
  EXPECT_EQ(*ParseText((*query)->body), "SELECT 1");
  auto sync = TakeMessage(in, 100);
  ASSERT_TRUE(sync.ok() && sync->has_value());
  EXPECT_EQ((*sync)->type, 'S');
  EXPECT_TRUE(in.empty());
}

TEST(Message, IsRefusedByItsHeadAlone) {
  for (const auto& [bytes, code] :
       {std::pair{std::string("Q\x7F\xFF\xFF\xFF", 5), Code::kTooLarge},
        std::pair{std::string("Q\xFF\xFF\xFF\xFF", 5), Code::kCorruption},
        std::pair{std::string("Q\0\0\0\3", 5), Code::kCorruption},
        std::pair{std::string("?\0\0\0\4", 5), Code::kCorruption}}) {
    std::string_view in = bytes;
    const auto message = TakeMessage(in, 1000);
    ASSERT_FALSE(message.ok());
    EXPECT_EQ(message.error().code(), code);
  }
}

TEST(Message, StartupHasItsParametersAndOtherPacketsTheirKinds) {
  std::string startup;
  PutInt32(3 << 16 | 2, startup);
  startup += std::string("user\0alice\0database\0millrace\0\0", 30);
  const auto parsed = ParseStartup(startup);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->minor, 2);
  ASSERT_EQ(parsed->parameters.size(), 2u);
  EXPECT_EQ(parsed->parameters[1].second, "millrace");
  std::string cancel;
  PutInt32(80877102, cancel);
  PutInt32(7, cancel);
  PutInt32(-9, cancel);
  EXPECT_EQ(ParseStartup(cancel)->kind, StartupPacket::Kind::kCancel);
  EXPECT_EQ(ParseStartup(cancel)->secret, -9);
  std::string old;
  PutInt32(2 << 16, old);
  EXPECT_EQ(ParseStartup(old).error().code(), Code::kNotSupported);
}

TEST(Message, BindKeepsNullApartFromEmpty) {
  std::string body("p\0s\0", 4);
  PutInt16(1, body);
  PutInt16(1, body);
  PutInt16(2, body);
  PutInt32(-1, body);
  PutInt32(0, body);
  PutInt16(0, body);
  const auto bind = ParseBind(body);
  ASSERT_TRUE(bind.ok()) << bind.error().ToString();
  EXPECT_FALSE(bind->parameters[0]);
  EXPECT_EQ(*bind->parameters[1], "");
  EXPECT_EQ(FormatOf(bind->parameter_formats, 1), 1);
  EXPECT_FALSE(ParseBind(body + "x").ok());
  EXPECT_FALSE(ParseBind(body.substr(0, body.size() - 1)).ok());
}

TEST(Message, APositionCountsCharactersOfTheWholeText) {
  const std::string text = "SELECT 'ä',\n  wrong";
  const Error error = Error(Code::kNotFound, "x").At(PositionAt(text, text.find("wrong")));
  EXPECT_EQ(PositionOf(error, text), 15u);
}

TEST(Message, TenThousandDamagedBodiesHarmNobody) {
  std::mt19937 random(7);
  std::string bind("portal\0statement\0", 17);
  PutInt16(2, bind);
  PutInt16(0, bind);
  PutInt16(1, bind);
  PutInt16(2, bind);
  PutInt32(4, bind);
  bind += "1234";
  PutInt32(-1, bind);
  PutInt16(1, bind);
  PutInt16(1, bind);
  std::string parse("name\0SELECT $1\0", 15);
  PutInt16(1, parse);
  PutInt32(23, parse);
  std::string startup;
  PutInt32(3 << 16, startup);
  startup += std::string("user\0a\0\0", 8);
  const std::vector<std::string> seeds = {bind, parse, startup, "S\0x", "E"};
  size_t read = 0;
  for (int i = 0; i < 10'000; ++i) {
    std::string bytes = seeds[random() % seeds.size()];
    const int damages = 1 + static_cast<int>(random() % 4);
    for (int j = 0; j < damages && !bytes.empty(); ++j) {
      switch (random() % 3) {
        case 0:
          bytes[random() % bytes.size()] = static_cast<char>(random());
          break;
        case 1:
          bytes.resize(random() % bytes.size());
          break;
        default:
          bytes.insert(random() % bytes.size(), 1, static_cast<char>(random()));
      }
    }
    std::string_view in = bytes;
    if (TakeMessage(in, 1000).ok()) ++read;
    if (ParseStartup(bytes).ok()) ++read;
    if (ParseParse(bytes).ok()) ++read;
    if (ParseBind(bytes).ok()) ++read;
    if (ParseTarget(bytes).ok()) ++read;
    if (ParseExecute(bytes).ok()) ++read;
    for (const BaseType& type : BaseTypes()) {
      for (const uint32_t oid : {type.oid, type.array_oid}) {
        if (DecodeParameter(oid, static_cast<int16_t>(random() % 2), bytes, *TimeZone::Utc()).ok())
          ++read;
      }
    }
  }
  EXPECT_GT(read, 0u);
}

TEST(CopyIn, TenThousandDamagedFilesAreReadOrRefused) {
  std::mt19937 random(11);
  rows::Schema schema;
  for (const auto& type : {duckdb::LogicalType::BIGINT, duckdb::LogicalType::VARCHAR}) {
    rows::Column column;
    column.name = "c" + std::to_string(schema.columns.size());
    column.type = type;
    schema.columns.push_back(column);
  }
  std::string binary("PGCOPY\n\377\r\n\0", 11);
  PutInt32(0, binary);
  PutInt32(0, binary);
  PutInt16(2, binary);
  PutInt32(8, binary);
  PutInt64(5, binary);
  PutInt32(1, binary);
  binary += "x";
  PutInt16(-1, binary);
  using Format = CopyOptions::Format;
  const std::vector<std::pair<Format, std::string>> seeds = {
      {Format::kText, "1\ta\\n\n2\t\\N\n"},
      {Format::kCsv, "1,\"a \"\"b\"\"\nc\"\n2,\n"},
      {Format::kBinary, binary}};
  size_t good = 0;
  for (int i = 0; i < 10'000; ++i) {
    auto [format, bytes] = seeds[random() % seeds.size()];
    if (i >= 3) {
      const size_t at = random() % bytes.size();
      if (random() % 2 == 0) {
        bytes[at] = static_cast<char>(random());
      } else {
        bytes.resize(at);
      }
    }
    CopyOptions options;
    options.format = format;
    if (format == Format::kCsv) options.delimiter = ',', options.null_text = "";
    CopyIn copy("t", schema, options, TimeZone::Utc());
    copy.Add(bytes);
    if (copy.Finish().ok()) ++good;
  }
  EXPECT_GT(good, 0u);
}

}  // namespace
}  // namespace millrace::pg::message_test
