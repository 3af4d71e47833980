#include "models/model.h"

#include <algorithm>
#include <numeric>
#include <optional>

#include "base/check.h"
#include "base/watchdog.h"
#include "models/graph_check.h"
#include "models/onnx_runtime.h"

namespace millrace::models {
namespace {

using Value = OrtOwned<OrtValue>;

struct TypeName {
  ONNXTensorElementDataType onnx;
  ElementType type;
};
constexpr TypeName kTypes[] = {
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL, ElementType::kBool},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8, ElementType::kInt8},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16, ElementType::kInt16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32, ElementType::kInt32},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, ElementType::kInt64},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, ElementType::kUint8},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16, ElementType::kUint16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32, ElementType::kUint32},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT64, ElementType::kUint64},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16, ElementType::kFloat16},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, ElementType::kFloat32},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE, ElementType::kFloat64},
    {ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, ElementType::kText},
};
static_assert(std::size(kTypes) == static_cast<size_t>(kLastElementType) + 1);

std::optional<ElementType> FromOnnx(ONNXTensorElementDataType onnx) {
  for (const TypeName& each : kTypes) {
    if (each.onnx == onnx) return each.type;
  }
  return std::nullopt;
}

// kTypes is in the order of ElementType.
ONNXTensorElementDataType ToOnnx(ElementType type) {
  return kTypes[static_cast<size_t>(type)].onnx;
}

// On one line.
Error InPlainWords(const Error& error) {
  std::string message = error.message();
  while (!message.empty() && message.back() == '\n') message.pop_back();
  std::replace(message.begin(), message.end(), '\n', ' ');
  return Error(error.code(), "{}", message);
}

struct TypeAndShape {
  ElementType type;
  std::vector<int64_t> shape;
};

Result<TypeAndShape> Describe(const OrtApi& api, const OrtTensorTypeAndShapeInfo* info) {
  ONNXTensorElementDataType element = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  size_t rank = 0;
  TRY(Take(api, api.GetTensorElementType(info, &element)));
  TRY(Take(api, api.GetDimensionsCount(info, &rank)));
  TypeAndShape described;
  described.shape.resize(rank);
  TRY(Take(api, api.GetDimensions(info, described.shape.data(), rank)));
  const auto type = FromOnnx(element);
  if (!type)
    return Error(Code::kNotSupported, "its elements are of ONNX's type {}",
                 static_cast<int>(element))
        .Hint("add a Cast to a type of SQL: FLOAT, DOUBLE, an integer, BOOLEAN or a text");
  described.type = *type;
  return described;
}

Error NoTensor(ONNXType type) {
  const std::string_view what = type == ONNX_TYPE_SEQUENCE ? "a sequence"
                                : type == ONNX_TYPE_MAP    ? "a map"
                                                           : "no tensor";
  return Error(Code::kNotSupported, "it is {}, and models take and give tensors", what)
      .Hint(
          "of scikit-learn's classifiers, export without ZipMap: convert_sklearn(model, …, "
          "options={'zipmap': False})");
}

Result<TensorSpec> SpecOf(const OrtApi& api, const OrtTypeInfo* info, std::string name) {
  ONNXType kind = ONNX_TYPE_UNKNOWN;
  TRY(Take(api, api.GetOnnxTypeFromTypeInfo(info, &kind)));
  if (kind != ONNX_TYPE_TENSOR) return NoTensor(kind);
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;  // of the info
  TRY(Take(api, api.CastTypeInfoToTensorInfo(info, &tensor)));
  TRY(TypeAndShape described, Describe(api, tensor));
  return TensorSpec{std::move(name), described.type, std::move(described.shape)};
}

using NameOfSlot = decltype(OrtApi::SessionGetInputName);
using TypeOfSlot = decltype(OrtApi::SessionGetInputTypeInfo);

// Of all inputs, or of all outputs.
Result<std::vector<TensorSpec>> Slots(const OnnxRuntime& runtime, const OrtSession* session,
                                      size_t count, NameOfSlot name_of, TypeOfSlot type_of,
                                      std::string_view what) {
  const OrtApi& api = *runtime.api;
  OrtAllocator* allocator = nullptr;  // the library's own
  TRY(Take(api, api.GetAllocatorWithDefaultOptions(&allocator)));
  std::vector<TensorSpec> specs;
  for (size_t i = 0; i < count; ++i) {
    char* text = nullptr;
    TRY(Take(api, name_of(session, i, allocator, &text)));
    std::string name = text;
    TRY(Take(api, api.AllocatorFree(allocator, text)));
    OrtTypeInfo* raw = nullptr;
    TRY(Take(api, type_of(session, i, &raw)));
    const OrtOwned<OrtTypeInfo> info(raw, api.ReleaseTypeInfo);
    const std::string context = fmt::format("{} {}", what, Quoted(name));
    TRY(TensorSpec spec, SpecOf(api, info.get(), std::move(name)).With(context));
    specs.push_back(std::move(spec));
  }
  return specs;
}

Result<Value> ToOrt(const OnnxRuntime& runtime, const Tensor& tensor) {
  const OrtApi& api = *runtime.api;
  OrtValue* raw = nullptr;
  if (tensor.type != ElementType::kText) {
    // The library does not write to its inputs.
    TRY(Take(api, api.CreateTensorWithDataAsOrtValue(
                      runtime.cpu, const_cast<char*>(tensor.bytes.data()), tensor.bytes.size(),
                      tensor.shape.data(), tensor.shape.size(), ToOnnx(tensor.type), &raw)));
    return Value(raw, api.ReleaseValue);
  }
  OrtAllocator* allocator = nullptr;
  TRY(Take(api, api.GetAllocatorWithDefaultOptions(&allocator)));
  TRY(Take(api, api.CreateTensorAsOrtValue(allocator, tensor.shape.data(), tensor.shape.size(),
                                           ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, &raw)));
  Value value(raw, api.ReleaseValue);
  for (size_t i = 0; i < tensor.texts.size(); ++i) {
    const std::string& text = tensor.texts[i];
    char* to = nullptr;
    TRY(Take(api, api.GetResizedStringTensorElementBuffer(value.get(), i, text.size(), &to)));
    std::copy(text.begin(), text.end(), to);
  }
  return value;
}

Result<Tensor> FromOrt(const OrtApi& api, OrtValue* value) {
  OrtTensorTypeAndShapeInfo* raw = nullptr;
  TRY(Take(api, api.GetTensorTypeAndShape(value, &raw)));
  const OrtOwned<OrtTensorTypeAndShapeInfo> info(raw, api.ReleaseTensorTypeAndShapeInfo);
  TRY(TypeAndShape described, Describe(api, info.get()));
  Tensor tensor;
  tensor.type = described.type;
  tensor.shape = std::move(described.shape);
  const size_t count = tensor.elements();
  if (tensor.type != ElementType::kText) {
    void* data = nullptr;
    TRY(Take(api, api.GetTensorMutableData(value, &data)));
    tensor.bytes.assign(static_cast<const char*>(data), count * BytesOf(tensor.type));
    return tensor;
  }
  for (size_t i = 0; i < count; ++i) {
    size_t size = 0;
    TRY(Take(api, api.GetStringTensorElementLength(value, i, &size)));
    std::string text(size, '\0');
    TRY(Take(api, api.GetStringTensorElement(value, size, i, text.data())));
    tensor.texts.push_back(std::move(text));
  }
  return tensor;
}

// Rows [begin, begin + count) of a tensor, its last one again and again up to `padded` rows.
// REQUIRES: count > 0.
Tensor Slice(const Tensor& tensor, int64_t begin, int64_t count, int64_t padded) {
  Tensor out;
  out.type = tensor.type;
  out.shape = tensor.shape;
  out.shape[0] = padded;
  const size_t width = out.elements() / static_cast<size_t>(padded);
  const auto copy = [&](int64_t first, int64_t rows) {
    const size_t from = static_cast<size_t>(first) * width;
    const size_t taken = static_cast<size_t>(rows) * width;
    if (tensor.type == ElementType::kText) {
      const auto at = tensor.texts.begin() + static_cast<int64_t>(from);
      out.texts.insert(out.texts.end(), at, at + static_cast<int64_t>(taken));
    } else {
      const size_t size = BytesOf(tensor.type);
      out.bytes.append(tensor.bytes, from * size, taken * size);
    }
  };
  copy(begin, count);
  for (int64_t i = count; i < padded; ++i) copy(begin + count - 1, 1);
  return out;
}

// Puts the first `count` rows of `piece` behind those of `whole`.
void AppendRows(Tensor& whole, const Tensor& piece, int64_t count) {
  if (whole.shape.empty()) {
    whole.type = piece.type;
    whole.shape = piece.shape;
    whole.shape[0] = 0;
  }
  const size_t width = piece.elements() / static_cast<size_t>(piece.shape[0]);
  const size_t taken = width * static_cast<size_t>(count);
  whole.shape[0] += count;
  whole.bytes.append(piece.bytes, 0, taken * BytesOf(piece.type));
  if (piece.type == ElementType::kText)
    whole.texts.insert(whole.texts.end(), piece.texts.begin(),
                       piece.texts.begin() + static_cast<int64_t>(taken));
}

}  // namespace

struct Model::Session {
  Session(const OnnxRuntime& of, OrtSession* session)
      : runtime(of), ort(session, of.api->ReleaseSession) {}

  const OnnxRuntime& runtime;
  OrtOwned<OrtSession> ort;
};

Model::Model(std::string digest, Signature signature, std::unique_ptr<Session> session)
    : digest_(std::move(digest)), signature_(std::move(signature)), session_(std::move(session)) {}
Model::~Model() = default;

namespace {

// One thread, the caller's; no arena: batches differ, and it would keep what the largest took.
Result<OrtOwned<OrtSessionOptions>> Options(const OrtApi& api) {
  OrtSessionOptions* raw = nullptr;
  TRY(Take(api, api.CreateSessionOptions(&raw)));
  OrtOwned<OrtSessionOptions> options(raw, api.ReleaseSessionOptions);
  TRY(Take(api, api.SetIntraOpNumThreads(raw, 1)));
  TRY(Take(api, api.SetInterOpNumThreads(raw, 1)));
  TRY(Take(api, api.SetSessionExecutionMode(raw, ORT_SEQUENTIAL)));
  TRY(Take(api, api.DisableMemPattern(raw)));
  TRY(Take(api, api.DisableCpuMemArena(raw)));
  TRY(Take(api, api.SetDeterministicCompute(raw, true)));
  return options;
}

}  // namespace

Result<std::shared_ptr<const Model>> Model::Load(std::string_view bytes, std::string digest) {
  if (bytes.size() > kModelBytesMax) {
    return Error(Code::kTooLarge, "it has {} bytes; at most {} are taken", bytes.size(),
                 kModelBytesMax);
  }
  TRY(const OnnxRuntime* runtime, OnnxRuntime::Get());
  const OrtApi& api = *runtime->api;
  TRY(CheckGraph(bytes));
  TRY(const auto options, Options(api));
  OrtSession* raw = nullptr;
  const Status created = Take(api, api.CreateSessionFromArray(runtime->env, bytes.data(),
                                                              bytes.size(), options.get(), &raw));
  if (!created.ok()) return InPlainWords(created.error());
  auto session = std::make_unique<Session>(*runtime, raw);
  size_t input_count = 0;
  size_t output_count = 0;
  TRY(Take(api, api.SessionGetInputCount(raw, &input_count)));
  TRY(Take(api, api.SessionGetOutputCount(raw, &output_count)));
  Signature signature;
  TRY(signature.inputs, Slots(*runtime, raw, input_count, api.SessionGetInputName,
                              api.SessionGetInputTypeInfo, "input"));
  TRY(signature.outputs, Slots(*runtime, raw, output_count, api.SessionGetOutputName,
                               api.SessionGetOutputTypeInfo, "output"));
  if (signature.inputs.empty() || signature.outputs.empty())
    return Error(Code::kInvalidArgument, "it has no {}",
                 signature.inputs.empty() ? "inputs" : "outputs");
  return std::shared_ptr<const Model>(
      new Model(std::move(digest), std::move(signature), std::move(session)));
}

namespace {

// Of all runs of this process.
Watchdog& RunWatchdog() {
  static Watchdog watchdog;
  return watchdog;
}

}  // namespace

Status Model::ScoresRows() const {
  const int64_t rows = signature_.inputs[0].shape.empty() ? 0 : signature_.inputs[0].shape[0];
  const auto check = [&](const TensorSpec& spec, std::string_view what) -> Status {
    if (!spec.shape.empty() && spec.shape[0] == rows && rows != 0) return Ok();
    return Error(Code::kInvalidArgument,
                 "{} {} is {}: its first dimension does not count rows as that of the first input",
                 what, Quoted(spec.name), ToString(spec))
        .Hint(
            "export the model with a first dimension of any size, the same of all its inputs "
            "and outputs");
  };
  for (const TensorSpec& spec : signature_.inputs) TRY(check(spec, "input"));
  for (const TensorSpec& spec : signature_.outputs) TRY(check(spec, "output"));
  return Ok();
}

Result<std::vector<Tensor>> Model::Run(const std::vector<Tensor>& inputs,
                                       std::span<const size_t> outputs,
                                       const IsOver& is_over) const {
  CHECK(inputs.size() == signature_.inputs.size());
  const OrtApi& api = *session_->runtime.api;
  std::vector<Value> values;
  std::vector<const OrtValue*> given;
  std::vector<const char*> input_names;
  for (size_t i = 0; i < inputs.size(); ++i) {
    TRY(Value value, ToOrt(session_->runtime, inputs[i]));
    given.push_back(value.get());
    values.push_back(std::move(value));
    input_names.push_back(signature_.inputs[i].name.c_str());
  }
  std::vector<const char*> output_names;
  for (const size_t i : outputs) output_names.push_back(signature_.outputs[i].name.c_str());
  std::vector<OrtValue*> made(outputs.size(), nullptr);
  OrtRunOptions* raw_options = nullptr;
  TRY(Take(api, api.CreateRunOptions(&raw_options)));
  const OrtOwned<OrtRunOptions> options(raw_options, api.ReleaseRunOptions);
  bool terminated = false;
  const auto run = [&] {
    return Take(api, api.Run(session_->ort.get(), options.get(), input_names.data(), given.data(),
                             given.size(), output_names.data(), output_names.size(), made.data()));
  };
  Status ran = Ok();
  if (is_over) {
    const Watchdog::Guard watch(RunWatchdog(), is_over, [&] {
      // Its only error is one of memory, and it is called again.
      if (OrtStatus* status = api.RunOptionsSetTerminate(options.get()); status != nullptr)
        api.ReleaseStatus(status);
    });
    ran = run();
    terminated = watch.interrupted();
  } else {
    ran = run();
  }
  std::vector<Value> owned;
  for (OrtValue* value : made) owned.emplace_back(value, api.ReleaseValue);
  if (!ran.ok() && terminated) return Error(Code::kCancelled, "the run of the model was ended");
  if (!ran.ok()) return InPlainWords(ran.error());
  std::vector<Tensor> results;
  for (const Value& value : owned) {
    TRY(Tensor tensor, FromOrt(api, value.get()));
    results.push_back(std::move(tensor));
  }
  return results;
}

Result<std::vector<Tensor>> Model::RunRows(const std::vector<Tensor>& inputs,
                                           const IsOver& is_over) const {
  const int64_t rows = inputs[0].shape[0];
  const int64_t fixed = signature_.inputs[0].shape[0];
  std::vector<size_t> all(signature_.outputs.size());
  std::iota(all.begin(), all.end(), size_t{0});
  std::vector<Tensor> results(all.size());
  for (int64_t begin = 0; begin < rows;) {
    const int64_t count = fixed > 0 ? std::min(fixed, rows - begin) : rows;
    const int64_t padded =
        fixed > 0 ? fixed : (count + kRowsMultiple - 1) / kRowsMultiple * kRowsMultiple;
    const bool whole = padded == rows;
    std::vector<Tensor> batch;
    for (size_t i = 0; i < inputs.size() && !whole; ++i)
      batch.push_back(Slice(inputs[i], begin, count, padded));
    TRY(std::vector<Tensor> scored, Run(whole ? inputs : batch, all, is_over));
    for (size_t i = 0; i < scored.size(); ++i) {
      if (scored[i].shape.empty() || scored[i].shape[0] != padded) {
        return Error(Code::kInvalidArgument, "output {} does not have a row for each row given",
                     Quoted(signature_.outputs[i].name));
      }
      if (!whole) AppendRows(results[i], scored[i], count);
    }
    if (whole) return scored;
    begin += count;
  }
  return results;
}

}  // namespace millrace::models
