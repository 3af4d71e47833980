// CloudEvents 1.0 as rows: an event is a row whose columns have the names of its attributes, and
// `data` (or `data_base64`, where that is neither JSON nor text). Source: the CloudEvents
// specification with its JSON Event Format and HTTP Protocol Binding.
//
// Structured: the body is the event, or in a batch an array of events, as JSON. Binary: attributes
// are header fields, `ce-id` and so on, and the body is the data. An event without what each must
// have (specversion 1.0, id, source, type) is wrong, as a row is.
//
// Thread rule: as row_splitter.h.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "http/head_parser.h"
#include "http/row_splitter.h"

namespace millrace::http {

// Of a body whose media type is application/cloudevents+json or …-batch+json.
bool IsStructuredEvent(std::string_view media_type);
std::unique_ptr<RowSplitter> MakeEventSplitter();

// Whether the header fields are those of an event. The splitter for its data: the row is
// there when the body has ended. kInvalidArgument: a field cannot be read.
bool IsBinaryEvent(const RequestHead& head);
Result<std::unique_ptr<RowSplitter>> MakeEventDataSplitter(const RequestHead& head);

}  // namespace millrace::http
