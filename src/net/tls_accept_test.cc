#include "net/tls_accept.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "net/http_client.h"
#include "net/tls_testing.h"

namespace millrace::net::tls_accept_test {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
constexpr std::chrono::seconds kWriteTimeout{10};

// What the connections of a test do, and what they saw.
struct Plan {
  enum class Do { kEcho, kAnswer, kWatch } what = Do::kEcho;
  std::atomic<int> begun{0};
  std::atomic<int> gone{0};  // peers that a watch saw go
  std::shared_ptr<std::function<void()>> watch =
      std::make_shared<std::function<void()>>([this] { gone.fetch_add(1); });
};

class Served final : public ServedConnection {
 public:
  Served(Stream stream, ConnectionSlot slot, ConnectionLoop& loop, Plan& plan)
      : ServedConnection(loop), stream_(std::move(stream)), slot_(std::move(slot)), plan_(plan) {}

  static asio::awaitable<void> Run(std::unique_ptr<Served> self) {
    self->plan_.begun.fetch_add(1);
    if (self->plan_.what == Plan::Do::kWatch) {
      self->stream_.WatchForClose(self->plan_.watch);
      self->still_.expires_at(std::chrono::steady_clock::time_point::max());
      ErrorCode told;
      co_await self->still_.async_wait(WithError(told));
      self->stream_.Cancel();
    } else {
      co_await self->Echo();
    }
    self->stream_.SendEnd();
  }
  void CheckDeadline() override {}
  void StopSoon() override { Abort(); }
  void Abort() override {
    stream_.Cancel();
    still_.cancel();
  }

 private:
  asio::awaitable<void> Echo() {
    std::string bytes(64 << 10, '\0');
    ErrorCode error;
    for (;;) {
      const size_t got = co_await stream_.Read(bytes.data(), bytes.size(), error);
      if (error) co_return;
      const std::string_view out =
          plan_.what == Plan::Do::kAnswer ? kAnswer : std::string_view(bytes.data(), got);
      const bool sent = co_await SendFully(stream_, out, kWriteTimeout, deadline_);
      if (!sent) co_return;
    }
  }

  Stream stream_;
  ConnectionSlot slot_;
  Plan& plan_;
  asio::steady_timer still_{loop_.context};
  TimePoint deadline_ = kNever;
};

class TlsListener : public ::testing::Test {
 protected:
  void Start(ListenOptions listen = {}) {
    listen.address = {"127.0.0.1", 0};
    listen.tls = identity_.get();
    listen.plain_text_answer = "speak TLS\n";
    server_ = ConnectionServer::Start(
                  listen, 2,
                  [this](Stream stream, ConnectionSlot slot, ConnectionLoop& loop) {
                    auto served =
                        std::make_unique<Served>(std::move(stream), std::move(slot), loop, plan_);
                    asio::co_spawn(loop.context, Served::Run(std::move(served)), asio::detached);
                  })
                  .value();
  }
  const TlsCounters& counters() const { return *server_->tls_counters(); }

  static void WaitUntil(const std::function<bool()>& condition) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), until) << "what is waited for did not come";
      std::this_thread::sleep_for(milliseconds(1));
    }
  }
  // Of a plain socket, until the server ends it.
  static std::string ReadAll(int socket) {
    std::string text;
    char bytes[256];
    for (ssize_t got; (got = ::recv(socket, bytes, sizeof(bytes), 0)) > 0;)
      text.append(bytes, static_cast<size_t>(got));
    return text;
  }

  PemFiles files_{MakePair()};
  std::unique_ptr<TlsIdentity> identity_ = files_.Load();
  Plan plan_;
  std::unique_ptr<ConnectionServer> server_;  // ends before the plan
};

TEST_F(TlsListener, CarriesBytesBothWays) {
  Start();
  BlockingTlsClient client(server_->address());
  ASSERT_TRUE(client.Handshake());
  EXPECT_EQ(client.session().version(), "TLSv1.3");
  EXPECT_EQ(client.session().PeerFingerprint(), identity_->fingerprint());
  std::string sent;
  for (int i = 0; sent.size() < (4u << 20); ++i) sent += std::to_string(i);
  for (size_t at = 0; at < sent.size(); at += 100'000) {
    const std::string piece = sent.substr(at, 100'000);
    ASSERT_TRUE(client.Send(piece));
    ASSERT_EQ(client.Receive(piece.size()), piece);
  }
  EXPECT_EQ(counters().handshakes, 1);
  EXPECT_THAT(server_->TlsMetrics("x"), HasSubstr("x_tls_handshakes_total 1"));
}

TEST_F(TlsListener, TellsTheClientThatItEndsWhenItStops) {
  Start();
  BlockingTlsClient client(server_->address());
  ASSERT_TRUE(client.Handshake() && client.Send("a"));
  EXPECT_EQ(client.Receive(1), "a");
  server_->Stop(milliseconds(60'000));
  EXPECT_EQ(client.Receive(1), "");
  EXPECT_TRUE(client.ended());  // by close_notify: nobody cut it
}

TEST_F(TlsListener, StopsWhileHandshakesHang) {
  Start();
  BlockingTlsClient silent(server_->address());
  BlockingTlsClient half(server_->address());
  ASSERT_EQ(::send(half.socket(), "\x16\x03\x01", 3, 0), 3);
  BlockingTlsClient gone(server_->address());
  ASSERT_TRUE(gone.Handshake());
  ::shutdown(gone.socket(), SHUT_WR);  // without a word
  WaitUntil([&] { return counters().handshakes == 1; });
  const auto begin = std::chrono::steady_clock::now();
  server_->Stop(milliseconds(60'000));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(10'000));
  EXPECT_EQ(server_->counters().open, 0);
}

TEST_F(TlsListener, AnswersPlainTextAndEndsIt) {
  Start();
  const int socket = BlockingTlsClient::Connect(server_->address());
  const std::string request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_EQ(::send(socket, request.data(), request.size(), 0),
            static_cast<ssize_t>(request.size()));
  EXPECT_EQ(ReadAll(socket), "speak TLS\n");
  ::close(socket);
  EXPECT_EQ(counters().plain_text, 1);
  EXPECT_EQ(plan_.begun, 0);
}

TEST_F(TlsListener, GivesUpOnSlowHandshakes) {
  ListenOptions listen;
  listen.handshake_timeout = milliseconds(50);
  Start(listen);
  const int silent = BlockingTlsClient::Connect(server_->address());
  const int slow = BlockingTlsClient::Connect(server_->address());
  ASSERT_EQ(::send(slow, "\x16\x03\x01\x01\x00", 5, 0), 5);
  EXPECT_EQ(ReadAll(silent), "");
  EXPECT_EQ(ReadAll(slow), "");
  ::close(silent);
  ::close(slow);
  WaitUntil([&] { return counters().failures == 2; });
  EXPECT_EQ(server_->counters().open, 0);
}

TEST_F(TlsListener, OutlivesClientsThatGoInTheMiddleAndGarbage) {
  Start();
  for (size_t bytes = 1; bytes < 64; bytes += 7) {
    const int socket = BlockingTlsClient::Connect(server_->address());
    std::string garbage(bytes, '\x16');
    ASSERT_EQ(::send(socket, garbage.data(), bytes, 0), static_cast<ssize_t>(bytes));
    ::close(socket);
  }
  const std::string hello = BlockingTlsClient::FirstFlight();
  const int begun = BlockingTlsClient::Connect(server_->address());
  ASSERT_EQ(::send(begun, hello.data(), hello.size(), 0), static_cast<ssize_t>(hello.size()));
  char answered = 0;
  ASSERT_EQ(::recv(begun, &answered, 1, 0), 1);
  ::close(begun);
  WaitUntil([&] { return counters().failures == 10; });
  EXPECT_EQ(counters().handshakes, 0);
  BlockingTlsClient client(server_->address());
  ASSERT_TRUE(client.Handshake() && client.Send("a"));
  EXPECT_EQ(client.Receive(1), "a");
}

TEST_F(TlsListener, CountsHandshakesAmongItsConnections) {
  ListenOptions listen;
  listen.connections_max = 2;
  Start(listen);
  BlockingTlsClient first(server_->address());
  ASSERT_TRUE(first.Handshake());
  const int silent = BlockingTlsClient::Connect(server_->address());
  WaitUntil([&] { return server_->counters().open == 2; });
  BlockingTlsClient third(server_->address());
  EXPECT_FALSE(third.Handshake());
  EXPECT_EQ(server_->counters().refused, 1);
  ::close(silent);
}

TEST_F(TlsListener, SeesPeersGoWhileNobodyReads) {
  plan_.what = Plan::Do::kWatch;
  Start();
  BlockingTlsClient polite(server_->address());
  ASSERT_TRUE(polite.Handshake());
  BlockingTlsClient rude(server_->address());
  ASSERT_TRUE(rude.Handshake());
  BlockingTlsClient busy(server_->address());
  ASSERT_TRUE(busy.Handshake() && busy.Send("the next request"));
  WaitUntil([&] { return plan_.begun == 3; });
  EXPECT_EQ(plan_.gone, 0);
  polite.session().SendEnd();
  WaitUntil([&] { return plan_.gone == 1; });
  rude.Close();
  WaitUntil([&] { return plan_.gone == 2; });
  server_->Stop(milliseconds(60'000));
  EXPECT_EQ(plan_.gone, 2);
}

TEST_F(TlsListener, ShowsNewConnectionsAChangedCertificateWhileOldOnesGoOn) {
  Start();
  BlockingTlsClient old(server_->address());
  ASSERT_TRUE(old.Handshake());
  files_.Write(MakePair());
  identity_->Refresh();
  ASSERT_TRUE(identity_->Refresh());
  BlockingTlsClient next(server_->address());
  ASSERT_TRUE(next.Handshake());
  EXPECT_EQ(next.session().PeerFingerprint(), identity_->fingerprint());
  EXPECT_NE(old.session().PeerFingerprint(), identity_->fingerprint());
  ASSERT_TRUE(old.Send("a"));
  EXPECT_EQ(old.Receive(1), "a");
}

class HttpsClient : public TlsListener {
 protected:
  void SetUp() override {
    plan_.what = Plan::Do::kAnswer;
    Start();
  }
  void ShowCertificateFor(const char* names) {
    files_.Write(MakePair(3600, nullptr, names));
    identity_->Refresh();
    ASSERT_TRUE(identity_->Refresh());
  }
  Result<ClientAnswer> Get(const std::string& host, TlsTrust trust, const char* scheme = "https") {
    ClientOptions options;
    options.trust = std::move(trust);
    TRY(HttpClient client,
        HttpClient::ForUrl(fmt::format("{}://{}:{}", scheme, host, server_->address().port),
                           options));
    TRY(client.Get("/"));
    return client.Get("/");  // on the kept connection
  }
};

TEST_F(HttpsClient, TrustsTheAuthorityOfItsFileForTheNamesOfTheCertificate) {
  const std::string authority = files_.paths().certificate;
  const auto by_address = Get("127.0.0.1", {authority, ""});
  ASSERT_TRUE(by_address.ok()) << by_address.error().message();
  EXPECT_EQ(by_address->body, "hi");
  EXPECT_TRUE(Get("localhost", {authority, ""}).ok());
  EXPECT_EQ(counters().handshakes, 2);  // one for two requests
  ShowCertificateFor("DNS:elsewhere");
  const auto other = Get("127.0.0.1", {authority, ""});
  ASSERT_FALSE(other.ok());
  EXPECT_THAT(other.error().message(), HasSubstr("not trusted: IP address mismatch"));
}

TEST_F(HttpsClient, TrustsNobodyElse) {
  const auto unknown = Get("127.0.0.1", {});
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().code(), Code::kUnavailable);
  EXPECT_THAT(unknown.error().message(), HasSubstr("not trusted: self-signed certificate"));
  EXPECT_THAT(unknown.error().hint(), HasSubstr("--ca"));
  const PemFiles others(MakePair());
  EXPECT_FALSE(Get("127.0.0.1", {others.paths().certificate, ""}).ok());
  EXPECT_THAT(Get("127.0.0.1", {others.paths().key, ""}).error().message(),
              HasSubstr("no certificate"));
  EXPECT_FALSE(Get("127.0.0.1", {"/nowhere/ca.pem", ""}).ok());
}

TEST_F(HttpsClient, TrustsTheOneCertificateThatItKnowsWhateverItsName) {
  ShowCertificateFor("DNS:elsewhere");
  EXPECT_TRUE(Get("127.0.0.1", {"", identity_->fingerprint()}).ok());
  const auto other = Get("127.0.0.1", {"", std::string(64, '0')});
  ASSERT_FALSE(other.ok());
  EXPECT_THAT(other.error().message(), HasSubstr("not the one"));
}

TEST_F(HttpsClient, SaysWhenOneSideSpeaksPlainText) {
  const auto plain = Get("127.0.0.1", {}, "http");
  ASSERT_FALSE(plain.ok());  // "speak TLS" is not HTTP
  IoThreads threads(1);
  std::vector<asio::ip::tcp::socket> kept;
  ListenOptions options;
  options.address = {"127.0.0.1", 0};
  auto listener =
      Listener::Open(threads, options, [&](asio::ip::tcp::socket socket, ConnectionSlot) {
        ErrorCode ignored;
        asio::write(socket, asio::buffer("HTTP/1.1 400 Bad\r\n\r\n", 20), ignored);
        kept.push_back(std::move(socket));
      }).value();
  HttpClient client =
      HttpClient::ForUrl(fmt::format("https://127.0.0.1:{}", listener->address().port)).value();
  const auto answer = client.Get("/");
  ASSERT_FALSE(answer.ok());
  EXPECT_THAT(answer.error().hint(), HasSubstr("http://"));
  listener->Stop();
  threads.Stop();
}

}  // namespace
}  // namespace millrace::net::tls_accept_test
