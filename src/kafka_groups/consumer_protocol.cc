#include "kafka_groups/consumer_protocol.h"

#include "base/coding.h"

namespace millrace::kafka_groups {

namespace {
template <typename T>
Result<T> Big(Reader& reader) {
  TRY(const std::string_view bytes, reader.Raw(sizeof(T)));
  return GetBig<T>(bytes.data());
}
}  // namespace

// version i16, then [topic: i16 length and bytes] with an i32 count, all big-endian.
Result<std::vector<std::string>> ParseSubscribedTopics(std::string_view metadata) {
  Reader reader(metadata);
  TRY(const int16_t version, Big<int16_t>(reader));
  if (version < 0) return Error(Code::kCorruption, "subscription of version {}", version);
  TRY(const int32_t count, Big<int32_t>(reader));
  if (count < 0) return Error(Code::kCorruption, "subscription to {} topics", count);
  std::vector<std::string> topics;
  for (int32_t i = 0; i < count; ++i) {
    TRY(const int16_t length, Big<int16_t>(reader));
    if (length < 0) return Error(Code::kCorruption, "a topic's name has {} bytes", length);
    TRY(const std::string_view name, reader.Raw(static_cast<size_t>(length)));
    topics.emplace_back(name);
  }
  return topics;
}

}  // namespace millrace::kafka_groups
