#include "fuzz/runner.h"

#include <algorithm>
#include <regex>
#include <set>
#include <thread>

#include "base/clock.h"
#include "base/logging.h"

namespace millrace::fuzz {
namespace {

constexpr auto kTimeout = std::chrono::minutes(2);  // of a statement: far more than any needs
// A view whose building gets no further for so long stands still.
constexpr auto kStandstill = std::chrono::seconds(60);
constexpr uint64_t kSmallSegmentBytes = 4 << 10;  // changelogs are compacted
constexpr auto kLook = std::chrono::milliseconds(20);
constexpr int kAskedAgain = 15;

// DuckDB throws where one of its functions made a text that is not UTF-8.
std::string Text(const duckdb::DataChunk& chunk, size_t column, size_t row) {
  try {
    const duckdb::Value value = chunk.GetValue(column, row);
    const std::string text = value.IsNull() ? "NULL" : value.ToString();
    return text.empty() ? "(empty)" : text;
  } catch (const std::exception&) {
    return "not UTF-8";
  }
}

// The rows as texts, in order: equal texts are equal rows.
std::vector<std::string> Lines(const sql::QueryResult& rows) {
  std::vector<std::string> lines;
  for (const auto& chunk : rows.chunks) {
    for (size_t row = 0; row < chunk->size(); ++row) {
      std::string line;
      for (size_t column = 0; column < chunk->ColumnCount(); ++column)
        line += Text(*chunk, column, row) + "\x1f";
      lines.push_back(std::move(line));
    }
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::string Reason(const std::string& text) {
  static const std::regex names("\"[^\"]*\"|'[^']*'|[0-9]+|\\b[vtrq]#?\\b");
  return std::regex_replace(text.substr(0, text.find(" (line ")), names, "#").substr(0, 130);
}

std::string OneLine(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

Failure ErrorIn(const std::string& what, const Error& error) {
  return {Failure::Kind::kError, what + "\n" + error.ToString(), "",
          Reason(OneLine(error.ToString()))};
}

}  // namespace

Status Runner::Start() {
  node_.reset();
  runtime::NodeOptions options = disk_->Options(regime_.workers);
  options.step_rows_max = regime_.step_rows_max;
  options.memory_bytes = regime_.memory_bytes;
  // With tiny memory, contents are on disk only.
  if (regime_.memory_bytes < Regime().memory_bytes) {
    options.content_bytes = 1;
    options.log_segment_bytes = kSmallSegmentBytes;
  }
  TRY(node_, runtime::Node::Start(options));
  return Ok();
}

std::optional<Failure> Runner::Run(const Case& made, Counts& counts, bool fresh) {
  const bool same = regime_.workers == made.regime.workers &&
                    regime_.step_rows_max == made.regime.step_rows_max &&
                    regime_.memory_bytes == made.regime.memory_bytes;
  if (fresh || !same || !node_) {
    node_.reset();
    disk_ = std::make_unique<runtime::TestDisk>();
    regime_ = made.regime;
    if (Status started = Start(); !started.ok()) return ErrorIn("start", started.error());
  }
  views_.clear();
  power_losses_ = 0;
  if (auto failure = RunSteps(made, counts)) return failure;
  ++counts.cases;
  return std::nullopt;
}

std::optional<Failure> Runner::RunSteps(const Case& made, Counts& counts) {
  for (const Step& step : made.steps) {
    std::optional<Failure> failure;
    switch (step.kind) {
      case Step::Kind::kRestart:
      case Step::Kind::kKill:
      case Step::Kind::kPowerLoss:
        End(step.kind, counts);
        if (Status started = Start(); !started.ok()) failure = ErrorIn("restart", started.error());
        break;
      case Step::Kind::kCheck:
        failure = Check(counts);
        break;
      default:
        failure = Execute(step, counts);
    }
    if (failure) return failure;
  }
  return Clean(made);
}

// Everything that was asked for has been acknowledged, so no way to end may lose it.
void Runner::End(Step::Kind how, Counts& counts) {
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

std::optional<Failure> Runner::Execute(const Step& step, Counts& counts) {
  const std::string sql = step.Sql();
  runtime::StatementOptions options;
  options.timeout = kTimeout;
  const auto result = node_->Execute(sql, options);
  if (result.ok()) {
    if (step.kind == Step::Kind::kDropView) views_.erase(step.view);
    if (step.kind == Step::Kind::kCreateView) {
      views_[step.view] = {step.answer.empty() ? step.query : step.answer, step.constructs};
      ++counts.views;
    }
    counts.coverage.Add(step.constructs);
    // One of the notices may be that the view is still being built.
    const bool noticed = step.kind == Step::Kind::kCreateView && !result->notices.empty();
    return noticed ? AwaitView(step.view) : std::nullopt;
  }
  const Code code = result.error().code();
  const bool refused = code == Code::kNotSupported || code == Code::kInvalidArgument ||
                       code == Code::kNotFound || code == Code::kConflict;
  if (step.kind == Step::Kind::kCreateView && refused) {
    ++counts.refused;
    ++counts.reasons["refused: " + Reason(OneLine(result.error().ToString()))];
    return std::nullopt;
  }
  // One that others read stays; one that was refused is not there.
  if (step.kind == Step::Kind::kDropView && refused) return std::nullopt;
  // A statement that a bad value or a key that is taken ends changes nothing, which is right.
  const bool change = step.kind == Step::Kind::kStatement && !sql.starts_with("CREATE");
  if (change && (code == Code::kInvalidArgument || code == Code::kAlreadyExists)) {
    ++counts.reasons["no change: " + Reason(OneLine(result.error().ToString()))];
    return std::nullopt;
  }
  return ErrorIn(sql, result.error());
}

// CREATE gives up waiting after its time; how long a view is built is the machine's affair, as long
// as it gets on.
std::optional<Failure> Runner::AwaitView(const std::string& name) {
  const std::string progress =
      "SELECT progress FROM millrace.views WHERE name = '" + name + "' AND progress IS NOT NULL";
  std::vector<std::string> last;
  for (auto since = Tick(); Tick() - since < kStandstill;) {
    const auto state = node_->Execute(progress, {});
    if (!state.ok()) return ErrorIn(name, state.error());
    std::vector<std::string> now = Lines(*state->rows);
    if (now.empty()) return std::nullopt;
    if (now != last) {
      last = std::move(now);
      since = Tick();
    }
    std::this_thread::sleep_for(kLook);
  }
  return Failure{Failure::Kind::kError, "the building of " + name + " stands still", "",
                 "a building stands still"};
}

std::optional<Failure> Runner::Check(Counts& counts) {
  for (const auto& [name, view] : views_) {
    if (auto failure = Compare(name, view, counts)) return failure;
  }
  return std::nullopt;
}

std::optional<Failure> Runner::Compare(const std::string& name, const View& view, Counts& counts) {
  const auto batch = node_->Execute(view.query, {});
  // Where DuckDB's own answer is an error, the view leaves the failing rows out: nothing to compare
  // with.
  if (!batch.ok()) {
    ++counts.not_compared;
    ++counts.reasons["not compared: " + Reason(OneLine(batch.error().ToString()))];
    return std::nullopt;
  }
  // With tiny memory a query may not get what it needs.
  const auto failed = [&](const Error& error) -> std::optional<Failure> {
    if (regime_.memory_bytes >= Regime().memory_bytes) return ErrorIn(name, error);
    ++counts.not_compared;
    ++counts.reasons["not compared: " + Reason(OneLine(error.ToString()))];
    return std::nullopt;
  };
  const auto content = node_->Execute("FROM " + name, {});
  if (!content.ok()) return failed(content.error());
  ++counts.comparisons;
  if (Lines(*batch->rows) == Lines(*content->rows)) return std::nullopt;
  // Texts may differ where values are equal to SQL (0.0 and -0.0).
  const auto difference =
      node_->Execute("SELECT '-' AS side, * FROM (FROM " + name + " EXCEPT ALL (" + view.query +
                         ")) UNION ALL BY NAME SELECT '+' AS side, * FROM ((" + view.query +
                         ") EXCEPT ALL FROM " + name + ") LIMIT 20",
                     {});
  if (!difference.ok()) return failed(difference.error());
  if (difference->rows->row_count() == 0) return std::nullopt;
  // The view leaves out rows whose expression fails, and lists them; DuckDB may come to an answer
  // without computing it (a join with an empty side).
  const auto errors =
      node_->Execute("SELECT 1 FROM millrace.errors WHERE view = '" + name + "'", {});
  if (!errors.ok()) return failed(errors.error());
  if (errors->rows->row_count() > 0) {
    ++counts.not_compared;
    ++counts.reasons["not compared: the view leaves out rows that fail"];
    return std::nullopt;
  }
  // Of what DuckDB answers now so and now so nobody can say which is right.
  std::set<std::vector<std::string>> answers = {Lines(*batch->rows)};
  std::set<std::vector<std::string>> contents = {Lines(*content->rows)};
  for (int i = 0; i < kAskedAgain; ++i) {
    const auto again = node_->Execute(view.query, {});
    if (again.ok()) answers.insert(Lines(*again->rows));
    const auto same = node_->Execute("FROM " + name, {});
    if (same.ok()) contents.insert(Lines(*same->rows));
  }
  if (answers.size() > 1 && contents.size() == 1) {
    ++counts.not_compared;
    ++counts.reasons["not compared: DuckDB has several answers: " + view.query];
    return std::nullopt;
  }
  std::string out = name + " AS " + view.query + "\n";
  if (answers.size() + contents.size() > 2) {
    out += fmt::format("asked {} times, DuckDB has {} answers and the view {}\n", kAskedAgain + 1,
                       answers.size(), contents.size());
  }
  out += "rows that only the view has (-) or lacks (+):\n";
  for (const auto& chunk : difference->rows->chunks) out += chunk->ToString().substr(0, 4000);
  return Failure{Failure::Kind::kDifference, out, name, ""};
}

// The next case begins on an empty node.
std::optional<Failure> Runner::Clean(const Case& made) {
  for (const std::string& relation : made.relations) {
    const bool stream = node_->catalog()->FindStream(relation) != nullptr;
    const std::string kind = stream ? "STREAM" : "TABLE";
    const auto dropped = node_->Execute("DROP " + kind + " " + relation + " CASCADE", {});
    if (!dropped.ok() && dropped.error().code() != Code::kNotFound)
      return ErrorIn("drop " + relation, dropped.error());
  }
  for (const auto& [name, view] : views_) {
    const auto dropped =
        node_->Execute("DROP MATERIALIZED VIEW IF EXISTS " + name + " CASCADE", {});
    if (!dropped.ok()) return ErrorIn("drop " + name, dropped.error());
  }
  return std::nullopt;
}

std::vector<std::string> Runner::Answer(const std::string& view) {
  std::vector<std::string> lines;
  const auto batch = node_->Execute(views_.at(view).query, {});
  if (!batch.ok()) return lines;
  for (const auto& chunk : batch->rows->chunks) {
    for (size_t row = 0; row < chunk->size(); ++row) {
      std::string line;
      for (size_t column = 0; column < chunk->ColumnCount(); ++column)
        line += (column > 0 ? " " : "") + Text(*chunk, column, row);
      lines.push_back(line);
    }
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

}  // namespace millrace::fuzz
