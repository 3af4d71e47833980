// Random views over random changes, against DuckDB's batch answer to the same query over the same
// rows, after every step.
//
//   fuzz_views [--seconds S] [--seed N] [--cases N] [--keep-going] [--coverage]
//
// Each case: a few streams and tables, views made before, between and after the changes, one to
// four workers; now and then the node is restarted, killed or loses its power. A failure prints the
// seed and, made small, a text for tests/sql. `--seed N --cases 1` runs one case again. A run of
// 1,000 cases or more fails when a construct of the grammar stood in no view. `--keep-going` shows
// up to 50 failures; `--coverage` prints how many views had each construct.
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "base/clock.h"
#include "fuzz/runner.h"
#include "fuzz/shrink.h"

namespace millrace::fuzz {
namespace {

constexpr uint64_t kCasesForCoverage = 1000;
constexpr double kShrinkSeconds = 120;

struct Arguments {
  double seconds = 120;
  uint64_t seed = static_cast<uint64_t>(Clock::System().Now().value);
  uint64_t cases_max = UINT64_MAX;
  uint64_t failures_max = 1;
  bool coverage = false;
};

unsigned long long Number(uint64_t value) { return value; }

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  if (const char* given = std::getenv("MILLRACE_SEED"))
    arguments.seed = std::strtoull(given, nullptr, 10);
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--keep-going") {
      arguments.failures_max = 50;
    } else if (name == "--coverage") {
      arguments.coverage = true;
    } else if (i + 1 < argc && name == "--seconds") {
      arguments.seconds = std::strtod(argv[++i], nullptr);
    } else if (i + 1 < argc && name == "--seed") {
      arguments.seed = std::strtoull(argv[++i], nullptr, 10);
    } else if (i + 1 < argc && name == "--cases") {
      arguments.cases_max = std::strtoull(argv[++i], nullptr, 10);
    } else {
      std::fprintf(stderr,
                   "usage: fuzz_views [--seconds S] [--seed N] [--cases N] [--keep-going] "
                   "[--coverage]\n");
      std::exit(2);
    }
  }
  return arguments;
}

void Report(const Case& made, uint64_t seed, const Failure& failure) {
  std::printf("FAILED with --seed %llu --cases 1 (%d workers, %zu rows a step)\n%s\n", Number(seed),
              made.regime.workers, made.regime.step_rows_max, failure.text.c_str());
  Runner runner;
  Counts ignored;
  const auto alone = runner.Run(made, ignored, true);
  if (!alone) {
    std::printf("does not fail on a node of its own: run the cases from seed %llu on\n",
                Number(seed / kBlock * kBlock));
    return;
  }
  const Case small = Shrink(made, *alone, runner, kShrinkSeconds);
  const auto last = runner.Run(small, ignored, true);
  if (!last) {
    std::printf("what was left did not fail again: it fails now and then\n");
    return;
  }
  std::printf("%s\nmade small:\n\n%s\n", last->text.c_str(),
              AsSlt(small, last->view, runner).c_str());
}

std::atomic<uint64_t> running_seed = 0;

// An exception that nobody caught ends the process: which case that was is said first.
[[noreturn]] void OnTerminate() {
  std::printf("ENDED in --seed %llu --cases 1\n", Number(running_seed.load()));
  std::fflush(stdout);
  std::abort();
}

int Main(int argc, char** argv) {
  const Arguments arguments = Parse(argc, argv);
  std::set_terminate(OnTerminate);
  std::printf("MILLRACE_SEED=%llu\n", Number(arguments.seed));
  Runner runner;
  Counts counts;
  uint64_t failures = 0;
  const auto start = Tick();
  for (uint64_t i = 0; i < arguments.cases_max && SecondsSince(start) < arguments.seconds; ++i) {
    running_seed = arguments.seed + i;
    const Case made = MakeCase(arguments.seed + i);
    const auto failure = runner.Run(made, counts, (arguments.seed + i) % kBlock == 0);
    if (!failure) continue;
    runner.Stop();
    Report(made, arguments.seed + i, *failure);
    std::fflush(stdout);
    if (++failures == arguments.failures_max) break;
  }
  const double seconds = SecondsSince(start);
  if (arguments.coverage) counts.coverage.Print();
  for (const auto& [reason, count] : counts.reasons)
    std::printf("%8llu  %s\n", Number(count), reason.c_str());
  const auto never = counts.coverage.NeverHit();
  std::printf("constructs that stood in no view: %zu\n", never.size());
  const bool uncovered = counts.cases >= kCasesForCoverage && !never.empty();
  if (uncovered || arguments.coverage) {
    for (const std::string& construct : never) std::printf("  %s\n", construct.c_str());
  }
  std::printf(
      "%llu cases, %llu views, %llu restarts, kills and power losses, %llu comparisons with "
      "DuckDB, %.1f views/s\n",
      Number(counts.cases), Number(counts.views), Number(counts.restarts),
      Number(counts.comparisons), static_cast<double>(counts.views) / seconds);
  std::printf(
      "%llu views refused, %llu times nothing to compare with because DuckDB's answer was an "
      "error\n",
      Number(counts.refused), Number(counts.not_compared));
  failures += uncovered ? 1 : 0;
  std::printf("%llu passed, %llu failed\n", Number(counts.cases), Number(failures));
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace millrace::fuzz

int main(int argc, char** argv) { return millrace::fuzz::Main(argc, argv); }
