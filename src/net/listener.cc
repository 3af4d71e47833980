#include "net/listener.h"

#include <algorithm>

#include "base/logging.h"

namespace millrace::net {
namespace {

constexpr std::chrono::milliseconds kPauseAfterError{100};
constexpr int64_t kFewConnections = 1'000;

Result<asio::ip::tcp::acceptor> Bind(asio::io_context& context,
                                     const asio::ip::tcp::endpoint& endpoint, ErrorCode& error) {
  asio::ip::tcp::acceptor acceptor(context);
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return Error(Code::kIo, "{}", error.message());
  return acceptor;
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::Open(IoThreads& threads, const ListenOptions& options,
                                                 OnConnection on_connection) {
  const std::string where = ToString(options.address);
  asio::io_context& context = threads.context(0);
  ErrorCode error;
  asio::ip::tcp::resolver resolver(context);
  const auto found =
      resolver.resolve(options.address.host, std::to_string(options.address.port), error);
  if (error || found.empty()) {
    return Error(Code::kInvalidArgument, "listen on {}: {}", where, error.message())
        .Hint("the host must be an address or a name of this machine");
  }
  asio::ip::tcp::endpoint endpoint = found.begin()->endpoint();
  auto acceptor = Bind(context, endpoint, error);
  if (error == asio::error::address_in_use && options.any_port_if_taken) {
    endpoint.port(0);
    acceptor = Bind(context, endpoint, error);
    if (acceptor.ok()) {
      LOG_WARNING("port is taken, another one was picked", "wanted={} port={}", where,
                  acceptor->local_endpoint(error).port());
    }
  }
  if (error == asio::error::address_in_use) {
    return Error(Code::kAlreadyExists, "listen on {}: the port is taken by another program", where)
        .Hint("stop it, or name another port (port 0 picks a free one)");
  }
  if (!acceptor.ok()) return std::move(acceptor).error().With(fmt::format("listen on {}", where));
  std::unique_ptr<Listener> listener(
      new Listener(threads, std::move(acceptor).value(), options, std::move(on_connection)));
  asio::co_spawn(context, listener->AcceptLoop(), asio::detached);
  return listener;
}

Listener::Listener(IoThreads& threads, asio::ip::tcp::acceptor acceptor,
                   const ListenOptions& options, OnConnection on_connection)
    : threads_(threads),
      acceptor_(std::move(acceptor)),
      pause_(acceptor_.get_executor()),
      address_(options.address),
      connections_max_(options.connections_max),
      on_connection_(std::move(on_connection)),
      counters_(std::make_shared<ListenerCounters>(threads.size())) {
  ErrorCode error;
  address_.port = acceptor_.local_endpoint(error).port();
}

Listener::~Listener() { Stop(); }

void Listener::Stop() {
  if (joined_.exchange(true)) return;
  stopping_ = true;
  std::promise<void> closed;
  asio::post(acceptor_.get_executor(), [&] {
    ErrorCode ignored;  // closing a listening socket has no error that anybody could act on
    acceptor_.close(ignored);
    pause_.cancel();
    closed.set_value();
  });
  // Both: a loop that had not begun ends before the socket is closed.
  closed.get_future().wait();
  ended_.get_future().wait();
}

size_t Listener::LoopOfNext() const {
  const auto& open_on = counters_->open_on;
  const size_t spare = counters_->open.load() < kFewConnections && open_on.size() > 1 ? 1 : 0;
  const auto end = open_on.end() - static_cast<std::ptrdiff_t>(spare);
  return static_cast<size_t>(std::min_element(open_on.begin(), end) - open_on.begin());
}

asio::awaitable<void> Listener::AcceptLoop() {
  bool warned = false;
  while (!stopping_) {
    const size_t loop = LoopOfNext();
    asio::ip::tcp::socket socket(threads_.context(loop));
    ErrorCode error;
    co_await acceptor_.async_accept(socket, WithError(error));
    if (stopping_) break;
    if (error == asio::error::connection_aborted) continue;  // the peer gave up while it was queued
    if (error) {
      counters_->accept_errors.fetch_add(1);
      if (!warned) {
        LOG_WARNING("cannot accept connections for now", "address={} error=\"{}\"",
                    ToString(address_), error.message());
      }
      warned = true;
      pause_.expires_after(kPauseAfterError);
      co_await pause_.async_wait(WithError(error));
      continue;
    }
    warned = false;
    if (counters_->open.load() >= static_cast<int64_t>(connections_max_)) {
      counters_->refused.fetch_add(1);
      continue;  // the socket closes here
    }
    counters_->accepted.fetch_add(1);
    socket.set_option(asio::ip::tcp::no_delay(true), error);
    on_connection_(std::move(socket), ConnectionSlot(counters_, loop));
  }
  ended_.set_value();
}

}  // namespace millrace::net
