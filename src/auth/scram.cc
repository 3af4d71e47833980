#include "auth/scram.h"

#include "auth/crypto.h"

namespace millrace::auth {

namespace {

constexpr size_t kMessageBytesMax = 4096;

Error Malformed(std::string_view what) {
  return Error(Code::kInvalidArgument, "malformed SCRAM message: {}", what);
}

std::string Xor(std::string a, std::string_view b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] = static_cast<char>(a[i] ^ b[i]);
  return a;
}

// Takes "x=value," off the front.
Result<std::string_view> TakeAttribute(std::string_view& text, char name) {
  if (text.size() < 2 || text[0] != name || text[1] != '=')
    return Malformed(fmt::format("attribute {} is missing", name));
  const size_t end = text.find(',');
  const std::string_view value = text.substr(2, end == std::string_view::npos ? end : end - 2);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return value;
}

// "=2C" is a comma, "=3D" an equals sign.
Result<std::string> UnescapeName(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      out += text[i];
      continue;
    }
    const std::string_view code = text.substr(i + 1, 2);
    if (code != "2C" && code != "3D") return Malformed("the user's name");
    out += code == "2C" ? ',' : '=';
    i += 2;
  }
  return out;
}

}  // namespace

ScramVerifier MakeVerifier(std::string_view password, std::string salt, int iterations) {
  const std::string salted = Pbkdf2Sha256(password, salt, iterations);
  ScramVerifier verifier;
  verifier.salt = std::move(salt);
  verifier.iterations = iterations;
  verifier.stored_key = Sha256(HmacSha256(salted, "Client Key"));
  verifier.server_key = HmacSha256(salted, "Server Key");
  return verifier;
}

bool IsPasswordOf(const ScramVerifier& verifier, std::string_view password) {
  const ScramVerifier made = MakeVerifier(password, verifier.salt, verifier.iterations);
  return EqualInConstantTime(made.stored_key, verifier.stored_key);
}

Result<std::string> ScramExchange::ReadClientFirst(std::string_view message) {
  if (message.size() > kMessageBytesMax) return Malformed("too long");
  if (message.starts_with("p="))
    return Error(Code::kInvalidArgument, "SCRAM with channel binding is not offered");
  if (!message.starts_with("n,") && !message.starts_with("y,")) return Malformed("its header");
  const size_t end = message.find(',', 2);
  if (end == std::string_view::npos) return Malformed("its header");
  if (end != 2)
    return Error(Code::kInvalidArgument, "SCRAM on behalf of another user is not offered");
  gs2_header_ = message.substr(0, end + 1);
  std::string_view bare = message.substr(end + 1);
  client_first_bare_ = bare;
  if (bare.starts_with("m=")) return Malformed("a mandatory extension");
  TRY(const std::string_view name, TakeAttribute(bare, 'n'));
  TRY(const std::string_view nonce, TakeAttribute(bare, 'r'));
  if (nonce.empty()) return Malformed("no nonce");
  client_nonce_ = nonce;
  return UnescapeName(name);
}

std::string ScramExchange::ServerFirst(ScramVerifier verifier, std::string_view nonce) {
  verifier_ = std::move(verifier);
  nonce_ = client_nonce_ + std::string(nonce);
  server_first_ =
      fmt::format("r={},s={},i={}", nonce_, Base64(verifier_.salt), verifier_.iterations);
  return server_first_;
}

Result<std::string> ScramExchange::ReadClientFinal(std::string_view message) {
  if (message.size() > kMessageBytesMax) return Malformed("too long");
  std::string_view rest = message;
  TRY(const std::string_view binding, TakeAttribute(rest, 'c'));
  TRY(const std::string_view nonce, TakeAttribute(rest, 'r'));
  const size_t proof_at = message.rfind(",p=");
  if (proof_at == std::string_view::npos) return Malformed("no proof");
  const std::string_view without_proof = message.substr(0, proof_at);
  TRY(const std::string proof, FromBase64(message.substr(proof_at + 3)));
  if (binding != Base64(gs2_header_) || nonce != nonce_ || proof.size() != kSha256Bytes)
    return Malformed("it does not follow the first");
  const std::string signed_text =
      fmt::format("{},{},{}", client_first_bare_, server_first_, without_proof);
  const std::string client_key = Xor(proof, HmacSha256(verifier_.stored_key, signed_text));
  if (!EqualInConstantTime(Sha256(client_key), verifier_.stored_key))
    return Error(Code::kInvalidArgument, "the user or the password is wrong");
  return "v=" + Base64(HmacSha256(verifier_.server_key, signed_text));
}

}  // namespace millrace::auth
