#include "kafka/backend.h"

#include <cstring>

#include "base/coding.h"

namespace millrace::kafka {

namespace {
// Before the number, so that an id of another system is not taken for one of ours.
constexpr std::string_view kUuidPrefix = "millrace";
}  // namespace

Uuid UuidOf(log::TopicId id) {
  std::string bytes(kUuidPrefix);
  PutBig(bytes, id.value);
  Uuid uuid;
  static_assert(std::tuple_size_v<Uuid> == kUuidPrefix.size() + sizeof(id.value));
  std::memcpy(uuid.data(), bytes.data(), uuid.size());
  return uuid;
}

std::optional<log::TopicId> TopicIdOf(const Uuid& uuid) {
  const char* bytes = reinterpret_cast<const char*>(uuid.data());
  if (std::string_view(bytes, kUuidPrefix.size()) != kUuidPrefix) return std::nullopt;
  return log::TopicId{GetBig<uint64_t>(bytes + kUuidPrefix.size())};
}

}  // namespace millrace::kafka
