#include "pg/copy_in.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "pg/message.h"

namespace millrace::pg::copy_in_test {
namespace {

using Format = CopyOptions::Format;

rows::Schema Columns() {
  rows::Schema schema;
  schema.columns.push_back({"id", duckdb::LogicalType::BIGINT, false, std::nullopt, 0});
  schema.columns.push_back({"text", duckdb::LogicalType::VARCHAR, false, std::nullopt, 1});
  return schema;
}

CopyOptions OptionsOf(Format format, bool header = false) {
  CopyOptions options;
  options.format = format;
  options.header = header;
  if (format == Format::kCsv) {
    options.delimiter = ',';
    options.null_text = "";
  }
  return options;
}

void AddTo(std::string& text, const CopyIn::Chunks& chunks) {
  for (const auto& chunk : chunks) {
    for (size_t row = 0; row < chunk->size(); ++row)
      text += chunk->GetValue(0, row).ToString() + "|" + chunk->GetValue(1, row).ToString() + "\n";
  }
}

// What comes of the input when it arrives in pieces of up to `piece_max` bytes, and rows are taken
// after some of them.
std::string Copied(const std::string& input, const CopyOptions& options, Random& random,
                   size_t piece_max) {
  CopyIn copy("t", Columns(), options, TimeZone::Utc());
  std::string out;
  for (size_t at = 0; at < input.size();) {
    const size_t size = std::min<size_t>(1 + random.Below(piece_max), input.size() - at);
    copy.Add(std::string_view(input).substr(at, size));
    at += size;
    if (!random.OneIn(2)) continue;
    const auto rows = copy.Take();
    if (!rows.ok()) return out + rows.error().message();
    AddTo(out, *rows);
  }
  const auto rows = copy.Finish();
  if (!rows.ok()) return out + rows.error().message();
  AddTo(out, *rows);
  return out;
}

std::string BinaryOf(const std::vector<std::pair<int64_t, std::string>>& rows, bool end) {
  std::string out("PGCOPY\n\377\r\n\0", 11);
  PutInt32(0, out);
  PutInt32(0, out);
  for (const auto& [id, text] : rows) {
    PutInt16(2, out);
    PutInt32(8, out);
    PutInt64(id, out);
    PutInt32(static_cast<int32_t>(text.size()), out);
    out += text;
  }
  if (end) PutInt16(-1, out);
  return out;
}

TEST(CopyIn, GivesTheSameRowsHoweverTheyArrive) {
  const uint64_t seed = 17;
  Random random(seed);
  const std::string text = "id\ttext\n1\tone\\ntwo\n2\t\\N\r\n3\tthr\\tee\n\\.\n9\tnot read\n";
  const std::string csv =
      "id,text\r\n1,\"one\ntwo\"\n2,\n3,\"say \"\"three\"\"\r\nand\"\r\n4,\"\"\n\\.\n9,not read\n";
  const std::string binary = BinaryOf({{1, "one"}, {-2, ""}, {int64_t{1} << 40, "three"}}, true);
  for (int i = 0; i < 300; ++i) {
    const size_t piece_max = 1 + random.Below(20);
    EXPECT_EQ(Copied(text, OptionsOf(Format::kText, true), random, piece_max),
              "1|one\ntwo\n2|NULL\n3|thr\tee\n");
    EXPECT_EQ(Copied(csv, OptionsOf(Format::kCsv, true), random, piece_max),
              "1|one\ntwo\n2|NULL\n3|say \"three\"\r\nand\n4|\n");
    EXPECT_EQ(Copied(binary, OptionsOf(Format::kBinary), random, piece_max),
              "1|one\n-2|\n1099511627776|three\n");
  }
}

TEST(CopyIn, TheLastRowNeedsNoEndOfLine) {
  Random random(1);
  EXPECT_EQ(Copied("1\ta\n2\tb", OptionsOf(Format::kText), random, 3), "1|a\n2|b\n");
  EXPECT_EQ(Copied("1,a\n2,b", OptionsOf(Format::kCsv), random, 3), "1|a\n2|b\n");
}

TEST(CopyIn, ErrorsNameTheLineOfTheWholeInput) {
  Random random(2);
  for (int i = 0; i < 50; ++i) {
    const std::string copied =
        Copied("1,\"a\nb\"\n2,x\nmuch,y\n", OptionsOf(Format::kCsv), random, 4);
    EXPECT_TRUE(
        copied.ends_with("COPY t, line 4, column id: invalid input for type BIGINT: \"much\""))
        << copied;
  }
  EXPECT_NE(Copied("1,\"a\n", OptionsOf(Format::kCsv), random, 4).find("unterminated CSV"),
            std::string::npos);
  const std::string cut = BinaryOf({{1, "one"}}, false);
  EXPECT_NE(Copied(cut.substr(0, cut.size() - 1), OptionsOf(Format::kBinary), random, 50)
                .find("unexpected EOF"),
            std::string::npos);
}

}  // namespace
}  // namespace millrace::pg::copy_in_test
