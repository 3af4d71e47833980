// Speed of the engine on Nexmark's queries: events per CPU-second of the whole process, generator,
// state and flushes included, the result not looked at. README.md says what is measured.
//
//   bench_nexmark --query q4[,q5…|all] [--source generator|log] [--events N] [--workers N]
//                 [--rate N] [--step N] [--emit close] [--samples N] [--memory MB] [--operators]
//                 [--explain]
//                 [--json]
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "nexmark/dataflow.h"
#include "nexmark/logged_events.h"
#include "nexmark/queries.h"

namespace {

using namespace millrace;
using namespace millrace::nexmark;

struct Options {
  std::string query = "all";
  std::string source = "generator";
  std::string emit = "change";
  int64_t events = 1'000'000;
  int64_t step_events = 40'000;
  int workers = 1;
  int64_t samples = 0;
  double memory_mb = static_cast<double>(state::StoreOptions{}.memory_bytes) / 1e6;
  GeneratorOptions generator;
  bool operators = false;
  bool explain = false;
  bool json = false;
};

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The greatest memory since ResetPeakMemory, in bytes.
size_t PeakMemory() {
  std::ifstream status("/proc/self/status");
  std::string word;
  size_t kib = 0;
  while (status >> word) {
    if (word == "VmHWM:") status >> kib;
  }
  return kib << 10;
}
void ResetPeakMemory() { std::ofstream("/proc/self/clear_refs") << "5"; }

struct Measured {
  double cpu_seconds = 0;
  double wall_seconds = 0;
  size_t peak_bytes = 0;
  size_t state_bytes = 0;
  int64_t rows_out = 0;
  std::vector<double> step_seconds;  // ascending
  std::vector<double> state_mb;      // at as many points of the run as samples were asked for
  std::vector<stream::OperatorStats> operators;
};

// Where a run's events come from.
class Events {
 public:
  virtual ~Events() = default;
  virtual std::map<std::string, stream::Plan> Plans() const = 0;
  virtual std::map<std::string, stream::SourceReader*> Sources() = 0;
  // Sets what the next step reads.
  virtual Status Prepare(EventRange range) = 0;
};

class FromGenerator final : public Events {
 public:
  FromGenerator(const Generator& generator, int workers) {
    for (const Kind kind : kKinds)
      readers_.try_emplace(RelationName(kind), generator, kind, workers);
  }
  std::map<std::string, stream::Plan> Plans() const override { return {}; }
  std::map<std::string, stream::SourceReader*> Sources() override {
    std::map<std::string, stream::SourceReader*> sources;
    for (auto& [name, reader] : readers_) sources[name] = &reader;
    return sources;
  }
  Status Prepare(EventRange range) override {
    for (auto& [name, reader] : readers_) reader.Prepare(range);
    return Ok();
  }

 private:
  std::map<std::string, GeneratedEvents> readers_;
};

class FromLog final : public Events {
 public:
  explicit FromLog(std::unique_ptr<LoggedEvents> logged) : logged_(std::move(logged)) {}
  std::map<std::string, stream::Plan> Plans() const override { return logged_->Plans(); }
  std::map<std::string, stream::SourceReader*> Sources() override { return logged_->Sources(); }
  Status Prepare(EventRange) override { return logged_->Prepare(); }

 private:
  std::unique_ptr<LoggedEvents> logged_;
};

Result<std::unique_ptr<Events>> EventsOf(const Options& options, const Generator& generator,
                                         sql::Database& database, const std::string& directory) {
  if (options.source == "generator")
    return std::unique_ptr<Events>(std::make_unique<FromGenerator>(generator, options.workers));
  TRY(auto logged, LoggedEvents::Write(directory, generator, options.events, options.step_events,
                                       options.workers, database));
  return std::unique_ptr<Events>(std::make_unique<FromLog>(std::move(logged)));
}

Result<Measured> Run(const Options& options, const Query& query, const Generator& generator,
                     sql::Database& database, const std::string& directory) {
  TRY(auto events, EventsOf(options, generator, database, directory + "/log"));
  DataflowOptions flow_options{.workers = options.workers,
                               .directory = directory + "/state",
                               .emit_on_close = options.emit == "close" && query.windowed,
                               .memory_bytes = static_cast<size_t>(options.memory_mb * 1e6),
                               .stream_plans = events->Plans()};
  TRY(auto flow, Dataflow::Start(flow_options, database, query.select));
  if (options.explain) std::printf("%s\n", flow->Explain().c_str());
  Measured measured;
  ResetPeakMemory();
  const double cpu = CpuSeconds();
  const auto start = Tick();
  for (int64_t begin = 0; begin < options.events; begin += options.step_events) {
    const auto step_start = Tick();
    const int64_t end = std::min(begin + options.step_events, options.events);
    TRY(events->Prepare({begin, end}));
    TRY(flow->Step(events->Sources(), generator.WatermarkAt(end)));
    measured.step_seconds.push_back(SecondsSince(step_start));
    for (auto taken = static_cast<int64_t>(measured.state_mb.size());
         taken < options.samples && end * options.samples >= (taken + 1) * options.events; ++taken)
      measured.state_mb.push_back(static_cast<double>(flow->state_bytes()) / 1e6);
  }
  TRY(flow->Flush());
  measured.cpu_seconds = CpuSeconds() - cpu;
  measured.wall_seconds = SecondsSince(start);
  measured.peak_bytes = PeakMemory();
  measured.state_bytes = flow->state_bytes();
  measured.rows_out = flow->rows_out();
  measured.operators = flow->stats();
  std::sort(measured.step_seconds.begin(), measured.step_seconds.end());
  return measured;
}

double Milliseconds(const Measured& measured, double part) {
  const auto& steps = measured.step_seconds;
  return 1e3 * steps[static_cast<size_t>(part * static_cast<double>(steps.size() - 1))];
}

std::string Ratio(double value, double bound) {
  return bound == 0 ? "-" : fmt::format("{:.2f}", value / bound);
}

std::string List(const std::vector<double>& values) {
  std::string list;
  for (const double value : values)
    list += fmt::format("{}{:.1f}", list.empty() ? "" : ", ", value);
  return list;
}

// What the run is held against: the floors and the peers read from a generator.
Bounds BoundsOf(const Options& options, const Query& query) {
  if (!query.bounds) return {};
  if (options.source == "log") return {0, query.bounds->log_goal, 0, 0, 0};
  return *query.bounds;
}

void PrintHead() {
  std::printf("%-5s %10s %10s %7s %7s %7s %7s %8s %8s %10s %7s %7s %7s\n", "query", "events/cpu",
              "events/s", "floor", "goal", "Feldera", "Flink", "state MB", "peak MB", "rows out",
              "p50 ms", "p99 ms", "max ms");
}

void PrintRow(const Options& options, const Query& query, const Measured& measured) {
  const auto events = static_cast<double>(options.events);
  const double speed = events / measured.cpu_seconds;
  const Bounds bounds = BoundsOf(options, query);
  std::printf(
      "%-5s %10.0f %10.0f %7s %7s %7s %7s %8.1f %8.1f %10lld %7.1f %7.1f %7.1f\n",
      query.name.c_str(), speed, events / measured.wall_seconds, Ratio(speed, bounds.floor).c_str(),
      Ratio(speed, bounds.goal).c_str(), Ratio(speed, bounds.feldera).c_str(),
      Ratio(speed, bounds.flink).c_str(), static_cast<double>(measured.state_bytes) / 1e6,
      static_cast<double>(measured.peak_bytes) / 1e6, static_cast<long long>(measured.rows_out),
      Milliseconds(measured, 0.5), Milliseconds(measured, 0.99), Milliseconds(measured, 1));
  if (!measured.state_mb.empty()) {
    std::printf("      state over the run, MB: %s\n", List(measured.state_mb).c_str());
  }
  if (options.operators) {
    for (const auto& stats : measured.operators) {
      std::printf("    %7.3f s  %9llu in  %9llu out  %s\n", stats.seconds,
                  static_cast<unsigned long long>(stats.rows_in),
                  static_cast<unsigned long long>(stats.rows_out), stats.description.c_str());
    }
  }
  std::fflush(stdout);
}

void PrintJson(const Options& options, const Query& query, const Measured& measured) {
  const auto events = static_cast<double>(options.events);
  const double speed = events / measured.cpu_seconds;
  const Bounds bounds = BoundsOf(options, query);
  const auto ratio = [&](double bound) {
    return bound == 0 ? "null" : fmt::format("{:.4f}", speed / bound);
  };
  fmt::print(
      "{{\"query\":\"{}\",\"emit\":\"{}\",\"events\":{},\"workers\":{},\"rate\":{},\"source\":\"{}"
      "\","
      "\"events_per_s\":{:.0f},\"events_per_cpu_s\":{:.0f},\"peak_rss_mb\":{:.1f},"
      "\"state_mb\":{:.1f},\"rows_out\":{},\"step_p50_ms\":{:.3f},\"step_p99_ms\":{:.3f},"
      "\"step_max_ms\":{:.3f},\"state_over_run_mb\":[{}],\"to_floor\":{},\"to_goal\":{},\"to_"
      "feldera\":{},\"to_flink\":{}}}\n",
      query.name, options.emit == "close" && query.windowed ? "close" : "change", options.events,
      options.workers, options.generator.rate, options.source, events / measured.wall_seconds,
      speed, static_cast<double>(measured.peak_bytes) / 1e6,
      static_cast<double>(measured.state_bytes) / 1e6, measured.rows_out,
      Milliseconds(measured, 0.5), Milliseconds(measured, 0.99), Milliseconds(measured, 1),
      List(measured.state_mb), ratio(bounds.floor), ratio(bounds.goal), ratio(bounds.feldera),
      ratio(bounds.flink));
  std::fflush(stdout);
}

std::vector<const Query*> Chosen(const std::string& names) {
  std::vector<const Query*> chosen;
  if (names == "all") {
    for (const Query& query : Queries()) chosen.push_back(&query);
    return chosen;
  }
  for (const std::string& name : CLI::detail::split(names, ',')) {
    const Query* query = FindQuery(name);
    if (query == nullptr) throw CLI::ValidationError("--query", "there is no query " + name);
    chosen.push_back(query);
  }
  return chosen;
}

Status RunAll(const Options& options) {
  TRY(const auto database, sql::Database::Open({}));
  const Generator generator(options.generator);
  if (!options.json) PrintHead();
  for (const Query* query : Chosen(options.query)) {
    std::string directory =
        (std::filesystem::temp_directory_path() / "millrace_nexmark_XXXXXX").string();
    if (mkdtemp(directory.data()) == nullptr) return Error(Code::kIo, "make {}", directory);
    const auto measured = Run(options, *query, generator, *database, directory);
    std::filesystem::remove_all(directory);
    if (!measured.ok()) return Status(measured.error()).With(query->name);
    (options.json ? PrintJson : PrintRow)(options, *query, *measured);
  }
  return Ok();
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Nexmark on the streaming engine.");
  app.add_option("--query", options.query, "names with commas between, or all");
  app.add_option("--emit", options.emit,
                 "windows (q5, q7, q8, q11) shown as they change, or when they close")
      ->check(CLI::IsMember({"change", "close"}));
  app.add_option("--source", options.source,
                 "generator, or log: JSON in a log, written before the clock starts")
      ->check(CLI::IsMember({"generator", "log"}));
  app.add_option("--events", options.events, "people, auctions and bids");
  app.add_option("--step", options.step_events, "events per step")->check(CLI::PositiveNumber);
  app.add_option("--workers", options.workers, "worker threads")->check(CLI::PositiveNumber);
  app.add_option("--memory", options.memory_mb, "MB for the state; the rest lies on disk")
      ->check(CLI::PositiveNumber);
  app.add_option("--rate", options.generator.rate, "events per second of event time")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--seed", options.generator.seed, "of the events");
  app.add_option("--samples", options.samples, "how often to show the state's size over the run")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("--operators", options.operators, "what each operator took");
  app.add_flag("--explain", options.explain, "print the circuits");
  app.add_flag("--json", options.json, "one JSON object per line");
  CLI11_PARSE(app, argc, argv);
  try {
    const Status status = RunAll(options);
    if (status.ok()) return 0;
    std::fprintf(stderr, "%s\n", status.error().ToString().c_str());
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  return 1;
}
