// Statements that change what stays: COMMENT ON, ALTER.
#include "catalog/relation_shape.h"
#include "runtime/alter_columns.h"
#include "runtime/comments.h"
#include "runtime/statements.h"
#include "sql/parser_stream_options.h"
#include "sql/parser_view_options.h"

namespace millrace::runtime {

namespace {

// REQUIRES: the object is not of that kind, or there is none.
Error NotOfKind(const catalog::Catalog& catalog, const catalog::Object* object, catalog::Kind kind,
                const std::string& name) {
  if (object != nullptr) {
    return Error(Code::kInvalidArgument, "{} is a {}, not a {}", Quoted(name),
                 catalog::KindName(object->kind()), catalog::KindName(kind))
        .SqlState("42809");
  }
  std::vector<std::string> names;
  for (const catalog::Object* other : catalog.OfKind(kind)) names.push_back(other->name());
  return Error(Code::kNotFound, "{} {} does not exist", catalog::KindName(kind), Quoted(name))
      .Hint(DidYouMean(name, names))
      .SqlState(catalog::IsRelation(kind) ? "42P01" : "42704");
}

// The object that the statement names.
Result<const catalog::Object*> Altered(const catalog::Catalog& catalog,
                                       const sql::AlterStatement& alter) {
  const catalog::Object* object = catalog.FindInNameSpace(alter.kind, alter.name);
  // ALTER TABLE … RENAME TO names any relation, as in PostgreSQL.
  const bool of_any_kind = alter.kind == catalog::Kind::kTable && object != nullptr &&
                           catalog::IsRelation(object->kind()) &&
                           std::holds_alternative<sql::AlterStatement::Rename>(alter.action);
  if (object == nullptr || (object->kind() != alter.kind && !of_any_kind))
    return NotOfKind(catalog, object, alter.kind, alter.name);
  const auto* view = std::get_if<catalog::ViewDefinition>(&object->definition);
  if (view != nullptr && alter.materialized && !view->materialized) {
    return Error(Code::kInvalidArgument, "{} is a plain view", Quoted(view->name))
        .Hint("write ALTER VIEW")
        .SqlState("42809");
  }
  return object;
}

// What names the object names it in its text, so it would lose it.
Status CheckNothingReads(const catalog::Catalog& catalog, const catalog::Object& object,
                         const std::string& to) {
  const std::vector<const catalog::Object*> readers =
      catalog.DependentObjects(object.kind(), object.name());
  if (readers.empty()) return Ok();
  std::string list;
  for (const catalog::Object* reader : readers) {
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", catalog::KindName(reader->kind()),
                        Quoted(reader->name()));
  }
  return Error(Code::kConflict, "{} {} is needed by {} under this name",
               catalog::KindName(object.kind()), Quoted(object.name()), list)
      .Hint(fmt::format("drop what needs it, rename, and create that again over {}", Quoted(to)))
      .SqlState("2BP01");
}

void SetStorage(const std::set<std::string>& names, const catalog::Storage& values,
                catalog::Storage& storage) {
  if (names.contains("timestamps")) storage.timestamps = values.timestamps;
  if (names.contains("cleanup_policy")) storage.compact = values.compact;
  if (names.contains("delete_retention")) storage.delete_retention = values.delete_retention;
  if (names.contains("max_message_bytes")) storage.max_message_bytes = values.max_message_bytes;
  if (names.contains("segment_bytes")) storage.segment_bytes = values.segment_bytes;
  if (names.contains("segment_age")) storage.segment_age = values.segment_age;
}

// Makes what the statement says of a copy of the object.
struct Alteration {
  const catalog::Catalog& catalog;
  catalog::Object& object;  // is changed
  const std::string& text;  // of the statement

  Status operator()(const sql::AlterStatement::Rename& rename) const {
    if (rename.to == object.name()) return Ok();
    // Another way to write its name is no other name.
    if (!rows::EqualNames(rename.to, object.name()))
      TRY(CheckNothingReads(catalog, object, rename.to));
    if (object.identity.empty()) object.identity = object.name();
    std::visit([&](auto& definition) { definition.name = rename.to; }, object.definition);
    object.text = sql::Renamed(object.text, rename.to);
    return Ok();
  }

  Status operator()(const sql::AlterStatement::SetOptions& set) const {
    if (auto* view = std::get_if<catalog::ViewDefinition>(&object.definition)) {
      const catalog::ViewDefinition& values = set.view_values;
      if (set.names.contains("retention")) view->retention = values.retention;
      if (set.names.contains("retention_bytes")) view->retention_bytes = values.retention_bytes;
      TRY(sql::CheckRetention(*view));
      object.text += ";\n" + text;
      return Ok();
    }
    auto& stream = std::get<catalog::StreamDefinition>(object.definition);
    const catalog::StreamDefinition& values = set.values;
    if (set.names.contains("retention")) stream.retention = values.retention;
    if (set.names.contains("retention_bytes")) stream.retention_bytes = values.retention_bytes;
    if (set.names.contains("on_invalid")) stream.on_invalid = values.on_invalid;
    if (set.names.contains("idle_after")) stream.idle_after = values.idle_after;
    if (set.names.contains("future_max")) stream.future_max = values.future_max;
    if (set.names.contains("durability")) stream.durability = values.durability;
    SetStorage(set.names, values.storage, stream.storage);
    TRY(sql::CheckStorage(stream));
    object.text += ";\n" + text;
    return Ok();
  }

  Status operator()(const sql::AlterStatement::SetPartitions& set) const {
    auto& stream = std::get<catalog::StreamDefinition>(object.definition);
    if (set.partitions < stream.partitions) {
      return Error(Code::kInvalidArgument, "stream {} has {} partitions: they cannot become fewer",
                   Quoted(object.name()), stream.partitions)
          .SqlState("0A000");
    }
    if (set.partitions == stream.partitions) return Ok();
    stream.partitions = set.partitions;
    object.text += ";\n" + text;
    return Ok();
  }

  Status operator()(const sql::AlterStatement::Hold&) const {
    return Error(Code::kInternal, "PAUSE and RESUME are no change of one object");
  }
  Status operator()(const sql::ColumnChange&) const {
    return Error(Code::kInternal, "a change of columns is made elsewhere");
  }
};

Error NotMaterialized(const std::string& name) {
  return Error(Code::kInvalidArgument,
               "{} is a plain view: it has no content that could stand still", Quoted(name))
      .SqlState("42809");
}

bool IsMaterialized(const catalog::Object& object) {
  const auto* view = std::get_if<catalog::ViewDefinition>(&object.definition);
  return view != nullptr && view->materialized;
}

// A view that is being built and is nowhere else: the building is held, or goes on.
std::vector<catalog::Change> HoldBuild(const catalog::Build& build, bool pause,
                                       StatementResult& result) {
  if (build.paused == pause) {
    result.notices.push_back(pause ? "the building is paused already" : "the building goes on");
    return {};
  }
  const auto what =
      pause ? catalog::ControlBuild::What::kPause : catalog::ControlBuild::What::kResume;
  return {catalog::ControlBuild{build.number, what, ""}};
}

// The view goes on by being built anew beside its old content, and with it what stood still because
// of it.
std::vector<catalog::Change> Resume(const catalog::Catalog& catalog,
                                    const catalog::Object& object) {
  std::vector<catalog::Change> changes;
  const auto anew = [](const catalog::Object& halted) {
    catalog::Create create{halted, /*replace=*/true};
    create.object.halt.reset();
    create.object.bound_as_of = halted.bound_generation();
    return create;
  };
  changes.emplace_back(anew(object));
  std::set<std::string> resumed = {rows::LowerName(object.name())};
  for (const catalog::Object* dependent : catalog.DependentObjects(object.name())) {
    if (!dependent->halt || !rows::EqualNames(dependent->halt->root, object.name())) continue;
    // It may stand on another view that stands still.
    const catalog::Object* other = nullptr;
    for (const std::string& read : dependent->depends_on()) {
      const catalog::Object* needed = catalog.FindRelation(catalog.DependencyOf(read));
      if (needed != nullptr && needed->halt && !resumed.contains(rows::LowerName(needed->name())))
        other = needed;
    }
    if (other == nullptr) {
      resumed.insert(rows::LowerName(dependent->name()));
      changes.emplace_back(anew(*dependent));
    } else {
      catalog::Alter alter{dependent->name(), *dependent};
      alter.object.halt->root = other->halt->root;
      alter.object.halt->why = other->halt->why;
      changes.emplace_back(std::move(alter));
    }
  }
  return changes;
}

Result<std::vector<catalog::Change>> Hold(const catalog::Catalog& catalog,
                                          const sql::AlterStatement& alter,
                                          StatementResult& result) {
  const bool pause = std::get<sql::AlterStatement::Hold>(alter.action).pause;
  const catalog::Build* build = catalog.FindBuild(alter.kind, alter.name);
  if (build != nullptr) return HoldBuild(*build, pause, result);
  TRY(const catalog::Object* object, Altered(catalog, alter));
  if (!IsMaterialized(*object)) return NotMaterialized(object->name());
  if (object->halt.has_value() == pause) {
    result.notices.push_back(fmt::format("view {} {}", Quoted(object->name()),
                                         pause ? "stands still already" : "is running"));
    return std::vector<catalog::Change>();
  }
  if (pause) return HaltChanges(catalog, *object, catalog::Halt::Why::kPaused, "");
  if (!rows::EqualNames(object->halt->root, object->name())) {
    return Error(Code::kConflict, "view {} stands still because {} does", Quoted(object->name()),
                 Quoted(object->halt->root))
        .Hint(fmt::format("ALTER MATERIALIZED VIEW {} RESUME lets both go on", object->halt->root))
        .SqlState("55000");
  }
  return Resume(catalog, *object);
}

// The object that the statement names.
Result<const catalog::Object*> Commented(const catalog::Catalog& catalog,
                                         const sql::CommentStatement& comment) {
  const catalog::Object* object = catalog.FindInNameSpace(comment.kind, comment.name);
  if (object != nullptr && (object->kind() == comment.kind || !comment.column.empty()))
    return object;
  if (comment.column.empty()) return NotOfKind(catalog, object, comment.kind, comment.name);
  return Error(Code::kNotFound, "relation {} does not exist", Quoted(comment.name))
      .Hint(DidYouMean(comment.name, catalog.RelationNames()))
      .SqlState("42P01");
}

}  // namespace

std::vector<catalog::Change> HaltChanges(const catalog::Catalog& catalog,
                                         const catalog::Object& root, catalog::Halt::Why why,
                                         const std::string& reason) {
  std::vector<catalog::Change> changes;
  const auto halt = [&](const catalog::Object& object) {
    if (object.halt || !IsMaterialized(object)) return;
    catalog::Alter alter{object.name(), object};
    alter.object.halt = catalog::Halt{why, reason, root.name(), /*step=*/0};
    changes.emplace_back(std::move(alter));
  };
  halt(root);
  for (const catalog::Object* dependent : catalog.DependentObjects(root.name())) halt(*dependent);
  return changes;
}

Status SetComment(catalog::Object& object, const sql::CommentStatement& comment) {
  if (comment.column.empty()) {
    object.comments.object = comment.text;
    return Ok();
  }
  const catalog::RelationShape shape = catalog::ShapeOf(object);
  const auto column = shape.schema.Find(comment.column);
  if (!column || *column >= shape.visible) {
    return Error(Code::kNotFound, "column {} does not exist in {} {}", Quoted(comment.column),
                 catalog::KindName(object.kind()), Quoted(object.name()))
        .Hint(DidYouMean(comment.column, shape.schema.names()))
        .SqlState("42703");
  }
  const std::string key = rows::LowerName(comment.column);
  if (comment.text.empty()) {
    object.comments.columns.erase(key);
  } else {
    object.comments.columns[key] = comment.text;
  }
  return Ok();
}

Result<StatementResult> ExecuteComment(Node::Impl& node, const sql::CommentStatement& comment) {
  const std::lock_guard lock(node.definition_mutex);
  const catalog::CatalogPtr catalog = node.publisher.newest()->catalog;
  StatementResult result;
  result.tag = "COMMENT";
  TRY(const catalog::Object* object, Commented(*catalog, comment));
  catalog::Alter alter{object->name(), *object};
  TRY(SetComment(alter.object, comment));
  if (alter.object.comments != object->comments) TRY(ApplyChanges(node, {std::move(alter)}));
  result.step = node.publisher.newest()->state.step.value;
  return result;
}

namespace {

Result<std::vector<catalog::Change>> ColumnChanges(Node::Impl& node,
                                                   const catalog::Catalog& catalog,
                                                   const sql::AlterStatement& alter,
                                                   const std::string& text,
                                                   StatementResult& result) {
  TRY(const catalog::Object* object, Altered(catalog, alter));
  catalog::Alter change{object->name(), *object};
  const std::string what = fmt::format("ALTER STREAM {}", object->name());
  auto changed = ChangeColumns(*node.database, catalog, alter, change.object);
  TRY(const bool differs, std::move(changed).With(what));
  if (!differs) {
    result.notices.push_back(fmt::format("stream {} is so already", Quoted(object->name())));
    return std::vector<catalog::Change>();
  }
  change.object.text += ";\n" + text;
  std::vector<catalog::Change> changes;
  changes.emplace_back(std::move(change));
  auto follow = FollowColumns(*node.database, catalog, changes);
  TRY(std::vector<catalog::Change> more, std::move(follow).With(what));
  changes.insert(changes.end(), more.begin(), more.end());
  return changes;
}

// Records that were acknowledged before the statement are read by the columns before it.
Status AwaitTaken(Node::Impl& node, const std::string& stream, const StatementOptions& options) {
  const auto relation = node.publisher.newest()->relations->Find(stream);
  if (relation == nullptr || relation->stream() == nullptr) return Ok();
  // Durable, not shown: the newest frame may be the record of a step, which no step takes in.
  const log::FrameSequence written = node.log->WrittenFrame();
  node.log->SyncSoon(written);
  if (!node.builds->WaitUntil([&] { return node.log->DurableFrame() >= written; }, options.timeout,
                              options.cancel)) {
    return Error(Code::kTimeout,
                 "stream {}: records that came before the statement are not on disk yet",
                 Quoted(stream))
        .Hint("nothing has changed; try again");
  }
  const auto cut = node.log->DurableCut();
  int64_t behind = 0;
  const auto taken = [&] {
    const PublishedPtr published = node.publisher.newest();
    behind = 0;
    for (int32_t i = 0; i < relation->partitions(); ++i) {
      const log::Cut::End* end = cut->Find({relation->topic(), i});
      const auto position = published->state.positions.find({relation->topic(), i});
      const log::Offset next =
          position == published->state.positions.end() ? log::Offset{0} : position->second.next;
      if (end != nullptr && next < end->stable) behind += end->stable - next;
    }
    return behind == 0;
  };
  if (node.builds->WaitUntil(taken, options.timeout, options.cancel)) return Ok();
  return Error(Code::kTimeout,
               "stream {}: {} records that came before the statement wait to be "
               "taken in",
               Quoted(stream), behind)
      .Hint("nothing has changed; try again when the node has caught up");
}

Result<StatementResult> BeginAlter(Node::Impl& node, const sql::AlterStatement& alter,
                                   const std::string& text, uint64_t& build) {
  const std::lock_guard lock(node.definition_mutex);
  const catalog::CatalogPtr catalog = node.publisher.newest()->catalog;
  StatementResult result;
  result.tag = "ALTER " + Keyword(alter.kind);
  std::vector<catalog::Change> changes;
  if (std::holds_alternative<sql::AlterStatement::Hold>(alter.action)) {
    TRY(changes, Hold(*catalog, alter, result));
  } else if (std::holds_alternative<sql::ColumnChange>(alter.action)) {
    TRY(changes, ColumnChanges(node, *catalog, alter, text, result));
  } else {
    TRY(const catalog::Object* object, Altered(*catalog, alter));
    catalog::Alter change{object->name(), *object};
    TRY(std::visit(Alteration{*catalog, change.object, text}, alter.action));
    changes.emplace_back(std::move(change));
  }
  TRY(build, ApplyChanges(node, std::move(changes)));
  result.step = node.publisher.newest()->state.step.value;
  return result;
}

}  // namespace

Result<StatementResult> ExecuteAlter(Node::Impl& node, const sql::AlterStatement& alter,
                                     const std::string& text, const StatementOptions& options) {
  uint64_t build = 0;
  if (std::holds_alternative<sql::ColumnChange>(alter.action))
    TRY(AwaitTaken(node, alter.name, options));
  TRY(StatementResult result, BeginAlter(node, alter, text, build));
  TRY(AwaitBuild(node, build, options, result));
  return result;
}

}  // namespace millrace::runtime
