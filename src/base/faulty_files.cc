#include "base/faulty_files.h"

#include <algorithm>
#include <cstring>

namespace millrace {
namespace {

constexpr uint64_t kSectorBytes = 512;  // a disk writes a sector whole or not at all

std::vector<std::string> Split(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const size_t slash = std::min(path.find('/'), path.size());
    if (slash > 0 && path.substr(0, slash) != ".") parts.emplace_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

std::string NameOf(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

Error Missing(std::string_view action, std::string_view path) {
  return Error(Code::kNotFound, "{} {}: No such file or directory", action, path);
}

}  // namespace

class FaultyFiles::OpenFile final : public File {
 public:
  OpenFile(FaultyFiles& files, NodePtr node, std::string path, OpenMode mode)
      : files_(files), node_(std::move(node)), path_(std::move(path)), mode_(mode) {}

  Status Write(std::string_view bytes, uint64_t offset) override {
    std::lock_guard lock(files_.mutex_);
    if (mode_ == OpenMode::kRead) {
      return Error(Code::kIo, "write {}: not open for writing", path_);
    }
    const uint64_t misaligned = reinterpret_cast<uintptr_t>(bytes.data()) | bytes.size() | offset;
    if (mode_ == OpenMode::kDirect && misaligned % kDirectAlignment != 0) {
      return Error(Code::kIo, "write {}: {} bytes at {} of a direct file are not aligned", path_,
                   bytes.size(), offset);
    }
    TRY(files_.CountCall("write", path_, true));
    if (mode_ == OpenMode::kDirect) ++files_.direct_writes_;
    return files_.Write(*node_, {false, offset, std::string(bytes)}, path_);
  }

  Status WriteGather(std::span<const std::string_view> pieces, uint64_t offset) override {
    if (mode_ == OpenMode::kDirect) {
      return Error(Code::kIo, "write {}: a direct file is written in one piece", path_);
    }
    std::string bytes;
    for (const std::string_view piece : pieces) bytes += piece;
    return Write(bytes, offset);
  }

  Result<size_t> Read(char* to, size_t size, uint64_t offset) const override {
    std::lock_guard lock(files_.mutex_);
    TRY(files_.CountCall("read", path_, false));
    if (offset >= node_->content.size()) return size_t{0};
    const size_t n = std::min(size, node_->content.size() - offset);
    std::memcpy(to, node_->content.data() + offset, n);
    return n;
  }

  Status Sync() override {
    std::lock_guard lock(files_.mutex_);
    const Status counted = files_.CountCall("fdatasync", path_, true);
    if (!counted.ok()) {
      // The pages count as clean from now on, and are lost. Not so when the power went: nobody
      // writes any more.
      if (files_.calls_ < files_.power_lost_at_) node_->unsynced.clear();
      return counted;
    }
    for (const Change& change : node_->unsynced) Apply(node_->durable, change);
    node_->unsynced.clear();
    return Ok();
  }

  Status Preallocate(uint64_t size) override {
    std::lock_guard lock(files_.mutex_);
    TRY(files_.CountCall("allocate", path_, true));
    if (size > node_->content.size() &&
        files_.UsedBytes(*files_.root_) + size - node_->content.size() > files_.total_bytes_) {
      return Error(Code::kOverloaded, "allocate {}: No space left on device", path_);
    }
    return Ok();
  }

  Status Truncate(uint64_t size) override {
    std::lock_guard lock(files_.mutex_);
    TRY(files_.CountCall("truncate", path_, true));
    return files_.Write(*node_, {true, size, ""}, path_);
  }

  Result<uint64_t> Size() const override {
    std::lock_guard lock(files_.mutex_);
    TRY(files_.CountCall("stat", path_, false));
    return static_cast<uint64_t>(node_->content.size());
  }

 private:
  FaultyFiles& files_;
  const NodePtr node_;
  const std::string path_;
  const OpenMode mode_;
};

class FaultyFiles::HeldLock final : public FileLock {
 public:
  HeldLock(FaultyFiles& files, std::string path) : files_(files), path_(std::move(path)) {}
  ~HeldLock() override {
    std::lock_guard lock(files_.mutex_);
    files_.locks_.erase(path_);
  }

 private:
  FaultyFiles& files_;
  const std::string path_;
};

FaultyFiles::FaultyFiles() : root_(std::make_shared<Node>()) { root_->directory = true; }
FaultyFiles::~FaultyFiles() = default;

// ---- Faults ----

void FaultyFiles::LosePowerAt(uint64_t nth_call) {
  std::lock_guard lock(mutex_);
  power_lost_at_ = calls_ + nth_call;
  fired_ = false;
}

void FaultyFiles::FailCallAt(uint64_t nth_call, Error error) {
  std::lock_guard lock(mutex_);
  fail_at_ = calls_ + nth_call;
  fail_with_ = std::move(error);
  fired_ = false;
}

bool FaultyFiles::Fired() const {
  std::lock_guard lock(mutex_);
  return fired_;
}

uint64_t FaultyFiles::calls() const {
  std::lock_guard lock(mutex_);
  return calls_;
}

uint64_t FaultyFiles::direct_writes() const {
  std::lock_guard lock(mutex_);
  return direct_writes_;
}

Status FaultyFiles::CountCall(std::string_view action, std::string_view path, bool writes) {
  ++calls_;
  if (calls_ >= power_lost_at_) {
    fired_ = true;
    return Error(Code::kIo, "{} {}: the power is off", action, path);
  }
  if (calls_ == fail_at_) {
    fired_ = true;
    return Error(fail_with_->code(), "{} {}: {}", action, path, fail_with_->message());
  }
  if (writes && read_only_) return Error(Code::kIo, "{} {}: Read-only file system", action, path);
  return Ok();
}

std::unique_ptr<FaultyFiles> FaultyFiles::AfterPowerLoss(PowerLoss how) const {
  std::lock_guard lock(mutex_);
  auto after = std::make_unique<FaultyFiles>();
  Random random(how.seed);
  std::map<const Node*, NodePtr> done;
  after->root_ = Survivor(*root_, how.keep_some ? &random : nullptr, done);
  after->total_bytes_ = total_bytes_;
  return after;
}

std::unique_ptr<FaultyFiles> FaultyFiles::AfterCrash() const {
  std::lock_guard lock(mutex_);
  auto after = std::make_unique<FaultyFiles>();
  std::map<const Node*, NodePtr> done;
  after->root_ = Copy(*root_, done);
  after->total_bytes_ = total_bytes_;
  return after;
}

FaultyFiles::NodePtr FaultyFiles::Survivor(const Node& node, Random* keep_some,
                                           std::map<const Node*, NodePtr>& done) {
  NodePtr& out = done[&node];
  if (out) return out;
  const NodePtr survivor = out = std::make_shared<Node>();
  survivor->directory = node.directory;
  survivor->durable = node.durable;
  for (const Change& change : node.unsynced) {
    if (keep_some == nullptr) break;
    switch (keep_some->Below(3)) {
      case 0:
        break;
      case 1:
        Apply(survivor->durable, change);
        break;
      default: {
        if (change.truncate) break;
        // Some sectors of it, in any order.
        for (uint64_t at = 0; at < change.bytes.size(); at += kSectorBytes) {
          if (keep_some->OneIn(2)) {
            Apply(survivor->durable,
                  {false, change.offset + at, change.bytes.substr(at, kSectorBytes)});
          }
        }
      }
    }
  }
  survivor->content = survivor->durable;
  auto names = node.durable_names;
  if (keep_some != nullptr) {
    for (const auto& [name, child] : node.names) {
      if (keep_some->OneIn(2)) names[name] = child;
    }
    for (const auto& [name, child] : node.durable_names) {
      if (!node.names.contains(name) && keep_some->OneIn(2)) names.erase(name);
    }
  }
  for (const auto& [name, child] : names) {
    survivor->names[name] = Survivor(*child, keep_some, done);
  }
  survivor->durable_names = survivor->names;
  return survivor;
}

FaultyFiles::NodePtr FaultyFiles::Copy(const Node& node, std::map<const Node*, NodePtr>& done) {
  NodePtr& out = done[&node];
  if (out) return out;
  const NodePtr copy = out = std::make_shared<Node>(node);
  for (auto& [name, child] : copy->names) child = Copy(*child, done);
  for (auto& [name, child] : copy->durable_names) child = Copy(*child, done);
  return copy;
}

bool FaultyFiles::FlipByte(const std::string& path, uint64_t offset) {
  std::lock_guard lock(mutex_);
  const NodePtr node = Find(path);
  if (!node || offset >= node->content.size()) return false;
  node->content[offset] = static_cast<char>(node->content[offset] ^ 0x5A);
  if (offset < node->durable.size()) {
    node->durable[offset] = static_cast<char>(node->durable[offset] ^ 0x5A);
  }
  return true;
}

void FaultyFiles::SetReadOnly(bool read_only) {
  std::lock_guard lock(mutex_);
  read_only_ = read_only;
}

void FaultyFiles::SetTotalBytes(uint64_t total_bytes) {
  std::lock_guard lock(mutex_);
  total_bytes_ = total_bytes;
}

std::vector<std::string> FaultyFiles::Paths() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> paths;
  CollectPaths(*root_, "", paths);
  return paths;
}

void FaultyFiles::CollectPaths(const Node& node, const std::string& path,
                               std::vector<std::string>& out) const {
  for (const auto& [name, child] : node.names) {
    const std::string child_path = path.empty() ? name : path + "/" + name;
    if (child->directory) {
      CollectPaths(*child, child_path, out);
    } else {
      out.push_back(child_path);
    }
  }
}

uint64_t FaultyFiles::UsedBytes(const Node& node) const {
  uint64_t bytes = node.content.size();
  for (const auto& [name, child] : node.names) bytes += UsedBytes(*child);
  return bytes;
}

// ---- Content ----

void FaultyFiles::Apply(std::string& content, const Change& change) {
  if (change.truncate) {
    content.resize(change.offset);
    return;
  }
  const uint64_t end = change.offset + change.bytes.size();
  if (content.size() < end) content.resize(end);
  std::memcpy(content.data() + change.offset, change.bytes.data(), change.bytes.size());
}

Status FaultyFiles::Write(Node& node, Change change, std::string_view path) {
  const uint64_t end = change.offset + change.bytes.size();
  if (end > node.content.size() && UsedBytes(*root_) + end - node.content.size() > total_bytes_) {
    return Error(Code::kOverloaded, "write {}: No space left on device", path);
  }
  Apply(node.content, change);
  node.unsynced.push_back(std::move(change));
  return Ok();
}

// ---- Names ----

FaultyFiles::NodePtr FaultyFiles::Find(const std::string& path) const {
  NodePtr node = root_;
  for (const std::string& part : Split(path)) {
    const auto child = node->names.find(part);
    if (child == node->names.end()) return nullptr;
    node = child->second;
  }
  return node;
}

Result<std::unique_ptr<File>> FaultyFiles::Open(const std::string& path, OpenMode mode) {
  std::lock_guard lock(mutex_);
  TRY(CountCall("open", path, mode != OpenMode::kRead));
  NodePtr node = Find(path);
  if (!node) {
    const NodePtr parent = Find(ParentOf(path));
    if (mode != OpenMode::kCreate || !parent) return Missing("open", path);
    node = parent->names[NameOf(path)] = std::make_shared<Node>();
  }
  if (node->directory) return Error(Code::kIo, "open {}: Is a directory", path);
  return std::unique_ptr<File>(new OpenFile(*this, node, path, mode));
}

Result<bool> FaultyFiles::Exists(const std::string& path) {
  std::lock_guard lock(mutex_);
  TRY(CountCall("stat", path, false));
  return Find(path) != nullptr;
}

Result<std::vector<std::string>> FaultyFiles::List(const std::string& directory) {
  std::lock_guard lock(mutex_);
  TRY(CountCall("list", directory, false));
  const NodePtr node = Find(directory);
  if (!node) return Missing("list", directory);
  if (!node->directory) return Error(Code::kIo, "list {}: not a directory", directory);
  std::vector<std::string> names;
  for (const auto& [name, child] : node->names) names.push_back(name);
  return names;
}

Status FaultyFiles::CreateDirectories(const std::string& directory) {
  std::lock_guard lock(mutex_);
  TRY(CountCall("create directory", directory, false));
  NodePtr node = root_;
  for (const std::string& part : Split(directory)) {
    NodePtr& child = node->names[part];
    if (!child) {
      child = std::make_shared<Node>();
      child->directory = true;
      node->durable_names[part] = child;
      if (read_only_) {
        node->names.erase(part);
        return Error(Code::kIo, "create directory {}: Read-only file system", directory);
      }
    }
    if (!child->directory)
      return Error(Code::kIo, "create directory {}: not a directory", directory);
    node = child;
  }
  return Ok();
}

Status FaultyFiles::Rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  TRY(CountCall("rename", from, true));
  const NodePtr node = Find(from);
  const NodePtr parent = Find(ParentOf(to));
  if (!node || !parent) return Missing("rename", from);
  const NodePtr target = Find(to);
  if (target && target->directory && !target->names.empty()) {
    return Error(Code::kIo, "rename {} to {}: Directory not empty", from, to);
  }
  Find(ParentOf(from))->names.erase(NameOf(from));
  parent->names[NameOf(to)] = node;
  return Ok();
}

Status FaultyFiles::Remove(const std::string& file) {
  std::lock_guard lock(mutex_);
  TRY(CountCall("remove", file, true));
  const NodePtr node = Find(file);
  if (!node) return Missing("remove", file);
  Find(ParentOf(file))->names.erase(NameOf(file));
  return Ok();
}

Status FaultyFiles::RemoveAll(const std::string& directory) {
  std::lock_guard lock(mutex_);
  TRY(CountCall("remove", directory, true));
  if (const NodePtr parent = Find(ParentOf(directory))) parent->names.erase(NameOf(directory));
  return Ok();
}

Status FaultyFiles::SyncDirectory(const std::string& directory) {
  std::lock_guard lock(mutex_);
  TRY(CountCall("fsync", directory, true));
  const NodePtr node = Find(directory);
  if (!node) return Missing("fsync", directory);
  node->durable_names = node->names;
  return Ok();
}

Result<std::unique_ptr<FileLock>> FaultyFiles::Lock(const std::string& path) {
  std::lock_guard lock(mutex_);
  TRY(CountCall("lock", path, true));
  if (!locks_.insert(path).second) {
    return Error(Code::kConflict, "lock {}: another process holds it", path);
  }
  return std::unique_ptr<FileLock>(new HeldLock(*this, path));
}

Result<DiskSpace> FaultyFiles::Space(const std::string& directory) {
  std::lock_guard lock(mutex_);
  TRY(CountCall("ask free space of", directory, false));
  const uint64_t used = UsedBytes(*root_);
  return DiskSpace{total_bytes_, total_bytes_ - std::min(used, total_bytes_)};
}

size_t FaultyFiles::OpenFilesMax() { return 1 << 16; }

}  // namespace millrace
