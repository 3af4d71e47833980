#include "models/tensor.h"

#include <array>
#include <bit>

#include "base/error.h"

namespace millrace::models {
namespace {

struct TypeFacts {
  std::string_view name;
  size_t bytes;
};
constexpr std::array<TypeFacts, static_cast<size_t>(kLastElementType) + 1> kFacts = {
    {{"BOOL", 1},
     {"INT8", 1},
     {"INT16", 2},
     {"INT32", 4},
     {"INT64", 8},
     {"UINT8", 1},
     {"UINT16", 2},
     {"UINT32", 4},
     {"UINT64", 8},
     {"FP16", 2},
     {"FP32", 4},
     {"FP64", 8},
     {"BYTES", 0}}};

std::string ToString(const std::vector<TensorSpec>& specs) {
  std::string text;
  for (const TensorSpec& spec : specs)
    text += (text.empty() ? "" : ", ") + spec.name + " " + models::ToString(spec);
  return "(" + text + ")";
}

}  // namespace

std::string_view NameOf(ElementType type) { return kFacts[static_cast<size_t>(type)].name; }
size_t BytesOf(ElementType type) { return kFacts[static_cast<size_t>(type)].bytes; }

float FromHalf(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
  const uint32_t exponent = (half >> 10) & 0x1Fu;
  const uint32_t fraction = half & 0x3FFu;
  if (exponent == 0x1F) return std::bit_cast<float>(sign | 0x7F800000u | fraction << 13);
  if (exponent != 0) return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  const float tiny = static_cast<float>(fraction) * 0x1p-24f;  // zero and subnormals
  return sign != 0 ? -tiny : tiny;
}

uint16_t ToHalf(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);   // NaN
  if (magnitude >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);  // too large
  const auto round = [](uint32_t kept, uint32_t rest, uint32_t half) {
    return kept + ((rest > half || (rest == half && (kept & 1u) != 0)) ? 1u : 0u);
  };
  if (magnitude >= 0x38800000u) {  // normal: 13 bits of the fraction go
    const uint32_t shifted = magnitude - (112u << 23);
    return static_cast<uint16_t>(sign | round(shifted >> 13, shifted & 0x1FFFu, 0x1000u));
  }
  if (magnitude < 0x33000000u) return sign;  // less than half of the least subnormal
  const uint32_t shift = 126u - (magnitude >> 23);
  const uint32_t fraction = (magnitude & 0x7FFFFFu) | 0x800000u;
  return static_cast<uint16_t>(
      sign | round(fraction >> shift, fraction & ((1u << shift) - 1), 1u << (shift - 1)));
}

size_t Tensor::elements() const {
  size_t count = 1;
  for (const int64_t dimension : shape) count *= static_cast<size_t>(dimension);
  return count;
}

std::string ToString(const TensorSpec& spec) {
  std::string text(NameOf(spec.type));
  text += '[';
  for (size_t i = 0; i < spec.shape.size(); ++i)
    text += (i == 0 ? "" : ",") + std::to_string(spec.shape[i]);
  return text + "]";
}

std::string ToString(const Signature& signature) {
  return ToString(signature.inputs) + " -> " + ToString(signature.outputs);
}

}  // namespace millrace::models
