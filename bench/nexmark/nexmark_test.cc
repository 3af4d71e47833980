// Every query of the benchmark, run by the engine in steps of uneven size, against DuckDB's own
// answer over the same rows.
#include <gtest/gtest.h>

#include <filesystem>

#include "catalog/relation_shape.h"
#include "nexmark/dataflow.h"
#include "nexmark/queries.h"
#include "rows/row_codec.h"

namespace millrace::nexmark::nexmark_test {
namespace {

constexpr int64_t kEvents = 20'000;
constexpr int64_t kFirstStepEvents = 77;  // each step takes twice as many as the one before

// The rows of a relation by their exact encoding, with how often they stand.
using Content = std::map<std::string, rows::Weight>;

void AddTo(Content& content, const rows::Batch& batch, const rows::Types& types) {
  rows::RowEncoder encoder(types);
  for (const auto& part : batch.parts) {
    const auto& encoded = encoder.Encode(*part.rows);
    for (size_t row = 0; row < encoded.size(); ++row) {
      const auto at = content.try_emplace(std::string(encoded[row])).first;
      if ((at->second += part.weight(row)) == 0) content.erase(at);
    }
  }
}

// The first rows of `a` that `b` has not as often, for people.
std::string RowsOnlyIn(const Content& a, const Content& b, const rows::Types& types) {
  constexpr size_t kShown = 5;
  std::vector<std::string_view> rows;
  for (const auto& [row, weight] : a) {
    const auto found = b.find(row);
    if ((found == b.end() || found->second != weight) && rows.size() < kShown) rows.push_back(row);
  }
  duckdb::DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types);
  const Status decoded = rows::RowDecoder(types).Decode(rows, chunk, 0);
  if (!decoded.ok()) return decoded.error().ToString();
  chunk.SetCardinality(rows.size());
  return chunk.ToString();
}

// The events and the side table, as DuckDB reads them.
class EventsSnapshot final : public sql::Snapshot {
 public:
  explicit EventsSnapshot(const Generator& generator) {
    for (const Kind kind : kKinds) rows_[RelationName(kind)] = generator.Rows(kind, {0, kEvents});
    rows_[kSideInput] = SideInputRows();
  }
  int64_t step() const override { return 1; }
  const catalog::Catalog& catalog() const override { return *catalog_; }
  Result<RelationShape> Shape(std::string_view name) const override {
    const catalog::Object* object = catalog_->FindRelation(name);
    if (object == nullptr) return Error(Code::kNotFound, "{} does not exist", Quoted(name));
    return catalog::ShapeOf(*object);
  }
  Result<std::unique_ptr<sql::RelationScan>> Scan(std::string_view name,
                                                  const std::vector<size_t>& columns,
                                                  const std::vector<Equality>&) const override {
    return std::unique_ptr<sql::RelationScan>(
        std::make_unique<BatchScan>(rows_.at(std::string(name)), columns));
  }

 private:
  class BatchScan final : public sql::RelationScan {
   public:
    BatchScan(const rows::Batch& rows, std::vector<size_t> columns)
        : rows_(rows), columns_(std::move(columns)) {}
    Status Next(duckdb::DataChunk& out) override {
      out.SetCardinality(0);
      if (next_ == rows_.parts.size()) return Ok();
      out.ReferenceColumns(*rows_.parts[next_++].rows, columns_);
      return Ok();
    }

   private:
    const rows::Batch& rows_;
    const duckdb::vector<duckdb::column_t> columns_;
    size_t next_ = 0;
  };

  catalog::CatalogPtr catalog_ = NexmarkCatalog();
  std::map<std::string, rows::Batch> rows_;
};

class NexmarkTest : public ::testing::TestWithParam<const Query*> {
 protected:
  static void SetUpTestSuite() {
    auto database = sql::Database::Open({});
    ASSERT_TRUE(database.ok()) << database.error().ToString();
    database_ = std::move(database).value().release();
  }
  static void TearDownTestSuite() {
    delete database_;
    database_ = nullptr;
  }

  struct Answer {
    Content content;
    rows::Types types;
  };
  Result<Answer> Expected() const {
    TRY(const sql::QueryResult answer,
        database_->Query(std::make_shared<EventsSnapshot>(generator_), GetParam()->select, {}, {}));
    rows::Batch batch;
    for (const auto& chunk : answer.chunks) batch.parts.push_back({chunk, {}});
    Answer expected{{}, answer.schema.types()};
    AddTo(expected.content, batch, expected.types);
    return expected;
  }

  // `emit_on_close`: in the end the watermark passes all windows.
  Result<Content> Maintained(int workers, bool emit_on_close) const {
    const auto directory = std::filesystem::temp_directory_path() /
                           fmt::format("millrace_nexmark_test_{}_{}", getpid(), GetParam()->name);
    std::filesystem::remove_all(directory);
    Content content;
    {
      TRY(auto flow, Dataflow::Start({workers, directory, /*gather=*/true, emit_on_close},
                                     *database_, GetParam()->select));
      std::map<std::string, GeneratedEvents> readers;
      std::map<std::string, stream::SourceReader*> sources;
      for (const Kind kind : kKinds) {
        const auto made = readers.try_emplace(RelationName(kind), generator_, kind, workers).first;
        sources[made->first] = &made->second;
      }
      int64_t begin = 0;
      for (int64_t size = kFirstStepEvents; begin < kEvents; size *= 2) {
        const int64_t end = std::min(begin + size, kEvents);
        for (auto& [name, reader] : readers) reader.Prepare({begin, end});
        TRY(const rows::Batch change, flow->Step(sources, generator_.WatermarkAt(end)));
        AddTo(content, change, flow->types());
        begin = end;
      }
      TRY(const rows::Batch change, flow->Step({}, generator_.WatermarkAt(2 * kEvents)));
      AddTo(content, change, flow->types());
      TRY(flow->Flush());
    }
    std::filesystem::remove_all(directory);
    return content;
  }

  static sql::Database* database_;
  const Generator generator_{GeneratorOptions{}};
};

sql::Database* NexmarkTest::database_ = nullptr;

TEST_P(NexmarkTest, GivesDuckDbsAnswer) {
  const auto expected = Expected();
  ASSERT_TRUE(expected.ok()) << expected.error().ToString();
  ASSERT_FALSE(expected->content.empty()) << "nothing to compare";
  for (const auto& [workers, close] : std::vector<std::pair<int, bool>>{
           {1, false}, {2, false}, {4, false}, {1, true}, {2, true}, {4, true}}) {
    if (close && !GetParam()->windowed) continue;
    SCOPED_TRACE(fmt::format("{} workers, on window close: {}", workers, close));
    const auto content = Maintained(workers, close);
    ASSERT_TRUE(content.ok()) << content.error().ToString();
    EXPECT_TRUE(*content == expected->content)
        << content->size() << " rows, DuckDB has " << expected->content.size()
        << "\nonly maintained: " << RowsOnlyIn(*content, expected->content, expected->types)
        << "\nonly DuckDB: " << RowsOnlyIn(expected->content, *content, expected->types);
  }
}

std::vector<const Query*> AllQueries() {
  std::vector<const Query*> all;
  for (const Query& query : Queries()) all.push_back(&query);
  return all;
}

INSTANTIATE_TEST_SUITE_P(Queries, NexmarkTest, ::testing::ValuesIn(AllQueries()),
                         [](const auto& info) { return info.param->name; });

}  // namespace
}  // namespace millrace::nexmark::nexmark_test
