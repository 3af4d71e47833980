#include "http/model_json.h"

#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "http/json_build.h"
#include "http/problem.h"
#include "rows/json_parse.h"

namespace millrace::http {
namespace {

using models::ElementType;
using models::Tensor;
using models::TensorSpec;
using simdjson::dom::element;

constexpr int kDataNestingMax = 16;
constexpr size_t kVersionDigits = 12;

Error BadData(const TensorSpec& spec, std::string_view what) {
  return Error(Code::kInvalidArgument, "input {}: {}", Quoted(spec.name), what)
      .Hint(fmt::format("it is {}", models::ToString(spec)));
}

template <typename T>
Status AppendInteger(const TensorSpec& spec, const element& json, Tensor& tensor) {
  int64_t small = 0;
  uint64_t large = 0;
  bool fits = false;
  T value{};
  if (json.get(small) == simdjson::SUCCESS) {
    fits = std::in_range<T>(small);
    value = static_cast<T>(small);
  } else if (json.get(large) == simdjson::SUCCESS) {
    fits = std::in_range<T>(large);
    value = static_cast<T>(large);
  }
  if (!fits)
    return BadData(spec,
                   fmt::format("{} is no {}", simdjson::minify(json), models::NameOf(spec.type)));
  tensor.Append(value);
  return Ok();
}

Result<double> ReadNumber(const TensorSpec& spec, const element& json) {
  double value = 0;
  if (json.is_number() && json.get(value) == simdjson::SUCCESS) return value;
  std::string_view text;
  if (json.get(text) == simdjson::SUCCESS) {
    if (text == "NaN") return std::numeric_limits<double>::quiet_NaN();
    if (text == "Infinity") return std::numeric_limits<double>::infinity();
    if (text == "-Infinity") return -std::numeric_limits<double>::infinity();
  }
  return BadData(spec,
                 fmt::format("{} is no {}", simdjson::minify(json), models::NameOf(spec.type)));
}

Status AppendElement(const TensorSpec& spec, const element& json, Tensor& tensor) {
  switch (spec.type) {
    case ElementType::kBool: {
      bool value = false;
      if (json.get(value) != simdjson::SUCCESS)
        return BadData(spec, fmt::format("{} is no BOOL", simdjson::minify(json)));
      tensor.Append(static_cast<uint8_t>(value ? 1 : 0));
      return Ok();
    }
    case ElementType::kInt8:
      return AppendInteger<int8_t>(spec, json, tensor);
    case ElementType::kInt16:
      return AppendInteger<int16_t>(spec, json, tensor);
    case ElementType::kInt32:
      return AppendInteger<int32_t>(spec, json, tensor);
    case ElementType::kInt64:
      return AppendInteger<int64_t>(spec, json, tensor);
    case ElementType::kUint8:
      return AppendInteger<uint8_t>(spec, json, tensor);
    case ElementType::kUint16:
      return AppendInteger<uint16_t>(spec, json, tensor);
    case ElementType::kUint32:
      return AppendInteger<uint32_t>(spec, json, tensor);
    case ElementType::kUint64:
      return AppendInteger<uint64_t>(spec, json, tensor);
    case ElementType::kFloat16:
    case ElementType::kFloat32:
    case ElementType::kFloat64: {
      TRY(const double value, ReadNumber(spec, json));
      if (spec.type == ElementType::kFloat64) {
        tensor.Append(value);
      } else if (spec.type == ElementType::kFloat32) {
        tensor.Append(static_cast<float>(value));
      } else {
        tensor.Append(models::ToHalf(static_cast<float>(value)));
      }
      return Ok();
    }
    case ElementType::kText: {
      std::string_view text;
      if (json.get(text) != simdjson::SUCCESS)
        return BadData(spec, fmt::format("{} is no text", simdjson::minify(json)));
      tensor.texts.emplace_back(text);
      return Ok();
    }
  }
  return BadData(spec, "its type is unknown");
}

// Flat, or nested as the shape is: row by row either way.
Status AppendData(const TensorSpec& spec, const element& json, int depth, Tensor& tensor,
                  size_t& count) {
  simdjson::dom::array array;
  if (json.get(array) != simdjson::SUCCESS) {
    ++count;
    return AppendElement(spec, json, tensor);
  }
  if (depth == kDataNestingMax) return BadData(spec, "its data is nested too deeply");
  for (const element item : array) TRY(AppendData(spec, item, depth + 1, tensor, count));
  return Ok();
}

Status ReadShape(const TensorSpec& spec, const element& json, Tensor& tensor) {
  simdjson::dom::array shape;
  if (json["shape"].get(shape) != simdjson::SUCCESS) return BadData(spec, "it has no shape");
  for (const element item : shape) {
    int64_t size = 0;
    if (item.get(size) != simdjson::SUCCESS || size < 0 ||
        size > std::numeric_limits<int32_t>::max())
      return BadData(spec, "its shape is not a list of sizes");
    tensor.shape.push_back(size);
  }
  bool fits = tensor.shape.size() == spec.shape.size();
  for (size_t i = 0; fits && i < spec.shape.size(); ++i)
    fits = spec.shape[i] < 0 || spec.shape[i] == tensor.shape[i];
  if (fits) return Ok();
  return BadData(spec, fmt::format("its shape is [{}]", fmt::join(tensor.shape, ",")));
}

Result<Tensor> ReadInput(const TensorSpec& spec, const element& json) {
  Tensor tensor;
  tensor.type = spec.type;
  std::string_view type;
  if (json["datatype"].get(type) != simdjson::SUCCESS) return BadData(spec, "it has no datatype");
  if (type != models::NameOf(spec.type))
    return BadData(spec, fmt::format("its datatype is {}", type));
  TRY(ReadShape(spec, json, tensor));
  element data;
  if (json["data"].get(data) != simdjson::SUCCESS || !data.is_array())
    return BadData(spec, "it has no data (binary data is not taken)");
  size_t count = 0;
  TRY(AppendData(spec, data, 0, tensor, count));
  double wanted = 1;  // sizes may multiply to more than 64 bits hold
  for (const int64_t size : tensor.shape) wanted *= static_cast<double>(size);
  if (static_cast<double>(count) != wanted) {
    return BadData(spec, fmt::format("it has {} elements, and its shape [{}] asks for {}", count,
                                     fmt::join(tensor.shape, ","), wanted));
  }
  return tensor;
}

// The place of the tensor of this name.
Result<size_t> Find(const std::vector<TensorSpec>& specs, const element& json,
                    std::string_view what) {
  std::string_view name;
  if (json["name"].get(name) != simdjson::SUCCESS)
    return BadJson(fmt::format("an {} has no name", what));
  std::vector<std::string> names;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (specs[i].name == name) return i;
    names.push_back(specs[i].name);
  }
  std::string hint = DidYouMean(name, names);
  if (hint.empty()) hint = fmt::format("the {}s are {}", what, fmt::join(names, ", "));
  return Error(Code::kInvalidArgument, "the model has no {} {}", what, Quoted(name))
      .Hint(std::move(hint));
}

Result<std::vector<Tensor>> ReadInputs(const element& json, const std::vector<TensorSpec>& specs) {
  simdjson::dom::array given;
  if (json["inputs"].get(given) != simdjson::SUCCESS)
    return BadJson("it has no inputs")
        .Hint(R"(send {"inputs": [{"name": …, "shape": […], "datatype": …, "data": […]}]})");
  std::vector<Tensor> inputs(specs.size());
  std::vector<bool> filled(specs.size(), false);
  for (const element item : given) {
    TRY(const size_t at, Find(specs, item, "input"));
    if (filled[at]) return BadData(specs[at], "it stands twice");
    filled[at] = true;
    TRY(inputs[at], ReadInput(specs[at], item));
  }
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!filled[i]) return BadData(specs[i], "it is missing");
  }
  return inputs;
}

Result<std::vector<size_t>> ReadOutputs(const element& json, const std::vector<TensorSpec>& specs) {
  std::vector<size_t> outputs;
  simdjson::dom::array asked;
  if (json["outputs"].get(asked) == simdjson::SUCCESS) {
    for (const element item : asked) {
      TRY(const size_t at, Find(specs, item, "output"));
      outputs.push_back(at);
    }
  }
  if (!outputs.empty()) return outputs;
  outputs.resize(specs.size());
  std::iota(outputs.begin(), outputs.end(), size_t{0});
  return outputs;
}

// ---- answers

template <typename T>
std::string FloatText(T value) {
  if (std::isnan(value)) return "\"NaN\"";
  if (std::isinf(value)) return value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
  return fmt::format("{}", value);
}

std::string ElementText(const Tensor& tensor, size_t i) {
  switch (tensor.type) {
    case ElementType::kBool:
      return tensor.At<uint8_t>(i) != 0 ? "true" : "false";
    case ElementType::kInt8:
      return std::to_string(tensor.At<int8_t>(i));
    case ElementType::kInt16:
      return std::to_string(tensor.At<int16_t>(i));
    case ElementType::kInt32:
      return std::to_string(tensor.At<int32_t>(i));
    case ElementType::kInt64:
      return std::to_string(tensor.At<int64_t>(i));
    case ElementType::kUint8:
      return std::to_string(tensor.At<uint8_t>(i));
    case ElementType::kUint16:
      return std::to_string(tensor.At<uint16_t>(i));
    case ElementType::kUint32:
      return std::to_string(tensor.At<uint32_t>(i));
    case ElementType::kUint64:
      return std::to_string(tensor.At<uint64_t>(i));
    case ElementType::kFloat16:
      return FloatText(models::FromHalf(tensor.At<uint16_t>(i)));
    case ElementType::kFloat32:
      return FloatText(tensor.At<float>(i));
    case ElementType::kFloat64:
      return FloatText(tensor.At<double>(i));
    case ElementType::kText:
      break;
  }
  return JsonText(tensor.texts[i]);
}

std::string TensorText(const std::string& name, const Tensor& tensor) {
  std::string data = "[";
  for (size_t i = 0; i < tensor.elements(); ++i)
    data += (i == 0 ? "" : ",") + ElementText(tensor, i);
  return JsonObject({{"name", JsonText(name)},
                     {"datatype", JsonText(models::NameOf(tensor.type))},
                     {"shape", fmt::format("[{}]", fmt::join(tensor.shape, ","))},
                     {"data", data + "]"}});
}

std::string SpecsText(const std::vector<TensorSpec>& specs) {
  std::vector<std::string> texts;
  for (const TensorSpec& spec : specs) {
    texts.push_back(JsonObject({{"name", JsonText(spec.name)},
                                {"datatype", JsonText(models::NameOf(spec.type))},
                                {"shape", fmt::format("[{}]", fmt::join(spec.shape, ","))}}));
  }
  return JsonArray(texts);
}

}  // namespace

std::string VersionOf(const models::Model& model) {
  return model.digest().substr(0, kVersionDigits);
}

Result<InferRequest> ParseInferRequest(std::string_view body, const models::Signature& signature) {
  simdjson::dom::parser parser;
  element json;
  if (const Status parsed = rows::ParseJson(body, parser, json); !parsed.ok())
    return BadJson(parsed.error().message());
  if (!json.is_object()) return BadJson("it must be an object");
  InferRequest request;
  std::string_view id;
  if (json["id"].get(id) == simdjson::SUCCESS) request.id = id;
  TRY(request.inputs, ReadInputs(json, signature.inputs));
  TRY(request.outputs, ReadOutputs(json, signature.outputs));
  return request;
}

std::string InferAnswerText(const ModelName& model, const models::Signature& signature,
                            const InferRequest& request, const std::vector<Tensor>& scored) {
  std::vector<std::string> outputs;
  for (size_t i = 0; i < scored.size(); ++i)
    outputs.push_back(TensorText(signature.outputs[request.outputs[i]].name, scored[i]));
  return JsonObject({{"model_name", JsonText(model.name)},
                     {"model_version", JsonText(model.version)},
                     {"id", request.id.empty() ? "" : JsonText(request.id)},
                     {"outputs", JsonArray(outputs)}}) +
         "\n";
}

std::string ModelMetadataText(const ModelName& model, const models::Signature& signature) {
  return JsonObject({{"name", JsonText(model.name)},
                     {"versions", JsonArray({JsonText(model.version)})},
                     {"platform", JsonText("onnxruntime_onnx")},
                     {"inputs", SpecsText(signature.inputs)},
                     {"outputs", SpecsText(signature.outputs)}}) +
         "\n";
}

}  // namespace millrace::http
