#include "http/body_reader.h"

#include <algorithm>
#include <limits>

namespace millrace::http {
namespace {

constexpr size_t kReceiveBytes = 64 * 1024;
// Fed at a time: a zstd block of 4 bytes can hold 128 KiB, so that much input gives at most 16 MiB
// at once.
constexpr size_t kFeedBytes = 512;

}  // namespace

Result<BodyReader> BodyReader::Make(Exchange& exchange) {
  auto compression =
      CompressionByName(exchange.head().Get("content-encoding").value_or(std::string_view()));
  if (!compression.ok())
    return Error(Code::kNotSupported, "{}", compression.error().message())
        .Hint("gzip and zstd are understood");
  return BodyReader(exchange, *compression);
}

BodyReader::BodyReader(Exchange& exchange, Compression compression) : exchange_(&exchange) {
  if (compression == Compression::kNone) return;
  // No bound on the whole: the bodies of streams have none.
  decompressor_ = std::make_unique<Decompressor>(compression, std::numeric_limits<uint64_t>::max());
}

asio::awaitable<Result<size_t>> BodyReader::Read(char* to, size_t size) {
  if (decompressor_ == nullptr) {
    auto plain = co_await exchange_->Read(to, size);
    co_return plain;
  }
  while (decoded_used_ == decoded_.size() && !ended_) {
    decoded_.clear();
    decoded_used_ = 0;
    if (received_used_ == received_.size()) {
      received_.resize(kReceiveBytes);
      received_used_ = 0;
      auto got = co_await exchange_->Read(received_.data(), received_.size());
      if (!got.ok()) co_return got;
      received_.resize(*got);
      if (*got == 0) {
        ended_ = true;
        Status finished = decompressor_->Finish();
        if (!finished.ok()) co_return std::move(finished).error();
        break;
      }
    }
    const std::string_view piece = std::string_view(received_).substr(received_used_, kFeedBytes);
    received_used_ += piece.size();
    Status fed = decompressor_->Feed(piece, [this](std::string_view decoded) -> Status {
      decoded_ += decoded;
      return Ok();
    });
    if (!fed.ok()) co_return std::move(fed).error();
  }
  const size_t take = std::min(size, decoded_.size() - decoded_used_);
  std::copy_n(decoded_.data() + decoded_used_, take, to);
  decoded_used_ += take;
  co_return take;
}

}  // namespace millrace::http
