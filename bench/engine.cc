// Speed of the streaming engine over its state store, flushes included: rows per second of CPU time
// of the whole process.
//
//   bench_engine [--rows N] [--batch N] [--workers N] [--hot SHARE] [--views N] [--only NAME]
//                [--memory MB] [--json]
//
// filter_project   two comparisons and arithmetic, no state
// group_1m         count(*) and sum over 1,000,000 BIGINT keys in random order
// group_skewed     the same, keys drawn as the product of four uniform draws: a tenth of them takes
//                  four fifths of the rows
// min_max          min and max over 100,000 keys of rows that may be retracted
// count_distinct   count(DISTINCT b) over 100,000 keys, b one of 1,000,000
// join_1m          two streams of N unique keys each, both arriving at the same time
// bought_together  order lines joined with themselves by order, pairs counted, the ten most
//                  frequent per product
// filter_one       one view WHERE a = constant
// filter_many      --views of them on one stream, each with another constant
// filter_idle      filter_one beside --views views of a stream that gets no rows
//
// With --hot that share of the rows of group_1m, min_max, count_distinct and of the left side of
// join_1m has one and the same key.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <numeric>

#include "base/clock.h"
#include "base/random.h"
#include "duckdb/planner/expression/bound_aggregate_expression.hpp"
#include "duckdb/planner/expression/list.hpp"
#include "duckdb/planner/operator/list.hpp"
#include "state/store.h"
#include "stream/engine.h"

namespace {

using namespace millrace;
using namespace millrace::stream;
using duckdb::LogicalType;

// State is flushed when this much working time has passed, as the runtime does.
constexpr double kFlushAfterSeconds = 0.7;
// More are not listed.
constexpr size_t kOperatorsMax = 20;

struct Options {
  size_t rows = 4'000'000;
  size_t batch = 20'000;
  int workers = 1;
  double hot = 0;
  int64_t views = 1000;
  std::string only;
  double memory_mb = static_cast<double>(state::StoreOptions{}.memory_bytes) / 1e6;
  bool json = false;
};

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + time.tv_usec * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void Must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.error().ToString().c_str());
  std::exit(1);
}

template <typename T>
T Must(Result<T> result) {
  if (!result.ok()) Must(Status(result.error()));
  return std::move(*result);
}

// Binds SQL over a table of three BIGINT columns a, b, c.
class Binder {
 public:
  explicit Binder(duckdb::DuckDB& database) : connection_(database) {
    connection_.Query("CREATE TABLE t (a BIGINT, b BIGINT, c BIGINT)");
    connection_.Query("PRAGMA disable_optimizer");
  }
  Expression Bind(const std::string& expression) {
    auto plan = connection_.ExtractPlan("SELECT a, b, c, " + expression + " FROM t");
    return plan->expressions[3]->Copy();
  }
  AggregateCall Call(const std::string& call, std::vector<ColumnIndex> arguments) {
    auto plan = connection_.ExtractPlan("SELECT " + call + " FROM t");
    auto* op = plan.get();
    while (op->type != duckdb::LogicalOperatorType::LOGICAL_AGGREGATE_AND_GROUP_BY)
      op = op->children[0].get();
    AggregateCall bound;
    auto copy = op->expressions[0]->Copy();
    bound.function = std::shared_ptr<const duckdb::BoundAggregateExpression>(
        static_cast<const duckdb::BoundAggregateExpression*>(copy.release()));
    bound.arguments = std::move(arguments);
    return bound;
  }

 private:
  duckdb::Connection connection_;
};

// Gives slices of prepared chunks, dealt out to the workers.
class Slices final : public SourceReader {
 public:
  Slices(rows::Batch all, int workers) : all_(std::move(all)), workers_(workers) {}
  bool done() const { return next_ >= all_.parts.size(); }
  size_t Advance(size_t rows) {
    begin_ = next_;
    size_t taken = 0;
    while (next_ < all_.parts.size() && taken < rows) taken += all_.parts[next_++].rows->size();
    return taken;
  }
  Result<rows::Batch> Read(int worker) override {
    rows::Batch share;
    for (size_t i = begin_; i < next_; ++i) {
      if (static_cast<int>(i % workers_) == worker) share.parts.push_back(all_.parts[i]);
    }
    return share;
  }

 private:
  rows::Batch all_;
  const int workers_;
  size_t begin_ = 0;
  size_t next_ = 0;
};

template <typename Fill>
rows::Batch Generate(size_t rows, Fill fill) {
  rows::Batch batch;
  for (size_t begin = 0; begin < rows; begin += STANDARD_VECTOR_SIZE) {
    const size_t count = std::min<size_t>(rows - begin, STANDARD_VECTOR_SIZE);
    auto chunk = std::make_shared<duckdb::DataChunk>();
    chunk->Initialize(duckdb::Allocator::DefaultAllocator(),
                      {LogicalType::BIGINT, LogicalType::BIGINT, LogicalType::BIGINT});
    for (size_t i = 0; i < count; ++i) {
      const std::array<int64_t, 3> values = fill(begin + i);
      for (size_t column = 0; column < 3; ++column) {
        duckdb::FlatVector::GetData<int64_t>(chunk->data[column])[i] = values[column];
      }
    }
    chunk->SetCardinality(count);
    batch.parts.push_back({std::move(chunk), {}});
  }
  return batch;
}

const rows::Types kTwo = {LogicalType::BIGINT, LogicalType::BIGINT};
const rows::Types kRow = {LogicalType::BIGINT, LogicalType::BIGINT, LogicalType::BIGINT};

size_t AddSource(Plan& plan, const std::string& name) {
  return plan.Add({Source{name, true}, {}, kRow, {"a", "b", "c"}});
}

void AddOutput(Plan& plan, size_t input) {
  // Not gathered: what views cost is the serving side's figure.
  plan.Add({Output{"out", false}, {input}, plan.nodes[input].types, {}});
}

struct Workload {
  std::string name;
  std::map<std::string, rows::Batch> sources;
  Plan plan;
  std::vector<Plan> views;  // added after it, each with a generation of its own
};

// Keys from 0 on, evenly, but for the hot one's share.
class Keys {
 public:
  Keys(const Options& options, Random& random, uint64_t count, bool skewed = false)
      : hot_per_million_(static_cast<uint64_t>(options.hot * 1e6)),
        random_(random),
        count_(count),
        skewed_(skewed) {}
  int64_t Next() {
    if (hot_per_million_ > 0 && random_.Below(1'000'000) < hot_per_million_) return 0;
    uint64_t key = random_.Below(count_);
    for (int i = 0; skewed_ && i < 3; ++i) key = key * random_.Below(count_) / count_;
    return static_cast<int64_t>(key);
  }

 private:
  const uint64_t hot_per_million_;
  Random& random_;
  const uint64_t count_;
  const bool skewed_;
};

Workload FilterProject(Binder& binder, const Options& options) {
  Workload work{"filter_project", {}, {}, {}};
  Random random(1);
  work.sources["t"] = Generate(options.rows, [&](size_t i) {
    return std::array<int64_t, 3>{static_cast<int64_t>(random.Below(1000)), static_cast<int64_t>(i),
                                  7};
  });
  const size_t source = AddSource(work.plan, "t");
  const size_t filter =
      work.plan.Add({Filter{binder.Bind("a > 100 AND a < 900")}, {source}, kRow, {}});
  const size_t project =
      work.plan.Add({Project{{binder.Bind("a"), binder.Bind("b * 2 + c"), binder.Bind("a + b")}},
                     {filter},
                     kRow,
                     {}});
  AddOutput(work.plan, project);
  return work;
}

Workload Grouped(const Options& options, std::string name, uint64_t keys, uint64_t values,
                 std::vector<AggregateCall> calls, bool insert_only, bool skewed = false) {
  Workload work{std::move(name), {}, {}, {}};
  Random random(2);
  Keys draw(options, random, keys, skewed);
  work.sources["t"] = Generate(options.rows, [&](size_t) {
    return std::array<int64_t, 3>{draw.Next(), static_cast<int64_t>(random.Below(values)), 0};
  });
  rows::Types types = {LogicalType::BIGINT};
  for (const AggregateCall& call : calls) types.push_back(call.function->return_type);
  const size_t source = work.plan.Add({Source{"t", insert_only}, {}, kRow, {"a", "b", "c"}});
  const size_t node = work.plan.Add({Aggregate{{0}, std::move(calls)}, {source}, types, {}});
  AddOutput(work.plan, node);
  return work;
}

Workload CountDistinct(Binder& binder, const Options& options) {
  AggregateCall call = binder.Call("count(b)", {1});
  call.distinct = true;
  return Grouped(options, "count_distinct", 100'000, 1'000'000, {std::move(call)}, true);
}

// Views `WHERE a = constant` of a stream, as the SQL planner makes them.
void AddFilters(Binder& binder, Workload& work, const std::string& stream, int64_t views) {
  Plan plan;
  const size_t source = AddSource(plan, stream);
  plan.Add({Output{stream, false}, {source}, kRow, {"a", "b", "c"}});
  work.views.push_back(std::move(plan));
  for (int64_t i = 0; i < views; ++i) {
    Plan view;
    const size_t relation = view.Add({Relation{stream}, {}, kRow, {"a", "b", "c"}});
    const size_t project =
        view.Add({Project{{binder.Bind("a"), binder.Bind("b")}}, {relation}, kTwo, {"a", "b"}});
    auto equal = duckdb::make_uniq<duckdb::BoundComparisonExpression>(
        duckdb::ExpressionType::COMPARE_EQUAL,
        duckdb::make_uniq<duckdb::BoundReferenceExpression>(LogicalType::BIGINT, 0),
        duckdb::make_uniq<duckdb::BoundConstantExpression>(duckdb::Value::BIGINT(i)));
    const size_t filter =
        view.Add({Filter{Expression(equal.release())}, {project}, kTwo, {"a", "b"}});
    view.Add({Output{fmt::format("{}_{}", stream, i), false}, {filter}, kTwo, {"a", "b"}});
    work.views.push_back(std::move(view));
  }
}

Workload Filters(Binder& binder, const Options& options, std::string name, int64_t views,
                 int64_t idle) {
  Workload work{std::move(name), {}, {}, {}};
  Random random(6);
  work.sources["t"] = Generate(options.rows, [&](size_t i) {
    return std::array<int64_t, 3>{static_cast<int64_t>(random.Below(100'000)),
                                  static_cast<int64_t>(i), 7};
  });
  AddFilters(binder, work, "t", views);
  if (idle > 0) AddFilters(binder, work, "u", idle);
  return work;
}

std::vector<int64_t> Shuffled(size_t count, uint64_t seed) {
  std::vector<int64_t> keys(count);
  std::iota(keys.begin(), keys.end(), int64_t{0});
  Random random(seed);
  for (size_t i = count; i > 1; --i) std::swap(keys[i - 1], keys[random.Below(i)]);
  return keys;
}

rows::Types Twice() {
  rows::Types types = kRow;
  types.insert(types.end(), kRow.begin(), kRow.end());
  return types;
}

Workload JoinBoth(const Options& options) {
  Workload work{"join_1m", {}, {}, {}};
  const size_t side = options.rows / 4;  // 1,000,000 by default
  for (const auto& [name, seed] : {std::pair<const char*, uint64_t>{"l", 3}, {"r", 4}}) {
    const auto keys = Shuffled(side, seed);
    Random random(seed);
    const bool is_left = *name == 'l';
    work.sources[name] = Generate(side, [&](size_t i) {
      const bool hot = is_left && random.Below(1'000'000) < options.hot * 1e6;
      return std::array<int64_t, 3>{hot ? 0 : keys[i], static_cast<int64_t>(i), 1};
    });
  }
  const size_t left = AddSource(work.plan, "l");
  const size_t right = AddSource(work.plan, "r");
  const size_t join = work.plan.Add(
      {Join{JoinKind::kInner, {0}, {0}, {false}, nullptr}, {left, right}, Twice(), {}});
  AddOutput(work.plan, join);
  return work;
}

Workload BoughtTogether(Binder& binder, const Options& options) {
  Workload work{"bought_together", {}, {}, {}};
  Random random(5);
  constexpr size_t kLinesPerOrder = 5;
  constexpr size_t kProducts = 1000;
  work.sources["t"] = Generate(options.rows / 10, [&](size_t i) {
    // Skewed, as sales are: the product of two uniform draws.
    const auto product =
        static_cast<int64_t>(random.Below(kProducts) * random.Below(kProducts) / kProducts);
    return std::array<int64_t, 3>{static_cast<int64_t>(i / kLinesPerOrder), product, 1};
  });
  Plan& plan = work.plan;
  const size_t source = AddSource(plan, "t");
  const size_t join =
      plan.Add({Join{JoinKind::kInner, {0}, {0}, {false}, nullptr}, {source, source}, Twice(), {}});
  const auto column = [](size_t index) -> Expression {
    return std::make_shared<duckdb::BoundReferenceExpression>(LogicalType::BIGINT, index);
  };
  const size_t pairs = plan.Add(
      {Project{{column(1), column(4)}}, {join}, {LogicalType::BIGINT, LogicalType::BIGINT}, {}});
  const size_t different =
      plan.Add({Filter{binder.Bind("a <> b")}, {pairs}, plan.nodes[pairs].types, {}});
  Aggregate aggregate{{0, 1}, {binder.Call("count(*)", {})}};
  const size_t counted = plan.Add({std::move(aggregate), {different}, kRow, {}});
  const size_t top = plan.Add({TopK{{0}, {{2, {true, false}}}, 10, 0, false}, {counted}, kRow, {}});
  AddOutput(plan, top);
  return work;
}

void Print(const Options& options, const std::string& name, size_t rows, double cpu, double wall,
           size_t state_bytes, const std::vector<OperatorStats>& operators) {
  if (!options.json) {
    fmt::print(
        "{:<16} {:>9} rows  {:>9.0f} rows/s of CPU  {:>9.0f} rows/s of wall  {:>5} MB of state\n",
        name, rows, static_cast<double>(rows) / cpu, static_cast<double>(rows) / wall,
        state_bytes >> 20);
    for (const auto& stats : operators) {
      if (operators.size() > kOperatorsMax) break;
      fmt::print("    {:>7.3f} s  {:>9} in  {:>9} out  {}\n", stats.seconds, stats.rows_in,
                 stats.rows_out, stats.description);
    }
    return;
  }
  std::string list;
  for (const auto& stats : operators) {
    if (operators.size() > kOperatorsMax) break;
    list += fmt::format(
        "{}{{\"operator\":\"{}\",\"rows_in\":{},\"rows_out\":{},\"seconds\":{:.4f}}}",
        list.empty() ? "" : ",", stats.description.substr(0, stats.description.find_first_of(" ;")),
        stats.rows_in, stats.rows_out, stats.seconds);
  }
  fmt::print(
      "{{\"bench\":\"{}\",\"rows\":{},\"workers\":{},\"hot\":{},\"batch\":{},\"cpu_seconds\":{:.4f}"
      ",\"wall_"
      "seconds\":{:.4f},"
      "\"rows_per_cpu_second\":{:.0f},\"state_bytes\":{},\"operators\":[{}]}}\n",
      name, rows, options.workers, options.hot, options.batch, cpu, wall,
      static_cast<double>(rows) / cpu, state_bytes, list);
}

void Run(const Options& options, duckdb::DuckDB& database, Workload work) {
  std::string directory =
      (std::filesystem::temp_directory_path() / "millrace_bench_XXXXXX").string();
  if (mkdtemp(directory.data()) == nullptr)
    Must(Status(Error(Code::kIo, "cannot make {}", directory)));
  state::StoreOptions store_options;
  store_options.directory = directory;
  store_options.workers = options.workers;
  store_options.memory_bytes = static_cast<size_t>(options.memory_mb * 1e6);
  {
    auto store = Must(state::Store::Open(store_options));
    Engine::Options engine_options;
    engine_options.workers = options.workers;
    auto engine = Must(Engine::Start(engine_options, *store, database));
    if (!work.plan.nodes.empty()) Must(engine->Add(work.plan, 1));
    uint64_t generation = 1;
    for (const Plan& view : work.views) Must(engine->Add(view, ++generation));
    std::map<std::string, std::unique_ptr<Slices>> readers;
    StepInput input;
    for (auto& [name, batch] : work.sources) {
      readers[name] = std::make_unique<Slices>(std::move(batch), options.workers);
      input.sources[name] = readers[name].get();
    }
    size_t rows = 0;
    const double cpu = CpuSeconds();
    const auto start = Tick();
    auto last_flush = Tick();
    while (std::any_of(readers.begin(), readers.end(),
                       [](const auto& reader) { return !reader.second->done(); })) {
      input.step.value += 1;
      for (auto& [name, reader] : readers) rows += reader->Advance(options.batch / readers.size());
      Must(engine->Step(input));
      const bool due = SecondsSince(last_flush) >= kFlushAfterSeconds || store->wants_flush();
      if (!due || store->flushing()) continue;
      store->BeginFlush(input.step, {});
      last_flush = Tick();
    }
    Must(store->FinishFlush());
    store->BeginFlush(input.step, {});
    Must(store->FinishFlush());
    const double used = CpuSeconds() - cpu;
    Print(options, work.name, rows, used, SecondsSince(start), store->stats().memory_bytes,
          engine->stats());
  }
  std::filesystem::remove_all(directory);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Speed of the streaming engine.");
  app.add_option("--rows", options.rows, "rows of the largest workload");
  app.add_option("--batch", options.batch, "rows per step");
  app.add_option("--workers", options.workers, "worker threads");
  app.add_option("--hot", options.hot, "share of the rows that have one key")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--views", options.views, "of filter_many and filter_idle");
  app.add_option("--only", options.only, "just this workload");
  app.add_option("--memory", options.memory_mb, "MB for the state; the rest lies on disk");
  app.add_flag("--json", options.json, "one JSON object per line");
  CLI11_PARSE(app, argc, argv);
  duckdb::DuckDB database(nullptr);
  Binder binder(database);
  const auto wanted = [&](const char* name) {
    return options.only.empty() || options.only == name;
  };
  if (wanted("filter_project")) Run(options, database, FilterProject(binder, options));
  if (wanted("group_1m")) {
    Run(options, database,
        Grouped(options, "group_1m", 1'000'000, 100,
                {binder.Call("count(*)", {}), binder.Call("sum(b)", {1})}, true));
  }
  if (wanted("group_skewed")) {
    Run(options, database,
        Grouped(options, "group_skewed", 1'000'000, 100,
                {binder.Call("count(*)", {}), binder.Call("sum(b)", {1})}, true, /*skewed=*/true));
  }
  if (wanted("min_max")) {
    Run(options, database,
        Grouped(options, "min_max", 100'000, 1'000'000,
                {binder.Call("min(b)", {1}), binder.Call("max(b)", {1})}, false));
  }
  if (wanted("count_distinct")) Run(options, database, CountDistinct(binder, options));
  if (wanted("join_1m")) Run(options, database, JoinBoth(options));
  if (wanted("bought_together")) Run(options, database, BoughtTogether(binder, options));
  if (wanted("filter_one")) Run(options, database, Filters(binder, options, "filter_one", 1, 0));
  if (wanted("filter_many"))
    Run(options, database, Filters(binder, options, "filter_many", options.views, 0));
  if (wanted("filter_idle"))
    Run(options, database, Filters(binder, options, "filter_idle", 1, options.views));
  return 0;
}
