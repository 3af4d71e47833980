#include "auth/principals.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "auth/crypto.h"

namespace millrace::auth {

namespace {

constexpr std::string_view kFirstLine = "millrace access 2";
constexpr std::string_view kFirstLineWithoutRates = "millrace access 1";
constexpr size_t kNameBytesMax = 64;
constexpr int kIterationsMax = 10'000'000;

bool IsPlain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' ||
         c == '_' || c == '-';
}

// Field separators and line ends cannot be in a field: what is not plain is written as %XX.
std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    out += IsPlain(c) || c == ':' || c == '*'
               ? std::string(1, c)
               : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Result<std::string> Unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    const std::string_view digits = text.substr(i + 1, 2);
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (digits.size() < 2 || parsed.ptr != digits.data() + 2)
      return Error(Code::kCorruption, "a broken escape");
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

template <typename T>
Result<T> Number(std::string_view text, T max) {
  T value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size() || value < 0 ||
      value > max)
    return Error(Code::kCorruption, "{} is no number that can be here", Quoted(text));
  return value;
}

std::string EncodeScopes(const Scopes& scopes) {
  std::string out;
  for (const Scope& scope : scopes.list()) {
    if (!out.empty()) out += ',';
    out += Escape(ToString(scope));
  }
  return out;
}

Result<Scopes> DecodeScopes(std::string_view text) {
  std::vector<Scope> scopes;
  if (text.empty()) return Scopes();
  for (const std::string_view part : Split(text, ',')) {
    TRY(const std::string plain, Unescape(part));
    TRY(Scope scope, ParseScope(plain));
    scopes.push_back(std::move(scope));
  }
  return Scopes(std::move(scopes));
}

Result<Principal> DecodePrincipal(Principal::Kind kind, std::string_view name,
                                  std::string_view created, std::string_view expires,
                                  std::string_view scopes) {
  Principal principal{kind, std::string(name), {}, {}, {}, {}};
  TRY(CheckUserName(name));
  TRY(principal.created.value, Number<int64_t>(created, INT64_MAX));
  TRY(principal.expires.value, Number<int64_t>(expires, INT64_MAX));
  TRY(principal.scopes, DecodeScopes(scopes));
  return principal;
}

Status DecodeLine(std::string_view line, Principals& out) {
  const std::vector<std::string_view> fields = Split(line, ' ');
  if (fields[0] == "user" && (fields.size() == 9 || fields.size() == 10)) {
    TRY(Principal principal,
        DecodePrincipal(Principal::Kind::kUser, fields[1], fields[2], fields[3], fields[4]));
    User user;
    TRY(user.verifier.iterations, Number<int>(fields[5], kIterationsMax));
    TRY(user.verifier.salt, FromBase64(fields[6]));
    TRY(user.verifier.stored_key, FromBase64(fields[7]));
    TRY(user.verifier.server_key, FromBase64(fields[8]));
    if (user.verifier.iterations < 1 || user.verifier.stored_key.size() != kSha256Bytes ||
        user.verifier.server_key.size() != kSha256Bytes)
      return Error(Code::kCorruption, "a verifier that is none");
    if (fields.size() == 10) {
      TRY(principal.rate, ParseRate(fields[9]));
    }
    user.principal = std::make_shared<const Principal>(std::move(principal));
    out.users[user.principal->name] = user;
    return Ok();
  }
  if (fields[0] == "token" && (fields.size() == 7 || fields.size() == 8)) {
    TRY(Principal principal,
        DecodePrincipal(Principal::Kind::kToken, fields[1], fields[2], fields[3], fields[4]));
    Token token;
    TRY(token.secret_sha256, FromBase64(fields[5]));
    TRY(token.note, Unescape(fields[6]));
    if (token.secret_sha256.size() != kSha256Bytes)
      return Error(Code::kCorruption, "a hash that is none");
    if (fields.size() == 8) {
      TRY(principal.rate, ParseRate(fields[7]));
    }
    token.principal = std::make_shared<const Principal>(std::move(principal));
    out.tokens[token.principal->name] = token;
    return Ok();
  }
  return Error(Code::kCorruption, "neither a user nor a token");
}

std::string Head(const Principal& principal) {
  return fmt::format("{} {} {} {}", principal.name, principal.created.value,
                     principal.expires.value, EncodeScopes(principal.scopes));
}

}  // namespace

std::string Principal::ToString() const {
  return fmt::format("{} {}", kind == Kind::kUser ? "user" : "token", name);
}

std::chrono::microseconds Principal::TakeTurn(RateMeter::TimePoint now) const {
  return rate.limited() ? meter->Take(rate, now) : std::chrono::microseconds(0);
}

Error Principal::OverRate(std::chrono::microseconds wait) const {
  return Error(Code::kOverloaded, "{} may make {} requests: the next one in {:.2f} s", ToString(),
               auth::ToString(rate), std::chrono::duration<double>(wait).count())
      .SqlState("53400");
}

std::string EncodePrincipals(const Principals& principals) {
  std::string out(kFirstLine);
  out += '\n';
  for (const auto& [name, user] : principals.users) {
    const ScramVerifier& verifier = user.verifier;
    out += fmt::format("user {} {} {} {} {} {}\n", Head(*user.principal), verifier.iterations,
                       Base64(verifier.salt), Base64(verifier.stored_key),
                       Base64(verifier.server_key), auth::ToString(user.principal->rate));
  }
  for (const auto& [id, token] : principals.tokens) {
    out += fmt::format("token {} {} {} {}\n", Head(*token.principal), Base64(token.secret_sha256),
                       Escape(token.note), auth::ToString(token.principal->rate));
  }
  return out + "sha256 " + Hex(Sha256(out)) + "\n";
}

Result<Principals> DecodePrincipals(std::string_view text) {
  const size_t sum_at = text.rfind("sha256 ");
  if (sum_at == std::string_view::npos ||
      text.substr(sum_at) != "sha256 " + Hex(Sha256(text.substr(0, sum_at))) + "\n")
    return Error(Code::kCorruption, "its checksum does not fit: it was damaged or edited by hand");
  std::vector<std::string_view> lines = Split(text.substr(0, sum_at), '\n');
  lines.pop_back();  // behind the last line's end
  if (lines.empty() || (lines.front() != kFirstLine && lines.front() != kFirstLineWithoutRates))
    return Error(Code::kCorruption, "it does not begin with {}", Quoted(kFirstLine));
  Principals principals;
  for (size_t i = 1; i < lines.size(); ++i) {
    if (Status status = DecodeLine(lines[i], principals); !status.ok())
      return std::move(status).error().With(fmt::format("line {}", i + 1));
  }
  return principals;
}

Status CheckUserName(std::string_view name) {
  if (!name.empty() && name.size() <= kNameBytesMax &&
      std::all_of(name.begin(), name.end(), IsPlain))
    return Ok();
  return Error(Code::kInvalidArgument, "{} cannot be a user's name", Quoted(name))
      .Hint(fmt::format("letters, digits, '.', '_' and '-', at most {} of them", kNameBytesMax));
}

}  // namespace millrace::auth
