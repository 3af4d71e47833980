// A ConnectionServer is what the listeners of all protocols have in common: a Listener, the I/O
// threads that its connections live on, their time limits, and their end.
//
// A protocol makes a ServedConnection of each accepted stream, on the loop that it will live on;
// where the listener has TLS, when the handshake is over (tls_accept.h). It is a member of that
// loop's set from its constructor to its destructor, so that the sweep (twice a second) can end
// what waits too long, and Stop can end all.
//
// Thread-safe. A ServedConnection is touched on its own loop only.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "net/asio.h"
#include "net/io_threads.h"
#include "net/listener.h"
#include "net/stream.h"

namespace millrace::net {

class ServedConnection;

// The connections of one I/O thread, and the clock of their time limits.
struct ConnectionLoop {
  asio::io_context& context;
  size_t index;              // of the I/O thread
  asio::steady_timer sweep;  // ends waits that took too long
  // As of the last sweep: limits of time need no clock call a request.
  std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now();
  std::unordered_set<ServedConnection*> connections;
  bool stopping = false;
  std::atomic<int64_t>& live;  // connections of all loops

  ConnectionLoop(asio::io_context& io_context, size_t at, std::atomic<int64_t>& all)
      : context(io_context), index(at), sweep(io_context), live(all) {}
};

class ServedConnection {
 public:
  // Joins the loop, which runs this.
  explicit ServedConnection(ConnectionLoop& loop) : loop_(loop) {
    loop_.live.fetch_add(1);
    loop_.connections.insert(this);
  }
  virtual ~ServedConnection() {
    loop_.connections.erase(this);
    loop_.live.fetch_sub(1);
  }
  ServedConnection(const ServedConnection&) = delete;
  ServedConnection& operator=(const ServedConnection&) = delete;

  // Called by the sweep: ends what waits for longer than it may. None of the three may destroy a
  // connection at once: they wake its coroutine, which does.
  virtual void CheckDeadline() = 0;
  // Takes no further request; what is being answered is. An idle connection ends. Called again and
  // again until it has ended.
  virtual void StopSoon() = 0;
  // Ends whatever it waits for.
  virtual void Abort() = 0;

 protected:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr TimePoint kNever = TimePoint::max();

  // What other connections of this loop have sent is worked on first. Before an answer that took
  // microseconds, so that answers go out one after the other: a client that sleeps is woken by the
  // first of them, and finds the rest.
  asio::awaitable<void> LetOthersGoFirst();

  // Sends all bytes; false: the stream ended before. The peer has `timeout` for each part that it
  // takes: `deadline` says until when, and is kNever at the end.
  asio::awaitable<bool> SendFully(Stream& stream, std::string_view bytes,
                                  std::chrono::milliseconds timeout, TimePoint& deadline);

  ConnectionLoop& loop_;
};

struct TlsCounters {
  std::atomic<int64_t> handshakes{0};  // that came to a good end
  std::atomic<int64_t> failures{0};    // that did not, or not in time
  std::atomic<int64_t> plain_text{0};  // clients that did not speak TLS
};
struct TlsListening;

class ConnectionServer {
 public:
  // Makes a connection of the stream and starts it; runs on the connection's loop.
  using Serve = std::function<void(Stream, ConnectionSlot, ConnectionLoop&)>;

  // Errors are those of Listener::Open. REQUIRES: io_threads > 0.
  static Result<std::unique_ptr<ConnectionServer>> Start(const ListenOptions& listen,
                                                         int io_threads, Serve serve);
  ~ConnectionServer();

  const Address& address() const { return listener_->address(); }
  const ListenerCounters& counters() const { return listener_->counters(); }
  // nullptr: plain text.
  const TlsCounters* tls_counters() const;
  // Prometheus text of the listener's TLS, as PREFIX_tls_handshakes_total; empty in plain text.
  std::string TlsMetrics(std::string_view prefix) const;

  // No new connections; idle ones end; what is being answered gets `drain` to finish, then it is
  // cut. `stopping` runs once all have been told: it wakes what waits outside of the connections.
  // Returns when all have ended. Further calls do nothing.
  void Stop(std::chrono::milliseconds drain, const std::function<void()>& stopping = {});

 private:
  ConnectionServer(const ListenOptions& listen, int io_threads, Serve serve);
  void EachLoop(const std::function<void(ConnectionLoop&)>& action);
  bool WaitForEnd(std::chrono::milliseconds limit) const;
  void OnConnection(asio::ip::tcp::socket socket, ConnectionSlot slot);
  static asio::awaitable<void> Sweep(ConnectionLoop& loop);

  const Serve serve_;
  const std::unique_ptr<TlsListening> tls_;  // nullptr: plain text
  std::atomic<int64_t> live_{0};
  std::unique_ptr<IoThreads> threads_;
  std::vector<std::unique_ptr<ConnectionLoop>> loops_;  // their timers live in the event loops
  std::unique_ptr<Listener> listener_;
  bool stopped_ = false;
};

// One metric in Prometheus' text format.
std::string MetricText(std::string_view name, std::string_view type, std::string_view help,
                       int64_t value);

}  // namespace millrace::net
