// Which representation a client gets: the Accept header (RFC 9110, section 12.5.1) against what
// there is to offer; and media types of request bodies. Pure functions, thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::http {

enum class Format { kJson, kNdjson, kCsv, kArrow, kParquet };
inline constexpr Format kFormats[] = {Format::kJson, Format::kNdjson, Format::kCsv, Format::kArrow,
                                      Format::kParquet};
// Those of a request body are of lines.
inline constexpr Format kBodyFormats[] = {Format::kJson, Format::kNdjson, Format::kCsv};
inline bool IsColumnar(Format format) {
  return format == Format::kArrow || format == Format::kParquet;
}
std::string_view MediaType(Format format);  // as the answer's Content-Type says it
std::string ListedFormats();                // all media types of answers, for a hint

// The offered format that the client likes best; of equally liked ones the first. An absent or
// empty header takes the first. nullopt: it accepts none of them (406).
std::optional<Format> Negotiate(std::optional<std::string_view> accept,
                                std::span<const Format> offered);
// The media type of a live answer, and whether the client likes it better than any format.
inline constexpr std::string_view kEventStream = "text/event-stream";
bool WantsEvents(std::optional<std::string_view> accept);

// "Application/JSON; charset=utf-8" → "application/json".
std::string BareMediaType(std::string_view content_type);
// The format of a request body. kInvalidArgument lists what is understood (415).
Result<Format> BodyFormat(std::optional<std::string_view> content_type);

}  // namespace millrace::http
