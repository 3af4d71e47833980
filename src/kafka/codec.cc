#include "kafka/codec.h"

namespace millrace::kafka::codec {

uint32_t WireReader::Varint() {
  uint32_t value = 0;
  for (int shift = 0; shift < 35 && ok_; shift += 7) {
    const auto byte = Int<uint8_t>();
    value |= static_cast<uint32_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  Fail();
  return 0;
}

std::string_view WireReader::Take(size_t size) {
  if (size > left_.size()) {
    Fail();
    return {};
  }
  const std::string_view taken = left_.substr(0, size);
  left_.remove_prefix(size);
  return taken;
}

int64_t Decoder::Length(bool is_long) {
  if (flexible_) return static_cast<int64_t>(in_.Varint()) - 1;
  const int64_t length = is_long ? in_.Int<int32_t>() : in_.Int<int16_t>();
  if (length < -1) in_.Fail();
  return length;
}

std::optional<std::string_view> Decoder::Text() {
  const int64_t size = Length(false);
  if (size < 0) return std::nullopt;
  return in_.Take(static_cast<size_t>(size));
}

void Encoder::PutLength(int64_t length, bool is_long) {
  if (flexible_) {
    PutVarint(out_, static_cast<uint64_t>(length + 1));
  } else if (is_long) {
    PutBig(out_, static_cast<int32_t>(length));
  } else {
    PutBig(out_, static_cast<int16_t>(length));
  }
}

}  // namespace millrace::kafka::codec
