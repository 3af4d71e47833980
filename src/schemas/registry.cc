#include "schemas/registry.h"

#include <algorithm>

#include "base/logging.h"
#include "log/record_batch.h"
#include "schemas/rows_fit.h"

namespace millrace::schemas {

namespace {

// More reasons than anybody reads.
constexpr size_t kReasonsShown = 10;

std::string Reasons(const std::vector<std::string>& problems) {
  std::string reasons;
  for (size_t i = 0; i < std::min(problems.size(), kReasonsShown); ++i)
    reasons += (i == 0 ? "" : "; ") + problems[i];
  if (problems.size() > kReasonsShown)
    reasons += fmt::format("; and {} more", problems.size() - kReasonsShown);
  return reasons;
}

Error Incompatible(const std::string& subject, const std::vector<std::string>& problems) {
  return Error(Code::kConflict,
               "Schema being registered is incompatible with an earlier schema for subject {}: {}",
               Quoted(subject), Reasons(problems));
}

Error NoRows(const std::string& stream, const std::vector<std::string>& problems) {
  return Error(Code::kConflict,
               "Schema being registered is incompatible with stream {}, of which no record by it "
               "could be a row: {}",
               Quoted(stream), Reasons(problems));
}

}  // namespace

Result<std::unique_ptr<Registry>> Registry::Open(log::Log& log, RegistryLimits limits) {
  auto topic = log.FindTopic(kSchemasTopic);
  if (!topic) {
    TRY(topic, log.CreateTopic(kSchemasTopic, {}));
  }
  std::unique_ptr<Registry> registry(new Registry(log, {topic->id, 0}, limits));
  TRY(registry->Load());
  return registry;
}

Status Registry::Load() {
  auto state = std::make_shared<RegistryState>();
  const auto cut = log_.DurableCut();
  const log::Cut::End* end = cut->Find(partition_);
  if (end == nullptr) return Error(Code::kNotFound, "topic {} is gone", kSchemasTopic);
  const auto report = [&](std::string text) {
    LOG_ERROR("schema registry is damaged", "what=\"{}\"", text);
    damage_.push_back(std::move(text));
  };
  for (log::Offset at = end->start; at < end->end;) {
    TRY(const log::ReadResult read, log_.Read(partition_, {.from = at, .until = end->end}));
    for (const log::DamagedRange& lost : read.damaged) {
      report(fmt::format("topic {}: offsets {} to {} are damaged: {}", kSchemasTopic,
                         lost.first.value, lost.last.value, lost.reason));
      // Each may have been a schema.
      state->SkipIds(static_cast<int32_t>(lost.last.value - lost.first.value + 1));
    }
    for (const log::ReadBatch& batch : read.batches) {
      log::RecordCursor records = batch.view().records();
      while (records.Next()) {
        const auto apply = [&]() -> Status {
          TRY(const RegistryRecord record, DecodeRecord(records.record().value.value_or("")));
          return state->Apply(record, batch.frame);
        };
        if (const Status applied = apply(); !applied.ok())
          report(fmt::format("topic {}, offset {}: {}", kSchemasTopic,
                             records.record().offset.value, applied.error().ToString()));
      }
    }
    at = read.next;
  }
  state_ = std::move(state);
  return Ok();
}

std::shared_ptr<const RegistryState> Registry::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Status Registry::Change(const std::vector<RegistryRecord>& records) {
  log::RecordBatchBuilder builder;
  for (const RegistryRecord& record : records)
    builder.Add(std::nullopt, Encode(record), log::Millis{});
  log::AppendRequest request;
  request.push_back({partition_, builder.Finish()});
  TRY(const log::Appended appended, log_.AppendAndWait(std::move(request)));
  auto next = std::make_shared<RegistryState>(*state());
  for (const RegistryRecord& record : records) {
    TRY(next->Apply(record, appended.frame));
  }
  const std::lock_guard lock(mutex_);
  state_ = std::move(next);
  return Ok();
}

Result<Registered> Registry::Register(const std::string& subject, const GivenSchema& given,
                                      std::optional<int32_t> id, std::optional<int32_t> version) {
  if (subject.empty() || subject.size() > limits_.subject_bytes_max || subject.starts_with(":."))
    return Error(Code::kInvalidArgument, "a subject is 1 to {} bytes long and of no other context",
                 limits_.subject_bytes_max);
  const std::lock_guard changing(changing_);
  const auto before = state();
  const Mode mode = before->ModeOf(subject);
  if (mode == Mode::kReadOnly || mode == Mode::kReadOnlyOverride)
    return Error(Code::kNotSupported, "Subject {} is in read-only mode", Quoted(subject));
  if ((id || version) && mode != Mode::kImport)
    return Error(Code::kNotSupported, "Subject {} is not in import mode: ids cannot be chosen",
                 Quoted(subject));
  if (id && *id >= kColumnsIdsFrom)
    return Error(Code::kInvalidArgument, "schema ids from {} on are given by the node itself",
                 kColumnsIdsFrom);
  TRY(const auto parsed, before->Parse(given));
  StoredSchemaPtr same = before->FindSame(parsed.second);
  const Subject* known = before->FindSubject(subject);
  if (known != nullptr && same != nullptr) {
    for (const auto& [number, stands] : known->versions) {
      if (!stands.deleted && stands.schema == same) return Registered{same, number};
    }
  }
  const bool replaces_columns = known != nullptr && !known->is_clients();
  if (mode != Mode::kImport) {
    if (const auto columns = ColumnsOf(subject)) {
      const auto problems = RowProblems(*parsed.first, *columns->versions.back());
      if (!problems.empty()) return NoRows(columns->stream, problems);
    }
    if (!replaces_columns) {
      const auto problems = before->Problems(subject, *parsed.first, std::nullopt);
      if (!problems.empty()) return Incompatible(subject, problems);
    }
  }
  std::vector<RegistryRecord> records;
  if (replaces_columns) {
    for (const auto& [number, stands] : known->versions) {
      if (!stands.deleted) records.push_back(DeletionRecord{subject, number, /*permanent=*/false});
    }
  }
  if (id && (same != nullptr ? same->id != *id : before->FindSchema(*id) != nullptr))
    return Error(Code::kConflict, "schema id {} belongs to another schema, or this one has another",
                 *id);
  const int32_t given_id = same != nullptr ? same->id : id.value_or(before->next_id());
  if (same == nullptr) {
    const std::string& text = parsed.first->TextOf(given.text);
    TRY(CheckRoom(*before, text.size()));
    records.push_back(SchemaRecord{given_id, given.type, text, given.references});
  }
  const auto found = before->subjects().find(subject);
  const auto taken = [&](int32_t wanted) {
    const auto stands = known->versions.find(wanted);
    return stands != known->versions.end() && !stands->second.stream;
  };
  if (version && known != nullptr && taken(*version))
    return Error(Code::kConflict, "Subject {} has a version {} already", Quoted(subject), *version);
  const int32_t number =
      version.value_or(found == before->subjects().end() ? 1 : found->second.last_version + 1);
  records.push_back(VersionRecord{subject, number, given_id});
  TRY(Change(records));
  return Registered{state()->FindSchema(given_id), number};
}

Status Registry::CheckRoom(const RegistryState& state, size_t text_bytes) const {
  if (state.schemas().size() >= limits_.schemas_max)
    return Error(Code::kTooLarge, "the registry holds {} schemas, as many as it may",
                 limits_.schemas_max);
  if (state.text_bytes() + text_bytes > limits_.text_bytes_max)
    return Error(Code::kTooLarge, "the registry's schemas have {} bytes, and may have {}",
                 state.text_bytes(), limits_.text_bytes_max);
  return Ok();
}

std::vector<std::string> Registry::Problems(const std::string& subject, const Schema& schema,
                                            std::optional<int32_t> version) const {
  const auto now = state();
  std::vector<std::string> problems;
  if (const auto columns = ColumnsOf(subject))
    problems = RowProblems(schema, *columns->versions.back());
  const Subject* known = now->FindSubject(subject);
  if (known == nullptr) return problems;
  // A stream's own versions say no more than its columns.
  bool columns_alone = !known->is_clients();
  if (version) {
    const auto stands = known->versions.find(*version);
    columns_alone = stands != known->versions.end() && stands->second.stream;
  }
  if (columns_alone) return problems;
  const auto more = now->Problems(subject, schema, version);
  problems.insert(problems.end(), more.begin(), more.end());
  return problems;
}

Status Registry::Delete(const std::string& subject, const std::vector<int32_t>& versions,
                        bool permanent) {
  const std::lock_guard changing(changing_);
  const auto columns = ColumnsOf(subject);
  const auto before = state();
  const Subject* known = before->FindSubject(subject);
  std::vector<RegistryRecord> records;
  for (const int32_t version : versions) {
    if (columns && known != nullptr) {
      const auto stands = known->versions.find(version);
      if (stands != known->versions.end() && stands->second.stream && !stands->second.deleted)
        return Error(Code::kNotSupported,
                     "version {} of Subject {} is the columns of stream {}, and stays with them",
                     version, Quoted(subject), Quoted(columns->stream))
            .Hint("a schema that you register takes its place");
    }
    records.push_back(DeletionRecord{subject, version, permanent});
  }
  if (records.empty()) return Ok();
  TRY(Change(records));
  // With the last that clients registered, the stream's columns stand here again.
  return FollowSubject(subject);
}

Status Registry::SetCompatibility(const std::string& subject, std::optional<Compatibility> level) {
  const std::lock_guard changing(changing_);
  return Change({CompatibilityRecord{subject, level}});
}

Status Registry::SetMode(const std::string& subject, std::optional<Mode> mode) {
  const std::lock_guard changing(changing_);
  return Change({ModeRecord{subject, mode}});
}

}  // namespace millrace::schemas
