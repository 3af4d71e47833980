#include "pg/authenticator.h"

#include "auth/crypto.h"
#include "pg/message.h"

namespace millrace::pg {

namespace {

constexpr std::string_view kMechanism = "SCRAM-SHA-256";
constexpr size_t kNonceBytes = 24;
constexpr int32_t kCleartext = 3, kSasl = 10, kSaslContinue = 11, kSaslFinal = 12;

void AppendRequest(int32_t kind, std::string_view data, std::string& out) {
  MessageWriter message(out);
  message.Begin('R');
  message.Int32(kind);
  message.Bytes(data);
  message.End();
}

}  // namespace

Authenticator::Authenticator(const auth::Access* access, std::string user, bool confidential)
    : access_(access), user_(std::move(user)), confidential_(confidential) {}

Error Authenticator::Refused() const {
  return Error(Code::kInvalidArgument, "password authentication failed for user {}", Quoted(user_))
      .SqlState("28P01");
}

Result<std::string> Authenticator::Begin() {
  std::string out;
  if (access_ == nullptr || !access_->required()) {
    state_ = State::kDone;
    return out;
  }
  if (user_ == kTokenUser && access_->FindUser(user_) == nullptr) {
    if (!confidential_) {
      return Error(Code::kInvalidArgument,
                   "a token is taken as a password only under TLS or from this machine")
          .Hint("set sslmode=require, or sign in as a user")
          .SqlState("28000");
    }
    state_ = State::kPassword;
    AppendRequest(kCleartext, {}, out);
    return out;
  }
  state_ = State::kScramFirst;
  AppendRequest(kSasl, std::string(kMechanism) + std::string(2, '\0'), out);
  return out;
}

Result<bool> Authenticator::SignIn(auth::PrincipalPtr principal) {
  if (principal == nullptr) return Refused();
  using auth::Permission;
  if (!principal->scopes.Allow(Permission::kSql, "") &&
      !principal->scopes.Allow(Permission::kAdmin, "")) {
    return Error(Code::kInvalidArgument, "{} has no scope sql", principal->ToString())
        .Hint("with scope sql one reads and changes rows; definitions are for admin")
        .SqlState("42501");
  }
  principal_ = std::move(principal);
  state_ = State::kDone;
  return true;
}

Result<bool> Authenticator::Step(std::string_view body, std::string& out) {
  switch (state_) {
    case State::kPassword: {
      TRY(const std::string_view password, ParseText(body));
      Result<auth::PrincipalPtr> principal = access_->CheckToken(password);
      if (!principal.ok()) return Refused();
      return SignIn(*std::move(principal));
    }
    case State::kScramFirst: {
      MessageReader reader(body);
      const std::string_view mechanism = reader.Text();
      const int32_t size = reader.Int32();
      const std::string_view first = reader.Bytes(size < 0 ? 0 : static_cast<size_t>(size));
      TRY(reader.Finish());
      if (mechanism != kMechanism) {
        return Error(Code::kInvalidArgument, "client selected an invalid SASL mechanism")
            .SqlState("08P01");
      }
      // The user is the one of the start-up packet; clients leave it out here.
      auto named = scram_.ReadClientFirst(first);
      if (!named.ok())
        return Error(Code::kInvalidArgument, "malformed SCRAM message").SqlState("08P01");
      state_ = State::kScramFinal;
      AppendRequest(kSaslContinue,
                    scram_.ServerFirst(access_->VerifierOf(user_),
                                       auth::Base64(auth::RandomBytes(kNonceBytes))),
                    out);
      return false;
    }
    case State::kScramFinal: {
      const Result<std::string> answer = scram_.ReadClientFinal(body);
      if (!answer.ok()) return Refused();
      TRY(const bool signed_in, SignIn(access_->FindUser(user_)));
      AppendRequest(kSaslFinal, *answer, out);
      return signed_in;
    }
    default:
      return Error(Code::kInvalidArgument, "no password was asked for").SqlState("08P01");
  }
}

}  // namespace millrace::pg
