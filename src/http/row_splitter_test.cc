#include "http/row_splitter.h"

#include <gtest/gtest.h>

namespace millrace::http::row_splitter_test {
namespace {

// The rows with their indexes, of a body that comes in pieces of the given size; the error's
// message as the last one where it is refused.
std::vector<std::string> Split(std::unique_ptr<RowSplitter> splitter, std::string_view body,
                               size_t piece) {
  std::vector<std::string> found;
  std::string held;
  for (size_t at = 0;;) {
    const size_t size = std::min(piece, body.size() - at);
    held += body.substr(at, size);
    at += size;
    CutRows cut;
    auto used = splitter->Cut(held, at == body.size(), cut);
    for (size_t i = 0; i < cut.rows.size(); ++i)
      found.push_back(fmt::format("{}:{}", cut.indexes[i], cut.rows[i]));
    if (!used.ok()) {
      found.push_back(used.error().message());
      return found;
    }
    held.erase(0, *used);
    if (at == body.size()) return found;
  }
}

TEST(RowSplitter, CutsLinesWhereverThePiecesEnd) {
  const std::string body = "{\"a\":1}\r\n\n  {\"b\":2}\n{\"c\":3}";
  for (size_t piece = 1; piece <= body.size(); ++piece) {
    EXPECT_EQ(Split(MakeLineSplitter(), body, piece),
              (std::vector<std::string>{"0:{\"a\":1}", "1:{\"b\":2}", "2:{\"c\":3}"}));
  }
}

TEST(RowSplitter, CutsArraysWhereverThePiecesEnd) {
  const std::string body = R"( [ {"a": "],\"}"} , [1, {"x":[]}],"s,]" ,12 ,{}] )";
  for (size_t piece = 1; piece <= body.size(); ++piece) {
    EXPECT_EQ(Split(MakeJsonSplitter(), body, piece),
              (std::vector<std::string>{R"(0:{"a": "],\"}"})", R"(1:[1, {"x":[]}])", R"(2:"s,]")",
                                        "3:12", "4:{}"}));
  }
}

TEST(RowSplitter, TakesOneObjectAndAnEmptyArray) {
  for (size_t piece = 1; piece <= 12; ++piece) {
    EXPECT_EQ(Split(MakeJsonSplitter(), " {\"a\":{}} \n", piece),
              std::vector<std::string>{"0:{\"a\":{}}"});
    EXPECT_EQ(Split(MakeJsonSplitter(), "[ ]", piece), std::vector<std::string>{});
  }
}

TEST(RowSplitter, KeepsTheRowsBeforeABodyGoesWrong) {
  EXPECT_EQ(Split(MakeJsonSplitter(), "[1,,2]", 100),
            (std::vector<std::string>{"0:1", "the JSON array has an empty element"}));
  EXPECT_EQ(Split(MakeJsonSplitter(), "[1,2", 100),
            (std::vector<std::string>{"0:1", "the JSON body ends in the middle"}));
  EXPECT_EQ(Split(MakeJsonSplitter(), "{}{}", 100),
            (std::vector<std::string>{"0:{}", "the JSON body goes on after its end"}));
  EXPECT_EQ(Split(MakeJsonSplitter(), "", 100), std::vector<std::string>{"the JSON body is empty"});
  EXPECT_EQ(Split(MakeJsonSplitter(), "nonsense", 100),
            std::vector<std::string>{"the JSON body is neither an object nor an array"});
}

TEST(RowSplitter, PassesOverADroppedRowAndGoesOnCounting) {
  for (const bool lines : {true, false}) {
    auto splitter = lines ? MakeLineSplitter() : MakeJsonSplitter();
    CutRows first;
    const std::string begin = lines ? "{}\n{\"a\": \"x" : "[{},{\"a\": \"x";
    ASSERT_TRUE(splitter->Cut(begin, false, first).ok());
    EXPECT_EQ(first.rows.size(), 1u);
    EXPECT_EQ(splitter->DropRow(), 1u);
    CutRows middle;
    const std::string more = "yyy";
    EXPECT_EQ(splitter->Cut(more, false, middle).value(), more.size());
    CutRows last;
    const std::string end = lines ? "z\"}\n{\"b\":1}\n" : "z\"},{\"b\":1}]";
    ASSERT_TRUE(splitter->Cut(end, true, last).ok());
    EXPECT_EQ(last.rows, std::vector<std::string_view>{"{\"b\":1}"});
    EXPECT_EQ(last.indexes, std::vector<size_t>{2});
    EXPECT_TRUE(middle.rows.empty());
  }
}

TEST(RowSplitter, TurnsCsvIntoObjectsOfTheStreamsColumns) {
  rows::Schema schema;
  schema.columns = {{"id", duckdb::LogicalType::BIGINT, false, std::nullopt, 1},
                    {"name", duckdb::LogicalType::VARCHAR, false, std::nullopt, 2}};
  auto splitter = MakeCsvSplitter(schema);
  CutRows cut;
  ASSERT_TRUE(splitter->Cut("name,id\n\"a,b\",1\nx\n", false, cut).ok());
  ASSERT_TRUE(cut.owner != nullptr);
  ASSERT_EQ(cut.rows.size(), 1u);
  EXPECT_NE(cut.rows[0].find("a,b"), std::string_view::npos);
  ASSERT_EQ(cut.wrong.size(), 1u);
  EXPECT_EQ(cut.wrong[0].row, 1u);
  EXPECT_EQ(splitter->row_count(), 2u);
}

}  // namespace
}  // namespace millrace::http::row_splitter_test
