#include "net/tls_accept.h"

#include <sys/socket.h>

#include "base/clock.h"
#include "base/logging.h"
#include "net/tls_identity.h"

namespace millrace::net {
namespace {

using Socket = asio::ip::tcp::socket;

// The first byte of TLS: a record of the handshake. No HTTP request and no size of a Kafka request
// begins with it.
constexpr char kTlsFirstByte = 0x16;
constexpr std::chrono::seconds kComplainEvery{10};
// What is read of plain text, so that the client sees the answer and not a reset.
constexpr size_t kPlainTextBytesMax = 256u << 10;
constexpr std::chrono::seconds kPlainTextTime{2};

class TlsAccept final : public ServedConnection {
 public:
  TlsAccept(Socket socket, ConnectionSlot slot, ConnectionLoop& loop, TlsListening& listening,
            const ConnectionServer::Serve& serve)
      : ServedConnection(loop),
        stream_(std::move(socket)),
        slot_(std::move(slot)),
        listening_(listening),
        serve_(serve),
        deadline_(loop.now + listening.handshake_timeout) {}

  static asio::awaitable<void> Run(std::unique_ptr<TlsAccept> self) { co_await self->Begin(); }

  // Again with every sweep: a cancellation that comes between two waits is lost.
  void CheckDeadline() override {
    if (loop_.now >= deadline_) stream_.Cancel();
  }
  void StopSoon() override { stream_.Cancel(); }
  void Abort() override { stream_.Cancel(); }

 private:
  enum class First { kTls, kPlainText, kNothing };

  asio::awaitable<void> Begin() {
    if (loop_.stopping) co_return;
    const First first = co_await ReadFirst();
    if (first == First::kNothing) {
      // Scanners, and balancers that look whether somebody listens: not worth a word.
      listening_.counters.failures.fetch_add(1);
      co_return;
    }
    if (first == First::kPlainText) {
      co_await AnswerPlainText();
      co_return;
    }
    auto session = listening_.identity.Accept(stream_.socket().native_handle());
    const Status done = co_await stream_.StartTls(std::move(session));
    if (!done.ok()) {
      listening_.counters.failures.fetch_add(1);
      if (!loop_.stopping) Complain(done.error().message());
      co_return;
    }
    listening_.counters.handshakes.fetch_add(1);
    // Before this one goes: Stop waits until there is no connection.
    serve_(std::move(stream_), std::move(slot_), loop_);
  }

  asio::awaitable<First> ReadFirst() {
    ErrorCode error;
    co_await stream_.socket().async_wait(Socket::wait_read, WithError(error));
    char byte = 0;
    if (error || ::recv(stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1) {
      co_return First::kNothing;
    }
    co_return byte == kTlsFirstByte ? First::kTls : First::kPlainText;
  }

  asio::awaitable<void> AnswerPlainText() {
    listening_.counters.plain_text.fetch_add(1);
    Complain("the client speaks plain text, and here is TLS");
    deadline_ = loop_.now + kPlainTextTime;
    const std::string& answer = listening_.plain_text_answer;
    ErrorCode error;
    // It fits into the socket's buffer, or this client does without.
    if (!answer.empty()) stream_.TryWrite(answer.data(), answer.size(), error);
    stream_.SendEnd();
    std::string dropped(16u << 10, '\0');
    size_t bytes = 0;
    while (!error && bytes < kPlainTextBytesMax) {
      const size_t got = co_await stream_.Read(dropped.data(), dropped.size(), error);
      bytes += got;
    }
  }

  // Whoever reaches the port can make these: the log gets one of them now and then.
  void Complain(std::string_view why) const {
    const int64_t now =
        std::chrono::duration_cast<std::chrono::seconds>(Tick().time_since_epoch()).count();
    int64_t again_at = listening_.complain_again_at.load();
    if (now < again_at || !listening_.complain_again_at.compare_exchange_strong(
                              again_at, now + kComplainEvery.count())) {
      return;
    }
    LOG_WARNING("a TLS handshake failed", "listener={} peer={} error=\"{}\"", listening_.where,
                stream_.PeerHost(), why);
  }

  Stream stream_;
  ConnectionSlot slot_;
  TlsListening& listening_;
  const ConnectionServer::Serve& serve_;
  std::chrono::steady_clock::time_point deadline_;
};

}  // namespace

void AcceptTls(Socket socket, ConnectionSlot slot, ConnectionLoop& loop, TlsListening& listening,
               const ConnectionServer::Serve& serve) {
  auto accepting =
      std::make_unique<TlsAccept>(std::move(socket), std::move(slot), loop, listening, serve);
  asio::co_spawn(loop.context, TlsAccept::Run(std::move(accepting)), asio::detached);
}

}  // namespace millrace::net
