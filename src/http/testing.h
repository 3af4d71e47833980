// A backend without an engine, and a raw client that can send what no proper client would. For
// tests only.
#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <thread>

#include "http/backend.h"
#include "http/service.h"
#include "net/http_client.h"

namespace millrace::http {

// Keeps the rows that it was given; rejects those that do not begin with '{', sets those aside that
// hold "bad", and answers at once unless it is told to hold back.
class FakeBackend final : public Backend, public ingest::Ingest {
 public:
  FakeBackend() {
    catalog::Object stream;
    catalog::StreamDefinition definition;
    definition.name = "clicks";
    definition.schema.columns = {{"id", duckdb::LogicalType::BIGINT, false, std::nullopt, 1},
                                 {"name", duckdb::LogicalType::VARCHAR, false, std::nullopt, 2}};
    stream.definition = definition;
    catalog::Object made;
    catalog::EndpointDefinition user;
    user.name = "user";
    user.path = "/users/{id}";
    user.parameters = {{"id", duckdb::LogicalType::BIGINT, std::nullopt, ""},
                       {"count", duckdb::LogicalType::BIGINT, std::nullopt, ""}};
    made.definition = user;
    endpoint_ = std::make_shared<const catalog::Object>(made);
    auto applied = catalog::Catalog::Empty()->Apply(
        {catalog::Create{stream, false}, catalog::Create{made, false}});
    EXPECT_TRUE(applied.ok());
    catalog_ = *applied;
  }

  bool ready() const override { return true; }
  Status health() const override { return healthy ? Ok() : Error(Code::kIo, "fsync failed"); }
  ingest::Ingest& ingest() override { return *this; }
  Status AppendBatches(ingest::BatchRequest, log::AppendDone) override {
    return Error(Code::kNotSupported, "no route hands batches over");
  }
  Status Check(const ingest::Request&) override {
    return Error(Code::kNotSupported, "no route asks");
  }
  Result<std::string> AppendTogether(const std::vector<ingest::Request>&,
                                     log::AppendRequest) override {
    return Error(Code::kNotSupported, "no route has transactions");
  }
  std::string MergeTokens(const std::vector<std::string>& tokens) const override {
    return tokens.back();
  }
  void WhenVisible(std::string_view token, std::chrono::milliseconds,
                   std::function<void(Status)> done) override {
    done(token == "never" ? Status(Error(Code::kTimeout, "not visible in time")) : Ok());
  }

  Result<std::vector<std::string>> SplitStatements(std::string_view text) const override {
    std::vector<std::string> statements;
    size_t begin = 0;
    while (begin < text.size()) {
      const size_t end = std::min(text.find(';', begin), text.size());
      if (text.find_first_not_of(" \n", begin) < end)
        statements.push_back(BlankBefore(text, begin, end));
      begin = end + 1;
    }
    return statements;
  }
  // "rows N": N rows (i, 'name'); "wait": until it is cancelled; anything else is an error.
  Result<runtime::StatementResult> Execute(std::string_view statement,
                                           const runtime::StatementOptions& options) override {
    const std::string_view words =
        statement.substr(std::min(statement.find_first_not_of(" \n"), statement.size()));
    runtime::StatementResult result;
    result.tag = "SELECT";
    result.step = 7;
    if (words.starts_with("rows ")) {
      result.rows = Rows(std::stoul(std::string(words.substr(5))));
      return result;
    }
    if (words == "wait") {
      ++waiting;
      while (!options.cancel->load()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      ++cancelled;
      return Error(Code::kCancelled, "cancelled");
    }
    return Error(Code::kInvalidArgument, "syntax error")
        .At(PositionAt(statement, statement.size() - words.size()));
  }

  std::optional<runtime::EndpointMatch> MatchEndpoint(std::string_view method,
                                                      std::string_view path) const override {
    if (method != "GET" || !path.starts_with("/users/") || path.size() == 7) return std::nullopt;
    runtime::EndpointMatch match;
    match.endpoint = endpoint_;
    match.path_values.emplace("id", path.substr(7));
    return match;
  }
  bool EndpointIsFast(const runtime::EndpointMatch&) const override { return fast; }
  int64_t EndpointStep(const runtime::EndpointMatch&) const override { return step; }
  Result<runtime::EndpointAnswer> AnswerEndpoint(
      const runtime::EndpointMatch&, const std::map<std::string, std::string>& parameters,
      const runtime::StatementOptions&) override {
    const auto count = parameters.find("count");
    ++answers;
    const std::lock_guard lock(mutex);
    if (failure) return *failure;
    runtime::EndpointAnswer answer;
    answer.rows = Rows(count == parameters.end() ? row_count : std::stoul(count->second));
    if (renamed) answer.rows.schema.columns[0].name = "j";
    answer.step = step;
    answer.watermark = Micros{1};
    answer.ordered = true;
    return answer;
  }

  // Rows from the number in the cursor on.
  Result<runtime::EndpointAnswer> AnswerEndpointPage(
      const runtime::EndpointMatch& match, const std::map<std::string, std::string>& parameters,
      const runtime::PageRequest& page, const runtime::StatementOptions& options) override {
    TRY(runtime::EndpointAnswer answer, AnswerEndpoint(match, parameters, options));
    const size_t begin = page.cursor.empty() ? 0 : std::stoul(page.cursor);
    const size_t end = std::min(begin + page.rows_max, answer.rows.row_count());
    if (end < answer.rows.row_count()) answer.next = std::to_string(end);
    answer.rows = Rows(end - begin);
    return answer;
  }

  void OnStep(std::function<void(bool catalog_changed)> told) override {
    const std::lock_guard lock(told_mutex);
    on_step = std::move(told);
  }
  // Another step is shown, with so many rows.
  void Step(int64_t to, size_t rows_then, bool catalog_changed = false) {
    {
      const std::lock_guard lock(mutex);
      row_count = rows_then;
    }
    step = to;
    const std::lock_guard lock(told_mutex);
    if (on_step) on_step(catalog_changed);
  }

  // Every row whose text holds "twice" is a duplicate.
  Result<rows::Schema> ColumnsOf(const catalog::EndpointDefinition&) override {
    return Error(Code::kNotSupported, "no columns here");
  }
  Result<std::optional<runtime::TableRow>> ReadRow(std::string_view,
                                                   std::string_view) const override {
    return Error(Code::kNotSupported, "no tables here");
  }
  Result<runtime::RowWritten> WriteRow(std::string_view, std::string_view,
                                       std::optional<std::string_view>,
                                       const runtime::TableRows::Condition&) override {
    return Error(Code::kNotSupported, "no tables here");
  }
  runtime::DecidedCounts Decided(const std::vector<ingest::Placed>& placed) const override {
    runtime::DecidedCounts counts;
    for (const ingest::Placed& place : placed) {
      for (int64_t i = 0; i < place.records; ++i) {
        const std::string& row = rows[static_cast<size_t>(place.first.value + i)];
        if (row.find("twice") != std::string::npos) ++counts.duplicates;
      }
    }
    return counts;
  }
  Result<runtime::ProjectPlan> PlanProject(
      const std::vector<runtime::ProjectFile>& files) override {
    runtime::ProjectPlan plan;
    for (const runtime::ProjectFile& file : files) {
      if (file.text == "wrong") {
        return Error(Code::kInvalidArgument, "syntax error")
            .At(PositionAt(file.text, 0, file.path));
      }
      runtime::ProjectPlan::Item item;
      item.change = {catalog::Difference::What::kDrop,
                     catalog::Kind::kStream,
                     file.path,
                     file.text,
                     true,
                     false};
      item.rows_lost = 3;
      item.bytes_lost = 400;
      plan.items.push_back(item);
    }
    plan.notices = {"a \"note\""};
    return plan;
  }
  Result<runtime::Node::BackupSource> BeginBackup() override {
    if (backups++ > 0) return Error(Code::kConflict, "another backup of this node is running");
    return runtime::Node::BackupSource{"/data \"x\"", 7, 9};
  }
  Status EndBackup() override {
    backups = 0;
    return Ok();
  }
  int backups = 0;
  Result<runtime::RecordTrace> Trace(std::string_view stream, int32_t partition, int64_t offset,
                                     const runtime::StatementOptions&) override {
    if (stream != "clicks") return Error(Code::kNotFound, "stream does not exist");
    runtime::RecordTrace trace;
    trace.stream = stream;
    trace.topic = stream;
    trace.partition = partition;
    trace.offset = {offset};
    trace.end = {offset + 1};
    trace.key = "k\xff";
    trace.outcome = runtime::RecordTrace::Outcome::kDuplicate;
    trace.duplicate_of = {1, {2}};
    trace.row = Rows(1);
    trace.step = 7;
    trace.visible_step = 9;
    trace.views = {{"v", true}};
    return trace;
  }

  schemas::Registry& schemas() override {
    CHECK(registry != nullptr) << "the test has set none";
    return *registry;
  }
  Result<std::shared_ptr<const models::Model>> FindModel(std::string_view name) const override {
    const auto found = scorers.find(std::string(name));
    if (found != scorers.end()) return found->second;
    return Error(Code::kNotFound, "model {} does not exist", Quoted(name));
  }
  catalog::CatalogPtr catalog() const override { return catalog_; }
  int64_t visible_step() const override { return 7; }
  std::vector<runtime::LedgerLine> Ledger() const override {
    return {{"http → clicks", "sent", 3}};
  }
  Status CheckBooks() const override { return Ok(); }
  std::string Metrics() const override { return "node_up 1\n"; }

  void Append(ingest::Request request, std::function<void(Result<ingest::Answer>)> done) override {
    std::lock_guard lock(mutex);
    if (overloads > 0) {
      --overloads;
      done(Error(Code::kOverloaded, "the log is behind"));
      return;
    }
    ingest::Answer answer;
    const auto first = static_cast<int64_t>(rows.size());
    for (size_t i = 0; i < request.rows.size(); ++i) {
      if (!request.rows[i].starts_with('{')) {
        answer.rejected.push_back({i, "", "not an object"});
        ++answer.rejected_count;
      } else {
        rows.emplace_back(request.rows[i]);
        ++(request.rows[i].find("bad") == std::string_view::npos ? answer.accepted
                                                                 : answer.quarantined);
      }
    }
    answer.token = std::to_string(rows.size());
    answer.placed = {{{}, {first}, static_cast<int64_t>(rows.size()) - first}};
    answer.repeated =
        !request.idempotency_key.empty() && !keys.insert(request.idempotency_key).second;
    last = std::move(request);
    last.rows.clear();
    last.owner.reset();
    if (fail_after > 0 && rows.size() > fail_after) {
      done(Error(Code::kIo, "the disk is gone"));
      return;
    }
    done(std::move(answer));
  }

  static sql::QueryResult Rows(size_t count) {
    sql::QueryResult result;
    result.schema.columns = {{"i", duckdb::LogicalType::BIGINT, false, std::nullopt, 1},
                             {"name", duckdb::LogicalType::VARCHAR, false, std::nullopt, 2}};
    for (size_t begin = 0; begin < count; begin += STANDARD_VECTOR_SIZE) {
      auto chunk = std::make_shared<duckdb::DataChunk>();
      chunk->Initialize(duckdb::Allocator::DefaultAllocator(), result.schema.types());
      const size_t size = std::min<size_t>(STANDARD_VECTOR_SIZE, count - begin);
      for (size_t i = 0; i < size; ++i) {
        chunk->SetValue(0, i, duckdb::Value::BIGINT(static_cast<int64_t>(begin + i)));
        chunk->SetValue(1, i, duckdb::Value("name"));
      }
      chunk->SetCardinality(size);
      result.chunks.push_back(std::move(chunk));
    }
    return result;
  }

  std::mutex mutex;
  std::vector<std::string> rows;  // guarded by mutex
  std::set<std::string> keys;     // guarded by mutex
  ingest::Request last;           // guarded by mutex; without its rows
  int overloads = 0;              // so many appends are refused first
  size_t fail_after = 0;          // appends fail once so many rows are there
  std::atomic<bool> fast{true};
  std::atomic<bool> healthy{true};
  schemas::Registry* registry = nullptr;
  std::atomic<int> waiting{0}, cancelled{0};
  std::atomic<int64_t> step{7};
  std::atomic<int> answers{0};   // of endpoints
  size_t row_count = 1;          // of an answer; guarded by mutex
  bool renamed = false;          // a column; guarded by mutex
  std::optional<Error> failure;  // in the place of an answer; guarded by mutex
  std::mutex told_mutex;
  std::function<void(bool)> on_step;                                    // guarded by told_mutex
  std::map<std::string, std::shared_ptr<const models::Model>> scorers;  // by name

 private:
  catalog::CatalogPtr catalog_;
  std::shared_ptr<const catalog::Object> endpoint_;
};

// A server with its service on a free port of the loopback.
struct TestServer {
  explicit TestServer(ServerOptions options = {}, ServiceOptions service_options = {})
      : service(service_options) {
    options.listen.address = {"127.0.0.1", 0};
    options.io_threads = 3;  // two of them in use
    auto started = Server::Start(options, service.router());
    EXPECT_TRUE(started.ok());
    server = std::move(started).value();
    service.SetServer(server.get());
    service.SetBackend(&backend);
  }
  ~TestServer() {
    server->Stop(std::chrono::milliseconds(0));
    service.Stop();
  }
  net::HttpClient Client() const { return net::HttpClient(server->address()); }

  FakeBackend backend;
  Service service;
  std::unique_ptr<Server> server;
};

// Bytes in, bytes out.
class RawClient {
 public:
  explicit RawClient(const net::Address& address) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(address.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  }
  RawClient(RawClient&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  ~RawClient() {
    if (socket_ >= 0) ::close(socket_);
  }
  // False: the server has closed.
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  void CloseSending() { ::shutdown(socket_, SHUT_WR); }
  // Until the server closes, or until `marker` has come.
  std::string ReceiveUntil(std::string_view marker = {}) {
    std::string got;
    char buffer[4096];
    while (marker.empty() || got.find(marker) == std::string::npos) {
      const ssize_t size = ::recv(socket_, buffer, sizeof(buffer), 0);
      if (size <= 0) break;
      got.append(buffer, static_cast<size_t>(size));
    }
    return got;
  }

 private:
  int socket_;
};

}  // namespace millrace::http
