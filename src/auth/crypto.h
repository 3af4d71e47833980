// What authentication needs of cryptography, from OpenSSL. Bytes are strings. Pure functions but
// for RandomBytes; thread-safe. That OpenSSL fails at any of these is a bug or no memory: CHECKed.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::auth {

inline constexpr size_t kSha256Bytes = 32;

// From the operating system's generator.
std::string RandomBytes(size_t size);
std::string Sha256(std::string_view bytes);
std::string HmacSha256(std::string_view key, std::string_view bytes);
// RFC 8018, with HMAC-SHA-256, 32 bytes. Takes milliseconds by intention: not for an I/O thread.
std::string Pbkdf2Sha256(std::string_view password, std::string_view salt, int iterations);
// Takes the same time wherever two strings of one length differ.
bool EqualInConstantTime(std::string_view a, std::string_view b);

std::string Hex(std::string_view bytes);
// RFC 4648, with padding.
std::string Base64(std::string_view bytes);
// kInvalidArgument; the error does not show the text.
Result<std::string> FromBase64(std::string_view text);

}  // namespace millrace::auth
