// Sends a result as the answer to a request: short ones in one write, long ones in pieces that are
// encoded on a pool thread, one ahead of what is sent.
#pragma once

#include "http/result_writer.h"
#include "http/service.h"

namespace millrace::http {

// `head` and `tail` stand around the rows. REQUIRES: not yet answered; all headers are added.
// `first` is the first piece of `writer`, which the caller made together with the result, off the
// I/O thread where it is large.
asio::awaitable<void> AnswerRows(ServiceContext& context, Exchange& exchange,
                                 std::shared_ptr<ResultWriter> writer, std::string head_and_first,
                                 std::string_view tail, std::string_view media_type);

}  // namespace millrace::http
