// A Connection brings the messages of one client to its Session, and the replies back: the start-up
// with TLS and sign-in, then reading, working on the pool, and sending, one after the other.
// Internal to server.cc.
//
// Lives on the loop of its stream; nothing here is locked. The session is touched by one thread at
// a time: the coroutine waits while the pool works.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "net/await.h"
#include "net/connection_server.h"
#include "net/work_pool.h"
#include "pg/authenticator.h"
#include "pg/cancel_registry.h"
#include "pg/server.h"

namespace millrace::pg {

// What all connections share.
struct ServerShared {
  ServerOptions options;
  runtime::Node& node;
  const auth::Access* access;
  std::shared_ptr<SystemCatalog> catalog;  // the node's system tables show it too
  ServerCounters counters;
  CancelRegistry cancels;
  net::WorkPool pool;

  ServerShared(ServerOptions given, runtime::Node& of, const auth::Access* who,
               std::shared_ptr<SystemCatalog> made)
      : options(std::move(given)),
        node(of),
        access(who),
        catalog(std::move(made)),
        pool(options.pool_threads, options.pool_queue_max) {}
};

class Connection final : public net::ServedConnection,
                         public std::enable_shared_from_this<Connection> {
 public:
  Connection(net::Stream stream, net::ConnectionSlot slot, net::ConnectionLoop& loop,
             ServerShared& shared);
  ~Connection() override;

  // Spawns the coroutine, which keeps the connection alive.
  void Start();
  void StopSoon() override;
  void Abort() override;
  void CheckDeadline() override;

 private:
  static constexpr size_t kReadBytesMin = 1u << 10;
  static constexpr size_t kReadBytesMax = 128u << 10;

  static asio::awaitable<void> Run(std::shared_ptr<Connection> self);
  asio::awaitable<void> Serve();
  // The start-up packet of a client that is to be served; none: there is nothing more to do.
  asio::awaitable<std::optional<StartupPacket>> Greet();
  asio::awaitable<bool> OfferTls();
  asio::awaitable<bool> SignIn(const StartupPacket& startup);
  asio::awaitable<void> Converse();
  asio::awaitable<Session::Next> Work(std::string& out);
  asio::awaitable<bool> WaitForStep();
  asio::awaitable<bool> ReadSome();
  // How much the socket took without a wait; an error shows when the rest is sent.
  size_t SendAtOnce(std::string_view bytes);
  // The bytes outlive the coroutine.
  asio::awaitable<bool> Send(std::string_view bytes);
  // The error outlives the coroutine.
  asio::awaitable<void> Refuse(const Error& error);
  asio::awaitable<void> Pause(std::chrono::milliseconds duration);
  // (Functions that make closures stand outside of the coroutines: README.md of net.)
  std::function<void()> Job(std::string* out, std::function<void(Result<Session::Next>)> done);
  std::shared_ptr<std::function<void()>> OnGone();
  // Sets `come` and ends Pause, from any thread.
  std::function<void()> EndOfPause(std::shared_ptr<std::atomic<bool>> come);
  Session::Next WorkHere(std::string& out);
  void ForgetTaken();
  bool HasMessage() const;
  bool PeerHasGone() const;
  void SetReadDeadline();
  std::string Greeting();

  net::Stream stream_;
  net::ConnectionSlot slot_;
  ServerShared& shared_;
  const std::string peer_;
  const bool is_local_;
  const std::shared_ptr<CancelState> cancel_ = std::make_shared<CancelState>();
  CancelRegistry::Key key_;
  std::unique_ptr<Session> session_;
  std::string in_;
  size_t taken_ = 0;  // of in_
  // Of the next read: as much as the client has been sending.
  size_t read_bytes_ = kReadBytesMin;
  asio::steady_timer timer_;
  std::chrono::steady_clock::time_point read_deadline_;
  std::chrono::steady_clock::time_point write_deadline_ =
      std::chrono::steady_clock::time_point::max();
  bool idle_ = false;  // waits for a message
  bool broken_ = false;
  bool timed_out_ = false;
};

}  // namespace millrace::pg
