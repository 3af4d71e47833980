// The library of ONNX Runtime, found and loaded when a model is first used: a binary without it
// does everything else. Internal to models: includes the library's C header. Thread-safe.
#pragma once

#include <onnxruntime_c_api.h>

#include <memory>

#include "base/result.h"

namespace millrace::models {

// What this process has of it, to its end.
struct OnnxRuntime {
  const OrtApi* api = nullptr;
  OrtEnv* env = nullptr;
  OrtMemoryInfo* cpu = nullptr;

  // kNotSupported: the library is not here, or too old; says where it was looked for. Tried again
  // at the next call.
  static Result<const OnnxRuntime*> Get();
};

// Takes a status that a call of the library gave; Ok where it is null.
Status Take(const OrtApi& api, OrtStatus* status, Code code = Code::kInvalidArgument);

// Frees what the library made by the function of its interface that frees such.
template <typename T>
using OrtOwned = std::unique_ptr<T, void (*)(T*)>;

}  // namespace millrace::models
