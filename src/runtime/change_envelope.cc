#include "runtime/change_envelope.h"

#include <fmt/format.h>

namespace millrace::runtime {

std::string ChangeEnvelope(std::optional<std::string_view> before,
                           std::optional<std::string_view> after, std::string_view op,
                           log::Millis now, std::string_view source) {
  return fmt::format(R"({{"before":{},"after":{},"op":"{}","ts_ms":{},"source":{}}})",
                     before.value_or("null"), after.value_or("null"), op, now.value, source);
}

std::string_view OperationOf(bool before, bool after) {
  if (!after) return "d";
  return before ? "u" : "c";
}

}  // namespace millrace::runtime
