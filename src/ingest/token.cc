#include "ingest/token.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "ingest/ingest.h"

namespace millrace::ingest {

namespace {

constexpr std::string_view kPrefix = "f-";

// Takes a hexadecimal number from the front.
std::optional<uint64_t> TakeNumber(std::string_view& text) {
  uint64_t value = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || at == text.data()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(at - text.data()));
  return value;
}

bool Take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

// ".TOPIC:PARTITION:END" as often as it stands there.
std::optional<std::vector<Token::End>> TakeEnds(std::string_view text) {
  std::vector<Token::End> ends;
  while (Take(text, '.')) {
    const auto topic = TakeNumber(text);
    if (!topic || !Take(text, ':')) return std::nullopt;
    const auto partition = TakeNumber(text);
    if (!partition || *partition > INT32_MAX || !Take(text, ':')) return std::nullopt;
    const auto end = TakeNumber(text);
    if (!end || *end > INT64_MAX) return std::nullopt;
    ends.push_back({{{*topic}, static_cast<int32_t>(*partition)}, {static_cast<int64_t>(*end)}});
  }
  if (!text.empty()) return std::nullopt;
  return ends;
}

}  // namespace

Token TokenOf(const log::Appended& appended, const std::vector<log::PartitionId>& partitions,
              const std::vector<int64_t>& records) {
  Token token{appended.frame};
  if (!appended.held_back) return token;
  for (size_t i = 0; i < partitions.size(); ++i)
    token.held.push_back({partitions[i], appended.base_offsets[i] + records[i]});
  std::sort(token.held.begin(), token.held.end(),
            [](const Token::End& a, const Token::End& b) { return a.partition < b.partition; });
  return token;
}

std::string EncodeToken(const Token& token) {
  std::string text = fmt::format("{}{:x}", kPrefix, token.frame.value);
  for (const Token::End& end : token.held) {
    text += fmt::format(".{:x}:{:x}:{:x}", end.partition.topic.value, end.partition.partition,
                        end.end.value);
  }
  return text;
}

Result<Token> DecodeToken(std::string_view text) {
  if (text.starts_with(kPrefix)) {
    std::string_view rest = text.substr(kPrefix.size());
    const auto frame = TakeNumber(rest);
    const auto held = TakeEnds(rest);
    if (frame && held) return Token{{*frame}, *held};
  }
  return Error(Code::kInvalidArgument, "{} is no token", Quoted(text.substr(0, 100)))
      .Hint("a token is what the answer of a write holds under \"token\"");
}

std::string MergeTokens(const std::vector<std::string>& tokens) {
  log::FrameSequence newest;
  std::map<log::PartitionId, log::Offset> held;
  for (const std::string& text : tokens) {
    const Result<Token> token = DecodeToken(text);
    if (!token.ok()) continue;
    newest = std::max(newest, token->frame);
    for (const Token::End& end : token->held)
      held[end.partition] = std::max(held[end.partition], end.end);
  }
  if (newest.value == 0) return "";
  Token merged{newest};
  for (const auto& [partition, end] : held) merged.held.push_back({partition, end});
  return EncodeToken(merged);
}

}  // namespace millrace::ingest
