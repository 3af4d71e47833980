// For tests: a listener over a log alone, and a client that speaks the protocol with the same
// messages.
#pragma once

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kafka/coordinators.h"
#include "kafka/messages.h"
#include "kafka/server.h"

namespace millrace::kafka {

// Topics of a log in a folder of its own.
class LogBackend final : public Backend {
 public:
  explicit LogBackend(const std::string& folder) {
    log::LogOptions options;
    options.directory = folder;
    auto opened = log::Log::Open(options);
    EXPECT_TRUE(opened.ok()) << opened.error().ToString();
    log_ = std::move(*opened);
  }

  std::string cluster_id() const override { return "test"; }
  std::vector<Topic> Topics() const override {
    std::vector<Topic> topics;
    for (const log::TopicInfo& info : log_->Topics()) {
      if (!info.name.starts_with("__"))
        topics.push_back({info.name, info.id, info.config.partitions});
    }
    return topics;
  }
  std::optional<Topic> FindTopic(std::string_view name) const override {
    for (const Topic& topic : Topics()) {
      if (topic.name == name) return topic;
    }
    return std::nullopt;
  }
  std::optional<Topic> FindTopic(log::TopicId id) const override {
    for (const Topic& topic : Topics()) {
      if (topic.id == id) return topic;
    }
    return std::nullopt;
  }
  log::Log& log() const override { return *log_; }
  Status Append(const Topic& topic, int32_t partition, std::string batches,
                log::AppendDone done) override {
    const std::lock_guard lock(mutex_);
    if (refusals_left_ > 0) {
      --refusals_left_;
      return Error(Code::kOverloaded, "the queue is full");
    }
    log::AppendRequest request;
    request.push_back({{topic.id, partition}, std::move(batches)});
    return log_->Append(std::move(request), std::move(done));
  }
  Status CreateTopic(const std::string& name, int32_t partitions, const TopicSettings&,
                     bool validate_only) override {
    if (validate_only) return Ok();
    log::TopicConfig config;
    config.partitions = partitions;
    TRY(log_->CreateTopic(name, config));
    return Ok();
  }
  Status GrowTopic(const std::string& name, int32_t partitions, bool validate_only) override {
    const auto topic = FindTopic(name);
    if (!topic) return Error(Code::kNotFound, "no such topic");
    if (validate_only) return Ok();
    log::TopicConfig config;
    config.partitions = partitions;
    TRY(log_->AlterTopic(topic->id, config));
    return Ok();
  }
  Result<LogDirectory> Directory() const override { return LogDirectory{"/log", {1000, 400}}; }
  Status AlterTopic(const std::string& name, const TopicSettings& settings,
                    const std::vector<std::string>&, bool) override {
    if (!FindTopic(name)) return Error(Code::kNotFound, "no such topic");
    if (settings.empty()) return Ok();
    return Error(Code::kInvalidArgument, "{} cannot be set", settings.begin()->first);
  }
  Result<int64_t> DeleteRecords(const Topic& topic, int32_t partition,
                                std::optional<int64_t> before, std::chrono::milliseconds) override {
    const log::PartitionId id{topic.id, partition};
    const auto cut = log_->DurableCut();
    const log::Cut::End* end = cut->Find(id);
    if (end == nullptr) return Error(Code::kNotFound, "no such partition");
    TRY(const log::Offset first, log_->DeleteRecords(id, before ? log::Offset{*before} : end->end));
    return first.value;
  }
  Status DeleteTopic(const std::string& name) override {
    const auto topic = FindTopic(name);
    if (!topic) return Error(Code::kNotFound, "no such topic");
    return log_->DeleteTopic(topic->id);
  }

  void RefuseNext(int appends) {
    const std::lock_guard lock(mutex_);
    refusals_left_ = appends;
  }

 private:
  std::unique_ptr<log::Log> log_;
  std::mutex mutex_;
  int refusals_left_ = 0;
};

// A blocking client of one connection.
class TestClient {
 public:
  explicit TestClient(const net::Address& address) : socket_(context_) {
    asio::ip::tcp::endpoint endpoint(asio::ip::make_address(address.host), address.port);
    socket_.connect(endpoint);
  }

  template <typename Q>
  void Send(const Q& message, int16_t version) {
    std::string body;
    PutBig(body, static_cast<int16_t>(Q::kInfo.api));
    PutBig(body, version);
    PutBig(body, next_++);
    PutBig(body, int16_t{4});
    body += "test";
    if (version >= Q::kInfo.flexible_from) body += '\0';
    EncodeInto(body, message, version);
    SendRaw(body);
  }
  void SendRaw(const std::string& body) {
    std::string bytes;
    PutBig(bytes, static_cast<int32_t>(body.size()));
    // The server may have ended the connection meanwhile: the missing reply tells.
    millrace::ErrorCode ended;
    asio::write(socket_, asio::buffer(bytes + body), ended);
  }
  // The next reply, which belongs to the oldest request without one. nullopt: the connection ended.
  std::optional<std::string> ReceiveRaw() {
    std::string size(4, '\0');
    if (!Read(size)) return std::nullopt;
    std::string body(static_cast<size_t>(GetBig<int32_t>(size.data())), '\0');
    if (!Read(body)) return std::nullopt;
    return body;
  }
  template <typename R>
  R Receive(int16_t version) {
    const std::optional<std::string> body = ReceiveRaw();
    EXPECT_TRUE(body.has_value()) << "the connection ended";
    if (!body) return {};
    EXPECT_EQ(GetBig<int32_t>(body->data()), ++answered_);
    const bool tagged = version >= R::kInfo.flexible_from && R::kInfo.api != ApiKey::kApiVersions;
    kept_.push_back(*body);  // Records are borrowed
    auto decoded = Decode<R>(std::string_view(kept_.back()).substr(tagged ? 5 : 4), version);
    EXPECT_TRUE(decoded.ok()) << decoded.error().ToString();
    return decoded.ok() ? *decoded : R{};
  }
  template <typename R, typename Q>
  R Ask(const Q& message, int16_t version) {
    Send(message, version);
    return Receive<R>(version);
  }
  void Close() { socket_.close(); }

 private:
  bool Read(std::string& into) {
    for (size_t got = 0; got < into.size();) {
      millrace::ErrorCode error;
      got += socket_.read_some(asio::buffer(into.data() + got, into.size() - got), error);
      if (error) return false;
    }
    return true;
  }

  asio::io_context context_;
  asio::ip::tcp::socket socket_;
  int32_t next_ = 1;
  int32_t answered_ = 0;
  std::list<std::string> kept_;
};

// One listener for each test.
class KafkaServerTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              fmt::format("millrace_kafka_{}_{}", ::getpid(), counter_++);
    std::filesystem::create_directories(folder_);
    Start();
  }
  void TearDown() override {
    Stop();
    std::filesystem::remove_all(folder_);
  }
  void Start() {
    backend_ = std::make_unique<LogBackend>(folder_.string());
    auto coordinators = Coordinators::Open(*backend_);
    ASSERT_TRUE(coordinators.ok()) << coordinators.error().ToString();
    coordinators_ = std::move(*coordinators);
    ServiceOptions service_options;
    service_options.access = access_.get();
    service_options.quotas = quotas_;
    service_ = std::make_unique<Service>(service_options, *backend_, *coordinators_);
    ServerOptions options;
    options.listen.address = {"127.0.0.1", 0};
    options.io_threads = 3;  // two of them in use
    auto server = Server::Start(options, *service_);
    ASSERT_TRUE(server.ok()) << server.error().ToString();
    server_ = std::move(*server);
    service_->Advertise(server_->address().host, server_->address().port);
  }
  void Stop() {
    if (server_ == nullptr) return;
    server_->Stop(std::chrono::seconds(5));
    service_->Stop();
    EXPECT_TRUE(backend_->log().Close().ok());
    server_.reset();
    service_.reset();
    coordinators_.reset();
    backend_.reset();
  }
  TestClient Connect() const { return TestClient(server_->address()); }

  std::filesystem::path folder_;
  std::unique_ptr<auth::Access> access_;  // null: nobody has to sign in
  QuotaOptions quotas_;
  std::unique_ptr<LogBackend> backend_;
  std::unique_ptr<Coordinators> coordinators_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<Server> server_;

 private:
  static inline int counter_ = 0;
};

}  // namespace millrace::kafka
