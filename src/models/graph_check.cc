#include "models/graph_check.h"

#include <array>
#include <optional>

namespace millrace::models {
namespace {

// The numbers of fields in onnx.proto, of messages and of what is looked at in them.
constexpr uint64_t kModelGraph = 7, kModelFunctions = 25;
constexpr uint64_t kFunctionNode = 7;
constexpr uint64_t kGraphNode = 1, kGraphInitializer = 5;
constexpr uint64_t kNodeOperator = 4, kNodeAttribute = 5;
constexpr uint64_t kAttributeTensor = 5, kAttributeGraph = 6, kAttributeTensors = 10,
                   kAttributeGraphs = 11;
constexpr uint64_t kTensorName = 8, kTensorLocation = 14, kLocationExternal = 1;
constexpr int kNestingMax = 32;

constexpr std::array<std::string_view, 6> kRandom = {"RandomNormal",     "RandomUniform",
                                                     "RandomNormalLike", "RandomUniformLike",
                                                     "Multinomial",      "Bernoulli"};

Error NoModel() {
  return Error(Code::kInvalidArgument, "it is no ONNX model, or a damaged one")
      .Hint("onnx.checker.check_model(file) says more");
}

struct Field {
  uint64_t number = 0;
  uint64_t varint = 0;     // of wire type 0
  std::string_view bytes;  // of wire type 2
};

// The fields of one message, one after the other.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  // nullopt: the end.
  Result<std::optional<Field>> Next() {
    if (rest_.empty()) return std::optional<Field>();
    TRY(const uint64_t key, Varint());
    Field field;
    field.number = key >> 3;
    switch (key & 7) {
      case 0: {
        TRY(field.varint, Varint());
        return std::optional(field);
      }
      case 1:
        TRY(Take(8));
        return std::optional(field);
      case 2: {
        TRY(const uint64_t size, Varint());
        TRY(field.bytes, Take(size));
        return std::optional(field);
      }
      case 5:
        TRY(Take(4));
        return std::optional(field);
      default:
        return NoModel();
    }
  }

 private:
  Result<uint64_t> Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
      const auto byte = static_cast<uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return NoModel();
  }
  Result<std::string_view> Take(uint64_t size) {
    if (size > rest_.size()) return NoModel();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
};

// Calls `visit` with each field.
template <typename Visit>
Status ForEach(std::string_view message, const Visit& visit) {
  Fields fields(message);
  while (true) {
    TRY(const std::optional<Field> field, fields.Next());
    if (!field) return Ok();
    TRY(visit(*field));
  }
}

Status CheckTensor(std::string_view tensor) {
  std::string_view name;
  bool external = false;
  TRY(ForEach(tensor, [&](const Field& field) -> Status {
    if (field.number == kTensorName) name = field.bytes;
    if (field.number == kTensorLocation) external = field.varint == kLocationExternal;
    return Ok();
  }));
  if (!external) return Ok();
  return Error(Code::kInvalidArgument, "the weights {} stand in another file", Quoted(name))
      .Hint("save the model as one file: onnx.save(onnx.load(path), path)");
}

Status CheckNodes(std::string_view graph, uint64_t node_field, int depth);

Status CheckAttribute(std::string_view attribute, int depth) {
  return ForEach(attribute, [&](const Field& field) -> Status {
    if (field.number == kAttributeGraph || field.number == kAttributeGraphs)
      return CheckNodes(field.bytes, kGraphNode, depth + 1);
    if (field.number == kAttributeTensor || field.number == kAttributeTensors)
      return CheckTensor(field.bytes);
    return Ok();
  });
}

Status CheckNode(std::string_view node, int depth) {
  return ForEach(node, [&](const Field& field) -> Status {
    if (field.number == kNodeAttribute) return CheckAttribute(field.bytes, depth);
    if (field.number != kNodeOperator) return Ok();
    for (const std::string_view random : kRandom) {
      if (field.bytes != random) continue;
      return Error(Code::kNotSupported,
                   "the operator {} draws random numbers: the same row would not always have the "
                   "same score",
                   random)
          .Hint("export the model for inference, without it");
    }
    return Ok();
  });
}

Status CheckNodes(std::string_view graph, uint64_t node_field, int depth) {
  if (depth > kNestingMax) return NoModel();
  return ForEach(graph, [&](const Field& field) -> Status {
    if (field.number == node_field) return CheckNode(field.bytes, depth);
    if (field.number == kGraphInitializer && node_field == kGraphNode)
      return CheckTensor(field.bytes);
    return Ok();
  });
}

}  // namespace

Status CheckGraph(std::string_view bytes) {
  bool has_graph = false;
  TRY(ForEach(bytes, [&](const Field& field) -> Status {
    if (field.number == kModelFunctions) return CheckNodes(field.bytes, kFunctionNode, 0);
    if (field.number != kModelGraph) return Ok();
    has_graph = true;
    return CheckNodes(field.bytes, kGraphNode, 0);
  }));
  return has_graph ? Ok() : Status(NoModel());
}

}  // namespace millrace::models
