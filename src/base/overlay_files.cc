#include "base/overlay_files.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace millrace {

namespace {

constexpr uint64_t kBlockBytes = 64 << 10;

Error NotFound(std::string_view action, const std::string& path) {
  return Error(Code::kNotFound, "{} {}: no such file or folder", action, path);
}

}  // namespace

// The bytes of one file: blocks that were written, over the file below as far as it still counts.
class OverlayFiles::Content {
 public:
  // `below` may be null: there is none.
  static Result<std::shared_ptr<Content>> Make(std::unique_ptr<File> below) {
    auto content = std::make_shared<Content>();
    if (below != nullptr) {
      TRY(content->size_, below->Size());
      content->below_size_ = content->size_;
    }
    content->below_ = std::move(below);
    return content;
  }

  Status Write(std::string_view bytes, uint64_t offset) {
    const std::lock_guard lock(mutex_);
    size_ = std::max(size_, offset + bytes.size());
    while (!bytes.empty()) {
      const uint64_t begin = offset % kBlockBytes;
      const size_t count = std::min<size_t>(bytes.size(), kBlockBytes - begin);
      TRY(std::string * block, Block(offset / kBlockBytes));
      std::memcpy(block->data() + begin, bytes.data(), count);
      bytes.remove_prefix(count);
      offset += count;
    }
    return Ok();
  }

  Result<size_t> Read(char* to, size_t size, uint64_t offset) {
    const std::lock_guard lock(mutex_);
    if (offset >= size_) return size_t{0};
    size = static_cast<size_t>(std::min<uint64_t>(size, size_ - offset));
    for (size_t done = 0; done < size;) {
      const uint64_t at = offset + done;
      const uint64_t begin = at % kBlockBytes;
      const size_t count = std::min<size_t>(size - done, kBlockBytes - begin);
      if (const auto block = blocks_.find(at / kBlockBytes); block != blocks_.end()) {
        std::memcpy(to + done, block->second.data() + begin, count);
      } else {
        TRY(ReadBelow(to + done, count, at));
      }
      done += count;
    }
    return size;
  }

  Status Truncate(uint64_t size) {
    const std::lock_guard lock(mutex_);
    if (size < size_) {
      below_size_ = std::min(below_size_, size);
      blocks_.erase(blocks_.upper_bound(size / kBlockBytes), blocks_.end());
      // What is cut off is zero when the file grows again.
      const auto last = blocks_.find(size / kBlockBytes);
      const uint64_t begin = size % kBlockBytes;
      if (last != blocks_.end()) std::memset(last->second.data() + begin, 0, kBlockBytes - begin);
    }
    size_ = size;
    return Ok();
  }

  uint64_t size() {
    const std::lock_guard lock(mutex_);
    return size_;
  }

 private:
  Status ReadBelow(char* to, size_t size, uint64_t offset) const {
    size_t read = 0;
    if (offset < below_size_) {
      const auto wanted = static_cast<size_t>(std::min<uint64_t>(size, below_size_ - offset));
      TRY(read, below_->Read(to, wanted, offset));
    }
    std::memset(to + read, 0, size - read);
    return Ok();
  }

  Result<std::string*> Block(uint64_t index) {
    const auto [block, is_new] = blocks_.try_emplace(index);
    if (is_new) {
      block->second.resize(kBlockBytes);
      TRY(ReadBelow(block->second.data(), kBlockBytes, index * kBlockBytes));
    }
    return &block->second;
  }

  std::mutex mutex_;
  std::unique_ptr<File> below_;
  uint64_t below_size_ = 0;  // bytes from here on do not come from below
  uint64_t size_ = 0;
  std::map<uint64_t, std::string> blocks_;
};

class OverlayFiles::OpenFile final : public File {
 public:
  explicit OpenFile(std::shared_ptr<Content> content) : content_(std::move(content)) {}

  Status Write(std::string_view bytes, uint64_t offset) override {
    return content_->Write(bytes, offset);
  }
  Status WriteGather(std::span<const std::string_view> pieces, uint64_t offset) override {
    for (const std::string_view piece : pieces) {
      TRY(content_->Write(piece, offset));
      offset += piece.size();
    }
    return Ok();
  }
  Result<size_t> Read(char* to, size_t size, uint64_t offset) const override {
    return content_->Read(to, size, offset);
  }
  Status Sync() override { return Ok(); }
  Status Preallocate(uint64_t) override { return Ok(); }
  Status Truncate(uint64_t size) override { return content_->Truncate(size); }
  Result<uint64_t> Size() const override { return content_->size(); }

 private:
  const std::shared_ptr<Content> content_;
};

OverlayFiles::~OverlayFiles() = default;

const OverlayFiles::Entry* OverlayFiles::Find(const std::string& path) const {
  if (const auto entry = entries_.find(path); entry != entries_.end()) return &entry->second;
  // What stood below a folder that was removed is gone with it.
  static const Entry kRemoved;
  for (std::string above = ParentOf(path); !above.empty(); above = ParentOf(above)) {
    const auto entry = entries_.find(above);
    if (entry != entries_.end() && !entry->second.directory) return &kRemoved;
  }
  return nullptr;
}

Result<bool> OverlayFiles::ExistsLocked(const std::string& path) {
  if (const Entry* entry = Find(path)) return entry->file != nullptr || entry->directory;
  return below_.Exists(path);
}

Result<bool> OverlayFiles::IsDirectory(const std::string& path) {
  if (const Entry* entry = Find(path)) return entry->directory;
  return below_.List(path).ok();
}

Result<std::shared_ptr<OverlayFiles::Content>> OverlayFiles::ContentOf(const std::string& path) {
  if (const Entry* entry = Find(path)) {
    if (entry->file == nullptr) return NotFound("open", path);
    return entry->file;
  }
  TRY(auto below, below_.Open(path, OpenMode::kRead));
  TRY(auto content, Content::Make(std::move(below)));
  entries_[path] = {content, false};
  return content;
}

Result<std::unique_ptr<File>> OverlayFiles::Open(const std::string& path, OpenMode mode) {
  const std::lock_guard lock(mutex_);
  auto found = ContentOf(path);
  if (!found.ok()) {
    if (found.error().code() != Code::kNotFound || mode != OpenMode::kCreate) return found.error();
    TRY(const bool in_folder, IsDirectory(ParentOf(path)));
    if (!in_folder) return NotFound("open", path);
    TRY(auto made, Content::Make(nullptr));
    entries_[path] = {made, false};
    return std::unique_ptr<File>(new OpenFile(std::move(made)));
  }
  return std::unique_ptr<File>(new OpenFile(std::move(found).value()));
}

Result<bool> OverlayFiles::Exists(const std::string& path) {
  const std::lock_guard lock(mutex_);
  return ExistsLocked(path);
}

Result<std::vector<std::string>> OverlayFiles::List(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  return ListLocked(directory);
}

Result<std::vector<std::string>> OverlayFiles::ListLocked(const std::string& directory) {
  std::set<std::string> names;
  const Entry* entry = Find(directory);
  if (entry != nullptr && !entry->directory) return NotFound("list", directory);
  auto below = below_.List(directory);
  if (below.ok()) {
    names.insert(below->begin(), below->end());
  } else if (entry == nullptr || below.error().code() != Code::kNotFound) {
    return below.error();
  }
  const std::string prefix = directory + "/";
  for (auto it = entries_.lower_bound(prefix);
       it != entries_.end() && it->first.starts_with(prefix); ++it) {
    const std::string name = it->first.substr(prefix.size());
    if (name.find('/') != std::string::npos) continue;
    if (it->second.file != nullptr || it->second.directory) {
      names.insert(name);
    } else {
      names.erase(name);
    }
  }
  return std::vector<std::string>(names.begin(), names.end());
}

Status OverlayFiles::CreateDirectories(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  for (std::string path = directory; !path.empty(); path = ParentOf(path)) {
    TRY(const bool exists, ExistsLocked(path));
    if (exists) break;
    entries_[path] = {nullptr, true};
  }
  return Ok();
}

Status OverlayFiles::MoveLocked(const std::string& from, const std::string& to) {
  TRY(const bool directory, IsDirectory(from));
  if (directory) {
    TRY(const auto names, ListLocked(from));
    entries_[to] = {nullptr, true};
    for (const std::string& name : names) TRY(MoveLocked(from + "/" + name, to + "/" + name));
  } else {
    TRY(auto content, ContentOf(from));
    entries_[to] = {std::move(content), false};
  }
  entries_[from] = {};
  return Ok();
}

Status OverlayFiles::Rename(const std::string& from, const std::string& to) {
  const std::lock_guard lock(mutex_);
  return MoveLocked(from, to);
}

Status OverlayFiles::Remove(const std::string& file) {
  const std::lock_guard lock(mutex_);
  TRY(const bool exists, ExistsLocked(file));
  if (!exists) return NotFound("remove", file);
  entries_[file] = {};
  return Ok();
}

Status OverlayFiles::RemoveTree(const std::string& path) {
  TRY(const bool directory, IsDirectory(path));
  if (directory) {
    TRY(const auto names, ListLocked(path));
    for (const std::string& name : names) TRY(RemoveTree(path + "/" + name));
  }
  entries_[path] = {};
  return Ok();
}

Status OverlayFiles::RemoveAll(const std::string& directory) {
  const std::lock_guard lock(mutex_);
  TRY(const bool exists, ExistsLocked(directory));
  return exists ? RemoveTree(directory) : Ok();
}

Status OverlayFiles::SyncDirectory(const std::string&) { return Ok(); }

Result<std::unique_ptr<FileLock>> OverlayFiles::Lock(const std::string&) {
  return std::make_unique<FileLock>();
}

Result<DiskSpace> OverlayFiles::Space(const std::string& directory) {
  return below_.Space(directory);
}

}  // namespace millrace
