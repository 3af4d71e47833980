// A change of a row as an event after Debezium's envelope (change_decoder.h reads it). Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "log/record_batch.h"

namespace millrace::runtime {

// `before`, `after`: the row as JSON, none where there is none. `op`: c, u, d, r or t. `source`: a
// JSON object that says where the change comes from.
std::string ChangeEnvelope(std::optional<std::string_view> before,
                           std::optional<std::string_view> after, std::string_view op,
                           log::Millis now, std::string_view source);
// Of a change of one row: c, u or d. REQUIRES: there is one of the two, but where a row is deleted
// of which nothing is known.
std::string_view OperationOf(bool before, bool after);

}  // namespace millrace::runtime
