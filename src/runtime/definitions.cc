// CREATE and DROP, and a project's files as a whole.
#include <algorithm>
#include <set>

#include "catalog/compare.h"
#include "runtime/definer.h"
#include "runtime/model_catalog.h"
#include "runtime/project_plan.h"
#include "runtime/statements.h"
#include "runtime/stream_subjects.h"

namespace millrace::runtime {

Result<uint64_t> ApplyChanges(Node::Impl& node, std::vector<catalog::Change> changes) {
  for (const catalog::Change& change : changes) {
    const auto* create = std::get_if<catalog::Create>(&change);
    if (create == nullptr || create->object.kind() != catalog::Kind::kTable) continue;
    const auto& table = std::get<catalog::TableDefinition>(create->object.definition);
    if (table.seed.empty()) continue;
    TRY(const catalog::CatalogPtr after, node.publisher.newest()->catalog->Apply(changes));
    TRY(node.seeds->Check(*after, table));
  }
  TRY(KeepModels(node.database->models(), changes));
  uint64_t build = 0;
  if (!changes.empty()) {
    // Nobody registers a schema by columns that are about to change.
    const schemas::Registry::Hold hold = node.schemas->BeginHold();
    TRY(CheckSubjects(*node.schemas->state(), *node.publisher.newest()->catalog, changes));
    TRY(node.loop->AtBoundary([&]() -> Status {
      TRY(build, node.changer->Apply(std::move(changes)));
      return Ok();
    }));
    FollowStreams(*node.schemas, hold);
    node.builds->Wake();
    TRY(node.FollowCatalog());
  }
  TRY(node.seeds->Apply(*node.publisher.newest()->catalog));
  return build;
}

Status FinishBuild(Node::Impl& node, uint64_t build) {
  const std::lock_guard lock(node.definition_mutex);
  if (!node.publisher.newest()->catalog->builds().contains(build)) return Ok();
  TRY(ApplyChanges(node, {catalog::ControlBuild{build, catalog::ControlBuild::What::kFinish, ""}}));
  return Ok();
}

Status AwaitBuild(Node::Impl& node, uint64_t build, const StatementOptions& options,
                  StatementResult& result) {
  if (build == 0) return Ok();
  const catalog::CatalogPtr begun = node.publisher.newest()->catalog;
  // A node that cannot go on builds nothing more.
  const auto over = [&] {
    return !node.publisher.newest()->catalog->builds().contains(build) || !node.loop->health().ok();
  };
  const bool waited = node.builds->WaitUntil(over, options.timeout, options.cancel);
  TRY(node.loop->health());
  if (const auto reason = node.builds->ReasonOf(build))
    return Error(Code::kTooLarge, "{}", *reason).SqlState("54000");
  const PublishedPtr published = node.publisher.newest();
  result.step = published->state.step.value;
  const auto found = begun->builds().find(build);
  if (found == begun->builds().end()) return Ok();  // over before it was looked at
  for (const catalog::Object* object : found->second.created()) {
    if (!waited) {
      result.notices.push_back(
          fmt::format("{} {} is still being built from history; SHOW VIEWS says how far it is",
                      catalog::KindName(object->kind()), Quoted(object->name())));
    } else if (const catalog::Object* made =
                   published->catalog->FindInNameSpace(object->kind(), object->name());
               made == nullptr || made->generation != object->generation) {
      result.notices.push_back(fmt::format("the build of {} {} was ended by another statement",
                                           catalog::KindName(object->kind()),
                                           Quoted(object->name())));
    }
  }
  return Ok();
}

std::string Keyword(catalog::Kind kind) {
  std::string keyword(catalog::KindName(kind));
  std::transform(keyword.begin(), keyword.end(), keyword.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return keyword;
}

namespace {

bool HoldsData(catalog::Kind kind) {
  return kind == catalog::Kind::kStream || kind == catalog::Kind::kTable;
}

// A stream or table is not made anew for a changed type, macro or model: it holds data.
Error UsedByData(const catalog::Object& changed, const catalog::Object& user) {
  return Error(Code::kConflict, "{} {} is used by {} {}, which holds data",
               catalog::KindName(changed.kind()), Quoted(changed.name()),
               catalog::KindName(user.kind()), Quoted(user.name()))
      .Hint("make one under another name")
      .SqlState("2BP01");
}

// Values of a type that is used are numbered: those that there are stay where they are.
Status CheckOnlyAppends(const catalog::Object& before, const catalog::Object& after,
                        const catalog::Object& user) {
  const auto* type = std::get_if<catalog::TypeDefinition>(&after.definition);
  if (type == nullptr) return Ok();
  const auto& old = std::get<catalog::TypeDefinition>(before.definition).values;
  if (type->values.size() >= old.size() && std::equal(old.begin(), old.end(), type->values.begin()))
    return Ok();
  return Error(Code::kConflict, "type {} is used by {} {}: values can only be added at its end",
               Quoted(type->name), catalog::KindName(user.kind()), Quoted(user.name()))
      .Hint("make one under another name")
      .SqlState("2BP01");
}

// Those of columns that went go with them.
void KeepComments(const catalog::Object& old, catalog::Object& object) {
  object.comments = old.comments;
  if (!catalog::IsRelation(object.kind())) return;
  const rows::Schema schema = catalog::ShapeOf(object).schema;
  std::erase_if(object.comments.columns,
                [&](const auto& item) { return !schema.Find(item.first); });
}

// A running node measures what it holds: rows as of the newest step, contents in memory, streams in
// the log's files.
Result<RelationSize> SizeOf(const Node::Impl& node, const Published& published,
                            const catalog::Object& object) {
  RelationSize size;
  const auto relation = published.relations->Find(object.name());
  if (relation == nullptr) return size;
  if (relation->content != nullptr) {
    size.rows = static_cast<int64_t>(relation->content->row_count());
    size.bytes = static_cast<int64_t>(relation->content->bytes());
    return size;
  }
  const auto books = published.state.books.find(relation->internal_name);
  if (books != published.state.books.end()) size.rows = books->second.rows;
  size.bytes = StreamBytes(*node.log, relation->topic());
  return size;
}

// Against what the catalog will be when the builds are over, but those in `ended`.
Result<PlannedProject> PlanFiles(Node::Impl& node, const std::vector<ProjectFile>& files,
                                 const std::vector<catalog::Change>& ended) {
  const PublishedPtr published = node.publisher.newest();
  TRY(const catalog::CatalogPtr base, published->catalog->Apply(ended));
  return PlanProject(
      *node.database, *base->Outlook(),
      [&](const catalog::Object& object) { return SizeOf(node, *published, object); }, files);
}

// What the project asks for and a build makes already goes on; where the project has changed since,
// its builds are ended and what they made is planned anew. Returns the ends.
Result<std::vector<catalog::Change>> EndsOfBuilds(Node::Impl& node,
                                                  const std::vector<ProjectFile>& files) {
  std::vector<catalog::Change> ends;
  const catalog::CatalogPtr catalog = node.publisher.newest()->catalog;
  if (catalog->builds().empty()) return ends;
  TRY(const PlannedProject planned, PlanFiles(node, files, {}));
  if (planned.difference.changes.empty() || catalog->Apply(planned.difference.changes).ok())
    return ends;
  for (const auto& [number, build] : catalog->builds()) {
    const std::vector<const catalog::Object*> created = build.created();
    if (std::any_of(created.begin(), created.end(),
                    [](const catalog::Object* object) { return object->from_project; }))
      ends.emplace_back(catalog::ControlBuild{number, catalog::ControlBuild::What::kCancel,
                                              "the project has changed"});
  }
  return ends;
}

}  // namespace

namespace {

// Builds of nothing but the object and what stands on it: to end them ends nothing else.
std::vector<catalog::Change> EndOwnBuild(const catalog::Catalog& catalog, catalog::Kind kind,
                                         const std::string& name) {
  const catalog::Build* build = catalog.FindBuild(kind, name);
  if (build == nullptr) return {};
  const auto with = catalog.With(*build);
  if (!with.ok()) return {};
  const std::vector<std::string> dependents = (*with)->DependentsOf(name);
  for (const catalog::Object* object : build->created()) {
    const bool own = rows::EqualNames(object->name(), name) ||
                     std::any_of(dependents.begin(), dependents.end(), [&](const auto& other) {
                       return rows::EqualNames(other, object->name());
                     });
    if (!own) return {};
  }
  return {catalog::ControlBuild{build->number, catalog::ControlBuild::What::kCancel, ""}};
}

Status CheckNothingReadsRaw(const catalog::Catalog& catalog, const catalog::Object& raw) {
  const std::vector<const catalog::Object*> readers =
      catalog.DependentObjects(raw.kind(), raw.name());
  if (readers.empty()) return Ok();
  return Error(Code::kConflict, "stream {} is read by {} {} as raw records", Quoted(raw.name()),
               catalog::KindName(readers[0]->kind()), Quoted(readers[0]->name()))
      .Hint("drop what reads it, and create that again over its columns")
      .SqlState("2BP01");
}

// The raw stream goes and one with columns takes over its topic.
std::vector<catalog::Change> ColumnsForTopic(const catalog::Object& raw, catalog::Object object) {
  object.from_project = raw.from_project;
  object.comments = raw.comments;
  object.comments.columns.clear();
  catalog::TakeOver(raw, object);
  return {catalog::Drop{raw.name(), raw.kind()},
          catalog::Create{std::move(object), /*replace=*/false}};
}

Result<StatementResult> BeginCreate(Node::Impl& node, const sql::Statement& statement,
                                    std::string_view text, uint64_t& build) {
  const std::lock_guard lock(node.definition_mutex);
  const catalog::CatalogPtr catalog = node.publisher.newest()->catalog;
  const auto& create = std::get<sql::CreateStatement>(statement.statement);
  catalog::Object probe;
  probe.definition = create.definition;
  const std::string& name = probe.name();
  StatementResult result;
  result.tag = "CREATE " + Keyword(probe.kind());
  result.step = node.publisher.newest()->state.step.value;

  const catalog::Object* existing = catalog->FindInNameSpace(probe.kind(), name);
  const bool gives_columns = existing != nullptr && catalog::GivesColumns(*existing, probe);
  if (existing != nullptr && !create.or_replace && !gives_columns) {
    if (create.if_not_exists && existing->kind() == probe.kind()) {
      result.notices.push_back(
          fmt::format("{} {} exists already", catalog::KindName(existing->kind()), Quoted(name)));
      return result;
    }
    return Error(Code::kAlreadyExists, "{} {} exists already", catalog::KindName(existing->kind()),
                 Quoted(existing->name()))
        .Hint("CREATE OR REPLACE puts a new definition in its place")
        .SqlState("42P07");
  }
  if (existing != nullptr && existing->kind() != probe.kind()) {
    return Error(Code::kConflict, "{} is a {}, which CREATE OR REPLACE cannot make a {}",
                 Quoted(name), catalog::KindName(existing->kind()),
                 catalog::KindName(probe.kind()));
  }
  if (existing != nullptr && HoldsData(probe.kind()) && !gives_columns) {
    return Error(Code::kConflict, "{} {} holds data and is not replaced",
                 catalog::KindName(existing->kind()), Quoted(name))
        .Hint("DROP it first if its rows may go");
  }
  if (gives_columns) TRY(CheckNothingReadsRaw(*catalog, *existing));
  const auto whole = std::make_shared<const std::string>(text);
  std::vector<Declared> declared;
  declared.push_back(DeclaredFrom(statement, whole, ""));
  // What stands on a replaced view, macro, type or model is bound anew, and built anew from
  // history.
  const catalog::NamedTypes types = sql::TypesOf(*catalog);
  for (const catalog::Object* object : catalog->DependentObjects(probe.kind(), name)) {
    if (HoldsData(object->kind())) return UsedByData(probe, *object);
    TRY(CheckOnlyAppends(*existing, probe, *object));
    const auto dependent_text = std::make_shared<const std::string>(object->text);
    TRY(const std::vector<sql::Statement> parsed, sql::Parse(*dependent_text, object->file, types));
    declared.push_back(DeclaredFrom(parsed.at(0), dependent_text, object->file));
  }
  TRY(Defined defined, Define(*node.database, *catalog, declared));
  std::vector<catalog::Change> changes;
  if (create.or_replace) changes = EndOwnBuild(*catalog, probe.kind(), name);
  if (gives_columns) {
    changes = ColumnsForTopic(*existing, std::move(defined.objects.at(0)));
    defined.objects.clear();
    result.notices.push_back(
        fmt::format("the records of topic {} are read again, as rows", Quoted(existing->name())));
  }
  for (catalog::Object& object : defined.objects) {
    const catalog::Object* old = catalog->FindInNameSpace(object.kind(), object.name());
    if (old != nullptr) {
      object.from_project = old->from_project;
      KeepComments(*old, object);
      // What is only made anew has its first statement's options from its text.
      const auto* view = std::get_if<catalog::ViewDefinition>(&old->definition);
      if (view != nullptr && !rows::EqualNames(old->name(), name))
        catalog::KeepSettings(*view, std::get<catalog::ViewDefinition>(object.definition));
    }
    changes.push_back(catalog::Create{std::move(object), old != nullptr});
  }
  TRY(build, ApplyChanges(node, std::move(changes)));
  result.notices = std::move(defined.notices);
  result.step = node.publisher.newest()->state.step.value;
  return result;
}

}  // namespace

namespace {

// Until the table has read what its topic holds now.
Status AwaitTopic(Node::Impl& node, const std::string& name, const StatementOptions& options,
                  StatementResult& result) {
  const auto relation = node.publisher.newest()->relations->Find(name);
  if (relation == nullptr || catalog::TableOfTopic(relation->object) == nullptr) return Ok();
  const auto cut = node.log->DurableCut();
  const auto behind = [&] {
    int64_t records = 0;
    const PublishedPtr published = node.publisher.newest();
    for (int32_t i = 0; i < relation->partitions(); ++i) {
      const log::Cut::End* end = cut->Find({relation->log_topic(), i});
      if (end == nullptr) continue;
      const auto position = published->state.positions.find({relation->topic(), i});
      const log::Offset next =
          position == published->state.positions.end() ? end->start : position->second.next;
      records += std::max<int64_t>(0, end->stable - next);
    }
    return records;
  };
  const auto over = [&] {
    return behind() == 0 || node.publisher.newest()->relations->Find(name) == nullptr ||
           !node.loop->health().ok();
  };
  const bool waited = node.builds->WaitUntil(over, options.timeout, options.cancel);
  TRY(node.loop->health());
  if (!waited)
    result.notices.push_back(
        fmt::format("table {} has yet to read {} records of its topic", Quoted(name), behind()));
  result.step = node.publisher.newest()->state.step.value;
  return Ok();
}

}  // namespace

Result<StatementResult> ExecuteCreate(Node::Impl& node, const sql::Statement& statement,
                                      std::string_view text, const StatementOptions& options) {
  uint64_t build = 0;
  TRY(StatementResult result, BeginCreate(node, statement, text, build));
  TRY(AwaitBuild(node, build, options, result));
  const auto& create = std::get<sql::CreateStatement>(statement.statement);
  if (const auto* table = std::get_if<catalog::TableDefinition>(&create.definition))
    TRY(AwaitTopic(node, table->name, options, result));
  return result;
}

Result<StatementResult> ExecuteDrop(Node::Impl& node, const sql::DropStatement& drop) {
  const std::lock_guard lock(node.definition_mutex);
  const catalog::CatalogPtr catalog = node.publisher.newest()->catalog;
  StatementResult result;
  result.tag = "DROP " + Keyword(drop.kind);
  const catalog::Object* object = catalog->FindInNameSpace(drop.kind, drop.name);
  if (std::vector<catalog::Change> end = EndOwnBuild(*catalog, drop.kind, drop.name);
      object == nullptr && !end.empty()) {
    TRY(ApplyChanges(node, std::move(end)));
    result.notices.push_back(fmt::format("{} {} was being built; the build is ended",
                                         catalog::KindName(drop.kind), Quoted(drop.name)));
    result.step = node.publisher.newest()->state.step.value;
    return result;
  }
  if (object == nullptr || object->kind() != drop.kind) {
    if (object == nullptr && drop.if_exists) {
      result.notices.push_back(
          fmt::format("{} {} does not exist", catalog::KindName(drop.kind), Quoted(drop.name)));
      return result;
    }
    if (object != nullptr) {
      return Error(Code::kInvalidArgument, "{} is a {}, not a {}", Quoted(drop.name),
                   catalog::KindName(object->kind()), catalog::KindName(drop.kind));
    }
    std::vector<std::string> names;
    for (const catalog::Object* other : catalog->OfKind(drop.kind)) names.push_back(other->name());
    return Error(Code::kNotFound, "{} {} does not exist", catalog::KindName(drop.kind),
                 Quoted(drop.name))
        .Hint(DidYouMean(drop.name, names));
  }
  const std::vector<const catalog::Object*> dependents =
      catalog->DependentObjects(drop.kind, drop.name);
  std::vector<std::string> names;
  for (const catalog::Object* dependent : dependents) names.push_back(dependent->name());
  if (!dependents.empty() && !drop.cascade) {
    return Error(Code::kConflict, "{} {} is needed by {}", catalog::KindName(drop.kind),
                 Quoted(drop.name), fmt::join(names, ", "))
        .Hint("DROP … CASCADE drops these too");
  }
  std::vector<catalog::Change> changes;
  for (auto it = dependents.rbegin(); it != dependents.rend(); ++it)
    changes.push_back(catalog::Drop{(*it)->name(), (*it)->kind()});
  changes.push_back(catalog::Drop{object->name(), drop.kind});
  TRY(ApplyChanges(node, std::move(changes)));
  for (const std::string& name : names) result.notices.push_back("dropped too: " + name);
  result.step = node.publisher.newest()->state.step.value;
  return result;
}

Result<ProjectPlan> PlanProjectFiles(Node::Impl& node, const std::vector<ProjectFile>& files) {
  const std::lock_guard lock(node.definition_mutex);
  TRY(const std::vector<catalog::Change> ends, EndsOfBuilds(node, files));
  TRY(PlannedProject planned, PlanFiles(node, files, ends));
  return std::move(planned.plan);
}

Result<ProjectPlan> ApplyProjectFiles(Node::Impl& node, const std::vector<ProjectFile>& files,
                                      const std::vector<std::string>& allow_drop) {
  const std::lock_guard lock(node.definition_mutex);
  TRY(std::vector<catalog::Change> changes, EndsOfBuilds(node, files));
  TRY(PlannedProject planned, PlanFiles(node, files, changes));
  for (const ProjectPlan::Item& item : planned.plan.items) {
    const bool allowed = std::any_of(
        allow_drop.begin(), allow_drop.end(),
        [&](const std::string& name) { return rows::EqualNames(name, item.change.name); });
    if (!item.change.loses_data || allowed) continue;
    if (item.change.what == catalog::Difference::What::kAlter) {
      return Error(Code::kConflict, "stream {} would lose columns: {}", Quoted(item.change.name),
                   item.change.reason)
          .Hint(fmt::format("run again with --allow-drop {} if they may go", item.change.name));
    }
    return Error(Code::kConflict, "{} {} would lose its data ({} rows): {}",
                 catalog::KindName(item.change.kind), Quoted(item.change.name), item.rows_lost,
                 item.change.reason)
        .Hint(fmt::format("run again with --allow-drop {} if it may go", item.change.name));
  }
  changes.insert(changes.end(), planned.difference.changes.begin(),
                 planned.difference.changes.end());
  TRY(ApplyChanges(node, std::move(changes)));
  return std::move(planned.plan);
}

}  // namespace millrace::runtime
