// TPC-H's 22 queries as materialized views over tables under a stream of changes, against DuckDB's
// batch answer to the same queries after every batch of changes, rows compared by their exact
// bytes.
//
//   tpch_views [--scale 0.1] [--batches 20] [--seed N] [--workers W]
//
// A third of the views is made before there is data, a third in the middle of the load, a third
// after half of the batches. A view that was empty at every comparison shows nothing, and fails.
#include <cstdio>
#include <cstdlib>
#include <map>

#include "base/clock.h"
#include "rows/row_codec.h"
#include "runtime/test_disk.h"
#include "tpch/generator.h"
#include "tpch/queries.h"

namespace millrace::tpch {
namespace {

struct Options {
  double scale = 0.1;
  int batches = 20;
  uint64_t seed = 1;
  int workers = 2;
};

struct View {
  std::string name;
  std::string query;
  bool made = false;
  int compared = 0;
  int equal = 0;
  size_t rows_most = 0;
  double build_seconds = 0;
  double answer_seconds = 0;  // DuckDB's, all comparisons
};

// The rows by their exact encoding, with how often they stand.
using Content = std::map<std::string, int64_t>;

Content ContentOf(const sql::QueryResult& result) {
  Content content;
  rows::RowEncoder encoder(result.schema.types());
  for (const auto& chunk : result.chunks) {
    for (const std::string_view row : encoder.Encode(*chunk)) ++content[std::string(row)];
  }
  return content;
}

std::string RowsOnlyIn(const Content& a, const Content& b, const rows::Types& types) {
  constexpr size_t kShown = 5;
  std::vector<std::string_view> rows;
  for (const auto& [row, count] : a) {
    const auto found = b.find(row);
    if ((found == b.end() || found->second != count) && rows.size() < kShown) rows.push_back(row);
  }
  duckdb::DataChunk chunk;
  chunk.Initialize(duckdb::Allocator::DefaultAllocator(), types);
  const Status decoded = rows::RowDecoder(types).Decode(rows, chunk, 0);
  if (!decoded.ok()) return decoded.error().ToString();
  chunk.SetCardinality(rows.size());
  return chunk.ToString();
}

class Test {
 public:
  explicit Test(const Options& options)
      : options_(options), generator_(options.scale, options.seed) {
    for (const std::string& query : Queries(options.scale))
      views_.push_back({fmt::format("q{}", views_.size() + 1), query});
  }

  int Run() {
    runtime::NodeOptions node_options = disk_.Options(options_.workers);
    node_options.memory_bytes = size_t{8} << 30;
    auto node = runtime::Node::Start(node_options);
    if (!node.ok()) {
      std::printf("%s\n0 passed, 1 failed\n", node.error().ToString().c_str());
      return 1;
    }
    node_ = std::move(node).value();
    if (!Load() || !Batches()) {
      std::printf("0 passed, 1 failed\n");
      return 1;
    }
    return Report();
  }

 private:
  bool Execute(const std::string& statement) {
    const auto result = node_->Execute(statement, {});
    if (result.ok()) return true;
    std::printf("%.200s\n%s\n", statement.c_str(), result.error().ToString().c_str());
    return false;
  }

  bool MakeViews(size_t third) {
    for (size_t i = third; i < views_.size(); i += 3) {
      View& view = views_[i];
      const auto begin = Tick();
      if (!Execute("CREATE MATERIALIZED VIEW " + view.name + " AS " + view.query)) return false;
      view.made = true;
      view.build_seconds = SecondsSince(begin);
    }
    return true;
  }

  bool Load() {
    const Generator::Execute execute = [this](const std::string& text) { return Execute(text); };
    const auto begin = Tick();
    for (const std::string& table : TableDefinitions())
      if (!Execute(table)) return false;
    const int64_t half = generator_.orders() / 2;
    if (!MakeViews(0) || !generator_.LoadOthers(execute) ||
        !generator_.LoadOrders(0, half, execute) || !MakeViews(1) ||
        !generator_.LoadOrders(half, generator_.orders(), execute)) {
      return false;
    }
    std::printf("scale %g, seed %llu, %d workers: %lld orders loaded in %.1f s\n", options_.scale,
                static_cast<unsigned long long>(options_.seed), options_.workers,
                static_cast<long long>(generator_.orders()), SecondsSince(begin));
    return CompareAll();
  }

  bool Batches() {
    double change_seconds = 0;
    for (int batch = 1; batch <= options_.batches; ++batch) {
      const auto begin = Tick();
      if (!generator_.Change([this](const std::string& text) { return Execute(text); }))
        return false;
      change_seconds += SecondsSince(begin);
      if (batch == (options_.batches + 1) / 2 && !MakeViews(2)) return false;
      if (!CompareAll()) return false;
    }
    std::printf("%d batches of changes in %.1f s\n", options_.batches, change_seconds);
    return true;
  }

  bool CompareAll() {
    for (View& view : views_)
      if (view.made && !Compare(view)) return false;
    return true;
  }

  bool Compare(View& view) {
    const auto kept = node_->Execute("FROM " + view.name, {});
    const auto begin = Tick();
    const auto answer = node_->Execute(view.query, {});
    view.answer_seconds += SecondsSince(begin);
    if (!kept.ok() || !answer.ok()) {
      const Error& error = kept.ok() ? answer.error() : kept.error();
      std::printf("%s: %s\n", view.name.c_str(), error.ToString().c_str());
      return false;
    }
    ++view.compared;
    view.rows_most = std::max(view.rows_most, answer->rows->row_count());
    const rows::Types types = answer->rows->schema.types();
    const Content has = ContentOf(*kept->rows);
    const Content wanted = ContentOf(*answer->rows);
    if (kept->rows->schema.types() == types && has == wanted) {
      ++view.equal;
    } else {
      std::printf("%s differs\nonly in the view: %s\nonly in DuckDB's answer: %s\n",
                  view.name.c_str(), RowsOnlyIn(has, wanted, types).c_str(),
                  RowsOnlyIn(wanted, has, types).c_str());
    }
    return true;
  }

  // What the view's operators took; an operator that several views share counts for one of them.
  double StepSeconds(const View& view) {
    const auto sum = node_->Execute(
        "SELECT coalesce(sum(seconds), 0) FROM millrace.operators WHERE view = '" + view.name + "'",
        {});
    return sum.ok() ? sum->rows->chunks[0]->GetValue(0, 0).GetValue<double>() : -1;
  }

  int Report() {
    int passed = 0;
    std::printf("%-5s %9s %9s %8s %11s %12s\n", "query", "equal", "rows", "build s", "operators s",
                "DuckDB s");
    for (const View& view : views_) {
      const bool right = view.compared > 0 && view.equal == view.compared && view.rows_most > 0;
      passed += right ? 1 : 0;
      std::printf("%-5s %9s %9zu %8.2f %11.2f %12.2f%s\n", view.name.c_str(),
                  fmt::format("{}/{}", view.equal, view.compared).c_str(), view.rows_most,
                  view.build_seconds, StepSeconds(view), view.answer_seconds / view.compared,
                  right                 ? ""
                  : view.rows_most == 0 ? "  FAILED: never a row"
                                        : "  FAILED");
    }
    const int failed = static_cast<int>(views_.size()) - passed;
    std::printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 ? 0 : 1;
  }

  const Options options_;
  Generator generator_;
  std::vector<View> views_;
  runtime::TestDisk disk_;
  std::unique_ptr<runtime::Node> node_;
};

int Main(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--scale") options.scale = std::strtod(argv[i + 1], nullptr);
    if (name == "--batches") options.batches = std::atoi(argv[i + 1]);
    if (name == "--seed") options.seed = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--workers") options.workers = std::atoi(argv[i + 1]);
  }
  return Test(options).Run();
}

}  // namespace
}  // namespace millrace::tpch

int main(int argc, char** argv) { return millrace::tpch::Main(argc, argv); }
