// For tests: writes ONNX models of a few nodes, without a library for it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/tensor.h"

namespace millrace::models::testing {

// Protobuf's wire format, as far as onnx.proto needs it.
class Message {
 public:
  Message& Number(uint64_t field, uint64_t value) {
    Varint(field << 3);
    Varint(value);
    return *this;
  }
  Message& Float(uint64_t field, float value) {
    Varint(field << 3 | 5);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  Message& Bytes(uint64_t field, std::string_view value) {
    Varint(field << 3 | 2);
    Varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& Put(uint64_t field, const Message& value) { return Bytes(field, value.bytes()); }
  const std::string& bytes() const { return bytes_; }

 private:
  void Varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(value | 0x80);
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

// TensorProto.DataType.
inline uint64_t OnnxType(ElementType type) {
  constexpr uint64_t kTypes[] = {9, 3, 5, 6, 7, 2, 4, 12, 13, 10, 1, 11, 8};
  return kTypes[static_cast<size_t>(type)];
}

// A dimension of -1 is one of any size.
inline Message ValueInfo(const TensorSpec& spec) {
  Message shape;
  for (const int64_t size : spec.shape) {
    Message dimension;
    if (size < 0) {
      dimension.Bytes(2, "N");
    } else {
      dimension.Number(1, static_cast<uint64_t>(size));
    }
    shape.Put(1, dimension);
  }
  Message tensor;
  tensor.Number(1, OnnxType(spec.type)).Put(2, shape);
  return Message().Bytes(1, spec.name).Put(2, Message().Put(1, tensor));
}

inline Message Floats(std::string_view name, const std::vector<int64_t>& shape,
                      const std::vector<float>& values) {
  Message tensor;
  for (const int64_t size : shape) tensor.Number(1, static_cast<uint64_t>(size));
  tensor.Number(2, OnnxType(ElementType::kFloat32)).Bytes(8, name);
  tensor.Bytes(9, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  return tensor;
}

inline Message Attribute(std::string_view name, int64_t value) {
  return Message().Bytes(1, name).Number(3, static_cast<uint64_t>(value)).Number(20, 2);
}

struct Node {
  std::string op;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
  std::vector<Message> attributes = {};
  std::string domain = {};
};

struct Graph {
  std::vector<Node> nodes;
  std::vector<Message> initializers;
  Signature signature;
};

// The bytes of a ModelProto.
inline std::string ModelBytes(const Graph& graph) {
  Message body;
  for (const Node& node : graph.nodes) {
    Message message;
    for (const std::string& input : node.inputs) message.Bytes(1, input);
    for (const std::string& output : node.outputs) message.Bytes(2, output);
    message.Bytes(4, node.op);
    for (const Message& attribute : node.attributes) message.Put(5, attribute);
    if (!node.domain.empty()) message.Bytes(7, node.domain);
    body.Put(1, message);
  }
  body.Bytes(2, "graph");
  for (const Message& tensor : graph.initializers) body.Put(5, tensor);
  for (const TensorSpec& spec : graph.signature.inputs) body.Put(11, ValueInfo(spec));
  for (const TensorSpec& spec : graph.signature.outputs) body.Put(12, ValueInfo(spec));
  return Message()
      .Number(1, 8)  // IR version
      .Put(7, body)
      .Put(8, Message().Bytes(1, "").Number(2, 17))
      .Put(8, Message().Bytes(1, "ai.onnx.ml").Number(2, 3))
      .bytes();
}

// y = sigmoid(x · weights + bias), of [rows, weights] → [rows, 1]; rows -1: any number.
inline std::string LogisticModel(const std::vector<float>& weights, float bias, int64_t rows = -1) {
  const auto width = static_cast<int64_t>(weights.size());
  return ModelBytes(
      {{{"Gemm", {"x", "w", "b"}, {"z"}}, {"Sigmoid", {"z"}, {"y"}}},
       {Floats("w", {width, 1}, weights), Floats("b", {1}, {bias})},
       {{{"x", ElementType::kFloat32, {rows, width}}}, {{"y", ElementType::kFloat32, {rows, 1}}}}});
}

}  // namespace millrace::models::testing
