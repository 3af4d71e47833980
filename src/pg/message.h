// Messages of the PostgreSQL protocol, version 3, as bytes: a type, a length that counts itself,
// a body; integers are big-endian, texts end with a zero. What comes from a client is looked at
// before memory is taken for it. Pure functions and values; thread-safe as such.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::pg {

// Of one message of a client, and of a client that has not signed in.
inline constexpr size_t kMessageBytesMax = 17u << 20;
inline constexpr size_t kStrangerBytesMax = 10'000;

struct FrontendMessage {
  char type;
  std::string_view body;
};
// Takes the first message off `in`, which may begin with a part of one: then there is none yet.
// kCorruption: no message begins so. kTooLarge: it says to be larger than `bytes_max`.
Result<std::optional<FrontendMessage>> TakeMessage(std::string_view& in, size_t bytes_max);

// Reads a body from front to end. What goes beyond its end reads as zeros and empty texts, and
// Finish tells.
class MessageReader {
 public:
  explicit MessageReader(std::string_view body) : rest_(body) {}

  uint8_t Byte();
  int16_t Int16();
  int32_t Int32();
  std::string_view Text();
  std::string_view Bytes(size_t count);
  // A count of things of at least `each` bytes, which must fit into what is left.
  size_t Count16(size_t each);
  bool empty() const { return rest_.empty(); }
  size_t size() const { return rest_.size(); }
  // kCorruption: it ended too early, or more follows.
  Status Finish() const;

 private:
  void Fail();
  std::string_view rest_;
  bool failed_ = false;
};

// Appends messages to a text.
class MessageWriter {
 public:
  explicit MessageWriter(std::string& out) : out_(out) {}

  void Begin(char type);
  void End();
  void Byte(char value) { out_ += value; }
  void Int16(int16_t value);
  void Int32(int32_t value);
  void Int64(int64_t value);
  void Text(std::string_view text);
  void Bytes(std::string_view bytes) { out_.append(bytes); }
  // A message without body.
  void Empty(char type) {
    Begin(type);
    End();
  }
  std::string& out() { return out_; }

 private:
  std::string& out_;
  size_t length_at_ = 0;
};

void PutInt16(int16_t value, std::string& out);
void PutInt32(int32_t value, std::string& out);
void PutInt64(int64_t value, std::string& out);
int16_t GetInt16(const char* from);
int32_t GetInt32(const char* from);
int64_t GetInt64(const char* from);

// The first packet of a connection, which has no type.
struct StartupPacket {
  enum class Kind { kStartup, kSsl, kGss, kCancel };
  Kind kind = Kind::kStartup;
  int32_t minor = 0;                                            // of protocol 3
  std::vector<std::pair<std::string, std::string>> parameters;  // kStartup
  int32_t process = 0;                                          // kCancel
  int32_t secret = 0;                                           // kCancel
};
// The packet's bytes without their length. kNotSupported: a protocol other than 3.
Result<StartupPacket> ParseStartup(std::string_view bytes);

// The messages of the extended protocol. Views are of the body.
struct ParseMessage {
  std::string_view name;
  std::string_view text;
  std::vector<uint32_t> parameter_types;
};
struct BindMessage {
  std::string_view portal;
  std::string_view statement;
  std::vector<int16_t> parameter_formats;
  std::vector<std::optional<std::string_view>> parameters;
  std::vector<int16_t> result_formats;
};
struct TargetMessage {  // Describe and Close
  char kind = 'S';      // 'S': a statement, 'P': a portal
  std::string_view name;
};
struct ExecuteMessage {
  std::string_view portal;
  int32_t rows_max = 0;  // 0: all
};
Result<ParseMessage> ParseParse(std::string_view body);
Result<BindMessage> ParseBind(std::string_view body);
Result<TargetMessage> ParseTarget(std::string_view body);
Result<ExecuteMessage> ParseExecute(std::string_view body);
// A body that is one text, as Query has.
Result<std::string_view> ParseText(std::string_view body);

// The format of one of `count` values by the rule of Bind: none: text, one: for all, or each its
// own.
int16_t FormatOf(const std::vector<int16_t>& formats, size_t index);

}  // namespace millrace::pg
