#include "cli/kafka_topic_settings.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <limits>

namespace millrace::cli {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// How a setting's value is written as an option's.
enum class Kind { kMillis, kBytes, kTimestamps, kCleanup, kFlush };

struct Setting {
  std::string_view option;
  Kind kind;
  bool may_be_unlimited = false;  // -1 is the option's default
};

const std::map<std::string_view, Setting>& Known() {
  static const std::map<std::string_view, Setting> known = {
      {"cleanup.policy", {"cleanup_policy", Kind::kCleanup}},
      {"delete.retention.ms", {"delete_retention", Kind::kMillis}},
      {"flush.messages", {"durability", Kind::kFlush}},
      {"flush.ms", {"durability", Kind::kFlush}},
      {"max.message.bytes", {"max_message_bytes", Kind::kBytes}},
      {"message.timestamp.type", {"timestamps", Kind::kTimestamps}},
      {"retention.bytes", {"retention_bytes", Kind::kBytes, true}},
      {"retention.ms", {"retention", Kind::kMillis, true}},
      {"segment.bytes", {"segment_bytes", Kind::kBytes}},
      {"segment.ms", {"segment_age", Kind::kMillis}}};
  return known;
}

// What every topic has, and clients set all the same.
bool IsAsItMustBe(std::string_view setting, std::string_view value) {
  static const std::map<std::string_view, std::string_view> fixed = {
      {"compression.type", "producer"},
      {"min.compaction.lag.ms", "0"},
      {"min.insync.replicas", "1"},
      {"unclean.leader.election.enable", "false"}};
  const auto found = fixed.find(setting);
  return found != fixed.end() && found->second == value;
}

Error NoValue(std::string_view setting, std::string_view value, std::string_view expected) {
  return Error(Code::kInvalidArgument, "{} is {}, not {}", setting, expected, Quoted(value));
}

Result<int64_t> NumberOf(std::string_view setting, std::string_view value, int64_t min) {
  int64_t number = 0;
  const char* end = value.data() + value.size();
  const auto parsed = std::from_chars(value.data(), end, number);
  if (parsed.ec == std::errc() && parsed.ptr == end && (number > 0 || number == min)) return number;
  return NoValue(setting, value, min == -1 ? "-1 or a number above 0" : "a number above 0");
}

Result<std::string> CleanupOf(std::string_view value) {
  bool compacts = false;
  for (size_t at = 0; at <= value.size();) {
    const size_t comma = std::min(value.find(',', at), value.size());
    std::string_view policy = value.substr(at, comma - at);
    while (policy.starts_with(' ')) policy.remove_prefix(1);
    while (policy.ends_with(' ')) policy.remove_suffix(1);
    if (policy != "delete" && policy != "compact")
      return NoValue("cleanup.policy", value, "delete, compact, or both with a comma");
    compacts = compacts || policy == "compact";
    at = comma + 1;
  }
  return std::string(compacts ? "compact" : "delete");
}

// flush.messages = 1 answers producers after the fdatasync, flush.ms so much before it.
Result<std::string> FlushOf(const kafka::TopicSettings& settings) {
  using catalog::Durability;
  const auto messages = settings.find("flush.messages");
  const auto ms = settings.find("flush.ms");
  if (messages != settings.end()) {
    TRY(const int64_t count, NumberOf(messages->first, messages->second, 1));
    if (count == 1) return std::string("fsync");
    if (count != kNever)
      return NoValue(messages->first, messages->second, fmt::format("1 or {}", kNever));
    if (ms == settings.end()) return std::string("os");
  }
  TRY(const int64_t time, NumberOf(ms->first, ms->second, 1));
  if (time == kNever) return std::string(messages == settings.end() ? "fsync" : "os");
  if (time > Durability::kIntervalMax.count())
    return NoValue(ms->first, ms->second,
                   fmt::format("1 to {}, or {}", Durability::kIntervalMax.count(), kNever));
  return fmt::format("interval {}ms", time);
}

Status AddOption(const std::string& name, const std::string& value, const Setting& setting,
                 const kafka::TopicSettings& all, OptionChanges& changes) {
  const std::string option(setting.option);
  switch (setting.kind) {
    case Kind::kMillis:
    case Kind::kBytes: {
      TRY(const int64_t number, NumberOf(name, value, setting.may_be_unlimited ? -1 : 1));
      if (number == -1) {
        changes.reset.insert(option);
      } else {
        changes.set[option] =
            fmt::format("{} {}", number, setting.kind == Kind::kMillis ? "milliseconds" : "B");
      }
      return Ok();
    }
    case Kind::kTimestamps:
      if (value != "CreateTime" && value != "LogAppendTime")
        return NoValue(name, value, "CreateTime or LogAppendTime");
      changes.set[option] = value == "CreateTime" ? "producer" : "broker";
      return Ok();
    case Kind::kCleanup: {
      TRY(changes.set[option], CleanupOf(value));
      return Ok();
    }
    case Kind::kFlush: {
      TRY(changes.set[option], FlushOf(all));
      return Ok();
    }
  }
  return Error(Code::kInternal, "a setting of no kind");
}

// Of a stream, or of a view's changes.
template <typename Definition>
void SetRetention(const Definition& definition, kafka::Topic& topic) {
  if (definition.retention)
    topic.retention_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(*definition.retention).count();
  topic.retention_bytes = definition.retention_bytes;
}

std::optional<int64_t> Millis(const std::optional<std::chrono::microseconds>& time) {
  if (!time) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(*time).count();
}

}  // namespace

Result<OptionChanges> OptionsFrom(const kafka::TopicSettings& settings,
                                  const std::vector<std::string>& reset) {
  OptionChanges changes;
  for (const std::string& name : reset) {
    const auto setting = Known().find(name);
    if (setting != Known().end()) changes.reset.insert(std::string(setting->second.option));
  }
  for (const auto& [name, value] : settings) {
    const auto setting = Known().find(name);
    if (setting != Known().end()) {
      TRY(AddOption(name, value, setting->second, settings, changes));
    } else if (!IsAsItMustBe(name, value)) {
      std::string known;
      for (const auto& [other, unused] : Known())
        known += fmt::format("{}{}", known.empty() ? "" : ", ", other);
      return Error(Code::kInvalidArgument, "{} cannot be {} here", name, Quoted(value))
          .Hint(known + " can be set");
    }
  }
  for (const auto& [option, value] : changes.set) changes.reset.erase(option);
  return changes;
}

void SetSettings(const catalog::StreamDefinition& stream, kafka::Topic& topic) {
  SetRetention(stream, topic);
  if (const auto delay = stream.durability.sync_delay_max(); delay.count() > 0)
    topic.flush_ms = delay.count();
  const catalog::Storage& storage = stream.storage;
  topic.compact = storage.compact;
  topic.append_time = storage.timestamps == catalog::Storage::Timestamps::kBroker;
  topic.delete_retention_ms = Millis(storage.delete_retention);
  topic.max_message_bytes = storage.max_message_bytes;
  topic.segment_bytes = storage.segment_bytes;
  topic.segment_ms = Millis(storage.segment_age);
}

void SetSettings(const catalog::ViewDefinition& view, kafka::Topic& topic) {
  SetRetention(view, topic);
  topic.compact = view.changes == catalog::ViewDefinition::Changes::kUpsert;
}

}  // namespace millrace::cli
