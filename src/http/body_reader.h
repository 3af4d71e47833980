// Reads a request's body with its Content-Encoding (gzip, zstd) taken off.
// Belongs to its Exchange's coroutine. Memory: at most some MiB, whatever the body expands to.
#pragma once

#include <memory>
#include <string>

#include "base/decompress.h"
#include "http/exchange.h"

namespace millrace::http {

class BodyReader {
 public:
  // kNotSupported (415): the encoding is not understood.
  static Result<BodyReader> Make(Exchange& exchange);

  // The next bytes of the decoded body; 0: its end. Errors: those of Exchange::Read, and
  // kInvalidArgument where it does not decode. REQUIRES: size > 0.
  asio::awaitable<Result<size_t>> Read(char* to, size_t size);

 private:
  BodyReader(Exchange& exchange, Compression compression);

  Exchange* exchange_;
  std::unique_ptr<Decompressor> decompressor_;  // null: the body is plain
  std::string received_;  // compressed bytes, [received_used_, …) still to be fed
  size_t received_used_ = 0;
  std::string decoded_;  // [decoded_used_, …) still to be given out
  size_t decoded_used_ = 0;
  bool ended_ = false;
};

}  // namespace millrace::http
