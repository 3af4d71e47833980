// Messages of the server, put together from what they say. Each appends to `out`. Pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pg/message.h"
#include "rows/schema.h"

namespace millrace::pg {

// ErrorResponse. `text`: what the error's position is of, as the client sent it. `severity`:
// "ERROR", or "FATAL" where the connection ends.
void AppendError(const Error& error, std::string_view severity, std::string_view text,
                 std::string& out);
// NoticeResponse. `severity`: "NOTICE", "WARNING".
void AppendNotice(std::string_view severity, std::string_view sqlstate, std::string_view message,
                  std::string& out);
void AppendParameterStatus(std::string_view name, std::string_view value, std::string& out);
void AppendCommandComplete(std::string_view tag, std::string& out);
// 'I': no transaction, 'T': within one, 'E': within one that has failed.
void AppendReadyForQuery(char status, std::string& out);
void AppendRowDescription(const rows::Schema& schema, const std::vector<int16_t>& formats,
                          std::string& out);
void AppendParameterDescription(const std::vector<uint32_t>& oids, std::string& out);

// Of a message to a client, the position of its error in the client's text, from 1 and in
// characters; 0: none.
size_t PositionOf(const Error& error, std::string_view text);

}  // namespace millrace::pg
