#include "net/connection_server.h"

#include <gtest/gtest.h>

#include <future>

namespace millrace::net::connection_server_test {
namespace {

using std::chrono::milliseconds;

// Reads until its peer ends or it is told to.
class Reader final : public ServedConnection {
 public:
  struct Seen {
    std::atomic<int> made{0};
    std::atomic<int> aborted{0};
    std::atomic<int> swept{0};
    std::atomic<bool> stubborn{false};  // takes no notice of StopSoon
  };

  Reader(Stream stream, ConnectionSlot slot, ConnectionLoop& loop, Seen& seen)
      : ServedConnection(loop), stream_(std::move(stream)), slot_(std::move(slot)), seen_(seen) {
    seen_.made.fetch_add(1);
    EXPECT_TRUE(loop_.context.get_executor().running_in_this_thread());
  }

  static asio::awaitable<void> Run(std::unique_ptr<Reader> self) {
    char byte = 0;
    ErrorCode error;
    while (!error) {
      co_await self->stream_.Read(&byte, 1, error);
    }
  }

  void CheckDeadline() override { seen_.swept.fetch_add(1); }
  void StopSoon() override {
    if (!seen_.stubborn) Cancel();
  }
  void Abort() override {
    seen_.aborted.fetch_add(1);
    Cancel();
  }

 private:
  void Cancel() { stream_.Cancel(); }
  Stream stream_;
  ConnectionSlot slot_;
  Seen& seen_;
};

ConnectionServer::Serve Serving(Reader::Seen& seen) {
  return [&seen](Stream stream, ConnectionSlot slot, ConnectionLoop& loop) {
    auto reader = std::make_unique<Reader>(std::move(stream), std::move(slot), loop, seen);
    asio::co_spawn(loop.context, Reader::Run(std::move(reader)), asio::detached);
  };
}

std::unique_ptr<ConnectionServer> StartServer(Reader::Seen& seen) {
  ListenOptions listen;
  listen.address = {"127.0.0.1", 0};
  auto server = ConnectionServer::Start(listen, 2, Serving(seen));
  EXPECT_TRUE(server.ok());
  return std::move(server).value();
}

// Connections of a client, which wait for the server to end them.
class Client {
 public:
  Client(const Address& address, int count) {
    const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(address.host), address.port);
    for (int i = 0; i < count; ++i) {
      sockets_.emplace_back(context_);
      sockets_.back().connect(endpoint);
    }
  }
  int CountEnded() {
    int ended = 0;
    for (auto& socket : sockets_) {
      char byte = 0;
      ErrorCode error;
      socket.read_some(asio::buffer(&byte, 1), error);
      ended += error ? 1 : 0;
    }
    return ended;
  }

 private:
  asio::io_context context_;
  std::vector<asio::ip::tcp::socket> sockets_;
};

void WaitUntil(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::sleep_for(milliseconds(1));
}

TEST(ConnectionServer, EndsIdleConnectionsOfAllLoopsWhenItStops) {
  Reader::Seen seen;
  auto server = StartServer(seen);
  Client client(server->address(), 10);
  WaitUntil([&] { return seen.made == 10; });
  bool told = false;
  server->Stop(milliseconds(60'000), [&] { told = true; });
  EXPECT_TRUE(told);
  EXPECT_EQ(seen.aborted, 0);
  EXPECT_EQ(server->counters().open, 0);
  EXPECT_EQ(client.CountEnded(), 10);
}

TEST(ConnectionServer, CutsWhatTakesLongerThanTheDrainTime) {
  Reader::Seen seen;
  seen.stubborn = true;
  auto server = StartServer(seen);
  Client client(server->address(), 3);
  WaitUntil([&] { return seen.made == 3; });
  server->Stop(milliseconds(1));
  EXPECT_EQ(seen.aborted, 3);
  EXPECT_EQ(client.CountEnded(), 3);
}

TEST(ConnectionServer, SweepsConnectionsAgainAndAgain) {
  Reader::Seen seen;
  auto server = StartServer(seen);
  Client client(server->address(), 1);
  WaitUntil([&] { return seen.swept >= 2; });
  server->Stop(milliseconds(0));
  server->Stop(milliseconds(0));  // does nothing
}

TEST(ConnectionServer, SaysWhyItCannotListen) {
  Reader::Seen seen;
  auto server = StartServer(seen);
  ListenOptions listen;
  listen.address = server->address();
  const auto second = ConnectionServer::Start(listen, 1, Serving(seen));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), Code::kAlreadyExists);
}

}  // namespace
}  // namespace millrace::net::connection_server_test
