#include "http/negotiation.h"

#include <algorithm>
#include <iterator>

#include "http/text.h"

namespace millrace::http {
namespace {

struct Range {
  std::string_view type;  // "text/csv", "text/*", "*/*"
  int quality = 1000;     // thousandths
};

Range ParseRange(std::string_view text) {
  Range range;
  range.type = NextPart(text, ';');
  while (!text.empty()) {
    const std::string_view parameter = NextPart(text, ';');
    if (parameter.size() < 3 || (parameter[0] != 'q' && parameter[0] != 'Q') || parameter[1] != '=')
      continue;
    // "0.8" → 800: at most three digits, read by hand because a number of the C library depends on
    // the locale.
    const std::string_view value = parameter.substr(2);
    int quality = value[0] == '1' ? 1000 : 0;
    int weight = 100;
    for (size_t i = 2; i < value.size() && i < 5 && value[i] >= '0' && value[i] <= '9';
         ++i, weight /= 10) {
      quality += (value[i] - '0') * weight;
    }
    range.quality = quality > 1000 ? 1000 : quality;
  }
  return range;
}

// 0: does not match; the more exact range overrules the wider.
int Exactness(std::string_view range, std::string_view type) {
  if (EqualFolded(range, type)) return 3;
  if (range == "*/*" || range == "*") return 1;
  const size_t slash = type.find('/');
  return range.ends_with("/*") &&
                 EqualFolded(range.substr(0, range.size() - 1), type.substr(0, slash + 1))
             ? 2
             : 0;
}

std::string_view BareType(Format format) {
  switch (format) {
    case Format::kJson:
      return "application/json";
    case Format::kNdjson:
      return "application/x-ndjson";
    case Format::kCsv:
      return "text/csv";
    case Format::kArrow:
      return "application/vnd.apache.arrow.stream";
    case Format::kParquet:
      return "application/vnd.apache.parquet";
  }
  return {};
}

// How much a client likes a media type, in thousandths; 0: not at all.
int QualityOf(std::string_view type, std::string_view accept) {
  int exactness = 0;
  int quality = 0;
  while (!accept.empty()) {
    const Range range = ParseRange(NextPart(accept, ','));
    const int match = Exactness(range.type, type);
    if (match > exactness) {
      exactness = match;
      quality = range.quality;
    }
  }
  return quality;
}

}  // namespace

std::string_view MediaType(Format format) {
  return format == Format::kCsv ? "text/csv; charset=utf-8" : BareType(format);
}

std::string ListedFormats() {
  std::string list;
  for (const Format format : kFormats) {
    if (!list.empty()) list += ", ";
    list += BareType(format);
  }
  return list;
}

std::optional<Format> Negotiate(std::optional<std::string_view> accept,
                                std::span<const Format> offered) {
  if (!accept || accept->empty() || *accept == "*/*") return offered.front();
  std::optional<Format> best;
  int best_quality = 0;
  for (const Format format : offered) {
    const int quality = QualityOf(BareType(format), *accept);
    if (quality > best_quality) {
      best = format;
      best_quality = quality;
    }
  }
  return best;
}

bool WantsEvents(std::optional<std::string_view> accept) {
  if (!accept) return false;
  const int quality = QualityOf(kEventStream, *accept);
  return quality > 0 && std::all_of(std::begin(kFormats), std::end(kFormats), [&](Format format) {
           return QualityOf(BareType(format), *accept) < quality;
         });
}

std::string BareMediaType(std::string_view content_type) {
  std::string type(Trim(content_type.substr(0, content_type.find(';'))));
  for (char& c : type) c = LowerAscii(c);
  return type;
}

Result<Format> BodyFormat(std::optional<std::string_view> content_type) {
  const std::string type = BareMediaType(content_type.value_or(std::string_view()));
  for (const Format format : kBodyFormats) {
    if (type == BareType(format)) return format;
  }
  if (type == "application/ndjson" || type == "application/jsonl") return Format::kNdjson;
  const std::string_view hint =
      "send application/json (an object or an array), application/x-ndjson, text/csv with a header "
      "line, or CloudEvents";
  if (type.empty())
    return Error(Code::kInvalidArgument, "the header Content-Type is missing")
        .Hint(std::string(hint));
  return Error(Code::kInvalidArgument, "Content-Type {} is not understood", Quoted(type))
      .Hint(std::string(hint));
}

}  // namespace millrace::http
