// The Kafka listener of a node, from its settings: --kafka and --kafka-advertised.
#pragma once

#include <memory>
#include <string>

#include "auth/access.h"
#include "base/result.h"
#include "cli/kafka_backend.h"
#include "cli/settings.h"
#include "kafka/coordinators.h"
#include "kafka/server.h"
#include "net/tls_identity.h"

namespace millrace::cli {

class KafkaListener {
 public:
  // Listens from now on; nullptr where the setting is "off". `data_directory` keeps the cluster's
  // id. `tls` is for where the settings want TLS. The node, `access` and `tls` must outlive it.
  static Result<std::unique_ptr<KafkaListener>> Start(const Settings& settings,
                                                      const std::string& data_directory,
                                                      runtime::Node& node,
                                                      const auth::Access& access,
                                                      const net::TlsIdentity* tls);
  ~KafkaListener() { Stop(); }

  const net::Address& address() const { return server_->address(); }
  std::string Metrics() const { return server_->Metrics(); }
  // Requests that are being answered get a few seconds to finish. Further calls do nothing. Then
  // the node stops, and then this goes: until its log is closed, the coordinators may hear from it.
  void Stop();

 private:
  KafkaListener() = default;

  std::unique_ptr<KafkaBackend> backend_;
  std::unique_ptr<kafka::Coordinators> coordinators_;
  std::unique_ptr<kafka::Service> service_;
  std::unique_ptr<kafka::Server> server_;
};

}  // namespace millrace::cli
