// TLS at the beginning of a connection, for listeners whose clients speak it from the first byte:
// the handshake with its time limit, and an answer to clients that speak plain text. What comes out
// is a Stream like any other.
//
// Lives on the connection's loop, as a member of its connections, so that the sweep and Stop reach
// it.
#pragma once

#include <memory>
#include <string>

#include "net/connection_server.h"

namespace millrace::net {

// What all connections of a listener share. Outlives them.
struct TlsListening {
  const TlsIdentity& identity;
  std::chrono::milliseconds handshake_timeout;
  std::string plain_text_answer;
  std::string where;  // the listener, for the log
  TlsCounters counters{};
  std::atomic<int64_t> complain_again_at{0};  // seconds of the steady clock
};

// Goes on to `serve` when the handshake is over. Runs on the loop.
void AcceptTls(asio::ip::tcp::socket socket, ConnectionSlot slot, ConnectionLoop& loop,
               TlsListening& listening, const ConnectionServer::Serve& serve);

}  // namespace millrace::net
