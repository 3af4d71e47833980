// The models of a node: their bytes in the data directory, each file named by the SHA-256 of its
// content, and those in use loaded. A file that changes where it came from changes nothing here.
//
// Thread-safe; calls read files and load models, so they may take long.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/result.h"
#include "models/model.h"

namespace millrace::models {

struct ModelStoreOptions {
  Files* files = nullptr;            // default: Files::System()
  std::string directory;             // of the bytes; empty: nothing is kept
  std::string project_directory;     // where relative paths begin
  std::vector<std::string> allowed;  // folders that files may be taken from
};

// A file that a model is to be made of.
struct ModelFile {
  std::shared_ptr<const Model> model;
  int64_t bytes = 0;
};

class ModelStore {
 public:
  explicit ModelStore(ModelStoreOptions options) : options_(std::move(options)) {}

  // Reads and loads the file, and keeps nothing of it on disk. Errors: kNotFound, kInvalidArgument
  // (outside of the allowed folders, no model), kTooLarge; each names the file.
  Result<ModelFile> Examine(const std::string& path);

  // Puts the file's bytes into the data directory; durable when it returns. kConflict: they are no
  // longer those of the digest. Nothing to do where they are there already.
  Status Keep(const std::string& path, const std::string& digest);

  // The bytes of a digest that was kept. kNotFound, kCorruption: they are not in the data
  // directory, or are others.
  Result<std::string> Content(const std::string& digest) const;
  // The model of a digest that was examined or kept. Errors: those of Content and of Model::Load.
  Result<std::shared_ptr<const Model>> Get(const std::string& digest);

  // Whether the data directory has content that is of none of these digests.
  Result<bool> HasOthers(const std::set<std::string>& digests) const;

  // Forgets and, with `on_disk`, removes what no digest of these is. REQUIRES with on_disk: no
  // change of the catalog is under way.
  Status Retain(const std::set<std::string>& digests, bool on_disk);

 private:
  Result<std::string> Read(const std::string& path) const;
  Result<std::string> Resolve(const std::string& path) const;
  std::string FileOf(const std::string& digest) const;
  // Names of files in the directory that are of none of these.
  Result<std::vector<std::string>> Others(const std::set<std::string>& digests) const;
  Files& files() const { return options_.files == nullptr ? Files::System() : *options_.files; }
  Result<std::shared_ptr<const Model>> Load(const std::string& bytes, const std::string& digest);

  const ModelStoreOptions options_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Model>> loaded_;  // by digest; guarded by mutex_
};

}  // namespace millrace::models
