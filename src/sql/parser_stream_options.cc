#include "sql/parser_stream_options.h"

#include <algorithm>

#include "rows/schema.h"
#include "sql/parser_values.h"

namespace millrace::sql {
namespace {

const KnownOptions& KnownOfStreams() {
  static const KnownOptions known = {
      "a stream",
      {"retention", "retention_bytes", "on_invalid", "idle_after", "future_max", "durability",
       "timestamps", "cleanup_policy", "delete_retention", "max_message_bytes", "segment_bytes",
       "segment_age"},
      {"format", "late"},
      ""};
  return known;
}

Status Format(const Cursor& cursor, catalog::StreamDefinition& stream, const Option& option) {
  for (std::string_view later : {"csv", "debezium", "text"}) {
    if (!rows::EqualNames(option.value, later)) continue;
    return cursor.At(option.value_begin,
                     Error(Code::kNotSupported, "format '{}' is not available yet", later)
                         .Hint("the format of records is 'json', 'avro', 'protobuf' or 'raw'"));
  }
  // A value that names a schema of the registry is read by it, any other one as JSON.
  using enum catalog::StreamDefinition::Format;
  constexpr catalog::StreamDefinition::Format kFormats[] = {kRows, kAvro, kProtobuf, kRaw};
  TRY(const size_t choice, ChoiceOf(cursor, option, {"json", "avro", "protobuf", "raw"}));
  const bool raw = kFormats[choice] == kRaw;
  if (raw && !stream.schema.columns.empty())
    return cursor.At(option.name_begin,
                     Error(Code::kInvalidArgument, "a raw stream has no columns of its own")
                         .Hint("they are key, value, headers and timestamp"));
  stream.format = kFormats[choice];
  return Ok();
}

Status SetDurability(const Cursor& cursor, catalog::Durability& durability, const Option& option) {
  using catalog::Durability;
  constexpr std::string_view kInterval = "interval ";
  if (!rows::LowerName(option.value).starts_with(kInterval)) {
    TRY(const size_t choice, ChoiceOf(cursor, option, {"fsync", "os", "interval 50ms"}));
    durability = {choice == 0 ? Durability::Kind::kFsync : Durability::Kind::kOs, {}};
    return Ok();
  }
  const Result<std::chrono::microseconds> time =
      DurationFromText(std::string_view(option.value).substr(kInterval.size()));
  if (!time.ok()) return cursor.At(option.value_begin, Error(time.error()).With("durability"));
  if (*time < Durability::kIntervalMin || *time > Durability::kIntervalMax) {
    return cursor.At(option.value_begin,
                     Error(Code::kInvalidArgument, "the interval of durability is {} to {} ms",
                           Durability::kIntervalMin.count(), Durability::kIntervalMax.count()));
  }
  durability = {Durability::Kind::kInterval,
                std::chrono::duration_cast<std::chrono::milliseconds>(*time)};
  return Ok();
}

Result<int64_t> SizeBetween(const Cursor& cursor, const Option& option, int64_t min, int64_t max) {
  TRY(const int64_t size, SizeOf(cursor, option));
  if (size >= min && size <= max) return size;
  return cursor.At(option.value_begin,
                   Error(Code::kInvalidArgument, "option {}: {} to {} bytes are allowed, not {}",
                         option.name, min, max, size));
}

// False: the option is none of these.
Result<bool> StorageOption(const Cursor& cursor, catalog::Storage& storage, const Option& option) {
  using catalog::Storage;
  if (option.name == "timestamps") {
    TRY(const size_t choice, ChoiceOf(cursor, option, {"producer", "broker"}));
    storage.timestamps = static_cast<Storage::Timestamps>(choice);
  } else if (option.name == "cleanup_policy") {
    TRY(const size_t choice, ChoiceOf(cursor, option, {"delete", "compact"}));
    storage.compact = choice == 1;
  } else if (option.name == "delete_retention") {
    TRY(storage.delete_retention, DurationOf(cursor, option));
  } else if (option.name == "max_message_bytes") {
    TRY(storage.max_message_bytes,
        SizeBetween(cursor, option, Storage::kMessageBytesMin, Storage::kMessageBytesMax));
  } else if (option.name == "segment_bytes") {
    TRY(storage.segment_bytes,
        SizeBetween(cursor, option, Storage::kSegmentBytesMin, Storage::kSegmentBytesMax));
  } else if (option.name == "segment_age") {
    TRY(storage.segment_age, DurationOf(cursor, option));
  } else {
    return false;
  }
  return true;
}

Status StreamOption(const Cursor& cursor, catalog::StreamDefinition& stream, const Option& option) {
  if (option.name == "format") {
    return Format(cursor, stream, option);
  } else if (option.name == "retention") {
    TRY(stream.retention, RetentionOf(cursor, option));
  } else if (option.name == "retention_bytes") {
    TRY(stream.retention_bytes, SizeOf(cursor, option));
  } else if (option.name == "on_invalid") {
    TRY(const size_t choice, ChoiceOf(cursor, option, {"quarantine", "reject"}));
    stream.on_invalid = static_cast<catalog::StreamDefinition::OnInvalid>(choice);
  } else if (option.name == "late") {
    TRY(const size_t choice, ChoiceOf(cursor, option, {"keep", "divert"}));
    stream.late = static_cast<catalog::StreamDefinition::Late>(choice);
    if (stream.late == catalog::StreamDefinition::Late::kDivert && !stream.watermark) {
      return cursor.At(option.name_begin,
                       Error(Code::kInvalidArgument,
                             "late = 'divert' needs a WATERMARK, which says what is late"));
    }
  } else if (option.name == "idle_after") {
    TRY(stream.idle_after, DurationOf(cursor, option));
  } else if (option.name == "durability") {
    return SetDurability(cursor, stream.durability, option);
  } else if (option.name == "future_max") {
    TRY(stream.future_max, DurationOf(cursor, option));
  } else {
    TRY(const bool known, StorageOption(cursor, stream.storage, option));
    CHECK(known) << option.name;
  }
  return Ok();
}

}  // namespace

Result<std::set<std::string>> ExpectStreamOptions(Cursor& cursor, catalog::StreamDefinition& stream,
                                                  bool created) {
  TRY(const std::vector<Option> options, ExpectOptions(cursor));
  TRY(CheckOptionNames(cursor, options, KnownOfStreams().of, KnownOfStreams().All(), {"archive"}));
  std::set<std::string> names;
  for (const Option& option : options) {
    if (!created) TRY(RefuseFixed(cursor, KnownOfStreams(), option.name, option.name_begin));
    TRY(StreamOption(cursor, stream, option));
    names.insert(option.name);
  }
  if (!created) return names;
  const Status checked = CheckStorage(stream);
  if (checked.ok()) return names;
  const auto at = std::find_if(options.begin(), options.end(), [](const Option& option) {
    return option.name == "cleanup_policy";
  });
  return cursor.At(at->name_begin, Error(checked.error()));
}

Status CheckStorage(const catalog::StreamDefinition& stream) {
  if (!stream.storage.compact || stream.format == catalog::StreamDefinition::Format::kRaw)
    return Ok();
  return Error(Code::kInvalidArgument,
               "cleanup_policy = 'compact' is for raw streams: the rows of stream {} all count",
               Quoted(stream.name))
      .Hint("a TABLE keeps the newest row of each key");
}

Result<int> ExpectPartitions(Cursor& cursor) {
  constexpr int64_t kPartitionsMax = 1024;
  TRY(cursor.Expect({"INTO"}));
  TRY(const int64_t partitions, cursor.ExpectInteger("a number of partitions", 1, kPartitionsMax));
  if (!cursor.Accept({"PARTITION"})) TRY(cursor.Expect({"PARTITIONS"}));
  return static_cast<int>(partitions);
}

Result<std::set<std::string>> ExpectStreamOptionNames(Cursor& cursor) {
  return ExpectOptionNames(cursor, KnownOfStreams());
}

}  // namespace millrace::sql
