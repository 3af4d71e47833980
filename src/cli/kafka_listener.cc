#include "cli/kafka_listener.h"

#include <random>

#include "base/files.h"
#include "cli/node_options.h"

namespace millrace::cli {

namespace {

constexpr const char* kClusterIdFile = "cluster_id";
constexpr size_t kClusterIdLetters = 22;  // as many as Kafka's have

// Made at the first start, the same ever after: clients tell clusters apart by it.
Result<std::string> ClusterId(const std::string& data_directory) {
  Files& files = Files::System();
  const std::string path = data_directory + "/" + kClusterIdFile;
  TRY(const bool exists, files.Exists(path));
  if (exists) return files.ReadAll(path);
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::random_device random;
  std::string id;
  while (id.size() < kClusterIdLetters) id += kLetters[random() % kLetters.size()];
  TRY(files.Replace(path, id));
  return id;
}

}  // namespace

Result<std::unique_ptr<KafkaListener>> KafkaListener::Start(const Settings& settings,
                                                            const std::string& data_directory,
                                                            runtime::Node& node,
                                                            const auth::Access& access,
                                                            const net::TlsIdentity* tls) {
  const Setting& listen = settings.at("kafka");
  if (listen.value == "off") return std::unique_ptr<KafkaListener>();
  std::unique_ptr<KafkaListener> made(new KafkaListener);
  TRY(const std::string cluster_id, ClusterId(data_directory));
  made->backend_ = std::make_unique<KafkaBackend>(node, cluster_id, data_directory + "/log");
  TRY(made->coordinators_, kafka::Coordinators::Open(*made->backend_));
  // Topics that went while the listener was off.
  made->coordinators_->groups().DropOffsets(
      [&](const std::string& topic) { return !made->backend_->FindTopic(topic); });
  kafka::ServiceOptions service_options;
  service_options.access = &access;
  service_options.auto_create_topics = settings.at("kafka_auto_create").value == "on";
  TRY(service_options.quotas.client_produce, QuotaOf(settings, "kafka_client_produce_quota"));
  TRY(service_options.quotas.client_fetch, QuotaOf(settings, "kafka_client_fetch_quota"));
  TRY(service_options.quotas.stream_produce, QuotaOf(settings, "kafka_stream_produce_quota"));
  TRY(service_options.quotas.stream_fetch, QuotaOf(settings, "kafka_stream_fetch_quota"));
  made->service_ =
      std::make_unique<kafka::Service>(service_options, *made->backend_, *made->coordinators_);
  kafka::ServerOptions options;
  TRY(options.listen.address, net::ParseAddress(listen.value));
  options.listen.any_port_if_taken = listen.origin == "default";
  TRY(options.io_threads, IoThreadsOf(settings));
  if (SpeaksTls(settings, "kafka")) options.listen.tls = tls;
  TRY(made->server_, kafka::Server::Start(options, *made->service_));
  const std::string& advertised = settings.at("kafka_advertised").value;
  net::Address reached = made->address();
  if (advertised != "auto") {
    TRY(reached, net::ParseAddress(advertised));
  }
  made->service_->Advertise(reached.host, reached.port);
  return made;
}

void KafkaListener::Stop() {
  if (server_ != nullptr) server_->Stop(kDrain);
  if (service_ != nullptr) service_->Stop();
}

}  // namespace millrace::cli
