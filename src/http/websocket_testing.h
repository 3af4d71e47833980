// What a WebSocket client sends. For tests only.
#pragma once

#include <string>
#include <string_view>

#include "http/websocket_frame.h"

namespace millrace::http {

// A frame as a client sends it: masked.
inline std::string ClientFrame(FrameKind kind, bool last, std::string_view payload) {
  constexpr std::string_view kMask = "\x11\x22\x33\x44";
  std::string out = FrameHead(kind, last, payload.size());
  out[1] = static_cast<char>(out[1] | 0x80);
  out += kMask;
  for (size_t i = 0; i < payload.size(); ++i)
    out += static_cast<char>(payload[i] ^ kMask[i % kMask.size()]);
  return out;
}

}  // namespace millrace::http
