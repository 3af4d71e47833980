#include "models/model_store.h"

#include <algorithm>
#include <filesystem>

#include "auth/crypto.h"

namespace millrace::models {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSuffix = ".onnx";

bool IsBelow(const fs::path& path, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), path.begin(), path.end()).first ==
         folder.end();
}

std::string DigestOf(const std::string& bytes) { return auth::Hex(auth::Sha256(bytes)); }

}  // namespace

std::string ModelStore::FileOf(const std::string& digest) const {
  return options_.directory + "/" + digest + std::string(kSuffix);
}

// Links are followed before it is asked where the file is.
Result<std::string> ModelStore::Resolve(const std::string& path) const {
  const bool relative = !path.starts_with('/');
  if (relative && options_.project_directory.empty()) {
    return Error(Code::kInvalidArgument,
                 "a relative path begins at the project's folder, and this "
                 "node has none");
  }
  std::error_code error;
  const fs::path whole = relative ? fs::path(options_.project_directory) / path : fs::path(path);
  const fs::path real = fs::weakly_canonical(whole, error);
  if (error) return Error(Code::kIo, "{}", error.message());
  for (const std::string& folder : options_.allowed) {
    const fs::path allowed = fs::weakly_canonical(folder, error);
    if (!error && IsBelow(real, allowed)) return real.string();
  }
  return Error(Code::kInvalidArgument, "it is outside of the folders that the node may read: {}",
               fmt::join(options_.allowed, ", "))
      .Hint("put it into the project's folder");
}

Result<std::string> ModelStore::Read(const std::string& path) const {
  const auto read = [&]() -> Result<std::string> {
    TRY(const std::string real, Resolve(path));
    std::error_code error;
    if (fs::is_directory(real, error))
      return Error(Code::kInvalidArgument, "it is a folder").SqlState("58P01");
    if (!fs::exists(real, error)) {
      return Error(Code::kNotFound, "it does not exist")
          .Hint("a relative path begins at the project's folder, " + options_.project_directory)
          .SqlState("58P01");
    }
    const auto size = fs::file_size(real, error);
    if (!error && size > kModelBytesMax) {
      return Error(Code::kTooLarge, "it has {} bytes; at most {} are taken", size, kModelBytesMax);
    }
    return Files::System().ReadAll(real);
  };
  return read().With("model file " + path);
}

Result<std::shared_ptr<const Model>> ModelStore::Load(const std::string& bytes,
                                                      const std::string& digest) {
  const std::lock_guard lock(mutex_);
  const auto found = loaded_.find(digest);
  if (found != loaded_.end()) return found->second;
  TRY(std::shared_ptr<const Model> model, Model::Load(bytes, digest));
  loaded_[digest] = model;
  return model;
}

Result<ModelFile> ModelStore::Examine(const std::string& path) {
  TRY(const std::string bytes, Read(path));
  TRY(std::shared_ptr<const Model> model, Load(bytes, DigestOf(bytes)).With("model file " + path));
  return ModelFile{std::move(model), static_cast<int64_t>(bytes.size())};
}

Status ModelStore::Keep(const std::string& path, const std::string& digest) {
  TRY(const bool kept, files().Exists(FileOf(digest)));
  if (kept) return Ok();
  TRY(const std::string bytes, Read(path));
  if (DigestOf(bytes) != digest) {
    return Error(Code::kConflict, "model file {} has changed while it was read", path)
        .Hint("run the statement again");
  }
  TRY(files().CreateDirectories(options_.directory));
  return files().Replace(FileOf(digest), bytes);
}

Result<std::string> ModelStore::Content(const std::string& digest) const {
  const std::string file = FileOf(digest);
  TRY(std::string bytes, files().ReadAll(file).With("read a model's content"));
  if (DigestOf(bytes) == digest) return bytes;
  return Error(Code::kCorruption, "{} is damaged: its content is not what its name says", file)
      .Hint("put the model's file in its place, or restore a backup");
}

Result<std::shared_ptr<const Model>> ModelStore::Get(const std::string& digest) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = loaded_.find(digest);
    if (found != loaded_.end()) return found->second;
  }
  TRY(const std::string bytes, Content(digest));
  return Load(bytes, digest).With("load " + FileOf(digest));
}

Result<std::vector<std::string>> ModelStore::Others(const std::set<std::string>& digests) const {
  std::vector<std::string> others;
  TRY(const bool exists, files().Exists(options_.directory));
  if (!exists) return others;
  TRY(const std::vector<std::string> names, files().List(options_.directory));
  for (const std::string& name : names) {
    const std::string digest = name.substr(0, name.find('.'));
    if (name != digest + std::string(kSuffix) || !digests.contains(digest)) others.push_back(name);
  }
  return others;
}

Result<bool> ModelStore::HasOthers(const std::set<std::string>& digests) const {
  TRY(const std::vector<std::string> others, Others(digests));
  return !others.empty();
}

Status ModelStore::Retain(const std::set<std::string>& digests, bool on_disk) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(loaded_, [&](const auto& item) { return !digests.contains(item.first); });
  }
  if (!on_disk) return Ok();
  TRY(const std::vector<std::string> others, Others(digests));
  for (const std::string& name : others) TRY(files().Remove(options_.directory + "/" + name));
  return Ok();
}

}  // namespace millrace::models
