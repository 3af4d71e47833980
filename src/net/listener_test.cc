#include "net/listener.h"

#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <thread>

#include "net/await.h"
#include "net/http_client.h"

namespace millrace::net::listener_test {
namespace {

ListenOptions OnFreePort() {
  ListenOptions options;
  options.address = {"127.0.0.1", 0};
  return options;
}

// Connections that a listener handed out, kept open until told otherwise.
struct Kept {
  std::mutex mutex;
  std::vector<std::pair<asio::ip::tcp::socket, ConnectionSlot>> connections;

  Listener::OnConnection Keep() {
    return [this](asio::ip::tcp::socket socket, ConnectionSlot slot) {
      std::lock_guard lock(mutex);
      connections.emplace_back(std::move(socket), std::move(slot));
    };
  }
};

void WaitUntil(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

TEST(Listener, PicksAPortWhenAskedForPortZero) {
  IoThreads threads(1);
  Kept kept;
  auto listener = Listener::Open(threads, OnFreePort(), kept.Keep());
  ASSERT_TRUE(listener.ok());
  EXPECT_NE((*listener)->address().port, 0);
}

TEST(Listener, FailsOnANamedPortThatIsTakenAndReplacesADefaultOne) {
  IoThreads threads(1);
  Kept kept;
  auto first = Listener::Open(threads, OnFreePort(), kept.Keep());
  ASSERT_TRUE(first.ok());
  ListenOptions options;
  options.address = (*first)->address();
  auto named = Listener::Open(threads, options, kept.Keep());
  ASSERT_FALSE(named.ok());
  EXPECT_EQ(named.error().code(), Code::kAlreadyExists);
  options.any_port_if_taken = true;
  auto replaced = Listener::Open(threads, options, kept.Keep());
  ASSERT_TRUE(replaced.ok());
  EXPECT_NE((*replaced)->address().port, (*first)->address().port);
}

// With the sanitizer, Stop that does not wait for the closing of its socket shows within a few.
TEST(Listener, GoesBeforeItsLoopHasBegun) {
  IoThreads threads(1);
  for (int i = 0; i < 50; ++i) {
    Kept kept;
    std::promise<void> go;
    asio::post(threads.context(0), [&] { go.get_future().wait(); });
    auto listener = Listener::Open(threads, OnFreePort(), kept.Keep());
    ASSERT_TRUE(listener.ok());
    std::thread later([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      go.set_value();
    });
    listener->reset();
    later.join();
  }
}

TEST(Listener, ClosesConnectionsBeyondItsLimitAndTakesNewOnesWhenThereIsRoom) {
  IoThreads threads(1);
  Kept kept;
  ListenOptions options = OnFreePort();
  options.connections_max = 2;
  auto listener = Listener::Open(threads, options, kept.Keep());
  ASSERT_TRUE(listener.ok());
  const asio::ip::tcp::endpoint endpoint(asio::ip::make_address("127.0.0.1"),
                                         (*listener)->address().port);
  asio::io_context context;
  std::vector<asio::ip::tcp::socket> clients;
  for (int i = 0; i < 3; ++i) clients.emplace_back(context).connect(endpoint);
  WaitUntil([&] { return (*listener)->counters().refused == 1; });
  EXPECT_EQ((*listener)->counters().open, 2);
  {
    std::lock_guard lock(kept.mutex);
    kept.connections.clear();
  }
  clients.emplace_back(context).connect(endpoint);
  WaitUntil([&] { return (*listener)->counters().accepted == 3; });
  (*listener)->Stop();
  kept.connections.clear();
}

TEST(Listener, LeavesOneThreadOutUntilConnectionsAreMany) {
  IoThreads threads(3);
  Kept kept;
  auto listener = Listener::Open(threads, OnFreePort(), kept.Keep());
  ASSERT_TRUE(listener.ok());
  const auto& counters = (*listener)->counters();
  const asio::ip::tcp::endpoint endpoint(asio::ip::make_address("127.0.0.1"),
                                         (*listener)->address().port);
  asio::io_context context;
  std::vector<asio::ip::tcp::socket> clients;
  const auto connect = [&](size_t count) {
    while (clients.size() < count) clients.emplace_back(context).connect(endpoint);
    WaitUntil([&] { return counters.open == static_cast<int64_t>(count); });
  };
  connect(10);
  EXPECT_EQ(counters.open_on[0], 5);
  EXPECT_EQ(counters.open_on[1], 5);
  EXPECT_EQ(counters.open_on[2], 0);
  connect(1100);
  EXPECT_GE(counters.open_on[2], 90);
  (*listener)->Stop();
  kept.connections.clear();
  EXPECT_EQ(counters.open_on[2], 0);
}

TEST(Waiting, ResumesTheCoroutineWithWhatAnotherThreadFoundAndIgnoresLateCallbacks) {
  IoThreads threads(1);
  std::promise<int> got;
  std::function<void(Result<int>)> callback;
  std::promise<void> waits;
  asio::co_spawn(
      threads.context(0),
      [&]() -> asio::awaitable<void> {
        Waiting<int> waiting;
        callback = waiting.Callback();
        waits.set_value();
        auto result = co_await waiting.Get();
        got.set_value(result.ok() ? *result : -1);
      },
      asio::detached);
  waits.get_future().wait();
  callback(42);
  EXPECT_EQ(got.get_future().get(), 42);
  threads.Stop();
  callback(43);  // nobody waits, and the event loop has ended
}

TEST(HttpClient, SaysThatNobodyListens) {
  IoThreads threads(1);
  Kept kept;
  auto listener = Listener::Open(threads, OnFreePort(), kept.Keep());
  ASSERT_TRUE(listener.ok());
  const Address address = (*listener)->address();
  (*listener)->Stop();
  HttpClient client(address);
  auto answer = client.Get("/");
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), Code::kUnavailable);
}

TEST(HttpClient, GivesUpOnAServerThatDoesNotAnswer) {
  IoThreads threads(1);
  Kept kept;
  auto listener = Listener::Open(threads, OnFreePort(), kept.Keep());
  ASSERT_TRUE(listener.ok());
  ClientOptions options;
  options.idle_timeout = std::chrono::milliseconds(50);
  HttpClient client((*listener)->address(), options);
  auto answer = client.Get("/");
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code(), Code::kTimeout);
  (*listener)->Stop();
  kept.connections.clear();
}

}  // namespace
}  // namespace millrace::net::listener_test
