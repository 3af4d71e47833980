#include "cli/plan.h"

#include <cstdio>

#include "base/files.h"
#include "base/logging.h"
#include "cli/find_node.h"
#include "cli/node_options.h"
#include "cli/project.h"
#include "cli/settings.h"
#include "http/project_plan_json.h"
#include "runtime/offline_plan.h"

namespace millrace::cli {

namespace {

using What = catalog::Difference::What;

// The node notes its address in the directory that it holds.
Result<runtime::ProjectPlan> AskHolder(const std::string& directory, const Project& project) {
  Files& files = Files::System();
  const auto process = files.ReadAll(directory + "/holder");
  const std::string holder =
      fmt::format("data directory {} is held by another millrace{}", directory,
                  process.ok() ? fmt::format(" (process {})", *process) : "");
  const auto note = files.ReadAll(directory + "/" + kAddressFile);
  if (!note.ok()) {
    return Error(Code::kUnavailable, "{}, which has noted no HTTP address", holder)
        .Hint("it is just starting, or runs with --http off: stop it, then plan again");
  }
  TRY(net::HttpClient client, NodeOfNote(*note));
  auto answer =
      client.Post("/v1/project/plan", "application/json", http::ProjectFilesBody(project.files));
  if (!answer.ok()) return std::move(answer).error().With(holder + ", which was asked");
  if (answer->status != 200) return ErrorOfAnswer(*answer);
  // The address may be that of a node before this one, and another's by now.
  const std::string* answered = answer->Header("X-Millrace-Process");
  if (process.ok() && (answered == nullptr || *answered != *process)) {
    return Error(Code::kUnavailable, "{}, but at {} another node answers", holder, *note)
        .Hint("it is just starting: plan again in a moment");
  }
  return http::ParseProjectPlan(answer->body);
}

std::string CostText(const runtime::ProjectPlan::Item& item, bool done) {
  std::string text;
  if (item.rows_to_read > 0) {
    const std::string bytes = BytesText(item.bytes_to_read);
    text += done ? fmt::format("  [built from {} rows, {}]", item.rows_to_read, bytes)
                 : fmt::format("  [reads {} rows, {}]", item.rows_to_read, bytes);
  }
  if (item.change.what == What::kAlter && item.change.loses_data && !done)
    text += fmt::format("  [needs --allow-drop {}]", item.change.name);
  if (item.change.what != What::kDrop) return text;
  const std::string rows = fmt::format("{} rows, {}", item.rows_lost, BytesText(item.bytes_lost));
  if (item.change.loses_data) {
    text += done ? fmt::format("  [{} lost]", rows)
                 : fmt::format("  [loses {}: needs --allow-drop {}]", rows, item.change.name);
  } else if (item.rows_lost > 0) {
    text += fmt::format("  [{} of content, which can be built again]", rows);
  }
  return text;
}

}  // namespace

std::string BytesText(int64_t bytes) {
  constexpr const char* kUnits[] = {"kB", "MB", "GB", "TB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  while (value >= 999.95 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string PlanText(const runtime::ProjectPlan& plan, const std::string& folder, bool done) {
  std::string out;
  std::string needs;
  if (plan.items.empty()) out += folder + ": nothing to change\n";
  for (const auto& item : plan.items) {
    const char* mark = item.change.what == What::kCreate ? "+"
                       : item.change.what == What::kDrop ? "-"
                                                         : "~";
    out += fmt::format("  {} {} {}", mark, catalog::KindName(item.change.kind), item.change.name);
    if (item.change.reason != "new") out += fmt::format("  ({})", item.change.reason);
    out += CostText(item, done) + "\n";
    if (item.change.loses_data) needs += " --allow-drop " + item.change.name;
  }
  for (const std::string& notice : plan.notices) out += "  note: " + notice + "\n";
  if (!needs.empty() && !done) {
    out += fmt::format("what loses data needs leave: millrace run {}{}\n", folder, needs);
  }
  return out;
}

Status Plan(const PlanOptions& options) {
  TRY(const Project project, ReadProject(options.project));
  const Settings settings = ResolveSettings(options.flags, project.settings, project.folder);
  TRY(const runtime::NodeOptions node_options, NodeOptionsOf(project.folder, settings));
  if (!LogEnabled(LogLevel::kInfo)) SetLogLevel(LogLevel::kWarning);
  auto plan = runtime::PlanOffline(node_options, project.files);
  if (!plan.ok() && plan.error().code() == Code::kConflict) {
    plan = AskHolder(node_options.data_directory, project);
  }
  if (!plan.ok()) return plan.error();
  std::fputs(PlanText(*plan, project.folder, /*done=*/false).c_str(), stdout);
  return Ok();
}

}  // namespace millrace::cli
