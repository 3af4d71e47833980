// How long the JSON of a value may be. Bounded by the value's own size as well: ten bytes of Avro
// can stand for any number of nulls, two bytes of Protobuf for a message whose fields all hold
// defaults.
#pragma once

#include <algorithm>
#include <cstddef>

namespace millrace::schemas {

inline constexpr size_t kJsonBytesMax = size_t{64} << 20;
inline constexpr size_t kJsonBytesAlways = size_t{64} << 10;
// A field's name is longer than its value by so much at most, in any sensible schema.
inline constexpr size_t kJsonBytesPerByte = 256;

constexpr size_t JsonBytesMax(size_t value_bytes) {
  if (value_bytes >= kJsonBytesMax / kJsonBytesPerByte) return kJsonBytesMax;
  return std::max(kJsonBytesAlways, value_bytes * kJsonBytesPerByte);
}

}  // namespace millrace::schemas
