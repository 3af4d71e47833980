// How subjects follow their streams (registry.h).
#include <set>

#include "schemas/columns.h"
#include "schemas/registry.h"

namespace millrace::schemas {

namespace {

// A frame of the log holds much more.
constexpr size_t kBatchBytes = size_t{1} << 20;

// The newest version that stands and shows columns of that stream.
const SubjectVersion* NewestShown(const Subject& subject, uint64_t stream) {
  for (auto it = subject.versions.rbegin(); it != subject.versions.rend(); ++it) {
    const SubjectVersion& version = it->second;
    if (!version.deleted && version.stream && version.stream->stream == stream) return &version;
  }
  return nullptr;
}

// Those that show the columns of another stream, which had the name before.
void EndOthers(const std::string& name, const Subject& subject, std::optional<uint64_t> stream,
               std::vector<RegistryRecord>& records) {
  for (const auto& [number, version] : subject.versions) {
    if (!version.deleted && version.stream && version.stream->stream != stream)
      records.push_back(DeletionRecord{name, number, /*permanent=*/false});
  }
}

}  // namespace

Status Registry::FollowSubject(const std::string& name) {
  const auto now = state();
  const auto columns = ColumnsOf(name);
  const auto found = now->subjects().find(name);
  const Subject none;
  const Subject& subject = found == now->subjects().end() ? none : found->second;
  std::vector<RegistryRecord> records;
  EndOthers(name, subject, columns ? std::optional(columns->generation) : std::nullopt, records);
  const auto finish = [&] { return records.empty() ? Ok() : Change(records); };
  if (!columns || subject.is_clients()) return finish();

  const SubjectVersion* newest = NewestShown(subject, columns->generation);
  const auto count = static_cast<int32_t>(columns->versions.size());
  const bool known = subject.shown.stream == columns->generation;
  int32_t next = known ? subject.shown.columns + 1 : 1;
  if (next > count) {
    if (newest != nullptr && newest->schema->type == columns->type) return finish();
    next = count;  // it stands again, or in another way
  }
  std::string identity = newest == nullptr ? "" : newest->schema->identity;
  std::map<std::string, int32_t> given;  // ids, by identity
  int32_t next_id = now->next_columns_id();
  int32_t version = subject.last_version;
  size_t bytes = 0;
  size_t written = 0;
  for (; next <= count; ++next) {
    const rows::Schema& shown = *columns->versions[static_cast<size_t>(next - 1)];
    GivenSchema schema = SchemaOfColumns(columns->type, columns->stream, shown);
    TRY(const auto parsed, now->Parse(schema));
    if (parsed.second == identity) continue;  // a CHECK has changed, or nothing that it says
    identity = parsed.second;
    const StoredSchemaPtr same = now->FindSame(identity);
    const auto [id, is_new] = given.emplace(identity, same != nullptr ? same->id : next_id);
    if (is_new && same == nullptr) {
      bytes += schema.text.size();
      TRY(CheckRoom(*now, bytes).With("the columns of stream " + Quoted(columns->stream)));
      records.push_back(SchemaRecord{next_id++, schema.type, std::move(schema.text), {}});
    }
    records.push_back(ColumnsRecord{name, ++version, id->second, columns->generation, next});
    if (bytes - written < kBatchBytes) continue;
    TRY(Change(records));
    records.clear();
    written = bytes;
  }
  return finish();
}

Status Registry::Follow(const Hold& hold) {
  CHECK(hold.owns_lock() && hold.mutex() == &changing_);
  std::set<std::string> subjects;
  if (streams_.subjects) {
    for (std::string& subject : streams_.subjects()) subjects.insert(std::move(subject));
  }
  for (const auto& [name, subject] : state()->subjects()) {
    for (const auto& [number, version] : subject.versions) {
      if (!version.deleted && version.stream) subjects.insert(name);
    }
  }
  for (const std::string& subject : subjects) TRY(FollowSubject(subject));
  return Ok();
}

}  // namespace millrace::schemas
