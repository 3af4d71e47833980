#include "cli/run.h"

#include <csignal>
#include <cstdio>
#include <functional>

#include "auth/access.h"
#include "base/files.h"
#include "base/logging.h"
#include "cli/access_policy.h"
#include "cli/find_node.h"
#include "cli/kafka_listener.h"
#include "cli/node_options.h"
#include "cli/pg_listener.h"
#include "cli/plan.h"
#include "cli/project.h"
#include "cli/settings.h"
#include "cli/version.h"
#include "http/node_backend.h"
#include "http/server.h"
#include "http/service.h"
#include "net/tls_identity.h"
#include "runtime/node.h"

namespace millrace::cli {

namespace {

constexpr std::chrono::milliseconds kTick{200};
constexpr int kTicksOfCertificate = 5;  // it is looked at every second

Status ForgetAddress(const std::string& file) {
  TRY(const bool exists, Files::System().Exists(file));
  return exists ? Files::System().Remove(file) : Ok();
}

// Waits for SIGINT or SIGTERM, or for the node to fail.
Status WaitForEnd(const sigset_t& signals, const runtime::Node& node,
                  const std::function<void()>& refresh) {
  while (true) {
    const timespec tick{0, std::chrono::nanoseconds(kTick).count()};
    const int signal = sigtimedwait(&signals, nullptr, &tick);
    if (signal == SIGINT || signal == SIGTERM) return Ok();
    TRY(node.health());
    refresh();
  }
}

// nullptr: no listener speaks TLS.
Result<std::unique_ptr<net::TlsIdentity>> LoadTls(const Settings& settings) {
  if (!SpeaksTls(settings, "http") && !SpeaksTls(settings, "kafka") && !SpeaksTls(settings, "pg"))
    return std::unique_ptr<net::TlsIdentity>();
  return net::TlsIdentity::Load(
      {settings.at("tls_certificate").value, settings.at("tls_key").value});
}

// nullptr: off.
Result<std::unique_ptr<http::Server>> StartHttp(const Settings& settings,
                                                const http::Service& service,
                                                const net::TlsIdentity* tls) {
  const Setting& listen = settings.at("http");
  if (listen.value == "off") return std::unique_ptr<http::Server>();
  http::ServerOptions options;
  TRY(options.listen.address, net::ParseAddress(listen.value));
  options.listen.any_port_if_taken = listen.origin == "default";
  TRY(options.io_threads, IoThreadsOf(settings));
  if (SpeaksTls(settings, "http")) options.listen.tls = tls;
  TRY(options.cors, http::Cors::Parse(settings.at("http_cors_origins").value));
  return http::Server::Start(options, service.router());
}

std::string ReadyText(const Settings& settings, const http::Server* server,
                      const KafkaListener* kafka, const pg::Server* pg) {
  std::string text = "ready";
  std::string with_tls;
  const auto add = [&](const std::string& name, const net::Address& address) {
    text += fmt::format(" {}={}", name, net::ToString(address));
    if (SpeaksTls(settings, name)) with_tls += (with_tls.empty() ? " tls=" : ",") + name;
  };
  if (server != nullptr) add("http", server->address());
  if (kafka != nullptr) add("kafka", kafka->address());
  if (pg != nullptr) add("pg", pg->address());
  return text + with_tls;
}

}  // namespace

Status Run(const RunOptions& options) {
  TRY(const Project project, ReadProject(options.project));
  const auto settings = ResolveSettings(options.flags, project.settings, project.folder);
  TRY(runtime::NodeOptions node_options, NodeOptionsOf(project.folder, settings));
  if (options.step_rows_max > 0)
    node_options.step_rows_max = static_cast<size_t>(options.step_rows_max);
  TRY(const LogLevel log_level, LogLevelOf(settings));
  SetLogLevel(log_level);

  // Signals are taken by sigtimedwait alone, so threads started from here on must not get them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  TRY(const auto access, auth::Access::Open(Files::System(), node_options.data_directory));
  TRY(ApplyAccessPolicy(settings, *access));
  TRY(const auto tls, LoadTls(settings));
  http::ServiceOptions service_options;
  service_options.access = access.get();
  service_options.version = kVersion;
  http::Service service(service_options);
  TRY(const auto server, StartHttp(settings, service, tls.get()));
  if (server != nullptr) service.SetServer(server.get());
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
  std::unique_ptr<pg::Server> pg;
  const std::string address_file = node_options.data_directory + "/" + kAddressFile;
  const auto note_address = [&]() -> Status {
    if (server == nullptr) return Ok();
    const std::string fingerprint = SpeaksTls(settings, "http") ? tls->fingerprint() : "";
    return Files::System().Replace(address_file, AddressNote(server->address(), fingerprint));
  };
  int ticks = 0;
  const auto refresh = [&] {
    access->Refresh();
    if (tls == nullptr || ++ticks % kTicksOfCertificate != 0 || !tls->Refresh()) return;
    const Status noted = note_address();
    if (noted.ok()) return;
    // Clients go on. Commands in the project's folder take the node for another one until then.
    LOG_ERROR("the new TLS certificate cannot be noted for commands", "file={} error={}",
              address_file, noted.error().message());
  };
  const auto serve = [&]() -> Status {
    TRY(ForgetAddress(address_file));  // a node before this one that was killed left its own
    TRY(const runtime::ProjectPlan plan, node->ApplyProject(project.files, options.allow_drop));
    std::fputs(PlanText(plan, project.folder, /*done=*/true).c_str(), stdout);
    std::fflush(stdout);
    TRY(kafka,
        KafkaListener::Start(settings, node_options.data_directory, *node, *access, tls.get()));
    TRY(pg, StartPg(settings, *node, *access, tls.get()));
    backend.SetOtherMetrics([&kafka, &pg, &access, &tls] {
      return access->Metrics() + (kafka == nullptr ? std::string() : kafka->Metrics()) +
             (pg == nullptr ? std::string() : pg->Metrics()) +
             (tls == nullptr ? std::string() : tls->Metrics());
    });
    service.SetBackend(&backend);
    TRY(note_address());
    std::fprintf(stderr, "%s\n", ReadyText(settings, server.get(), kafka.get(), pg.get()).c_str());
    return WaitForEnd(signals, *node, refresh);
  };
  const Status served = serve();
  if (pg != nullptr) pg->Stop(kDrain);
  if (kafka != nullptr) kafka->Stop();
  stop_serving();
  const Status forgotten = ForgetAddress(address_file);
  node->Stop();
  TRY(served);
  return forgotten;
}

}  // namespace millrace::cli
