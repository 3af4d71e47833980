#include "cli/pg_listener.h"

namespace millrace::cli {

Result<std::unique_ptr<pg::Server>> StartPg(const Settings& settings, runtime::Node& node,
                                            const auth::Access& access,
                                            const net::TlsIdentity* tls) {
  const Setting& listen = settings.at("pg");
  if (listen.value == "off") return std::unique_ptr<pg::Server>();
  pg::ServerOptions options;
  TRY(options.listen.address, net::ParseAddress(listen.value));
  options.listen.any_port_if_taken = listen.origin == "default";
  TRY(options.io_threads, IoThreadsOf(settings));
  if (SpeaksTls(settings, "pg")) options.tls = tls;
  return pg::Server::Start(options, node, &access);
}

}  // namespace millrace::cli
