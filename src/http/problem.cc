#include "http/problem.h"

#include "http/text.h"

namespace millrace::http {

int StatusOf(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return 400;
    case Code::kNotFound:
      return 404;
    case Code::kAlreadyExists:
    case Code::kConflict:
      return 409;
    case Code::kNotSupported:
      return 422;
    case Code::kTooLarge:
      return 413;
    case Code::kOverloaded:
      return 429;
    case Code::kUnavailable:
      return 503;
    case Code::kTimeout:
      return 504;
    case Code::kCancelled:
      return 499;
    case Code::kCorruption:
    case Code::kIo:
    case Code::kInternal:
      return 500;
  }
  return 500;
}

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Unknown";
  }
}

std::string ErrorBody(const Error& error, int status) {
  std::string out = "{\"error\": {\"code\": ";
  AppendJsonString(out, status == 401   ? "unauthenticated"
                        : status == 403 ? "forbidden"
                                        : CodeName(error.code()));
  out += ", \"message\": ";
  AppendJsonString(out, error.message());
  if (!error.hint().empty()) {
    out += ", \"hint\": ";
    AppendJsonString(out, error.hint());
  }
  if (error.position()) {
    const SourcePosition& position = *error.position();
    out += fmt::format(", \"position\": {{\"line\": {}, \"column\": {}", position.line,
                       position.column);
    if (!position.file.empty()) {
      out += ", \"file\": ";
      AppendJsonString(out, position.file);
    }
    if (!position.line_text.empty()) {
      out += ", \"text\": ";
      AppendJsonString(out, position.line_text);
    }
    out += '}';
  }
  out += "}}\n";
  return out;
}

}  // namespace millrace::http
