// Messages by which a client signs in.
//
// One description for both directions; message.h says how to read it. Field names and versions are
// those of the Kafka protocol: https://kafka.apache.org/protocol.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kafka/message.h"

namespace millrace::kafka {

struct SaslHandshakeRequest {
  static constexpr MessageInfo kInfo{"SaslHandshakeRequest", ApiKey::kSaslHandshake,
                                     kNeverFlexible};
  std::string mechanism;
  template <typename V>
  void Fields(V& v) {
    v("Mechanism", mechanism, Since(0));
  }
  bool operator==(const SaslHandshakeRequest&) const = default;
};

struct SaslHandshakeResponse {
  static constexpr MessageInfo kInfo{"SaslHandshakeResponse", ApiKey::kSaslHandshake,
                                     kNeverFlexible};
  ErrorCode error_code = ErrorCode::kNone;
  std::vector<std::string> mechanisms;
  template <typename V>
  void Fields(V& v) {
    v("ErrorCode", error_code, Since(0));
    v("Mechanisms", mechanisms, Since(0));
  }
  bool operator==(const SaslHandshakeResponse&) const = default;
};

struct SaslAuthenticateRequest {
  static constexpr MessageInfo kInfo{"SaslAuthenticateRequest", ApiKey::kSaslAuthenticate, 2};
  Bytes auth_bytes;
  template <typename V>
  void Fields(V& v) {
    v("AuthBytes", auth_bytes, Since(0));
  }
  bool operator==(const SaslAuthenticateRequest&) const = default;
};

struct SaslAuthenticateResponse {
  static constexpr MessageInfo kInfo{"SaslAuthenticateResponse", ApiKey::kSaslAuthenticate, 2};
  ErrorCode error_code = ErrorCode::kNone;
  std::optional<std::string> error_message;
  Bytes auth_bytes;
  int64_t session_lifetime_ms = 0;
  template <typename V>
  void Fields(V& v) {
    v("ErrorCode", error_code, Since(0));
    v("ErrorMessage", error_message, Since(0).NullSince(0));
    v("AuthBytes", auth_bytes, Since(0));
    v("SessionLifetimeMs", session_lifetime_ms, Since(1));
  }
  bool operator==(const SaslAuthenticateResponse&) const = default;
};

}  // namespace millrace::kafka
