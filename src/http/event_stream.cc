#include "http/event_stream.h"

#include <fmt/format.h>

#include <charconv>

namespace millrace::http {
namespace {

constexpr size_t kDigestDigits = 16;

template <typename Number>
bool ParseAll(std::string_view text, int base, Number& out) {
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, out, base);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

}  // namespace

std::string ToString(const EventId& id) { return fmt::format("{}-{:016x}", id.step, id.digest); }

std::optional<EventId> ParseEventId(std::string_view text) {
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos || text.size() - dash - 1 != kDigestDigits)
    return std::nullopt;
  EventId id;
  if (!ParseAll(text.substr(0, dash), 10, id.step)) return std::nullopt;
  if (!ParseAll(text.substr(dash + 1), 16, id.digest)) return std::nullopt;
  return id;
}

std::string EventHead(std::string_view name, std::string_view id) {
  std::string out = "event: ";
  out += name;
  if (!id.empty()) {
    out += "\nid: ";
    out += id;
  }
  return out + "\n";
}

std::string EventText(std::string_view name, std::string_view id, std::string_view data) {
  std::string out = EventHead(name, id);
  while (true) {
    const size_t end = data.find('\n');
    out += "data: ";
    out += data.substr(0, end);
    out += '\n';
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + 1);
  }
  return out + "\n";
}

std::string RetryText(std::chrono::milliseconds wait) {
  return fmt::format("retry: {}\n\n", wait.count());
}

}  // namespace millrace::http
