// Tensors: what a model takes and gives. Plain values.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"

namespace millrace::models {

// In the names of the Open Inference Protocol: FP32, INT64, BYTES (texts), ….
enum class ElementType {
  kBool,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kFloat16,
  kFloat32,
  kFloat64,
  kText,
};
inline constexpr ElementType kLastElementType = ElementType::kText;

std::string_view NameOf(ElementType type);  // "FP32"
size_t BytesOf(ElementType type);           // of one element; 0: kText

// IEEE 754 half precision, as bits. To: rounds to nearest, ties to even.
float FromHalf(uint16_t half);
uint16_t ToHalf(float value);

struct Tensor {
  ElementType type = ElementType::kFloat32;
  std::vector<int64_t> shape;
  std::string bytes;               // the elements one after the other, little-endian; kText: none
  std::vector<std::string> texts;  // of kText

  size_t elements() const;  // that the shape asks for
  // REQUIRES: T has the size of the type, and i is one of the elements.
  template <typename T>
  T At(size_t i) const {
    T value;
    CHECK((i + 1) * sizeof(T) <= bytes.size());
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    return value;
  }
  template <typename T>
  void Append(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
};

// Of a model's input or output. Shape: -1 where any number goes.
struct TensorSpec {
  std::string name;
  ElementType type = ElementType::kFloat32;
  std::vector<int64_t> shape;
  bool operator==(const TensorSpec&) const = default;
};
// "FP32[-1,4]"
std::string ToString(const TensorSpec& spec);

struct Signature {
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
};
// "(x FP32[-1,4]) -> (label INT64[-1], probabilities FP32[-1,2])"
std::string ToString(const Signature& signature);

}  // namespace millrace::models
