// Sends a result as the answer to a request: short ones in one write, long ones in pieces that are
// encoded on pool threads, a few parts of the result ahead of what is sent.
#pragma once

#include "http/result_writer.h"
#include "http/service.h"

namespace millrace::http {

// `tail` stands behind the rows. `head_and_first` is what stands before them and the first piece of
// the first writer, which the caller made together with the result, off the I/O thread where it is
// large. REQUIRES: not yet answered; all headers are added.
asio::awaitable<void> AnswerRows(ServiceContext& context, Exchange& exchange, ResultWriters writers,
                                 std::string head_and_first, std::string_view tail,
                                 std::string_view media_type);

}  // namespace millrace::http
