// WebSocket frames (RFC 6455, section 5) as a server writes and reads them, without extensions.
// Writing: pure functions. Reading: a ClientFrames of each connection, not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace millrace::http {

enum class FrameKind : uint8_t {
  kContinuation = 0x0,
  kText = 0x1,
  kBinary = 0x2,
  kClose = 0x8,
  kPing = 0x9,
  kPong = 0xa,
};

// Why a connection ends (section 7.4.1).
enum class CloseCode : uint16_t {
  kNormal = 1000,
  kGoingAway = 1001,
  kProtocolError = 1002,
  kUnsupportedData = 1003,
  kInvalidText = 1007,
  kPolicy = 1008,
  kTooLarge = 1009,
  kInternal = 1011,
};

inline constexpr size_t kControlPayloadMax = 125;

// What stands before the payload of a frame. `last`: of its message.
std::string FrameHead(FrameKind kind, bool last, size_t payload_bytes);
// A whole control frame. REQUIRES: payload.size() <= kControlPayloadMax.
std::string ControlFrame(FrameKind kind, std::string_view payload);
// The payload of a close frame; the reason is cut to what fits.
std::string ClosePayload(CloseCode code, std::string_view reason);

// Puts the messages of a client together from the bytes that it sends, whatever way the network
// cuts them. Control frames come as they are, also between the frames of a message.
class ClientFrames {
 public:
  struct Message {
    FrameKind kind = FrameKind::kText;  // not kContinuation
    std::string payload;                // unmasked; of kText and the reason of kClose valid UTF-8
  };
  // The client broke the protocol or the limit: nothing of it can be read any more.
  struct Violation {
    CloseCode code = CloseCode::kProtocolError;
    std::string_view reason;  // a constant
  };
  // Nothing: more bytes are needed.
  using Read = std::variant<std::monostate, Message, Violation>;

  // A longer message is refused (kTooLarge) when its frame's head has come.
  explicit ClientFrames(size_t message_bytes_max) : message_bytes_max_(message_bytes_max) {}

  void Add(std::string_view bytes) { received_.append(bytes); }
  // REQUIRES: it has not given a Violation.
  Read Next();

 private:
  struct Head {
    FrameKind kind;
    bool last;
    uint64_t payload_bytes;
    size_t size;  // with the mask
  };
  std::variant<std::monostate, Head, Violation> NextHead() const;
  std::string TakePayload(const Head& head);
  Read TakeControl(const Head& head);
  // A frame of a message; nothing: the message goes on.
  Read TakeData(const Head& head);

  const size_t message_bytes_max_;
  std::string received_;     // of frames that are not whole
  bool in_message_ = false;  // its first frame has come, its last has not
  Message message_;          // what has come of it
};

}  // namespace millrace::http
