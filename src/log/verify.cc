#include "log/verify.h"

#include "base/coding.h"
#include "log/checkpoint.h"
#include "log/doubled.h"
#include "log/segment.h"
#include "log/transactions.h"

namespace millrace::log {
namespace {

using Damaged = std::function<void(const std::string& path, const std::string& problem)>;

class Verifier {
 public:
  Verifier(Files& files, const Damaged& damaged) : files_(files), damaged_(damaged) {}

  // Both copies: one is enough to read it.
  Status Doubled(const std::string& path) {
    TRY(const std::string bytes, files_.ReadAll(path));
    if (bytes.size() < 2 * kMagicBytes) {
      damaged_(path, fmt::format("only {} bytes", bytes.size()));
      return Ok();
    }
    const Result<std::string_view> content = DecodeDoubled(bytes);
    if (!content.ok()) {
      damaged_(path, content.error().message());
    } else if (EncodeDoubled(std::string_view(bytes).substr(0, kMagicBytes), *content) != bytes) {
      damaged_(path, "one of its two copies is damaged; the other is read");
    }
    return Ok();
  }

  Status Topic(const std::string& path) {
    TRY(const std::string bytes, files_.ReadAll(path));
    const auto topic = DecodeTopic(bytes);
    if (!topic.ok()) damaged_(path, topic.error().message());
    return Ok();
  }

  Status FramesHeader(const std::string& path) {
    TRY(const auto file, files_.Open(path, OpenMode::kRead));
    std::string header(kSegmentHeaderBytes, '\0');
    TRY(const size_t size, file->Read(header.data(), header.size(), 0));
    const std::string_view covered = std::string_view(header).substr(0, kSegmentHeaderBytes - 4);
    if (size < header.size() ||
        Crc32c(covered) != GetFixed<uint32_t>(header.data() + covered.size())) {
      damaged_(path, "its header is damaged, which does no harm to reading");
    }
    return Ok();
  }

  Status Folder(const std::string& directory) {
    TRY(const auto names, files_.List(directory));
    for (const std::string& name : names) {
      const std::string path = directory + "/" + name;
      if (name.ends_with(".aborted")) TRY(Doubled(path));
      if (name.ends_with(".frames")) TRY(FramesHeader(path));
    }
    return Ok();
  }

 private:
  Files& files_;
  const Damaged& damaged_;
};

}  // namespace

Status VerifySmallFiles(Files& files, const std::string& directory, const Damaged& damaged) {
  Verifier verifier(files, damaged);
  TRY(verifier.Doubled(directory + "/wal/checkpoint"));
  const std::string log = directory + "/log";
  TRY(const auto topics, files.List(log));
  for (const std::string& topic : topics) {
    if (topic.starts_with("#")) continue;
    TRY(verifier.Topic(log + "/" + topic + "/topic"));
    TRY(const auto names, files.List(log + "/" + topic));
    for (const std::string& name : names) {
      if (name.find_first_not_of("0123456789") == std::string::npos)
        TRY(verifier.Folder(log + "/" + topic + "/" + name));
    }
  }
  return Ok();
}

}  // namespace millrace::log
