#include "runtime/project_plan.h"

#include <algorithm>
#include <set>

#include "runtime/alter_columns.h"
#include "runtime/comments.h"
#include "runtime/definer.h"
#include "runtime/relation.h"

namespace millrace::runtime {

namespace {

struct PlacedComment {
  sql::CommentStatement comment;
  SourcePosition position;
};

// What the files declare.
struct ParsedFiles {
  std::vector<Declared> declared;
  std::vector<PlacedComment> comments;
};

// `types`: those that the files may name besides their own.
Result<ParsedFiles> ParseFiles(const std::vector<ProjectFile>& files, catalog::NamedTypes types) {
  for (const ProjectFile& file : files) {
    for (auto& [key, type] : sql::TypesDeclared(file.text)) types.insert_or_assign(key, type);
  }
  ParsedFiles parsed;
  for (const ProjectFile& file : files) {
    const auto text = std::make_shared<const std::string>(file.text);
    TRY(const std::vector<sql::Statement> statements, sql::Parse(*text, file.path, types));
    for (const sql::Statement& statement : statements) {
      const auto position = PositionAt(*text, statement.begin, file.path);
      if (const auto* comment = std::get_if<sql::CommentStatement>(&statement.statement)) {
        parsed.comments.push_back({*comment, position});
      } else if (std::holds_alternative<sql::CreateStatement>(statement.statement)) {
        parsed.declared.push_back(DeclaredFrom(statement, text, file.path));
      } else {
        return Error(Code::kInvalidArgument,
                     "a project holds definitions only (CREATE …, COMMENT ON …)")
            .At(position)
            .Hint("run other statements with `millrace sql`");
      }
    }
  }
  return parsed;
}

// Puts the comments on the objects that they are on.
Status Annotate(std::vector<catalog::Object>& objects, const std::vector<PlacedComment>& comments) {
  for (const PlacedComment& placed : comments) {
    const sql::CommentStatement& comment = placed.comment;
    const auto found =
        std::find_if(objects.begin(), objects.end(), [&](const catalog::Object& object) {
          return comment.column.empty() ? object.kind() == comment.kind &&
                                              rows::EqualNames(object.name(), comment.name)
                                        : catalog::IsRelation(object.kind()) &&
                                              rows::EqualNames(object.name(), comment.name);
        });
    if (found == objects.end()) {
      std::vector<std::string> names;
      for (const catalog::Object& object : objects) names.push_back(object.name());
      return Error(Code::kNotFound, "COMMENT ON {}: the project declares no {} of this name",
                   Quoted(comment.name),
                   comment.column.empty() ? catalog::KindName(comment.kind) : "relation")
          .Hint(DidYouMean(comment.name, names))
          .At(placed.position)
          .SqlState("42P01");
    }
    if (Status status = SetComment(*found, comment); !status.ok())
      return std::move(status).error().At(placed.position);
  }
  return Ok();
}

// What the project had before is its own to change; what was made by hand stays, and can be read.
Result<catalog::CatalogPtr> MadeByHand(const catalog::Catalog& catalog) {
  std::set<const catalog::Object*> of_project;
  for (const catalog::Object* object : catalog.InOrder()) {
    if (!object->from_project) continue;
    of_project.insert(object);
    for (const catalog::Object* dependent :
         catalog.DependentObjects(object->kind(), object->name())) {
      of_project.insert(dependent);
    }
  }
  std::vector<catalog::Change> by_hand;
  for (const catalog::Object* object : catalog.InOrder()) {
    if (!of_project.contains(object)) by_hand.push_back(catalog::Create{*object, false});
  }
  return catalog::Catalog::Empty()->Apply(by_hand);
}

// Sums what building a view reads: the streams, tables and materialized views that it stands on.
// Plain views are expanded where they are named. What is dropped or made by the same plan has no
// rows to read yet; a view that is replaced counts with what it holds now.
class Cost {
 public:
  Cost(const catalog::Catalog& catalog, const std::vector<catalog::Object>& wanted,
       const catalog::Difference& difference, const SizeOfRelation& size_of)
      : catalog_(catalog), size_of_(size_of) {
    for (const catalog::Object& object : wanted) {
      if (IsSelectable(object)) wanted_[rows::LowerName(object.name())] = &object;
    }
    for (const catalog::Difference::Item& item : difference.items) {
      if (item.what == catalog::Difference::What::kDrop)
        dropped_.insert(rows::LowerName(item.name));
    }
  }

  Result<RelationSize> ToBuild(std::string_view name) const {
    RelationSize sum;
    const catalog::Object* view = Find(name);
    if (view == nullptr) return sum;
    std::set<std::string> seen;
    std::vector<std::string> open = view->depends_on();
    while (!open.empty()) {
      const std::string read = rows::LowerName(open.back());
      open.pop_back();
      if (!seen.insert(read).second) continue;
      const catalog::Object* object = Find(read);
      if (object == nullptr) continue;
      if (!HoldsRows(*object)) {
        const std::vector<std::string> more = object->depends_on();
        open.insert(open.end(), more.begin(), more.end());
        continue;
      }
      const catalog::Object* present = catalog_.FindRelation(read);
      if (present == nullptr || (dropped_.contains(read) && !IsView(*object))) continue;
      TRY(const RelationSize size, size_of_(*present));
      sum.rows += size.rows;
      sum.bytes += size.bytes;
    }
    return sum;
  }

 private:
  static bool IsView(const catalog::Object& object) {
    return object.kind() == catalog::Kind::kView;
  }
  static bool IsSelectable(const catalog::Object& object) {
    return HoldsRows(object) || IsView(object);
  }
  // As it will be: the project's, else the catalog's.
  const catalog::Object* Find(std::string_view name) const {
    const auto found = wanted_.find(rows::LowerName(name));
    return found != wanted_.end() ? found->second : catalog_.FindRelation(name);
  }

  const catalog::Catalog& catalog_;
  const SizeOfRelation& size_of_;
  std::map<std::string, const catalog::Object*> wanted_;
  std::set<std::string> dropped_;
};

}  // namespace

int64_t StreamBytes(const log::Log& log, log::TopicId topic) {
  int64_t bytes = 0;
  for (const log::TopicInfo& info : log.Topics()) {
    for (int32_t i = 0; info.id == topic && i < info.config.partitions; ++i) {
      const auto of_partition = log.PartitionBytes({topic, i});
      if (of_partition.ok()) bytes += static_cast<int64_t>(*of_partition);
    }
  }
  return bytes;
}

Result<PlannedProject> PlanProject(sql::Database& database, const catalog::Catalog& catalog,
                                   const SizeOfRelation& size_of,
                                   const std::vector<ProjectFile>& files) {
  TRY(const catalog::CatalogPtr base, MadeByHand(catalog));
  TRY(const ParsedFiles parsed, ParseFiles(files, sql::TypesOf(*base)));
  TRY(Defined defined, Define(database, *base, parsed.declared));
  TRY(Annotate(defined.objects, parsed.comments));
  for (catalog::Object& object : defined.objects) object.from_project = true;

  PlannedProject planned;
  TRY(planned.difference, catalog::Diff(catalog, defined.objects));
  TRY(const std::vector<catalog::Change> more,
      FollowColumns(database, catalog, planned.difference.changes));
  planned.difference.changes.insert(planned.difference.changes.end(), more.begin(), more.end());
  planned.plan.notices = std::move(defined.notices);
  const Cost cost(catalog, defined.objects, planned.difference, size_of);
  for (const catalog::Difference::Item& item : planned.difference.items) {
    ProjectPlan::Item shown;
    shown.change = item;
    const catalog::Object* present = catalog.Find(item.kind, item.name);
    if (item.what == catalog::Difference::What::kDrop && present != nullptr &&
        HoldsRows(*present)) {
      TRY(const RelationSize lost, size_of(*present));
      shown.rows_lost = lost.rows;
      shown.bytes_lost = lost.bytes;
    }
    if (item.backfill) {
      TRY(const RelationSize read, cost.ToBuild(item.name));
      shown.rows_to_read = read.rows;
      shown.bytes_to_read = read.bytes;
    }
    planned.plan.items.push_back(std::move(shown));
  }
  return planned;
}

}  // namespace millrace::runtime
