// Tokens: "everything up to this frame of the log", as text. The log's frames are one order over
// all partitions, so one number says it. To a user a token is opaque.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "log/types.h"

namespace millrace::ingest {

std::string EncodeToken(log::FrameSequence frame);
// kInvalidArgument where it is none.
Result<log::FrameSequence> DecodeToken(std::string_view token);

}  // namespace millrace::ingest
