#include "cli/run.h"

#include <csignal>
#include <cstdio>

#include "auth/access.h"
#include "base/files.h"
#include "base/logging.h"
#include "cli/access_policy.h"
#include "cli/find_node.h"
#include "cli/kafka_listener.h"
#include "cli/node_options.h"
#include "cli/plan.h"
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

Status ForgetAddress(const std::string& file) {
  TRY(const bool exists, Files::System().Exists(file));
  return exists ? Files::System().Remove(file) : Ok();
}

// Waits for SIGINT or SIGTERM, or for the node to fail.
Status WaitForEnd(const sigset_t& signals, const runtime::Node& node, auth::Access& access) {
  while (true) {
    const timespec tick{0, 200'000'000};
    const int signal = sigtimedwait(&signals, nullptr, &tick);
    if (signal == SIGINT || signal == SIGTERM) return Ok();
    TRY(node.health());
    access.Refresh();
  }
}

}  // namespace

Status Run(const RunOptions& options) {
  TRY(const Project project, ReadProject(options.project));
  const auto settings = ResolveSettings(options.flags, project.settings, project.folder);
  TRY(runtime::NodeOptions node_options, NodeOptionsOf(project.folder, settings));
  if (options.step_rows_max > 0)
    node_options.step_rows_max = static_cast<size_t>(options.step_rows_max);
  if (!LogEnabled(LogLevel::kInfo)) SetLogLevel(LogLevel::kWarning);

  // Signals are taken by sigtimedwait alone, so threads started from here on must not get them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  TRY(const auto access, auth::Access::Open(Files::System(), node_options.data_directory));
  TRY(ApplyAccessPolicy(settings, *access));
  http::ServiceOptions service_options;
  service_options.access = access.get();
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
  std::unique_ptr<KafkaListener> kafka;
  const std::string address_file = node_options.data_directory + "/" + kAddressFile;
  const auto serve = [&]() -> Status {
    TRY(ForgetAddress(address_file));  // a node before this one that was killed left its own
    TRY(const runtime::ProjectPlan plan, node->ApplyProject(project.files, options.allow_drop));
    std::fputs(PlanText(plan, project.folder, /*done=*/true).c_str(), stdout);
    std::fflush(stdout);
    TRY(kafka, KafkaListener::Start(settings, node_options.data_directory, *node, *access));
    backend.SetOtherMetrics([&kafka, &access] {
      return access->Metrics() + (kafka == nullptr ? std::string() : kafka->Metrics());
    });
    service.SetBackend(&backend);
    const std::string address = server == nullptr ? "" : net::ToString(server->address());
    if (!address.empty()) TRY(Files::System().Replace(address_file, address));
    const std::string kafka_address = kafka == nullptr ? "" : net::ToString(kafka->address());
    std::fprintf(stderr, "ready%s%s%s%s\n", address.empty() ? "" : " http=", address.c_str(),
                 kafka_address.empty() ? "" : " kafka=", kafka_address.c_str());
    return WaitForEnd(signals, *node, *access);
  };
  const Status served = serve();
  if (kafka != nullptr) kafka->Stop();
  stop_serving();
  const Status forgotten = ForgetAddress(address_file);
  node->Stop();
  TRY(served);
  return forgotten;
}

}  // namespace millrace::cli
