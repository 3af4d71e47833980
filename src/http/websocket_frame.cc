#include "http/websocket_frame.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/utf8.h"

namespace millrace::http {
namespace {

constexpr uint8_t kLastBit = 0x80, kReservedBits = 0x70, kKindBits = 0x0f;
constexpr uint8_t kMaskBit = 0x80, kLengthBits = 0x7f;
constexpr uint8_t kLength16 = 126, kLength64 = 127;
constexpr size_t kMaskBytes = 4;
constexpr size_t kCloseCodeBytes = 2;

using Violation = ClientFrames::Violation;

void AppendBigEndian(std::string& out, uint64_t value, size_t bytes) {
  for (size_t i = bytes; i-- > 0;) out += static_cast<char>(value >> (8 * i));
}

uint64_t ReadBigEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

bool IsControl(FrameKind kind) { return static_cast<uint8_t>(kind) >= 0x8; }

bool IsKnown(uint8_t kind) {
  return kind <= static_cast<uint8_t>(FrameKind::kBinary) ||
         (kind >= static_cast<uint8_t>(FrameKind::kClose) &&
          kind <= static_cast<uint8_t>(FrameKind::kPong));
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

// The codes that may stand in a close frame (section 7.4, and those that IANA lists since).
bool MayBeSent(uint64_t code) {
  return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
         (code >= 3000 && code <= 4999);
}

}  // namespace

std::string FrameHead(FrameKind kind, bool last, size_t payload_bytes) {
  std::string out;
  out += static_cast<char>(static_cast<uint8_t>(kind) | (last ? kLastBit : 0));
  if (payload_bytes < kLength16) {
    out += static_cast<char>(payload_bytes);
  } else if (payload_bytes <= UINT16_MAX) {
    out += static_cast<char>(kLength16);
    AppendBigEndian(out, payload_bytes, sizeof(uint16_t));
  } else {
    out += static_cast<char>(kLength64);
    AppendBigEndian(out, payload_bytes, sizeof(uint64_t));
  }
  return out;
}

std::string ControlFrame(FrameKind kind, std::string_view payload) {
  CHECK(IsControl(kind) && payload.size() <= kControlPayloadMax);
  return FrameHead(kind, /*last=*/true, payload.size()).append(payload);
}

std::string ClosePayload(CloseCode code, std::string_view reason) {
  std::string out;
  AppendBigEndian(out, static_cast<uint16_t>(code), kCloseCodeBytes);
  // Whole characters only: the client must find UTF-8.
  while (!reason.empty()) {
    const size_t length = std::max<size_t>(Utf8Length(reason), 1);
    if (out.size() + length > kControlPayloadMax) break;
    out += reason.substr(0, length);
    reason.remove_prefix(length);
  }
  return out;
}

ClientFrames::Read ClientFrames::Next() {
  while (true) {
    const auto found = NextHead();
    if (const auto* violation = std::get_if<Violation>(&found)) return *violation;
    const auto* head = std::get_if<Head>(&found);
    if (head == nullptr || received_.size() - head->size < head->payload_bytes) return {};
    Read read = IsControl(head->kind) ? TakeControl(*head) : TakeData(*head);
    if (!std::holds_alternative<std::monostate>(read)) return read;
  }
}

// All that can be wrong about a frame but its payload, before any of that is kept.
std::variant<std::monostate, ClientFrames::Head, Violation> ClientFrames::NextHead() const {
  constexpr size_t kFixed = 2;
  if (received_.size() < kFixed) return {};
  const auto first = static_cast<uint8_t>(received_[0]);
  const auto second = static_cast<uint8_t>(received_[1]);
  const auto wrong = [](std::string_view reason) {
    return Violation{CloseCode::kProtocolError, reason};
  };
  if ((first & kReservedBits) != 0) return wrong("a reserved bit is set; no extension was agreed");
  if (!IsKnown(first & kKindBits)) return wrong("the frame is of no known kind");
  if ((second & kMaskBit) == 0) return wrong("frames of a client must be masked");
  Head head{static_cast<FrameKind>(first & kKindBits), (first & kLastBit) != 0,
            static_cast<uint64_t>(second & kLengthBits), kFixed + kMaskBytes};
  if (IsControl(head.kind)) {
    if (!head.last) return wrong("a control frame cannot be in parts");
    if (head.payload_bytes > kControlPayloadMax) return wrong("the control frame is too long");
  } else if ((head.kind == FrameKind::kContinuation) != in_message_) {
    return wrong(in_message_ ? "a message begins before the last one has ended"
                             : "there is no message that could go on");
  }
  if (head.payload_bytes >= kLength16) {
    const size_t bytes = head.payload_bytes == kLength16 ? sizeof(uint16_t) : sizeof(uint64_t);
    if (received_.size() < kFixed + bytes) return {};
    head.payload_bytes = ReadBigEndian(std::string_view(received_).substr(kFixed, bytes));
    head.size += bytes;
    const bool shortest = bytes == sizeof(uint16_t) ? head.payload_bytes >= kLength16
                                                    : head.payload_bytes > UINT16_MAX;
    if (!shortest) return wrong("the length is not in its shortest form");
    if (head.payload_bytes >> 63 != 0) return wrong("the length has its highest bit set");
  }
  // Not of a control frame, which is short.
  if (!IsControl(head.kind) && head.payload_bytes > message_bytes_max_ - message_.payload.size())
    return Violation{CloseCode::kTooLarge, "the message is too long"};
  if (received_.size() < head.size) return {};
  return head;
}

// REQUIRES: all of the frame has come.
std::string ClientFrames::TakePayload(const Head& head) {
  const size_t mask = head.size - kMaskBytes;
  std::string payload = received_.substr(head.size, static_cast<size_t>(head.payload_bytes));
  for (size_t i = 0; i < payload.size(); ++i)
    payload[i] = static_cast<char>(payload[i] ^ received_[mask + i % kMaskBytes]);
  received_.erase(0, head.size + payload.size());
  return payload;
}

ClientFrames::Read ClientFrames::TakeControl(const Head& head) {
  Message message{head.kind, TakePayload(head)};
  if (head.kind != FrameKind::kClose || message.payload.empty()) return message;
  const std::string_view payload = message.payload;
  if (payload.size() < kCloseCodeBytes || !MayBeSent(ReadBigEndian(payload.substr(0, 2))))
    return Violation{CloseCode::kProtocolError, "the close frame has no valid code"};
  if (!IsUtf8(payload.substr(kCloseCodeBytes)))
    return Violation{CloseCode::kInvalidText, "the reason of the close frame is no UTF-8"};
  return message;
}

ClientFrames::Read ClientFrames::TakeData(const Head& head) {
  if (!in_message_) message_.kind = head.kind;
  message_.payload += TakePayload(head);
  in_message_ = !head.last;
  if (in_message_) return {};
  Message whole = std::exchange(message_, {});
  if (whole.kind == FrameKind::kText && !IsUtf8(whole.payload))
    return Violation{CloseCode::kInvalidText, "the message is no UTF-8"};
  return whole;
}

}  // namespace millrace::http
