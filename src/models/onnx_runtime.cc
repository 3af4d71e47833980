#include "models/onnx_runtime.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <vector>

#include "base/logging.h"

namespace millrace::models {
namespace {

constexpr char kLibrary[] = "libonnxruntime.so.1";

// Where it may be: the setting, beside the binary, and where the system has its libraries. The unit
// tests stand one folder deeper than the binary.
std::vector<std::string> Candidates() {
  if (const char* set = std::getenv("MILLRACE_ONNXRUNTIME"); set != nullptr) return {set};
  std::vector<std::string> paths;
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) {
    for (const char* folder : {"../lib", "../../lib"})
      paths.push_back((self.parent_path() / folder / kLibrary).lexically_normal().string());
  }
  paths.emplace_back(kLibrary);
  return paths;
}

Result<void*> OpenLibrary() {
  std::string tried;
  for (const std::string& path : Candidates()) {
    if (path.find('/') != std::string::npos && !std::filesystem::exists(path)) {
      tried += (tried.empty() ? "" : ", ") + path;
      continue;
    }
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); library != nullptr)
      return library;
    const char* why = dlerror();
    tried += (tried.empty() ? "" : ", ") + std::string(why == nullptr ? path.c_str() : why);
  }
  return Error(Code::kNotSupported, "models need ONNX Runtime, which is not here: {}", tried)
      .Hint(
          "tools/setup.sh gets it and the build puts it beside the binary; MILLRACE_ONNXRUNTIME "
          "names the library elsewhere");
}

Result<OnnxRuntime> Load() {
  TRY(void* library, OpenLibrary());
  using GetBase = const OrtApiBase* (*)();
  const auto get_base = reinterpret_cast<GetBase>(dlsym(library, "OrtGetApiBase"));
  if (get_base == nullptr) return Error(Code::kNotSupported, "{} is no ONNX Runtime", kLibrary);
  OnnxRuntime runtime;
  runtime.api = get_base()->GetApi(ORT_API_VERSION);
  if (runtime.api == nullptr) {
    return Error(Code::kNotSupported, "ONNX Runtime {} is older than the 1.{} that is needed",
                 get_base()->GetVersionString(), ORT_API_VERSION);
  }
  const OrtApi& api = *runtime.api;
  TRY(Take(api, api.CreateEnv(ORT_LOGGING_LEVEL_FATAL, "millrace", &runtime.env), Code::kInternal));
  TRY(Take(api, api.CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &runtime.cpu),
           Code::kInternal));
  LOG_INFO("models", "onnxruntime={}", get_base()->GetVersionString());
  return runtime;
}

}  // namespace

Result<const OnnxRuntime*> OnnxRuntime::Get() {
  static std::mutex mutex;
  static const OnnxRuntime* loaded = nullptr;  // to the end of the process, as its library
  const std::lock_guard lock(mutex);
  if (loaded == nullptr) {
    TRY(const OnnxRuntime runtime, Load());
    loaded = new OnnxRuntime(runtime);
  }
  return loaded;
}

Status Take(const OrtApi& api, OrtStatus* status, Code code) {
  if (status == nullptr) return Ok();
  std::string message = api.GetErrorMessage(status);
  api.ReleaseStatus(status);
  return Error(code, "{}", message);
}

}  // namespace millrace::models
