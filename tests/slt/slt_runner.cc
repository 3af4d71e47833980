// Runs the SQL cases under every regime: each file on a fresh node, one row a step or all in one,
// one and two workers, with restarts between statements, with a tiny memory budget. The same file
// has to give the same answers everywhere.
//
//   slt_runner FOLDER|FILE… [--regime NAME]
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <regex>
#include <thread>

#include "base/logging.h"
#include "runtime/test_disk.h"
#include "slt/slt_file.h"

namespace millrace::slt {
namespace {

namespace fs = std::filesystem;

struct Regime {
  const char* name;
  int workers;
  size_t step_rows_max;
  size_t memory_bytes;
  enum class Before { kNothing, kRestart, kKill } before_query = Before::kNothing;
};

constexpr size_t kPlenty = size_t{1} << 30;
constexpr size_t kTiny = 24 << 20;  // and contents are on disk only
constexpr int kThreads = 2;         // files at a time
constexpr Regime kRegimes[] = {
    {"one-worker", 1, 200'000, kPlenty},
    {"two-workers", 2, 200'000, kPlenty},
    {"row-by-row", 2, 1, kPlenty},
    {"restarts", 1, 200'000, kPlenty, Regime::Before::kRestart},
    {"kills", 2, 200'000, kPlenty, Regime::Before::kKill},
    {"tiny-memory", 2, 200'000, kTiny},
    // With contents on disk only, steps are flushed often: kills meet all that a flush may hold.
    {"tiny-memory-kills", 2, 200'000, kTiny, Regime::Before::kKill},
};

// Nothing is logged while one of these lives, on whichever thread.
class QuietLog {
 public:
  QuietLog() { Change(1); }
  ~QuietLog() { Change(-1); }

 private:
  static void Change(int by) {
    static std::mutex mutex;
    static int alive = 0;
    const std::lock_guard lock(mutex);
    alive += by;
    SetLogLevel(alive > 0 ? LogLevel::kOff : LogLevel::kWarning);
  }
};

class Run {
 public:
  explicit Run(const Regime& regime) : regime_(regime) {}

  Status Start() {
    runtime::NodeOptions options = disk_.Options(regime_.workers);
    options.step_rows_max = regime_.step_rows_max;
    options.memory_bytes = regime_.memory_bytes;
    if (regime_.memory_bytes == kTiny) options.content_bytes = 1;
    TRY(node_, runtime::Node::Start(options));
    return Ok();
  }

  void End() {
    if (regime_.before_query == Regime::Before::kRestart) return node_.reset();
    QuietLog quiet;  // its last words are errors
    disk_.CutOff();
    node_.reset();
    disk_.ProcessDied();
  }

  // Empty: as expected; else what differs.
  std::string Check(const Record& record) {
    if (record.kind == Record::Kind::kQuery && regime_.before_query != Regime::Before::kNothing) {
      End();
      if (Status started = Start(); !started.ok()) return "restart: " + started.error().ToString();
    }
    if (record.kind == Record::Kind::kAppend) return CheckAppend(record);
    std::string sql = record.sql;
    while (!sql.empty() && std::isspace(static_cast<unsigned char>(sql.back()))) sql.pop_back();
    const auto result = node_->Execute(sql, {});
    if (record.kind == Record::Kind::kError) {
      if (result.ok()) return "an error was expected";
      const std::string text = "[" + std::string(result.error().sqlstate()) + "] " +
                               Normalised(result.error().ToString());
      if (std::regex_search(text, std::regex(record.error_pattern))) return "";
      return "the error does not match /" + record.error_pattern + "/:\n" + text;
    }
    if (!result.ok()) return result.error().ToString();
    if (record.kind == Record::Kind::kOk) return "";
    if (!result->rows) return "the statement gives no rows";
    std::vector<std::string> lines = Lines(*result->rows);
    std::vector<std::string> expected = record.expected;
    if (record.sort == Record::Sort::kValues) {
      lines = Values(lines);
      expected = Values(expected);
    }
    if (record.sort != Record::Sort::kNone) {
      std::sort(lines.begin(), lines.end());
      std::sort(expected.begin(), expected.end());
    }
    if (lines == expected) return "";
    std::string out = "expected:\n";
    for (const std::string& line : expected) out += "    " + line + "\n";
    out += "  got:\n";
    for (const std::string& line : lines) out += "    " + line + "\n";
    return out;
  }

 private:
  // Rows as a producer sends them, wrong ones too.
  std::string CheckAppend(const Record& record) {
    ingest::Request request;
    request.stream = record.stream;
    request.source = "slt";
    const std::string_view text = record.sql;
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = std::min(text.find('\n', begin), text.size());
      request.rows.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    const auto answer = node_->ingest().AppendAndWait(std::move(request));
    if (!answer.ok()) return answer.error().ToString();
    if (!answer->token.empty()) {
      if (Status visible = node_->WaitVisible(answer->token, std::chrono::seconds(30));
          !visible.ok())
        return visible.error().ToString();
    }
    const std::string got = fmt::format("accepted {} quarantined {} rejected {}", answer->accepted,
                                        answer->quarantined, answer->rejected_count);
    if (record.expected == std::vector<std::string>{got}) return "";
    return "got: " + got;
  }

  static std::vector<std::string> Lines(const sql::QueryResult& rows) {
    std::vector<std::string> lines;
    for (const auto& chunk : rows.chunks) {
      for (size_t row = 0; row < chunk->size(); ++row) {
        std::string line;
        for (size_t column = 0; column < chunk->ColumnCount(); ++column) {
          const duckdb::Value value = chunk->GetValue(column, row);
          std::string text = value.IsNull() ? "NULL" : value.ToString();
          if (text.empty()) text = "(empty)";
          line += (column > 0 ? " " : "") + text;
        }
        lines.push_back(Normalised(line));
      }
    }
    return lines;
  }
  static std::vector<std::string> Values(const std::vector<std::string>& lines) {
    std::vector<std::string> values;
    for (const std::string& line : lines) {
      for (size_t begin = 0; begin < line.size();) {
        const size_t end = std::min(line.find(' ', begin), line.size());
        values.push_back(line.substr(begin, end - begin));
        begin = end + 1;
      }
    }
    return values;
  }

  const Regime regime_;
  runtime::TestDisk disk_;
  std::unique_ptr<runtime::Node> node_;
};

struct Outcome {
  int checked = 0;
  std::string failure;  // empty: none; one failure ends the file
};

Outcome RunFile(const std::string& path, const Regime& regime) {
  Outcome outcome;
  const auto records = ParseFile(path);
  if (!records.ok()) return {0, records.error().ToString()};
  Run run(regime);
  if (Status started = run.Start(); !started.ok())
    return {0, fmt::format("{} [{}]: start: {}", path, regime.name, started.error().ToString())};
  for (const Record& record : *records) {
    const std::string wrong = run.Check(record);
    if (!wrong.empty()) {
      outcome.failure =
          fmt::format("{}:{} [{}]\n{}\n  {}", path, record.line, regime.name, record.sql, wrong);
      return outcome;
    }
    ++outcome.checked;
  }
  return outcome;
}

struct Totals {
  int passed = 0;
  int failed = 0;
  int checked = 0;
};

// Each file under each regime, some at a time: every run has a node of its own.
Totals RunAll(const std::vector<std::string>& files, const std::string& only) {
  std::vector<std::pair<const std::string*, const Regime*>> jobs;
  for (const std::string& file : files) {
    for (const Regime& regime : kRegimes) {
      if (only.empty() || only == regime.name) jobs.emplace_back(&file, &regime);
    }
  }
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  Totals totals;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < jobs.size(); at = next++) {
        const Outcome outcome = RunFile(*jobs[at].first, *jobs[at].second);
        const std::lock_guard lock(mutex);
        totals.checked += outcome.checked;
        ++(outcome.failure.empty() ? totals.passed : totals.failed);
        if (!outcome.failure.empty()) std::printf("FAILED %s\n", outcome.failure.c_str());
        std::fflush(stdout);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return totals;
}

int Main(int argc, char** argv) {
  std::vector<std::string> files;
  std::string only;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--regime" && i + 1 < argc) {
      only = argv[++i];
    } else if (fs::is_directory(argument)) {
      for (const auto& entry : fs::recursive_directory_iterator(argument)) {
        if (entry.path().extension() == ".slt") files.push_back(entry.path().string());
      }
    } else {
      files.push_back(argument);
    }
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) {
    std::printf("no .slt file\n0 passed, 1 failed\n");
    return 1;
  }
  const Totals totals = RunAll(files, only);
  std::printf("%zu files, %d statements and queries checked\n%d passed, %d failed\n", files.size(),
              totals.checked, totals.passed, totals.failed);
  return totals.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace millrace::slt

int main(int argc, char** argv) { return millrace::slt::Main(argc, argv); }
