// Random views over random changes, against DuckDB's batch answer to the same query over the same
// rows, after every step.
//
//   fuzz_views [--seconds S] [--seed N] [--cases N]
//
// Each case: a few streams and tables, views made before, between and after the changes, one or two
// workers; in between the node is restarted, killed or loses its power. A failure prints the seed
// and the statements that lead to it, shortened: whatever change can be left out is left out.
// `--seed N --cases 1` runs one case again.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "base/clock.h"
#include "base/logging.h"
#include "fuzz/query_generator.h"
#include "runtime/test_disk.h"

namespace millrace::fuzz {
namespace {

struct Step {
  enum class Kind { kStatement, kCheck, kRestart, kKill, kPowerLoss };
  Kind kind;
  std::string sql;  // kStatement
  bool may_fail = false;
};

struct Case {
  int workers = 1;
  size_t step_rows_max = 200'000;
  std::vector<Step> steps;
  std::map<std::string, std::string> views;  // name → the query that gives its content
};

Case MakeCase(uint64_t seed) {
  Generator generator(seed);
  Random& random = generator.random();
  Case made;
  made.workers = 1 + static_cast<int>(random.Below(2));
  made.step_rows_max = random.OneIn(3) ? 1 : 200'000;
  std::vector<RelationSpec> relations;
  std::vector<int64_t> keys;
  const size_t count = 1 + random.Below(3);
  for (size_t i = 0; i < count; ++i) {
    relations.push_back(generator.Relation("t" + std::to_string(i), random.OneIn(2)));
    keys.push_back(0);
    made.steps.push_back({Step::Kind::kStatement, relations.back().Create()});
  }
  const auto add_view = [&] {
    const std::string name = "v" + std::to_string(made.views.size());
    const bool timed = std::any_of(relations.begin(), relations.end(), [](const auto& relation) {
      return !relation.event_time.empty();
    });
    std::string query;
    if (timed && random.OneIn(3)) {
      const ClosedView closed = generator.Closed(relations);
      query = closed.query + " EMIT ON WINDOW CLOSE";
      made.views[name] = closed.answer;
    } else {
      query = generator.Query(relations);
      made.views[name] = query;
    }
    // What cannot be maintained is refused; that is an answer too, as long as it is not a wrong
    // one.
    made.steps.push_back(
        {Step::Kind::kStatement, "CREATE MATERIALIZED VIEW " + name + " AS " + query, true});
  };
  for (int i = 0; i < 3; ++i) add_view();
  const size_t rounds = 4 + random.Below(5);
  for (size_t round = 0; round < rounds; ++round) {
    const size_t changes = 1 + random.Below(3);
    for (size_t i = 0; i < changes; ++i) {
      const size_t at = random.Below(relations.size());
      made.steps.push_back({Step::Kind::kStatement, generator.Change(relations[at], keys[at])});
    }
    if (random.OneIn(4)) {
      constexpr Step::Kind kEnds[] = {Step::Kind::kRestart, Step::Kind::kKill,
                                      Step::Kind::kPowerLoss};
      made.steps.push_back({kEnds[random.Below(3)], ""});
    }
    made.steps.push_back({Step::Kind::kCheck, ""});
    if (random.OneIn(4)) add_view();
  }
  made.steps.push_back({Step::Kind::kCheck, ""});
  return made;
}

struct Counts {
  uint64_t cases = 0;
  uint64_t views = 0;
  uint64_t comparisons = 0;
  uint64_t refused = 0;
  uint64_t restarts = 0;
  uint64_t not_compared = 0;                   // DuckDB's own answer was an error
  std::map<std::string, uint64_t> constructs;  // how many views have each

  void Note(const std::string& query) {
    static constexpr const char* kConstructs[] = {"INNER JOIN",
                                                  "LEFT JOIN",
                                                  "RIGHT JOIN",
                                                  "FULL JOIN",
                                                  "SEMI JOIN",
                                                  "ANTI JOIN",
                                                  "IS NOT DISTINCT FROM",
                                                  "WHERE",
                                                  "GROUP BY",
                                                  "HAVING",
                                                  "FILTER",
                                                  "count(*)",
                                                  "count(DISTINCT",
                                                  "sum(",
                                                  "avg(",
                                                  "min(",
                                                  "max(",
                                                  "string_agg(",
                                                  "SELECT DISTINCT",
                                                  "UNION ALL",
                                                  "UNION SELECT",
                                                  "INTERSECT SELECT",
                                                  "INTERSECT ALL",
                                                  "EXCEPT SELECT",
                                                  "EXCEPT ALL",
                                                  "ROLLUP",
                                                  "CUBE",
                                                  "GROUPING SETS",
                                                  "grouping(",
                                                  "CASE",
                                                  "coalesce(",
                                                  "OVER",
                                                  "PARTITION BY",
                                                  "row_number()",
                                                  ") WHERE n <=",
                                                  "rank()",
                                                  "dense_rank()",
                                                  "percent_rank()",
                                                  "cume_dist()",
                                                  "ntile(",
                                                  "lag(",
                                                  "lead(",
                                                  "first_value(",
                                                  "last_value(",
                                                  "nth_value(",
                                                  "ROWS BETWEEN",
                                                  "GROUPS BETWEEN",
                                                  "EXCLUDE CURRENT ROW",
                                                  "EXCLUDE GROUP",
                                                  "EXCLUDE TIES",
                                                  "EXISTS (",
                                                  "IN (SELECT",
                                                  "ANY (",
                                                  "ALL (SELECT",
                                                  "NOT (",
                                                  ", (SELECT",
                                                  "unnest(",
                                                  "EMIT ON WINDOW CLOSE",
                                                  "tumble(",
                                                  "hop(",
                                                  "session(",
                                                  "time_bucket(",
                                                  "range("};
    for (const char* construct : kConstructs) {
      if (query.find(construct) != std::string::npos) ++constructs[construct];
    }
  }
};

class Runner {
 public:
  // Empty: all equal.
  std::string Run(const Case& made, Counts& counts) {
    node_.reset();
    disk_ = std::make_unique<runtime::TestDisk>();
    views_.clear();
    power_losses_ = 0;
    if (Status started = Start(made); !started.ok()) return "start: " + started.error().ToString();
    for (const Step& step : made.steps) {
      std::string wrong;
      switch (step.kind) {
        case Step::Kind::kRestart:
        case Step::Kind::kKill:
        case Step::Kind::kPowerLoss:
          End(step.kind, counts);
          if (Status started = Start(made); !started.ok())
            wrong = "restart: " + started.error().ToString();
          break;
        case Step::Kind::kStatement:
          wrong = Execute(step, counts);
          break;
        case Step::Kind::kCheck:
          wrong = Check(made, counts);
          break;
      }
      if (!wrong.empty()) {
        node_.reset();
        return wrong;
      }
    }
    node_.reset();
    ++counts.cases;
    return "";
  }

 private:
  Status Start(const Case& made) {
    node_.reset();
    runtime::NodeOptions options = disk_->Options(made.workers);
    options.step_rows_max = made.step_rows_max;
    TRY(node_, runtime::Node::Start(options));
    return Ok();
  }

  // Everything that was asked for has been acknowledged, so no way to end may lose it.
  void End(Step::Kind how, Counts& counts) {
    if (how != Step::Kind::kRestart) {
      SetLogLevel(LogLevel::kOff);  // its last words are errors
      disk_->CutOff();
    }
    node_.reset();
    SetLogLevel(LogLevel::kWarning);
    if (how == Step::Kind::kKill) disk_->ProcessDied();
    if (how == Step::Kind::kPowerLoss) disk_->PowerIsBack(++power_losses_);
    ++counts.restarts;
  }

  std::string Execute(const Step& step, Counts& counts) {
    const auto result = node_->Execute(step.sql, {});
    const bool view = step.sql.starts_with("CREATE MATERIALIZED VIEW ");
    if (result.ok()) {
      if (view) {
        const std::string name = step.sql.substr(25, step.sql.find(' ', 25) - 25);
        views_.push_back(name);
        ++counts.views;
        counts.Note(step.sql);
      }
      return "";
    }
    if (view && step.may_fail &&
        (result.error().code() == Code::kNotSupported ||
         result.error().code() == Code::kInvalidArgument)) {
      ++counts.refused;
      return "";
    }
    // A statement that a bad value ends changes nothing, which is right.
    if (!view && result.error().code() == Code::kInvalidArgument) return "";
    return step.sql + "\n" + result.error().ToString();
  }

  std::string Check(const Case& made, Counts& counts) {
    for (const std::string& view : views_) {
      const std::string& query = made.views.at(view);
      const auto batch = node_->Execute(query, {});
      // Where DuckDB's own answer is an error, the view leaves the failing rows out: nothing to
      // compare with.
      if (!batch.ok()) {
        ++counts.not_compared;
        continue;
      }
      const auto difference =
          node_->Execute("SELECT '-' AS side, * FROM (FROM " + view + " EXCEPT ALL (" + query +
                             ")) UNION ALL BY NAME SELECT '+' AS side, * FROM ((" + query +
                             ") EXCEPT ALL FROM " + view + ") LIMIT 20",
                         {});
      if (!difference.ok()) return view + ": " + difference.error().ToString();
      ++counts.comparisons;
      if (difference->rows->row_count() == 0) continue;
      std::string out = view + " AS " + query + "\nrows that only the view has (-) or lacks (+):\n";
      for (const auto& chunk : difference->rows->chunks) out += chunk->ToString();
      return out;
    }
    return "";
  }

  std::unique_ptr<runtime::TestDisk> disk_;
  std::unique_ptr<runtime::Node> node_;
  std::vector<std::string> views_;
  uint64_t power_losses_ = 0;
};

// Leaves out what the failure does not need, one step at a time.
Case Shrink(Case made, Runner& runner) {
  Counts ignored;
  for (size_t i = made.steps.size(); i-- > 0;) {
    Case smaller = made;
    smaller.steps.erase(smaller.steps.begin() + static_cast<long>(i));
    const std::string wrong = runner.Run(smaller, ignored);
    // Another failure (a relation that is gone) is not this one.
    if (wrong.find("only the view has") != std::string::npos) made = std::move(smaller);
  }
  return made;
}

int Main(int argc, char** argv) {
  double seconds = 120;
  uint64_t seed = static_cast<uint64_t>(Clock::System().Now().value);
  uint64_t cases_max = UINT64_MAX;
  if (const char* given = std::getenv("MILLRACE_SEED")) seed = std::strtoull(given, nullptr, 10);
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--seconds") seconds = std::strtod(argv[i + 1], nullptr);
    if (name == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--cases") cases_max = std::strtoull(argv[i + 1], nullptr, 10);
  }
  std::printf("MILLRACE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  Runner runner;
  Counts counts;
  const auto start = Tick();
  for (uint64_t i = 0; i < cases_max && SecondsSince(start) < seconds; ++i) {
    const Case made = MakeCase(seed + i);
    const std::string wrong = runner.Run(made, counts);
    if (wrong.empty()) continue;
    std::printf("FAILED with --seed %llu --cases 1 (%d workers, %zu rows a step)\n%s\n",
                static_cast<unsigned long long>(seed + i), made.workers, made.step_rows_max,
                wrong.c_str());
    if (wrong.find("only the view has") != std::string::npos) {
      const Case small = Shrink(made, runner);
      std::printf("shrunk to:\n");
      for (const Step& step : small.steps) {
        static constexpr const char* kKinds[] = {"", "-- check", "-- restart", "-- kill",
                                                 "-- power loss"};
        if (step.kind == Step::Kind::kStatement) std::printf("%s;\n", step.sql.c_str());
        if (step.kind != Step::Kind::kStatement)
          std::printf("%s\n", kKinds[static_cast<int>(step.kind)]);
      }
    }
    std::printf("%llu passed, 1 failed\n", static_cast<unsigned long long>(counts.cases));
    return 1;
  }
  const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  for (const auto& [construct, views] : counts.constructs)
    std::printf("%8llu  %s\n", number(views), construct.c_str());
  std::printf(
      "%llu cases, %llu views, %llu restarts, kills and power losses, %llu comparisons with "
      "DuckDB, no difference\n",
      number(counts.cases), number(counts.views), number(counts.restarts),
      number(counts.comparisons));
  std::printf(
      "%llu views refused, %llu times nothing to compare with because DuckDB's answer was an "
      "error\n",
      number(counts.refused), number(counts.not_compared));
  std::printf("%llu passed, 0 failed\n", static_cast<unsigned long long>(counts.cases));
  return 0;
}

}  // namespace
}  // namespace millrace::fuzz

int main(int argc, char** argv) { return millrace::fuzz::Main(argc, argv); }
