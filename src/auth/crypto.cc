#include "auth/crypto.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include "base/check.h"

namespace millrace::auth {

namespace {

const unsigned char* In(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* Out(std::string& bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

}  // namespace

std::string RandomBytes(size_t size) {
  std::string out(size, '\0');
  CHECK(RAND_bytes(Out(out), static_cast<int>(size)) == 1);
  return out;
}

std::string Sha256(std::string_view bytes) {
  std::string out(kSha256Bytes, '\0');
  SHA256(In(bytes), bytes.size(), Out(out));
  return out;
}

std::string HmacSha256(std::string_view key, std::string_view bytes) {
  std::string out(kSha256Bytes, '\0');
  unsigned int size = 0;
  const unsigned char* made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                                   In(bytes), bytes.size(), Out(out), &size);
  CHECK(made != nullptr && size == kSha256Bytes);
  return out;
}

std::string Pbkdf2Sha256(std::string_view password, std::string_view salt, int iterations) {
  std::string out(kSha256Bytes, '\0');
  CHECK(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), In(salt),
                          static_cast<int>(salt.size()), iterations, EVP_sha256(),
                          static_cast<int>(out.size()), Out(out)) == 1);
  return out;
}

bool EqualInConstantTime(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string Hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

std::string Base64(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends it with a zero
  const int size = EVP_EncodeBlock(Out(out), In(bytes), static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(size));
  return out;
}

Result<std::string> FromBase64(std::string_view text) {
  const Error wrong(Code::kInvalidArgument, "malformed base64");
  // EVP_DecodeBlock lets white space around the text pass, and counts padding as bytes.
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  const std::string_view letters = text.substr(0, text.size() - padding);
  if (text.size() % 4 != 0 || letters.find_first_not_of(kLetters) != std::string_view::npos)
    return wrong;
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(Out(out), In(text), static_cast<int>(text.size()));
  if (size < 0) return wrong;
  out.resize(static_cast<size_t>(size) - padding);
  return out;
}

}  // namespace millrace::auth
