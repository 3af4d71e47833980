// Small files that must not be lost to one damaged byte hold their content twice: magic, two equal
// copies, the magic again. A copy: size u64, CRC32C u32 (seeded with the low half of the size), the
// content. The second copy is found from the end of the file, so it does not depend on the first.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::log {

inline constexpr size_t kMagicBytes = 8;

// REQUIRES: magic.size() == kMagicBytes.
std::string EncodeDoubled(std::string_view magic, std::string_view content);
// Whether this magic stands at either end.
bool HasMagic(std::string_view bytes, std::string_view magic);
// The content. kCorruption: neither copy is whole.
Result<std::string_view> DecodeDoubled(std::string_view bytes);

}  // namespace millrace::log
