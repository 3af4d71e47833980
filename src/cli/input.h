// What `millrace load` reads: a file or standard input, unpacked as it comes, and the digest that a
// file is known by. Not thread-safe.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/decompress.h"
#include "base/result.h"

namespace millrace::cli {

// Unpacked bytes, and how much of the packed ones was read.
class Input {
 public:
  // "-": standard input. kNotFound, kIo; kInvalidArgument: a folder.
  static Result<std::unique_ptr<Input>> Open(const std::string& path);
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // The next piece; empty at the end.
  Result<std::string> Next();
  uint64_t read() const { return read_; }
  uint64_t size() const { return size_; }  // 0: not known

 private:
  Input(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}
  Result<std::string> ReadPacked();

  const std::string path_;
  const int descriptor_;
  std::optional<Decompressor> unpacker_;
  bool ended_ = false;
  uint64_t read_ = 0;
  uint64_t size_ = 0;
};

// The digest that names a file: of its packed bytes.
Result<uint64_t> DigestOf(const std::string& path);

// "csv", "ndjson", "json", "parquet" by the file's name, that of packing left off; empty: not
// clear.
std::string FormatOf(const std::string& path);

}  // namespace millrace::cli
