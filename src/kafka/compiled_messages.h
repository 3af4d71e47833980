// Compiles Decode and EncodeInto for messages. Only for the messages_*.cc, which share the work out
// so that no file takes long.
#pragma once

#include "kafka/codec.h"
#include "kafka/messages.h"

namespace millrace::kafka {

template <typename M>
Result<M> Decode(std::string_view bytes, int16_t version) {
  codec::Decoder decoder(bytes, version, version >= M::kInfo.flexible_from);
  M message;
  decoder.Struct(message);
  if (!decoder.ok())
    return Error(Code::kCorruption, "malformed {} of version {}", M::kInfo.name, version);
  // What stands behind a message is passed over, as Kafka does: librdkafka 2 sends three bytes too
  // many with a Metadata request for all topics.
  return message;
}

template <typename M>
void EncodeInto(std::string& out, const M& message, int16_t version) {
  codec::Encoder encoder(out, version, version >= M::kInfo.flexible_from);
  // Fields() serves both directions and so is not const; the encoder only reads.
  encoder.Struct(const_cast<M&>(message));
}

#define MILLRACE_KAFKA_COMPILE(Name)                                                 \
  template Result<Name##Request> Decode<Name##Request>(std::string_view, int16_t);   \
  template Result<Name##Response> Decode<Name##Response>(std::string_view, int16_t); \
  template void EncodeInto(std::string&, const Name##Request&, int16_t);             \
  template void EncodeInto(std::string&, const Name##Response&, int16_t);

}  // namespace millrace::kafka
