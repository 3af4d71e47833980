#include "runtime/stream_subjects.h"

#include <algorithm>

#include "base/logging.h"
#include "catalog/sql_text.h"
#include "catalog/stream_versions.h"
#include "runtime/system_table_parts.h"
#include "schemas/rows_fit.h"

namespace millrace::runtime {

namespace {

using catalog::StreamDefinition;
using schemas::Compatibility;

constexpr std::string_view kSuffix = "-value";

std::string SubjectOf(const StreamDefinition& stream) { return stream.name + std::string(kSuffix); }

schemas::SchemaType TypeOf(StreamDefinition::Format format) {
  if (format == StreamDefinition::Format::kAvro) return schemas::SchemaType::kAvro;
  if (format == StreamDefinition::Format::kProtobuf) return schemas::SchemaType::kProtobuf;
  return schemas::SchemaType::kJson;
}

// The stream whose subject it is. Subjects tell upper from lower case, as topics do.
const catalog::Object* StreamOf(const catalog::Catalog& catalog, std::string_view subject) {
  if (!subject.ends_with(kSuffix)) return nullptr;
  const std::string name(subject.substr(0, subject.size() - kSuffix.size()));
  const catalog::Object* object = catalog.Find(catalog::Kind::kStream, name);
  if (object == nullptr || object->name() != name) return nullptr;
  const auto& stream = std::get<StreamDefinition>(object->definition);
  return stream.format == StreamDefinition::Format::kRaw ? nullptr : object;
}

std::optional<schemas::StreamColumns> ColumnsOf(const catalog::CatalogPtr& catalog,
                                                std::string_view subject) {
  const catalog::Object* object = StreamOf(*catalog, subject);
  if (object == nullptr) return std::nullopt;
  const auto& stream = std::get<StreamDefinition>(object->definition);
  schemas::StreamColumns columns{
      stream.name, object->generation, TypeOf(stream.format), {}, catalog};
  for (const catalog::StreamVersion& version : stream.earlier)
    columns.versions.push_back(&version.schema);
  columns.versions.push_back(&stream.schema);
  return columns;
}

// The newest version that clients registered; none: its versions are the stream's own.
std::optional<std::pair<int32_t, schemas::StoredSchemaPtr>> NewestOfClients(
    const schemas::Subject* subject) {
  if (subject == nullptr || !subject->is_clients()) return std::nullopt;
  for (auto it = subject->versions.rbegin(); it != subject->versions.rend(); ++it) {
    if (!it->second.deleted && !it->second.stream) return std::pair(it->first, it->second.schema);
  }
  return std::nullopt;
}

// What no record by the schema could be a row for; what was so before is not the change's doing.
Status CheckFits(const schemas::RegistryState& registry, const StreamDefinition* before,
                 const StreamDefinition& after) {
  const std::string subject = SubjectOf(after);
  const auto newest = NewestOfClients(registry.FindSubject(subject));
  if (!newest) return Ok();
  const schemas::Schema& schema = *newest->second->parsed;
  std::vector<std::string> problems = schemas::RowProblems(schema, after.schema);
  if (before != nullptr) {
    const std::vector<std::string> known = schemas::RowProblems(schema, before->schema);
    std::erase_if(problems, [&](const std::string& problem) {
      return std::find(known.begin(), known.end(), problem) != known.end();
    });
  }
  if (problems.empty()) return Ok();
  return Error(Code::kConflict,
               "no record by version {} of subject {} of the schema registry could be a row of "
               "stream {}: {}",
               newest->first, Quoted(subject), Quoted(after.name), fmt::join(problems, "; "))
      .Hint(fmt::format("register a schema first that fits, or DELETE /subjects/{}/versions/{}",
                        subject, newest->first))
      .SqlState("55000");
}

bool IsBackward(Compatibility level) {
  return level == Compatibility::kBackward || level == Compatibility::kBackwardTransitive ||
         level == Compatibility::kFull || level == Compatibility::kFullTransitive;
}
bool IsForward(Compatibility level) {
  return level == Compatibility::kForward || level == Compatibility::kForwardTransitive ||
         level == Compatibility::kFull || level == Compatibility::kFullTransitive;
}
bool IsTransitive(Compatibility level) {
  return level == Compatibility::kBackwardTransitive ||
         level == Compatibility::kForwardTransitive || level == Compatibility::kFullTransitive;
}

// Whether the subject's level lets columns change so.
Status CheckLevel(const schemas::RegistryState& registry, const StreamDefinition& before,
                  const StreamDefinition& after) {
  const std::string subject = SubjectOf(after);
  const schemas::Subject* registered = registry.FindSubject(subject);
  const bool by_clients = registered != nullptr && registered->is_clients();
  if (!registry.CompatibilitySet(subject) && !by_clients) return Ok();
  const Compatibility level = registry.CompatibilityOf(subject);
  std::vector<std::string> problems;
  const auto compare = [&](const rows::Schema& earlier) {
    std::vector<std::string> found;
    if (IsBackward(level)) found = ColumnReadProblems(after.schema, earlier);
    if (IsForward(level)) {
      for (const std::string& problem : ColumnReadProblems(earlier, after.schema))
        found.push_back("to those who read by the columns before, " + problem);
    }
    for (std::string& problem : found) {
      if (std::find(problems.begin(), problems.end(), problem) == problems.end())
        problems.push_back(std::move(problem));
    }
  };
  compare(before.schema);
  if (IsTransitive(level)) {
    for (const catalog::StreamVersion& version : before.earlier) compare(version.schema);
  }
  if (problems.empty()) return Ok();
  return Error(Code::kConflict, "subject {} of the schema registry is {}, which forbids that: {}",
               Quoted(subject), schemas::CompatibilityName(level), fmt::join(problems, "; "))
      .Hint(fmt::format("PUT /config/{} {{\"compatibility\": \"NONE\"}} allows it", subject))
      .SqlState("55000");
}

}  // namespace

schemas::Streams StreamsOf(const Publisher& publisher) {
  return {[&publisher] {
            std::vector<std::string> subjects;
            const catalog::CatalogPtr catalog = publisher.newest()->catalog;
            for (const catalog::Object* object : catalog->OfKind(catalog::Kind::kStream)) {
              const auto& stream = std::get<StreamDefinition>(object->definition);
              if (stream.format != StreamDefinition::Format::kRaw)
                subjects.push_back(SubjectOf(stream));
            }
            return subjects;
          },
          [&publisher](std::string_view subject) {
            return ColumnsOf(publisher.newest()->catalog, subject);
          }};
}

std::vector<std::string> ColumnReadProblems(const rows::Schema& reader,
                                            const rows::Schema& writer) {
  std::vector<const rows::Column*> written(reader.columns.size(), nullptr);
  for (const rows::Column& column : writer.columns) {
    if (const auto found = reader.FindField(column.name)) written[*found] = &column;
  }
  std::vector<std::string> problems;
  for (size_t i = 0; i < written.size(); ++i) {
    const rows::Column& column = reader.columns[i];
    const rows::Column* was = written[i];
    if (was == nullptr) {
      if (column.not_null && !column.default_value)
        problems.push_back(fmt::format(
            "column {} is NOT NULL without a DEFAULT, and records have no field of that name",
            Quoted(column.name)));
      continue;
    }
    if (column.type != was->type && !catalog::CanWiden(was->type, column.type))
      problems.push_back(fmt::format("column {} is {}, and values are {}", Quoted(column.name),
                                     catalog::TypeText(column.type), catalog::TypeText(was->type)));
    if (column.not_null && !was->not_null) {
      problems.push_back(
          fmt::format("column {} is NOT NULL, and values may be NULL", Quoted(column.name)));
    } else if (column.not_null && !column.default_value && was->default_value) {
      problems.push_back(fmt::format(
          "column {} is NOT NULL without a DEFAULT, and records may lack it", Quoted(column.name)));
    }
  }
  return problems;
}

Status CheckSubjects(const schemas::RegistryState& registry, const catalog::Catalog& before,
                     const std::vector<catalog::Change>& changes) {
  for (const catalog::Change& change : changes) {
    const auto* create = std::get_if<catalog::Create>(&change);
    const auto* alter = std::get_if<catalog::Alter>(&change);
    if (create == nullptr && alter == nullptr) continue;
    const catalog::Object& object = create != nullptr ? create->object : alter->object;
    const auto* after = std::get_if<StreamDefinition>(&object.definition);
    if (after == nullptr || after->format == StreamDefinition::Format::kRaw) continue;
    const std::string what =
        fmt::format("{} STREAM {}", create != nullptr ? "CREATE" : "ALTER", object.name());
    const StreamDefinition* was = alter != nullptr ? before.FindStream(alter->name) : nullptr;
    // A name that it did not have has a subject of its own.
    const bool renamed = was != nullptr && was->name != after->name;
    TRY(CheckFits(registry, renamed ? nullptr : was, *after).With(what));
    if (was != nullptr && !renamed && was->earlier.size() != after->earlier.size())
      TRY(CheckLevel(registry, *was, *after).With(what));
  }
  return Ok();
}

void FollowStreams(schemas::Registry& registry, const schemas::Registry::Hold& hold) {
  if (const Status followed = registry.Follow(hold); !followed.ok())
    LOG_WARNING("the schema registry does not show the columns of all streams", "reason=\"{}\"",
                followed.error().message());
}

SystemTable SchemasTable(const schemas::Registry& registry) {
  using duckdb::LogicalType;
  using system_tables::Text;
  return {system_tables::MakeSchema({{"subject", LogicalType::VARCHAR},
                                     {"version", LogicalType::INTEGER},
                                     {"id", LogicalType::INTEGER},
                                     {"type", LogicalType::VARCHAR},
                                     {"origin", LogicalType::VARCHAR},
                                     {"schema", LogicalType::VARCHAR}}),
          [&registry](const Published&) {
            std::vector<std::vector<duckdb::Value>> rows;
            const auto state = registry.state();
            for (const auto& [name, subject] : state->subjects()) {
              for (const auto& [number, version] : subject.versions) {
                if (version.deleted) continue;
                rows.push_back({Text(name), duckdb::Value::INTEGER(number),
                                duckdb::Value::INTEGER(version.schema->id),
                                Text(schemas::SchemaTypeName(version.schema->type)),
                                Text(version.stream ? "stream" : "client"),
                                Text(version.schema->text)});
              }
            }
            return rows;
          }};
}

}  // namespace millrace::runtime
