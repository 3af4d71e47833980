// Structured logging to standard error: one line an event, `time level message key=value …`.
//
//   LOG_INFO("segment rolled", "topic={} partition={} offset={}", topic, partition, offset);
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace millrace {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };
// Thread-safe. Default: kWarning, so that a program's own output stays readable.
void SetLogLevel(LogLevel level);
bool LogEnabled(LogLevel level);
void WriteLog(LogLevel level, std::string_view message, std::string_view fields);

}  // namespace millrace

#define MILLRACE_LOG(level, message, ...)                                \
  do {                                                                   \
    if (::millrace::LogEnabled(level))                                   \
      ::millrace::WriteLog(level, message, fmt::format("" __VA_ARGS__)); \
  } while (false)
#define LOG_DEBUG(message, ...) MILLRACE_LOG(::millrace::LogLevel::kDebug, message, __VA_ARGS__)
#define LOG_INFO(message, ...) MILLRACE_LOG(::millrace::LogLevel::kInfo, message, __VA_ARGS__)
#define LOG_WARNING(message, ...) MILLRACE_LOG(::millrace::LogLevel::kWarning, message, __VA_ARGS__)
#define LOG_ERROR(message, ...) MILLRACE_LOG(::millrace::LogLevel::kError, message, __VA_ARGS__)
