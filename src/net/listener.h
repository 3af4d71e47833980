// A Listener accepts connections at one address and hands them out to the I/O threads.
//
// At most `connections_max` are open at a time: one more is closed at once and counted as refused.
// When the process runs out of descriptors or memory, accepting pauses for 100 ms instead of
// spinning. Thread-safe. Stop before the IoThreads stop.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "net/asio.h"
#include "net/io_threads.h"

namespace millrace::net {

class TlsIdentity;

struct ListenOptions {
  Address address;
  // The port is a default that nobody named: when it is taken, a free one replaces it, with a
  // warning in the log.
  bool any_port_if_taken = false;
  size_t connections_max = 20'000;
  // Clients speak TLS from the first byte; nullptr: plain text. Outlives the listener. The rest is
  // of TLS only.
  const TlsIdentity* tls = nullptr;
  std::chrono::milliseconds handshake_timeout{10'000};
  std::string plain_text_answer = {};  // to a client that speaks plain text, before it is closed
};

struct ListenerCounters {
  explicit ListenerCounters(size_t loops) : open_on(loops) {}

  std::atomic<int64_t> open{0};
  std::vector<std::atomic<int64_t>> open_on;  // of each I/O thread
  std::atomic<int64_t> accepted{0};
  std::atomic<int64_t> refused{0};        // over connections_max
  std::atomic<int64_t> accept_errors{0};  // out of descriptors, of memory
};

// Counts a connection as open for as long as it lives.
class ConnectionSlot {
 public:
  ConnectionSlot(std::shared_ptr<ListenerCounters> counters, size_t loop)
      : counters_(std::move(counters)), loop_(loop) {
    counters_->open.fetch_add(1);
    counters_->open_on[loop_].fetch_add(1);
  }
  ConnectionSlot(ConnectionSlot&&) = default;
  ConnectionSlot& operator=(ConnectionSlot&&) = delete;
  ~ConnectionSlot() {
    if (!counters_) return;
    counters_->open_on[loop_].fetch_sub(1);
    counters_->open.fetch_sub(1);
  }

 private:
  std::shared_ptr<ListenerCounters> counters_;
  size_t loop_;
};

class Listener {
 public:
  // Called on the thread of the listener; the socket belongs to the loop of its executor: spawn
  // there.
  using OnConnection = std::function<void(asio::ip::tcp::socket, ConnectionSlot)>;

  // Errors: kAlreadyExists (the port is taken), kInvalidArgument (no such host), kIo.
  static Result<std::unique_ptr<Listener>> Open(IoThreads& threads, const ListenOptions& options,
                                                OnConnection on_connection);
  ~Listener();

  // Where it really listens.
  const Address& address() const { return address_; }
  const ListenerCounters& counters() const { return *counters_; }
  // Takes no connections any more. Returns when the port is free.
  void Stop();

 private:
  Listener(IoThreads& threads, asio::ip::tcp::acceptor acceptor, const ListenOptions& options,
           OnConnection on_connection);
  asio::awaitable<void> AcceptLoop();
  // The I/O thread with the fewest connections. Few connections leave one thread out, whose core
  // the rest of the node has for itself; many, as of live pages, take them all.
  size_t LoopOfNext() const;

  IoThreads& threads_;
  asio::ip::tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  Address address_;
  size_t connections_max_;
  OnConnection on_connection_;
  std::shared_ptr<ListenerCounters> counters_;
  std::atomic<bool> stopping_{false};
  std::promise<void> ended_;
  std::atomic<bool> joined_{false};
};

}  // namespace millrace::net
