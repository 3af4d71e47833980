#include "http/registry_api.h"

#include <algorithm>
#include <charconv>

#include "http/registry_json.h"
#include "http/text.h"

namespace millrace::http {

namespace {

using schemas::Registry;
using schemas::RegistryState;
using schemas::StoredSchemaPtr;
using schemas::Subject;
using State = std::shared_ptr<const RegistryState>;

bool Flag(const RegistryRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.parameters) {
    if (key == name) return EqualFolded(value, "true");
  }
  return false;
}
std::string Parameter(const RegistryRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.parameters) {
    if (key == name) return value;
  }
  return "";
}

RegistryReply NoSubject(std::string_view subject) {
  return RegistryFailure(40401, fmt::format("Subject '{}' not found.", subject));
}
RegistryReply NoVersion(std::string_view version) {
  return RegistryFailure(40402, fmt::format("Version {} not found.", version));
}
RegistryReply NoSchema(std::string_view key) {
  return RegistryFailure(40403, fmt::format("Schema {} not found", key));
}

// The API's code for an error of the registry.
RegistryReply Failed(const Error& error) {
  const std::string text = error.ToString();
  switch (error.code()) {
    case Code::kConflict:
      return RegistryFailure(409, text);
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kTooLarge:
      return RegistryFailure(42201, text);
    case Code::kNotSupported:
      return RegistryFailure(42205, text);
    case Code::kOverloaded:
    case Code::kUnavailable:
      return RegistryFailure(50301, text);
    default:
      return RegistryFailure(50001, text);
  }
}

// The subject, if it has versions that may be seen.
const Subject* Seen(const RegistryState& state, const std::string& name, bool deleted) {
  const Subject* subject = state.FindSubject(name);
  return subject != nullptr && (deleted || subject->has_live()) ? subject : nullptr;
}

// A version's number: "latest", "-1", or 1 and more. nullopt with `problem` set where it is none.
std::optional<int32_t> VersionOf(const Subject& subject, const std::string& text, bool deleted,
                                 RegistryReply& problem) {
  if (text == "latest" || text == "-1") {
    const auto latest = subject.latest(deleted);
    if (!latest) problem = NoVersion(text);
    return latest;
  }
  if (text.empty() || text.size() > 9 || text == "0" ||
      !std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    problem = RegistryFailure(
        42202, fmt::format("The specified version '{}' is not a valid version id. Allowed values "
                           "are between [1, 2^31-1] and the string \"latest\"",
                           text));
    return std::nullopt;
  }
  const int32_t number = std::stoi(text);
  const auto found = subject.versions.find(number);
  if (found == subject.versions.end() || (found->second.deleted && !deleted)) {
    problem = NoVersion(text);
    return std::nullopt;
  }
  return number;
}

std::optional<int32_t> IdOf(const std::string& text) {
  int32_t id = 0;
  const char* end = text.data() + text.size();
  const auto [read, error] = std::from_chars(text.data(), end, id);
  return error == std::errc() && read == end && id > 0 ? std::optional(id) : std::nullopt;
}

StoredSchemaPtr SchemaById(const RegistryState& state, const std::string& text) {
  const auto id = IdOf(text);
  return id ? state.FindSchema(*id) : nullptr;
}

// As ?format=serialized asks for it; else the text.
std::string TextFor(const RegistryRequest& request, const schemas::StoredSchema& schema) {
  return Parameter(request, "format") == "serialized" ? schema.parsed->Serialized(schema.text)
                                                      : schema.text;
}

// --- schemas -------------------------------------------------------------------------------------

RegistryReply GetSchema(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const auto schema = SchemaById(*state, request.segments[0]);
  if (schema == nullptr) return NoSchema(request.segments[0]);
  std::string json = SchemaJson(*schema, TextFor(request, *schema));
  if (Flag(request, "fetchMaxId")) {
    json.pop_back();
    json += fmt::format(",\"maxId\":{}}}", state->next_id() - 1);
  }
  return {200, json};
}

RegistryReply GetSchemaText(Registry& registry, const RegistryRequest& request) {
  const auto schema = SchemaById(*registry.state(), request.segments[0]);
  return schema == nullptr ? NoSchema(request.segments[0])
                           : RegistryReply{200, TextFor(request, *schema)};
}

RegistryReply GetSchemaByGuid(Registry& registry, const RegistryRequest& request) {
  const auto guid = schemas::GuidOf(request.segments[0]);
  const auto schema = guid ? registry.state()->FindSchema(*guid) : nullptr;
  return schema == nullptr ? NoSchema(request.segments[0])
                           : RegistryReply{200, SchemaJson(*schema, TextFor(request, *schema))};
}

// Calls `visit` with subject and number of each version that may be seen.
template <typename Visit>
void EachVersion(const RegistryState& state, bool deleted, const Visit& visit) {
  for (const auto& [name, subject] : state.subjects()) {
    for (const auto& [number, version] : subject.versions) {
      if (deleted || !version.deleted) visit(name, number, version);
    }
  }
}

RegistryReply GetSchemaVersions(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const auto schema = SchemaById(*state, request.segments[0]);
  if (schema == nullptr) return NoSchema(request.segments[0]);
  std::string out = "[";
  EachVersion(*state, Flag(request, "deleted"),
              [&](const auto& name, int32_t number, auto& version) {
                if (version.schema != schema) return;
                out += out.size() > 1 ? ",{\"subject\":" : "{\"subject\":";
                AppendJsonString(out, name);
                out += fmt::format(",\"version\":{}}}", number);
              });
  return {200, out + "]"};
}

RegistryReply GetSchemaSubjects(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const auto schema = SchemaById(*state, request.segments[0]);
  if (schema == nullptr) return NoSchema(request.segments[0]);
  std::vector<std::string> names;
  EachVersion(*state, Flag(request, "deleted"), [&](const auto& name, int32_t, auto& version) {
    if (version.schema == schema && (names.empty() || names.back() != name)) names.push_back(name);
  });
  return {200, TextsJson(names)};
}

RegistryReply GetAllSchemas(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const std::string prefix = Parameter(request, "subjectPrefix");
  const bool latest_only = Flag(request, "latestOnly");
  std::string out = "[";
  const bool deleted = Flag(request, "deleted");
  EachVersion(*state, deleted, [&](const std::string& name, int32_t number, auto& version) {
    if (!name.starts_with(prefix)) return;
    if (latest_only && state->FindSubject(name)->latest(deleted) != number) return;
    if (out.size() > 1) out += ',';
    out += VersionJson(name, number, *version.schema, TextFor(request, *version.schema));
  });
  return {200, out + "]"};
}

RegistryReply GetTypes(Registry&, const RegistryRequest&) {
  return {200, R"(["JSON","PROTOBUF","AVRO"])"};
}
RegistryReply GetContexts(Registry&, const RegistryRequest&) { return {200, R"(["."])"}; }

// --- subjects ------------------------------------------------------------------------------------

RegistryReply GetSubjects(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const std::string prefix = Parameter(request, "subjectPrefix");
  std::vector<std::string> names;
  for (const auto& [name, subject] : state->subjects()) {
    if (name.starts_with(prefix) && Seen(*state, name, Flag(request, "deleted")) != nullptr)
      names.push_back(name);
  }
  return {200, TextsJson(names)};
}

RegistryReply GetVersions(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const bool deleted = Flag(request, "deleted");
  const Subject* subject = Seen(*state, request.segments[0], deleted);
  if (subject == nullptr) return NoSubject(request.segments[0]);
  std::vector<int32_t> numbers;
  for (const auto& [number, version] : subject->versions) {
    if (deleted || !version.deleted) numbers.push_back(number);
  }
  return {200, NumbersJson(numbers)};
}

// The version that the request's segments name, handed to `answer`.
template <typename Answer>
RegistryReply WithVersion(const RegistryState& state, const RegistryRequest& request, bool deleted,
                          const Answer& answer) {
  const Subject* subject = Seen(state, request.segments[0], deleted);
  if (subject == nullptr) return NoSubject(request.segments[0]);
  RegistryReply problem;
  const auto number = VersionOf(*subject, request.segments[1], deleted, problem);
  if (!number) return problem;
  return answer(*number, *subject->versions.at(*number).schema);
}

RegistryReply GetVersion(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  return WithVersion(*state, request, Flag(request, "deleted"),
                     [&](int32_t number, const schemas::StoredSchema& schema) {
                       return RegistryReply{200, VersionJson(request.segments[0], number, schema,
                                                             TextFor(request, schema))};
                     });
}

RegistryReply GetVersionText(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  return WithVersion(*state, request, Flag(request, "deleted"),
                     [&](int32_t, const schemas::StoredSchema& schema) {
                       return RegistryReply{200, TextFor(request, schema)};
                     });
}

RegistryReply GetReferrers(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  return WithVersion(*state, request, false, [&](int32_t number, const schemas::StoredSchema&) {
    return RegistryReply{200, NumbersJson(state->ReferrersOf(request.segments[0], number))};
  });
}

RegistryReply Register(Registry& registry, const RegistryRequest& request) {
  auto body = ParseSchemaBody(request.body);
  if (!body.ok()) return Failed(body.error());
  const auto registered =
      registry.Register(request.segments[0], body->schema, body->id, body->version);
  if (!registered.ok()) return Failed(registered.error());
  // Without the text, as Confluent's: clients keep what they gave, in the form in which they gave
  // it.
  return {200, fmt::format(R"({{"id":{},"version":{},"guid":"{}"}})", registered->schema->id,
                           registered->version, schemas::GuidText(registered->schema->guid))};
}

RegistryReply Lookup(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const bool deleted = Flag(request, "deleted");
  const Subject* subject = Seen(*state, request.segments[0], deleted);
  if (subject == nullptr) return NoSubject(request.segments[0]);
  auto body = ParseSchemaBody(request.body);
  if (!body.ok()) return Failed(body.error());
  const auto parsed = state->Parse(body->schema);
  if (!parsed.ok()) return Failed(parsed.error());
  const auto same = state->FindSame(parsed->second);
  for (auto it = subject->versions.rbegin(); it != subject->versions.rend(); ++it) {
    if (it->second.schema == same && same != nullptr && (deleted || !it->second.deleted))
      return {200, VersionJson(request.segments[0], it->first, *same, TextFor(request, *same))};
  }
  return RegistryFailure(40403, "Schema not found");
}

// --- deleting ------------------------------------------------------------------------------------

RegistryReply DeleteSubject(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const std::string& name = request.segments[0];
  const bool permanent = Flag(request, "permanent");
  const Subject* subject = Seen(*state, name, true);
  if (subject == nullptr) return NoSubject(name);
  if (permanent && subject->has_live())
    return RegistryFailure(
        40405,
        fmt::format("Subject '{}' was not deleted first before being permanently deleted", name));
  if (!permanent && !subject->has_live())
    return RegistryFailure(
        40404,
        fmt::format("Subject '{}' was soft deleted. Set permanent=true to delete permanently",
                    name));
  std::vector<int32_t> numbers;
  for (const auto& [number, version] : subject->versions) {
    if (!permanent && version.deleted) continue;
    if (!state->ReferrersOf(name, number).empty())
      return RegistryFailure(42206, fmt::format("Version {} of subject '{}' is referred to by "
                                                "another schema",
                                                number, name));
    numbers.push_back(number);
  }
  const Status deleted = registry.Delete(name, numbers, permanent);
  return deleted.ok() ? RegistryReply{200, NumbersJson(numbers)} : Failed(deleted.error());
}

RegistryReply DeleteVersion(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const std::string& name = request.segments[0];
  const bool permanent = Flag(request, "permanent");
  const Subject* subject = Seen(*state, name, true);
  if (subject == nullptr) return NoSubject(name);
  RegistryReply problem;
  const auto number = VersionOf(*subject, request.segments[1], true, problem);
  if (!number) return problem;
  const bool is_deleted = subject->versions.at(*number).deleted;
  if (permanent && !is_deleted)
    return RegistryFailure(40407,
                           fmt::format("Subject '{}' Version {} was not deleted first before "
                                       "being permanently deleted",
                                       name, *number));
  if (!permanent && is_deleted)
    return RegistryFailure(40406, fmt::format("Subject '{}' Version {} was soft deleted. Set "
                                              "permanent=true to delete permanently",
                                              name, *number));
  if (!state->ReferrersOf(name, *number).empty())
    return RegistryFailure(42206,
                           fmt::format("Version {} of subject '{}' is referred to by another "
                                       "schema",
                                       *number, name));
  const Status deleted = registry.Delete(name, {*number}, permanent);
  return deleted.ok() ? RegistryReply{200, std::to_string(*number)} : Failed(deleted.error());
}

// --- compatibility, settings ---------------------------------------------------------------------

RegistryReply Compatible(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const std::string& name = request.segments[0];
  auto body = ParseSchemaBody(request.body);
  if (!body.ok()) return Failed(body.error());
  const auto parsed = state->Parse(body->schema);
  if (!parsed.ok()) return Failed(parsed.error());
  std::optional<int32_t> version;
  if (request.segments.size() > 1) {
    const Subject* subject = Seen(*state, name, false);
    if (subject == nullptr) return NoSubject(name);
    RegistryReply problem;
    version = VersionOf(*subject, request.segments[1], false, problem);
    if (!version) return problem;
  }
  const auto problems = registry.Problems(name, *parsed->first, version);
  std::string out = fmt::format("{{\"is_compatible\":{}", problems.empty());
  if (Flag(request, "verbose")) out += ",\"messages\":" + TextsJson(problems);
  return {200, out + "}"};
}

std::string SubjectOf(const RegistryRequest& request) {
  return request.segments.empty() ? "" : request.segments[0];
}

RegistryReply GetLevel(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const std::string subject = SubjectOf(request);
  const bool any = subject.empty() || Flag(request, "defaultToGlobal");
  const auto set = state->CompatibilitySet(subject);
  if (!set && !any)
    return RegistryFailure(40408, fmt::format("Subject '{}' does not have subject-level "
                                              "compatibility configured",
                                              subject));
  return {200, fmt::format("{{\"compatibilityLevel\":\"{}\"}}",
                           CompatibilityName(state->CompatibilityOf(subject)))};
}

RegistryReply PutLevel(Registry& registry, const RegistryRequest& request) {
  const auto name = ParseTextBody(request.body, "compatibility");
  if (!name.ok()) return Failed(name.error());
  std::string upper = *name;
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  const auto level = schemas::CompatibilityOf(upper);
  if (!level)
    return RegistryFailure(42203,
                           "Invalid compatibility level. Valid values are none, backward, "
                           "forward, full, backward_transitive, forward_transitive, and "
                           "full_transitive");
  const Status done = registry.SetCompatibility(SubjectOf(request), *level);
  if (!done.ok()) return Failed(done.error());
  return {200, fmt::format("{{\"compatibility\":\"{}\"}}", upper)};
}

RegistryReply DeleteLevel(Registry& registry, const RegistryRequest& request) {
  const std::string subject = SubjectOf(request);
  const auto was = registry.state()->CompatibilitySet(subject);
  if (!was && !subject.empty()) return NoSubject(subject);
  const Status done = registry.SetCompatibility(subject, std::nullopt);
  if (!done.ok()) return Failed(done.error());
  return {200, fmt::format("{{\"compatibilityLevel\":\"{}\"}}",
                           CompatibilityName(was.value_or(schemas::Compatibility::kBackward)))};
}

RegistryReply GetMode(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const std::string subject = SubjectOf(request);
  const auto set = state->ModeSet(subject);
  if (!set && !subject.empty() && !Flag(request, "defaultToGlobal"))
    return RegistryFailure(
        40409, fmt::format("Subject '{}' does not have subject-level mode configured", subject));
  return {200, fmt::format("{{\"mode\":\"{}\"}}", ModeName(state->ModeOf(subject)))};
}

RegistryReply PutMode(Registry& registry, const RegistryRequest& request) {
  const State state = registry.state();
  const std::string subject = SubjectOf(request);
  const auto name = ParseTextBody(request.body, "mode");
  if (!name.ok()) return Failed(name.error());
  const auto mode = schemas::ModeOf(*name);
  if (!mode)
    return RegistryFailure(42204,
                           "Invalid mode. Valid values are READWRITE, READONLY, "
                           "READONLY_OVERRIDE, and IMPORT");
  // Ids that are imported must not meet ids that were given here.
  const auto of_clients = [&](const std::string& wanted) {
    const Subject* found = state->FindSubject(wanted);
    return found != nullptr && found->is_clients();
  };
  const bool empty = subject.empty() ? state->next_id() == 1 : !of_clients(subject);
  if (*mode == schemas::Mode::kImport && !empty && !Flag(request, "force"))
    return RegistryFailure(42205, "Cannot import since found existing subjects");
  const Status done = registry.SetMode(subject, *mode);
  return done.ok() ? RegistryReply{200, fmt::format("{{\"mode\":\"{}\"}}", *name)}
                   : Failed(done.error());
}

RegistryReply DeleteMode(Registry& registry, const RegistryRequest& request) {
  const std::string subject = SubjectOf(request);
  const auto was = registry.state()->ModeSet(subject);
  if (!was) return NoSubject(subject);
  const Status done = registry.SetMode(subject, std::nullopt);
  return done.ok() ? RegistryReply{200, fmt::format("{{\"mode\":\"{}\"}}", ModeName(*was))}
                   : Failed(done.error());
}

}  // namespace

RegistryReply RegistryFailure(int code, std::string_view message) {
  std::string body = fmt::format("{{\"error_code\":{},\"message\":", code);
  AppendJsonString(body, message);
  return {code >= 1000 ? code / 100 : code, body + "}"};
}

const std::vector<RegistryCall>& RegistryCalls() {
  static const std::vector<RegistryCall> calls = {
      {"GET", "/schemas", GetAllSchemas},
      {"GET", "/schemas/types", GetTypes},
      {"GET", "/schemas/ids/{id}", GetSchema},
      {"GET", "/schemas/ids/{id}/schema", GetSchemaText},
      {"GET", "/schemas/ids/{id}/versions", GetSchemaVersions},
      {"GET", "/schemas/ids/{id}/subjects", GetSchemaSubjects},
      {"GET", "/schemas/guids/{guid}", GetSchemaByGuid},
      {"GET", "/contexts", GetContexts},
      {"GET", "/subjects", GetSubjects},
      {"POST", "/subjects/{subject}", Lookup, true},
      {"DELETE", "/subjects/{subject}", DeleteSubject},
      {"GET", "/subjects/{subject}/versions", GetVersions},
      {"POST", "/subjects/{subject}/versions", Register},
      {"GET", "/subjects/{subject}/versions/{version}", GetVersion},
      {"DELETE", "/subjects/{subject}/versions/{version}", DeleteVersion},
      {"GET", "/subjects/{subject}/versions/{version}/schema", GetVersionText},
      {"GET", "/subjects/{subject}/versions/{version}/referencedby", GetReferrers},
      {"POST", "/compatibility/subjects/{subject}/versions", Compatible, true},
      {"POST", "/compatibility/subjects/{subject}/versions/{version}", Compatible, true},
      {"GET", "/config", GetLevel},
      {"PUT", "/config", PutLevel},
      {"DELETE", "/config", DeleteLevel},
      {"GET", "/config/{subject}", GetLevel},
      {"PUT", "/config/{subject}", PutLevel},
      {"DELETE", "/config/{subject}", DeleteLevel},
      {"GET", "/mode", GetMode},
      {"PUT", "/mode", PutMode},
      {"GET", "/mode/{subject}", GetMode},
      {"PUT", "/mode/{subject}", PutMode},
      {"DELETE", "/mode/{subject}", DeleteMode},
  };
  return calls;
}

}  // namespace millrace::http
