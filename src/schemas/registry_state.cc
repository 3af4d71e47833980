#include "schemas/registry_state.h"

#include <algorithm>

#include "base/coding.h"

namespace millrace::schemas {

namespace {

constexpr int kReferenceDepthMax = 16;

Guid GuidFor(const std::string& identity) {
  std::string bytes;
  PutBig(bytes, StableHash(identity, 1));
  PutBig(bytes, StableHash(identity, 2));
  Guid guid;
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(guid.data()));
  guid[6] = static_cast<uint8_t>((guid[6] & 0x0f) | 0x80);  // RFC 9562, version 8: our own
  guid[8] = static_cast<uint8_t>((guid[8] & 0x3f) | 0x80);
  return guid;
}

std::string IdentityOf(const Schema& schema, const std::vector<Reference>& references) {
  std::string identity(SchemaTypeName(schema.type()));
  for (const Reference& reference : references)
    identity += fmt::format("\n{}\n{}\n{}", reference.name, reference.subject, reference.version);
  return identity + "\n\n" + schema.canonical();
}

template <typename Value>
std::optional<Value> Find(const std::map<std::string, Value, std::less<>>& values,
                          std::string_view key) {
  const auto found = values.find(key);
  return found == values.end() ? std::nullopt : std::optional<Value>(found->second);
}

template <typename Value>
void Set(std::map<std::string, Value, std::less<>>& values, const std::string& key,
         std::optional<Value> value) {
  if (value) {
    values[key] = *value;
  } else {
    values.erase(key);
  }
}

}  // namespace

bool Subject::has_live() const { return latest(/*deleted=*/false).has_value(); }

bool Subject::is_clients() const {
  return std::any_of(versions.begin(), versions.end(), [](const auto& version) {
    return !version.second.deleted && !version.second.stream;
  });
}

std::optional<int32_t> Subject::latest(bool deleted) const {
  for (auto it = versions.rbegin(); it != versions.rend(); ++it) {
    if (deleted || !it->second.deleted) return it->first;
  }
  return std::nullopt;
}

Status RegistryState::Apply(const RegistryRecord& record, log::FrameSequence frame) {
  if (const auto* schema = std::get_if<SchemaRecord>(&record)) return Put(*schema, frame);
  if (const auto* version = std::get_if<VersionRecord>(&record))
    return Put(version->subject, version->version, version->id, std::nullopt);
  if (const auto* columns = std::get_if<ColumnsRecord>(&record))
    return Put(columns->subject, columns->version, columns->id,
               ColumnsShown{columns->stream, columns->columns});
  if (const auto* deletion = std::get_if<DeletionRecord>(&record)) return Put(*deletion);
  if (const auto* level = std::get_if<CompatibilityRecord>(&record)) {
    Set(levels_, level->subject, level->level);
  } else if (const auto* mode = std::get_if<ModeRecord>(&record)) {
    Set(modes_, mode->subject, mode->mode);
  }
  return Ok();
}

Status RegistryState::Put(const SchemaRecord& record, log::FrameSequence frame) {
  auto stored = std::make_shared<StoredSchema>();
  TRY(auto parsed, Parse({record.type, record.text, record.references})
                       .With(fmt::format("schema {}", record.id)));
  stored->id = record.id;
  stored->guid = GuidFor(parsed.second);
  stored->text = record.text;
  stored->type = record.type;
  stored->references = record.references;
  stored->identity = parsed.second;
  stored->parsed = std::move(parsed.first);
  stored->frame = frame;
  if (!schemas_.emplace(record.id, stored).second)
    return Error(Code::kCorruption, "schema {} stands twice", record.id);
  text_bytes_ += record.text.size();
  by_guid_.emplace(stored->guid, stored);
  by_identity_.emplace(stored->identity, stored);
  int32_t& next = record.id < kColumnsIdsFrom ? next_id_ : next_columns_id_;
  next = std::max(next, record.id + 1);
  return Ok();
}

Status RegistryState::Put(const std::string& subject, int32_t version, int32_t id,
                          std::optional<ColumnsShown> stream) {
  const auto schema = schemas_.find(id);
  if (schema == schemas_.end())
    return Error(Code::kCorruption, "version {} of {} is schema {}, which is not there", version,
                 Quoted(subject), id);
  Subject& into = subjects_[subject];
  into.versions[version] = {schema->second, false, stream};
  into.last_version = std::max(into.last_version, version);
  if (stream) into.shown = *stream;
  return Ok();
}

Status RegistryState::Put(const DeletionRecord& record) {
  const auto subject = subjects_.find(record.subject);
  if (subject == subjects_.end()) return Ok();
  if (record.permanent) {
    subject->second.versions.erase(record.version);
  } else if (const auto found = subject->second.versions.find(record.version);
             found != subject->second.versions.end()) {
    found->second.deleted = true;
  }
  return Ok();
}

const Subject* RegistryState::FindSubject(std::string_view subject) const {
  const auto found = subjects_.find(subject);
  return found == subjects_.end() || found->second.versions.empty() ? nullptr : &found->second;
}

StoredSchemaPtr RegistryState::FindSchema(const SchemaKey& key) const {
  if (const auto* id = std::get_if<int32_t>(&key)) {
    const auto found = schemas_.find(*id);
    return found == schemas_.end() ? nullptr : found->second;
  }
  const auto found = by_guid_.find(std::get<Guid>(key));
  return found == by_guid_.end() ? nullptr : found->second;
}

StoredSchemaPtr RegistryState::FindSame(const std::string& identity) const {
  const auto found = by_identity_.find(identity);
  return found == by_identity_.end() ? nullptr : found->second;
}

std::optional<Compatibility> RegistryState::CompatibilitySet(std::string_view subject) const {
  return Find(levels_, subject);
}
std::optional<Mode> RegistryState::ModeSet(std::string_view subject) const {
  return Find(modes_, subject);
}
Compatibility RegistryState::CompatibilityOf(std::string_view subject) const {
  const auto own = CompatibilitySet(subject);
  return own ? *own : CompatibilitySet("").value_or(Compatibility::kBackward);
}
Mode RegistryState::ModeOf(std::string_view subject) const {
  const auto own = ModeSet(subject);
  return own ? *own : ModeSet("").value_or(Mode::kReadWrite);
}

Status RegistryState::Resolve(const std::vector<Reference>& references, int depth,
                              std::vector<ReferencedText>& out) const {
  if (depth > kReferenceDepthMax)
    return Error(Code::kInvalidArgument, "references go deeper than {}", kReferenceDepthMax);
  for (const Reference& reference : references) {
    const Subject* subject = FindSubject(reference.subject);
    const SubjectVersion* version = nullptr;
    if (subject != nullptr) {
      const auto at = subject->versions.find(reference.version);
      if (at != subject->versions.end()) version = &at->second;
    }
    if (version == nullptr)
      return Error(Code::kNotFound, "reference {}: there is no version {} of subject {}",
                   Quoted(reference.name), reference.version, Quoted(reference.subject));
    const StoredSchema& schema = *version->schema;
    TRY(Resolve(schema.references, depth + 1, out));
    const auto known = [&](const ReferencedText& text) { return text.name == reference.name; };
    if (std::none_of(out.begin(), out.end(), known)) out.push_back({reference.name, schema.text});
  }
  return Ok();
}

Result<std::pair<std::shared_ptr<const Schema>, std::string>> RegistryState::Parse(
    const GivenSchema& given) const {
  std::vector<ReferencedText> referenced;
  TRY(Resolve(given.references, 0, referenced));
  TRY(auto schema, Schema::Parse(given.type, given.text, referenced));
  std::string identity = IdentityOf(*schema, given.references);
  return std::make_pair(std::move(schema), std::move(identity));
}

std::vector<std::string> RegistryState::Problems(std::string_view subject, const Schema& schema,
                                                 std::optional<int32_t> version) const {
  const Subject* found = FindSubject(subject);
  const Compatibility level = CompatibilityOf(subject);
  if (found == nullptr || level == Compatibility::kNone) return {};
  const bool backward =
      level != Compatibility::kForward && level != Compatibility::kForwardTransitive;
  const bool forward =
      level != Compatibility::kBackward && level != Compatibility::kBackwardTransitive;
  const bool transitive = level == Compatibility::kBackwardTransitive ||
                          level == Compatibility::kForwardTransitive ||
                          level == Compatibility::kFullTransitive;
  const auto latest = found->latest(/*deleted=*/false);
  std::vector<std::string> problems;
  for (const auto& [number, other] : found->versions) {
    const bool asked = version ? number == *version : !other.deleted;
    if (!asked || (!version && !transitive && number != latest)) continue;
    const auto add = [&](std::string_view direction, const std::vector<std::string>& more) {
      for (const std::string& problem : more)
        problems.push_back(fmt::format("{} (version {}, {}: {})", problem, number, direction,
                                       CompatibilityName(level)));
    };
    if (backward) add("the new one cannot read it", ReadProblems(schema, *other.schema->parsed));
    if (forward) add("it cannot read the new one", ReadProblems(*other.schema->parsed, schema));
  }
  return problems;
}

std::vector<int32_t> RegistryState::ReferrersOf(std::string_view subject, int32_t version) const {
  std::vector<int32_t> ids;
  for (const auto& [name, other] : subjects_) {
    for (const auto& [number, stands] : other.versions) {
      const auto refers = [&](const Reference& reference) {
        return reference.subject == subject && reference.version == version;
      };
      const auto& references = stands.schema->references;
      if (!stands.deleted && std::any_of(references.begin(), references.end(), refers))
        ids.push_back(stands.schema->id);
    }
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

}  // namespace millrace::schemas
