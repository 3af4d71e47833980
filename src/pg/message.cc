#include "pg/message.h"

namespace millrace::pg {

namespace {

constexpr int32_t kSslRequest = 80877103;
constexpr int32_t kGssRequest = 80877104;
constexpr int32_t kCancelRequest = 80877102;
constexpr int32_t kProtocolMajor = 3;
constexpr size_t kHeadBytes = 1 + sizeof(int32_t);

template <typename T>
void PutBig(T value, std::string& out) {
  for (size_t i = sizeof(T); i-- > 0;)
    out += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
}

template <typename T>
T GetBig(const char* from) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value = value << 8 | static_cast<uint8_t>(from[i]);
  return static_cast<T>(value);
}

Error Malformed(std::string_view what) {
  return Error(Code::kCorruption, "{}", what).SqlState("08P01");
}

Status CheckFormats(const std::vector<int16_t>& formats, size_t count, std::string_view of) {
  for (const int16_t format : formats) {
    if (format != 0 && format != 1)
      return Error(Code::kInvalidArgument, "format {} of {} is unknown: 0 is text, 1 is binary",
                   format, of)
          .SqlState("08P01");
  }
  if (formats.size() <= 1 || formats.size() == count) return Ok();
  return Error(Code::kCorruption, "Bind has {} formats for {} {}", formats.size(), count, of)
      .SqlState("08P01");
}

}  // namespace

void PutInt16(int16_t value, std::string& out) { PutBig(value, out); }
void PutInt32(int32_t value, std::string& out) { PutBig(value, out); }
void PutInt64(int64_t value, std::string& out) { PutBig(value, out); }
int16_t GetInt16(const char* from) { return GetBig<int16_t>(from); }
int32_t GetInt32(const char* from) { return GetBig<int32_t>(from); }
int64_t GetInt64(const char* from) { return GetBig<int64_t>(from); }

Result<std::optional<FrontendMessage>> TakeMessage(std::string_view& in, size_t bytes_max) {
  if (in.size() < kHeadBytes) return std::optional<FrontendMessage>();
  const char type = in[0];
  if (std::string_view("QPBDECSHXdcfpF").find(type) == std::string_view::npos)
    return Malformed(fmt::format("a message of the unknown type {}", static_cast<int>(type)));
  const int32_t length = GetInt32(in.data() + 1);
  if (length < static_cast<int32_t>(sizeof(int32_t)))
    return Malformed(fmt::format("a message of {} bytes", length));
  const size_t size = static_cast<size_t>(length) + 1;
  if (size > bytes_max) {
    return Error(Code::kTooLarge, "a message of {} bytes, more than {}", size, bytes_max)
        .SqlState("54000");
  }
  if (in.size() < size) return std::optional<FrontendMessage>();
  const FrontendMessage message{type, in.substr(kHeadBytes, size - kHeadBytes)};
  in.remove_prefix(size);
  return std::optional<FrontendMessage>(message);
}

void MessageReader::Fail() {
  failed_ = true;
  rest_ = {};
}

std::string_view MessageReader::Bytes(size_t count) {
  if (count > rest_.size()) {
    Fail();
    return {};
  }
  const std::string_view bytes = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return bytes;
}

uint8_t MessageReader::Byte() {
  const std::string_view bytes = Bytes(1);
  return bytes.empty() ? 0 : static_cast<uint8_t>(bytes[0]);
}

int16_t MessageReader::Int16() {
  const std::string_view bytes = Bytes(sizeof(int16_t));
  return bytes.empty() ? int16_t{0} : GetInt16(bytes.data());
}

int32_t MessageReader::Int32() {
  const std::string_view bytes = Bytes(sizeof(int32_t));
  return bytes.empty() ? 0 : GetInt32(bytes.data());
}

std::string_view MessageReader::Text() {
  const size_t end = rest_.find('\0');
  if (end == std::string_view::npos) {
    Fail();
    return {};
  }
  const std::string_view text = rest_.substr(0, end);
  rest_.remove_prefix(end + 1);
  return text;
}

size_t MessageReader::Count16(size_t each) {
  const auto count = static_cast<uint16_t>(Int16());
  if (static_cast<size_t>(count) * each > rest_.size()) {
    Fail();
    return 0;
  }
  return count;
}

Status MessageReader::Finish() const {
  if (failed_) return Malformed("a message ends too early");
  if (!rest_.empty()) return Malformed("a message is longer than what it holds");
  return Ok();
}

void MessageWriter::Begin(char type) {
  out_ += type;
  length_at_ = out_.size();
  out_.append(sizeof(int32_t), '\0');
}

void MessageWriter::End() {
  const auto length = static_cast<uint32_t>(out_.size() - length_at_);
  for (size_t i = 0; i < sizeof(int32_t); ++i)
    out_[length_at_ + i] = static_cast<char>(length >> (8 * (sizeof(int32_t) - 1 - i)));
}

void MessageWriter::Int16(int16_t value) { PutInt16(value, out_); }
void MessageWriter::Int32(int32_t value) { PutInt32(value, out_); }
void MessageWriter::Int64(int64_t value) { PutInt64(value, out_); }

void MessageWriter::Text(std::string_view text) {
  // A zero would end it, and make two of one.
  out_.append(text.substr(0, text.find('\0')));
  out_ += '\0';
}

Result<StartupPacket> ParseStartup(std::string_view bytes) {
  MessageReader reader(bytes);
  StartupPacket packet;
  const int32_t code = reader.Int32();
  if (code == kSslRequest || code == kGssRequest) {
    packet.kind = code == kSslRequest ? StartupPacket::Kind::kSsl : StartupPacket::Kind::kGss;
    TRY(reader.Finish());
    return packet;
  }
  if (code == kCancelRequest) {
    packet.kind = StartupPacket::Kind::kCancel;
    packet.process = reader.Int32();
    packet.secret = reader.Int32();
    TRY(reader.Finish());
    return packet;
  }
  if (code >> 16 != kProtocolMajor) {
    return Error(Code::kNotSupported, "protocol {}.{} is not spoken here, 3.0 is", code >> 16,
                 code & 0xFFFF);
  }
  packet.minor = code & 0xFFFF;
  while (!reader.empty()) {
    const std::string_view name = reader.Text();
    if (name.empty()) break;
    packet.parameters.emplace_back(name, reader.Text());
  }
  TRY(reader.Finish());
  return packet;
}

Result<ParseMessage> ParseParse(std::string_view body) {
  MessageReader reader(body);
  ParseMessage message;
  message.name = reader.Text();
  message.text = reader.Text();
  const size_t count = reader.Count16(sizeof(int32_t));
  for (size_t i = 0; i < count; ++i)
    message.parameter_types.push_back(static_cast<uint32_t>(reader.Int32()));
  TRY(reader.Finish());
  return message;
}

Result<BindMessage> ParseBind(std::string_view body) {
  MessageReader reader(body);
  BindMessage message;
  message.portal = reader.Text();
  message.statement = reader.Text();
  size_t count = reader.Count16(sizeof(int16_t));
  for (size_t i = 0; i < count; ++i) message.parameter_formats.push_back(reader.Int16());
  count = reader.Count16(sizeof(int32_t));
  for (size_t i = 0; i < count; ++i) {
    const int32_t size = reader.Int32();
    if (size < -1) return Malformed("a parameter of a negative length");
    if (size == -1) {
      message.parameters.emplace_back();
    } else {
      message.parameters.emplace_back(reader.Bytes(static_cast<size_t>(size)));
    }
  }
  const size_t parameters = count;
  count = reader.Count16(sizeof(int16_t));
  for (size_t i = 0; i < count; ++i) message.result_formats.push_back(reader.Int16());
  TRY(reader.Finish());
  TRY(CheckFormats(message.parameter_formats, parameters, "parameters"));
  TRY(CheckFormats(message.result_formats, message.result_formats.size(), "columns"));
  return message;
}

Result<TargetMessage> ParseTarget(std::string_view body) {
  MessageReader reader(body);
  TargetMessage message;
  message.kind = static_cast<char>(reader.Byte());
  message.name = reader.Text();
  TRY(reader.Finish());
  if (message.kind != 'S' && message.kind != 'P')
    return Malformed("neither a statement nor a portal is meant");
  return message;
}

Result<ExecuteMessage> ParseExecute(std::string_view body) {
  MessageReader reader(body);
  ExecuteMessage message;
  message.portal = reader.Text();
  message.rows_max = reader.Int32();
  TRY(reader.Finish());
  if (message.rows_max < 0) message.rows_max = 0;
  return message;
}

Result<std::string_view> ParseText(std::string_view body) {
  MessageReader reader(body);
  const std::string_view text = reader.Text();
  TRY(reader.Finish());
  return text;
}

int16_t FormatOf(const std::vector<int16_t>& formats, size_t index) {
  if (formats.empty()) return 0;
  return formats.size() == 1 ? formats[0] : formats[index];
}

}  // namespace millrace::pg
