#include "kafka/request.h"

namespace millrace::kafka {

Result<Request> ParseRequest(std::string_view bytes) {
  codec::WireReader in(bytes);
  Request request;
  const auto key = in.Int<int16_t>();
  request.version = in.Int<int16_t>();
  request.correlation_id = in.Int<int32_t>();
  const auto client_id_size = in.Int<int16_t>();
  if (!in.ok() || client_id_size < -1) return Error(Code::kCorruption, "malformed request header");
  request.api = FindApi(key);
  if (request.api == nullptr) return Error(Code::kNotSupported, "API {} is not served", key);
  const Api& api = *request.api;
  const bool known = request.version >= api.version_min && request.version <= api.version_max;
  if (!known && api.key != ApiKey::kApiVersions) {
    return Error(Code::kNotSupported, "{} of version {} is not served; versions {} to {} are",
                 api.name, request.version, api.version_min, api.version_max);
  }
  if (client_id_size > 0) request.client_id = in.Take(static_cast<size_t>(client_id_size));
  if (request.version >= api.flexible_from && known) {
    for (uint32_t tags = in.Varint(); tags > 0 && in.ok(); --tags) {
      in.Varint();
      in.Take(in.Varint());
    }
  }
  if (!in.ok()) return Error(Code::kCorruption, "malformed request header");
  request.body = bytes.substr(bytes.size() - in.left());
  return request;
}

void BeginReply(const Request& request, Reply& reply) {
  PutBig(reply.bytes, int32_t{0});  // the size, filled in by EndReply
  PutBig(reply.bytes, request.correlation_id);
  // ApiVersions always answers with the oldest header: its client does not know yet what we speak.
  const bool tagged =
      request.version >= request.api->flexible_from && request.api->key != ApiKey::kApiVersions;
  if (tagged) reply.bytes += '\0';
}

void EndReply(Reply& reply) {
  std::string size;
  PutBig(size, static_cast<int32_t>(reply.bytes.size() - sizeof(int32_t)));
  reply.bytes.replace(0, size.size(), size);
}

}  // namespace millrace::kafka
