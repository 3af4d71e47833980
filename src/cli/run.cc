#include "cli/run.h"

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <future>

#include "base/files.h"
#include "base/logging.h"
#include "cli/find_node.h"
#include "cli/project.h"
#include "cli/settings.h"
#include "cli/version.h"
#include "http/node_backend.h"
#include "http/server.h"
#include "http/service.h"
#include "runtime/node.h"

namespace millrace::cli {

namespace {

constexpr std::chrono::seconds kDrain{5};

Result<runtime::NodeOptions> NodeOptionsOf(const Project& project, const std::map<std::string, Setting>& settings) {
  runtime::NodeOptions options;
  options.data_directory = settings.at("data").value;
  options.project_directory = project.folder;
  options.allowed_files = {project.folder};
  const std::string& workers = settings.at("workers").value;
  if (workers.empty() || workers.size() > 3 || workers.find_first_not_of("0123456789") != std::string::npos) {
    return Error(Code::kInvalidArgument, "workers = {}: a number from 1 to 256 is expected ({})", Quoted(workers),
                 settings.at("workers").origin);
  }
  options.workers = std::stoi(workers);
  if (options.workers > 256) return Error(Code::kInvalidArgument, "workers = {}: at most 256", options.workers);
  TRY(options.memory_bytes, ParseSize(settings.at("memory").value).With("memory"));
  return options;
}

// Prints what was or would be changed.
void PrintPlan(const runtime::ProjectPlan& plan, const std::string& folder) {
  if (plan.items.empty()) {
    std::printf("%s: nothing to change\n", folder.c_str());
  }
  for (const auto& item : plan.items) {
    const char* mark = item.change.what == catalog::Difference::What::kCreate    ? "+"
                       : item.change.what == catalog::Difference::What::kReplace ? "~"
                                                                                 : "-";
    std::string line = fmt::format("  {} {} {}", mark, catalog::KindName(item.change.kind), item.change.name);
    if (item.change.what != catalog::Difference::What::kCreate) line += fmt::format("  ({})", item.change.reason);
    if (item.rows_to_read > 0) line += fmt::format("  [built from {} rows]", item.rows_to_read);
    if (item.change.loses_data) line += fmt::format("  [loses {} rows: needs --allow-drop {}]", item.rows_lost, item.change.name);
    std::printf("%s\n", line.c_str());
  }
  for (const std::string& notice : plan.notices) std::printf("  note: %s\n", notice.c_str());
  std::fflush(stdout);
}

// Waits for SIGINT or SIGTERM, or for the node to fail.
Status WaitForEnd(const sigset_t& signals, const runtime::Node& node) {
  while (true) {
    const timespec tick{0, 200'000'000};
    const int signal = sigtimedwait(&signals, nullptr, &tick);
    if (signal == SIGINT || signal == SIGTERM) return Ok();
    TRY(node.health());
  }
}

}  // namespace

Status Run(const RunOptions& options) {
  TRY(const Project project, ReadProject(options.project));
  const auto settings = ResolveSettings(options.flags, project.settings, project.folder);
  TRY(runtime::NodeOptions node_options, NodeOptionsOf(project, settings));
  if (options.step_rows_max > 0) node_options.step_rows_max = static_cast<size_t>(options.step_rows_max);
  if (!LogEnabled(LogLevel::kInfo)) SetLogLevel(LogLevel::kWarning);

  // Signals are taken by sigtimedwait alone, so threads started from here on must not get them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  http::ServiceOptions service_options;
  service_options.version = kVersion;
  http::Service service(service_options);
  std::unique_ptr<http::Server> server;
  const bool with_http = settings.at("http").value != "off";
  if (with_http) {
    http::ServerOptions server_options;
    TRY(server_options.listen.address, net::ParseAddress(settings.at("http").value));
    server_options.listen.any_port_if_taken = settings.at("http").origin == "default";
    TRY(server, http::Server::Start(server_options, service.router()));
    service.SetServer(server.get());
  }
  const auto stop_serving = [&] {
    if (server != nullptr) server->Stop(kDrain);
    service.Stop();
  };
  auto started = runtime::Node::Start(node_options);
  if (!started.ok()) {
    stop_serving();
    return started.error();
  }
  std::unique_ptr<runtime::Node> node = std::move(*started);
  http::NodeBackend backend(*node);
  const auto serve = [&]() -> Status {
    TRY(const runtime::ProjectPlan plan, node->ApplyProject(project.files, options.allow_drop));
    PrintPlan(plan, project.folder);
    service.SetBackend(&backend);
    const std::string address = server == nullptr ? "" : net::ToString(server->address());
    if (!address.empty()) TRY(Files::System().Replace(node_options.data_directory + "/" + kAddressFile, address));
    std::fprintf(stderr, "ready%s%s\n", address.empty() ? "" : " http=", address.c_str());
    return WaitForEnd(signals, *node);
  };
  const Status served = serve();
  stop_serving();
  node->Stop();
  return served;
}

Status Plan(const PlanOptions& options) {
  TRY(const Project project, ReadProject(options.project));
  const auto settings = ResolveSettings(options.flags, project.settings, project.folder);
  TRY(runtime::NodeOptions node_options, NodeOptionsOf(project, settings));
  TRY(const bool exists, Files::System().Exists(node_options.data_directory));
  // Without data there is nothing to compare with: the project is planned against an empty directory, which goes away again.
  std::string scratch;
  if (!exists) {
    scratch = (std::filesystem::temp_directory_path() / fmt::format("millrace-plan-{}", ::getpid())).string();
    node_options.data_directory = scratch;
  }
  const auto plan = [&]() -> Status {
    auto node = runtime::Node::Start(node_options);
    if (!node.ok()) return node.error();
    TRY(const runtime::ProjectPlan planned, (*node)->PlanProject(project.files));
    PrintPlan(planned, project.folder);
    return Ok();
  };
  const Status planned = plan();
  if (!scratch.empty()) TRY(Files::System().RemoveAll(scratch));
  return planned;
}

Status Config(const PlanOptions& options) {
  TRY(const Project project, ReadProject(options.project));
  for (const auto& [name, setting] : ResolveSettings(options.flags, project.settings, project.folder)) {
    std::printf("%-8s %-40s %s\n", name.c_str(), setting.value.c_str(), setting.origin.c_str());
  }
  return Ok();
}

}  // namespace millrace::cli
