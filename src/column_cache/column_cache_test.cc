#include "column_cache/column_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <random>
#include <set>
#include <thread>

#include "sql/database.h"

namespace millrace::column_cache::column_cache_test {
namespace {

using duckdb::LogicalType;
using duckdb::Value;

constexpr int64_t kRecordsMin = 1000;

// Streams of one column `n`, the offset, and the hidden columns: in memory.
class FakeSource final : public StreamSource {
 public:
  struct Fake {
    std::string layout = "one";
    std::vector<Stream::Span> spans;
    std::set<std::pair<int32_t, int64_t>> lost;
    bool gone = false;
  };

  std::optional<Stream> Find(const std::string& identity) override {
    const std::lock_guard lock(mutex);
    const auto found = streams.find(identity);
    if (found == streams.end() || found->second.gone) return std::nullopt;
    Stream stream;
    stream.identity = stream.name = identity;
    stream.layout = found->second.layout;
    stream.types = Types();
    stream.partition = 1;
    stream.spans = found->second.spans;
    stream.read = [lost = found->second.lost](const Stream::Span& span) {
      return std::make_unique<Reader>(span, lost);
    };
    return stream;
  }
  bool Busy() override { return busy; }

  static rows::Types Types() {
    return {LogicalType::BIGINT, LogicalType::INTEGER, LogicalType::BIGINT};
  }

  std::mutex mutex;
  std::map<std::string, Fake> streams;  // guarded by mutex
  std::atomic<bool> busy = false;

  // Every seventh record is no row.
  static bool IsRow(int64_t offset) { return offset % 7 != 3; }

  class Reader final : public SpanReader {
   public:
    Reader(Stream::Span span, std::set<std::pair<int32_t, int64_t>> lost)
        : span_(span), lost_records_(std::move(lost)) {}
    Result<std::shared_ptr<duckdb::DataChunk>> Next() override {
      auto chunk = std::make_shared<duckdb::DataChunk>();
      chunk->Initialize(duckdb::Allocator::DefaultAllocator(), Types());
      size_t count = 0;
      for (; span_.start < span_.end && count < STANDARD_VECTOR_SIZE; ++span_.start) {
        if (lost_records_.contains({span_.partition, span_.start})) lost_ = true;
        if (!IsRow(span_.start)) continue;
        chunk->SetValue(0, count, Value::BIGINT(span_.start));
        chunk->SetValue(1, count, Value::INTEGER(span_.partition));
        chunk->SetValue(2, count++, Value::BIGINT(span_.start));
      }
      if (count == 0) return std::shared_ptr<duckdb::DataChunk>();
      chunk->SetCardinality(count);
      return chunk;
    }
    bool lost() const override { return lost_; }

   private:
    Stream::Span span_;
    const std::set<std::pair<int32_t, int64_t>> lost_records_;
    bool lost_ = false;
  };
};

// A step of one stream.
class FakeStep final : public sql::Snapshot {
 public:
  FakeStep(Stream stream, std::shared_ptr<const sql::ColumnCopy> copy)
      : stream_(std::move(stream)), copy_(std::move(copy)) {}
  int64_t step() const override { return 1; }
  const catalog::Catalog& catalog() const override { return *catalog_; }
  Result<RelationShape> Shape(std::string_view name) const override {
    if (name != stream_.name) return Error(Code::kNotFound, "no relation {}", name);
    RelationShape shape;
    const char* const names[] = {"n", "_partition", "_offset"};
    for (size_t i = 0; i < stream_.types.size(); ++i) {
      rows::Column column;
      column.name = names[i];
      column.type = stream_.types[i];
      shape.schema.columns.push_back(std::move(column));
    }
    shape.visible = 1;
    return shape;
  }
  Result<std::unique_ptr<sql::RelationScan>> Scan(std::string_view,
                                                  const std::vector<size_t>& columns,
                                                  const std::vector<Equality>&) const override {
    return ScanSpans(columns, stream_.spans);
  }
  std::shared_ptr<const sql::ColumnCopy> Copied(std::string_view) const override { return copy_; }
  Result<std::unique_ptr<sql::RelationScan>> ScanBeyond(
      std::string_view, const std::vector<size_t>& columns,
      const sql::ColumnCopy& copy) const override {
    std::vector<Stream::Span> spans = stream_.spans;
    for (Stream::Span& span : spans) {
      for (const sql::ColumnCopy::Part& part : copy.parts) {
        if (part.partition == span.partition)
          span.start = std::min(span.end, std::max(span.start, part.end));
      }
    }
    return ScanSpans(columns, std::move(spans));
  }

 private:
  class SpansScan final : public sql::RelationScan {
   public:
    SpansScan(std::vector<std::unique_ptr<SpanReader>> readers, std::vector<size_t> columns)
        : readers_(std::move(readers)), columns_(std::move(columns)) {}
    Status Next(duckdb::DataChunk& out) override {
      out.SetCardinality(0);
      for (; next_ < readers_.size(); ++next_) {
        TRY(const auto rows, readers_[next_]->Next());
        if (rows == nullptr) continue;
        for (size_t i = 0; i < columns_.size(); ++i) out.data[i].Reference(rows->data[columns_[i]]);
        out.SetCardinality(rows->size());
        break;
      }
      return Ok();
    }

   private:
    std::vector<std::unique_ptr<SpanReader>> readers_;
    std::vector<size_t> columns_;
    size_t next_ = 0;
  };
  Result<std::unique_ptr<sql::RelationScan>> ScanSpans(const std::vector<size_t>& columns,
                                                       std::vector<Stream::Span> spans) const {
    std::vector<std::unique_ptr<SpanReader>> readers;
    for (const Stream::Span& span : spans) readers.push_back(stream_.read(span));
    return std::unique_ptr<sql::RelationScan>(
        std::make_unique<SpansScan>(std::move(readers), columns));
  }

  const Stream stream_;
  const std::shared_ptr<const sql::ColumnCopy> copy_;
  const catalog::CatalogPtr catalog_ = catalog::Catalog::Empty();
};

class ColumnCacheTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              fmt::format("column_cache_test_{}_{}", ::getpid(),
                          testing::UnitTest::GetInstance()->current_test_info()->name());
    sql::DatabaseOptions options;
    options.threads = 2;
    options.temp_directory = (folder_ / "tmp").string();
    options.column_directory = (folder_ / "columns").string();
    std::filesystem::create_directories(folder_);
    auto database = sql::Database::Open(options);
    ASSERT_TRUE(database.ok()) << database.error().ToString();
    database_ = std::move(database).value();
    ASSERT_NE(database_->column_tables(), nullptr);
    Open(1 << 30);
  }
  void TearDown() override {
    cache_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Open(uint64_t bytes_max) {
    cache_.reset();
    cache_ = std::make_unique<ColumnCache>(
        *database_->column_tables(), source_,
        Options{folder_.string(), nullptr, bytes_max, kRecordsMin, std::chrono::milliseconds(5)});
  }

  void Set(const std::string& stream, std::vector<Stream::Span> spans) {
    const std::lock_guard lock(source_.mutex);
    source_.streams[stream].spans = std::move(spans);
  }
  void Want(const std::string& stream) { cache_->NoteRead(stream, stream, kRecordsMin); }
  std::optional<CopiedStream> Copied(const std::string& stream) const {
    for (const CopiedStream& copied : cache_->stats().streams) {
      if (copied.identity == stream) return copied;
    }
    return std::nullopt;
  }
  // False: not within ten seconds.
  static bool Within(const std::function<bool()>& reached) {
    for (int i = 0; i < 2000; ++i) {
      if (reached()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  bool WaitForRecords(const std::string& stream, int64_t records) const {
    return Within([&] {
      const auto copied = Copied(stream);
      return copied && copied->records() >= records && copied->state != State::kFilling;
    });
  }

  std::string Ask(const Stream& stream, const std::string& select, bool with_copy) {
    return Ask(stream, select, with_copy ? cache_->Find(stream) : nullptr);
  }
  std::string Ask(const Stream& stream, const std::string& select,
                  std::shared_ptr<const sql::ColumnCopy> copy) {
    const auto result =
        database_->Query(std::make_shared<FakeStep>(stream, std::move(copy)), select, {}, {});
    if (!result.ok()) return result.error().ToString();
    std::string text;
    for (const auto& chunk : result->chunks) text += chunk->ToString();
    return text;
  }
  void ExpectEqual(const std::string& name) {
    const auto stream = source_.Find(name);
    ASSERT_TRUE(stream.has_value());
    for (const char* select :
         {"SELECT count(*), sum(n)::BIGINT, count(DISTINCT n) FROM {}",
          "SELECT _partition, count(*), min(_offset), max(n) FROM {} GROUP BY 1 ORDER BY 1",
          "SELECT count(*) FROM {}",
          "SELECT count(*) FROM {} WHERE n % 10 = 1 AND _partition > 0"}) {
      const std::string text = fmt::format(fmt::runtime(select), name);
      EXPECT_EQ(Ask(*stream, text, true), Ask(*stream, text, false)) << text;
    }
  }

  std::filesystem::path folder_;
  FakeSource source_;
  std::unique_ptr<sql::Database> database_;
  std::unique_ptr<ColumnCache> cache_;
};

TEST_F(ColumnCacheTest, CopiesOnlyWhatIsRead) {
  Set("a", {{0, 0, 5000}});
  Set("b", {{0, 0, 5000}});
  cache_->NoteRead("a", "a", kRecordsMin - 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(cache_->Has("a"));
  cache_->NoteRead("a", "a", 1);
  ASSERT_TRUE(WaitForRecords("a", 5000));
  EXPECT_FALSE(cache_->Has("b"));
  // What is new is little: it stays where it is.
  Set("a", {{0, 0, 5000 + kRecordsMin - 1}});
  Want("a");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(Copied("a")->records(), 5000);
  Set("a", {{0, 0, 5000 + kRecordsMin}});
  Want("a");
  EXPECT_TRUE(WaitForRecords("a", 5000 + kRecordsMin));
  ExpectEqual("a");
}

TEST_F(ColumnCacheTest, ACopyAndTheRestAreTheStream) {
  const unsigned seed = std::random_device()();
  std::cerr << "seed " << seed << "\n";
  std::mt19937 random(seed);
  const auto below = [&](int64_t bound) {
    return std::uniform_int_distribution<int64_t>(0, bound - 1)(random);
  };
  std::vector<Stream::Span> spans = {{0, 0, 0}, {1, 0, 0}, {2, 50, 50}};
  for (int round = 0; round < 30; ++round) {
    for (Stream::Span& span : spans) {
      if (below(3) > 0) span.end += below(4000);
      if (below(4) == 0) span.start += below(span.end - span.start + 1);
    }
    if (below(8) == 0) spans.push_back({static_cast<int32_t>(spans.size()), 0, below(3000)});
    Set("s", spans);
    ExpectEqual("s");
    if (below(2) == 0) Want("s");
    if (below(3) == 0) std::this_thread::sleep_for(std::chrono::milliseconds(below(40)));
    ExpectEqual("s");
    if (HasFailure()) FAIL() << "round " << round;
  }
}

TEST_F(ColumnCacheTest, AStepFromBeforeItWasCopiedReadsTheLog) {
  Set("s", {{0, 0, 3000}});
  const auto before = source_.Find("s");
  Set("s", {{0, 0, 6000}});
  Want("s");
  ASSERT_TRUE(WaitForRecords("s", 6000));
  EXPECT_EQ(cache_->Find(*before), nullptr);
  EXPECT_NE(cache_->Find(*source_.Find("s")), nullptr);
  EXPECT_EQ(Ask(*before, "SELECT max(n) FROM s", true),
            Ask(*before, "SELECT max(n) FROM s", false));
}

// What DuckDB knows of the table's values when it plans is not what it is when the plan runs.
TEST_F(ColumnCacheTest, AChunkThatComesBetweenPlanAndRunIsLeftOut) {
  Set("s", {{0, 0, 3000}});
  Want("s");
  ASSERT_TRUE(WaitForRecords("s", 3000));
  Set("s", {{0, 0, 6000}});
  const auto stream = source_.Find("s");
  const auto copy = cache_->Find(*stream);
  const std::string select = "SELECT count(*), sum(n)::BIGINT FROM s";
  const std::string expected = Ask(*stream, select, nullptr);
  EXPECT_EQ(Ask(*stream, select, copy), expected);
  Want("s");
  ASSERT_TRUE(WaitForRecords("s", 6000));
  EXPECT_EQ(Ask(*stream, select, copy), expected);  // by the plan that was kept
}

TEST_F(ColumnCacheTest, GoesNoFurtherThanDamage) {
  Set("s", {{0, 0, 100'000}, {1, 0, 100'000}});
  {
    const std::lock_guard lock(source_.mutex);
    source_.streams["s"].lost = {{0, 50'000}};
  }
  Want("s");
  ASSERT_TRUE(WaitForRecords("s", 100'000));
  const auto copied = Copied("s");
  EXPECT_EQ(copied->parts[1].end, 100'000);
  EXPECT_LE(copied->parts[0].end, 50'000);
  ExpectEqual("s");
}

TEST_F(ColumnCacheTest, OtherRowsMeanAnotherTable) {
  Set("s", {{0, 0, 5000}});
  Want("s");
  ASSERT_TRUE(WaitForRecords("s", 5000));
  {
    const std::lock_guard lock(source_.mutex);
    source_.streams["s"].layout = "two";
  }
  EXPECT_EQ(cache_->Find(*source_.Find("s")), nullptr);
  ASSERT_TRUE(Within([&] { return !cache_->Has("s"); }));
  Want("s");
  ASSERT_TRUE(WaitForRecords("s", 5000));
  EXPECT_NE(cache_->Find(*source_.Find("s")), nullptr);
  {
    const std::lock_guard lock(source_.mutex);
    source_.streams["s"].gone = true;
  }
  EXPECT_TRUE(Within([&] { return cache_->stats().streams.empty(); }));
}

TEST_F(ColumnCacheTest, ATableStaysWhileAQueryHoldsIt) {
  Set("s", {{0, 0, 5000}});
  Want("s");
  ASSERT_TRUE(WaitForRecords("s", 5000));
  const auto stream = source_.Find("s");
  auto held = cache_->Find(*stream);
  const uint64_t bytes = database_->column_tables()->bytes();
  {
    const std::lock_guard lock(source_.mutex);
    source_.streams["s"].gone = true;
  }
  ASSERT_TRUE(Within([&] { return !cache_->Has("s"); }));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(database_->column_tables()->bytes(), bytes);
  held.reset();
  EXPECT_TRUE(Within([&] { return database_->column_tables()->bytes() < bytes; }));
}

TEST_F(ColumnCacheTest, WaitsWhileTheEngineIsBehind) {
  source_.busy = true;
  Set("s", {{0, 0, 5000}});
  Want("s");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(cache_->Has("s"));
  source_.busy = false;
  EXPECT_TRUE(WaitForRecords("s", 5000));
}

TEST_F(ColumnCacheTest, AFailureEndsItWhenItsReadersAreThrough) {
  Set("s", {{0, 0, 5000}});
  Want("s");
  ASSERT_TRUE(WaitForRecords("s", 5000));
  auto held = cache_->Find(*source_.Find("s"));
  const std::filesystem::path file = folder_ / "columns" / "columns.duckdb";
  database_->column_tables()->Fail(Error(Code::kIo, "a block is rotten"));
  EXPECT_EQ(cache_->Find(*source_.Find("s")), nullptr);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_TRUE(std::filesystem::exists(file));
  held.reset();
  EXPECT_TRUE(Within([&] { return cache_->stats().failed; }));
  EXPECT_TRUE(Within([&] { return !std::filesystem::exists(file); }));
  Want("s");
  ExpectEqual("s");
}

// Files of this process do not grow beyond `bytes` meanwhile, as on a disk that is full.
class FilesEndAt {
 public:
  explicit FilesEndAt(uint64_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    EXPECT_EQ(::getrlimit(RLIMIT_FSIZE, &before_), 0);
    rlimit limit = before_;
    limit.rlim_cur = bytes;
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FilesEndAt() {
    EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &before_), 0);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST_F(ColumnCacheTest, ADiskThatIsFullAmidFillingIsNoErrorOfAQuery) {
  Set("a", {{0, 0, 5000}});
  Want("a");
  ASSERT_TRUE(WaitForRecords("a", 5000));
  const std::filesystem::path file = folder_ / "columns" / "columns.duckdb";
  {
    const FilesEndAt full(std::filesystem::file_size(file));
    Set("b", {{0, 0, 5000}});
    Want("b");
    EXPECT_TRUE(Within([&] { return cache_->stats().failed; }));
    for (const char* stream : {"a", "b"}) ExpectEqual(stream);
  }
  EXPECT_TRUE(Within([&] { return !std::filesystem::exists(file); }));
  Want("b");
  for (const char* stream : {"a", "b"}) ExpectEqual(stream);
}

}  // namespace
}  // namespace millrace::column_cache::column_cache_test
