#include "kafka/sasl.h"

#include <algorithm>

#include "auth/crypto.h"
#include "base/logging.h"
#include "kafka/service.h"

namespace millrace::kafka {

namespace {

constexpr std::string_view kPlain = "PLAIN";
constexpr std::string_view kScram = "SCRAM-SHA-256";
constexpr size_t kNonceBytes = 24;
// Whoever guesses passwords waits this long for each answer.
constexpr std::chrono::milliseconds kFailureDelay{250};

Error Malformed() { return Error(Code::kInvalidArgument, "malformed token"); }

}  // namespace

Status SaslSession::Admit(Request& request) {
  if (access_ == nullptr || !access_->required()) return Ok();
  if (principal_ != nullptr) {
    const auth::PrincipalPtr now = access_->Renew(principal_);
    if (now == nullptr) {
      return Error(Code::kInvalidArgument, "{} is revoked, dropped, replaced or expired",
                   principal_->ToString());
    }
    principal_ = now;
  }
  const ApiKey key = request.api->key;
  if (key == ApiKey::kApiVersions || key == ApiKey::kSaslHandshake ||
      key == ApiKey::kSaslAuthenticate)
    return Ok();
  if (principal_ == nullptr) {
    return Error(Code::kInvalidArgument, "{} came from a client that has not signed in",
                 request.api->name)
        .Hint("it is to set security.protocol=SASL_PLAINTEXT and a mechanism");
  }
  request.principal = principal_;
  return Ok();
}

SaslHandshakeResponse SaslSession::Handshake(const Request& request,
                                             const SaslHandshakeRequest& message) {
  SaslHandshakeResponse response;
  if (access_ != nullptr) response.mechanisms = {std::string(kPlain), std::string(kScram)};
  if (state_ != State::kIdle) {
    response.error_code = ErrorCode::kIllegalSaslState;
    failed_ = true;
  } else if (access_ != nullptr && message.mechanism == kPlain) {
    state_ = State::kPlain;
  } else if (access_ != nullptr && message.mechanism == kScram) {
    state_ = State::kScramFirst;
    scram_ = {};
  } else {
    response.error_code = ErrorCode::kUnsupportedSaslMechanism;
  }
  bare_ = request.version == 0;
  return response;
}

asio::awaitable<SaslAuthenticateResponse> SaslSession::Authenticate(std::string token) {
  SaslAuthenticateResponse response;
  if (state_ == State::kIdle) {
    failed_ = true;
    response.error_code = ErrorCode::kIllegalSaslState;
    response.error_message = "a handshake comes first";
    co_return response;
  }
  const Result<std::string> answer = co_await Step(token);
  if (answer.ok()) {
    response.auth_bytes.value = *answer;
    if (state_ == State::kIdle && principal_->expires.value != 0) {
      const int64_t left = principal_->expires.value - Clock::System().Now().value;
      response.session_lifetime_ms = std::max<int64_t>(left / 1000, 1);
    }
    co_return response;
  }
  failed_ = true;
  state_ = State::kIdle;
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer pause(executor, kFailureDelay);
  millrace::ErrorCode ignored;  // an early end of the pause is a pause
  co_await pause.async_wait(WithError(ignored));
  response.error_code = ErrorCode::kSaslAuthenticationFailed;
  // The same whatever is wrong of the two.
  response.error_message = answer.error().code() == Code::kOverloaded
                               ? "the node has too much to do: try again"
                               : "authentication failed: unknown user, or wrong password or token";
  LOG_WARNING("a Kafka client could not sign in", "error=\"{}\"", answer.error().message());
  co_return response;
}

asio::awaitable<Result<std::string>> SaslSession::Step(const std::string& token) {
  if (state_ == State::kScramFirst) co_return CheckScramFirst(token);
  if (state_ == State::kScramFinal) co_return CheckScramFinal(token);
  Result<std::string> checked = co_await CheckPlain(token);
  co_return checked;
}

asio::awaitable<Result<std::string>> SaslSession::CheckPlain(const std::string& token) {
  const size_t first = token.find('\0');
  const size_t second = first == std::string::npos ? first : token.find('\0', first + 1);
  if (second == std::string::npos) co_return Malformed();
  const std::string acts_as = token.substr(0, first);
  const std::string name = token.substr(first + 1, second - first - 1);
  const std::string password = token.substr(second + 1);
  if (password.size() > auth::kPasswordBytesMax || (!acts_as.empty() && acts_as != name))
    co_return Malformed();
  const std::function<Result<auth::PrincipalPtr>()> work = [&] {
    return access_->CheckPassword(name, password);
  };
  const Result<auth::PrincipalPtr> principal = co_await RunOn<auth::PrincipalPtr>(pool_, work);
  if (!principal.ok()) co_return principal.error();
  const Status signed_in = SignIn(*principal);
  if (!signed_in.ok()) co_return signed_in.error();
  co_return std::string();
}

Result<std::string> SaslSession::CheckScramFirst(const std::string& token) {
  TRY(scram_user_, scram_.ReadClientFirst(token));
  state_ = State::kScramFinal;
  const std::string nonce = auth::Base64(auth::RandomBytes(kNonceBytes));
  return scram_.ServerFirst(access_->VerifierOf(scram_user_), nonce);
}

Result<std::string> SaslSession::CheckScramFinal(const std::string& token) {
  TRY(std::string answer, scram_.ReadClientFinal(token));
  TRY(SignIn(access_->FindUser(scram_user_)));
  return answer;
}

Status SaslSession::SignIn(auth::PrincipalPtr principal) {
  if (principal == nullptr) return Error(Code::kInvalidArgument, "the user was dropped just now");
  if (principal_ != nullptr &&
      (principal_->kind != principal->kind || principal_->name != principal->name))
    return Error(Code::kInvalidArgument, "{} cannot become {}", principal_->ToString(),
                 principal->ToString());
  principal_ = std::move(principal);
  state_ = State::kIdle;
  return Ok();
}

}  // namespace millrace::kafka
