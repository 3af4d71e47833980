#include <algorithm>
#include <set>

#include "catalog/catalog.h"
#include "catalog/compare.h"
#include "catalog/stream_versions.h"

namespace millrace::catalog {
namespace {

using Item = Difference::Item;

bool HoldsData(Kind kind) { return kind == Kind::kStream || kind == Kind::kTable; }

bool IsMaterialized(const Object& object) {
  const auto* view = std::get_if<ViewDefinition>(&object.definition);
  return view != nullptr && view->materialized;
}

// The object that `wanted` stands for in the catalog: the same kind and name, or the relation of
// that name.
const Object* Present(const Catalog& catalog, const Object& wanted) {
  if (const Object* same = catalog.Find(wanted.kind(), wanted.name())) return same;
  return IsRelation(wanted.kind()) ? catalog.FindRelation(wanted.name()) : nullptr;
}

class Differ {
 public:
  Differ(const Catalog& catalog, const std::vector<Object>& wanted) : catalog_(catalog) {
    for (const Object& object : wanted) wanted_.push_back(&object);
  }

  Result<Difference> Run() {
    TRY(CheckNames());
    TRY(wanted_, Order(wanted_));
    FindDrops();
    for (const Object* object : wanted_) TRY(Judge(*object));
    TRY(RebuildReaders());
    EmitDrops();
    EmitCreates();
    TRY(catalog_.Apply(difference_.changes));  // whatever it would refuse is refused here
    return std::move(difference_);
  }

 private:
  struct Drop {
    const Object* object;
    std::string reason;
  };
  struct Make {
    Difference::What what;
    std::string reason;
  };

  // No two objects of the project share a name.
  Status CheckNames() const {
    std::map<std::string, const Object*> seen;
    for (const Object* object : wanted_) {
      const std::string space(IsRelation(object->kind()) ? "relation" : KindName(object->kind()));
      const auto [other, is_new] =
          seen.emplace(space + " " + rows::LowerName(object->name()), object);
      if (is_new) continue;
      const Object& first = *other->second;
      return Error(Code::kAlreadyExists,
                   "the project declares {} twice: as a {} at {}:{} and as a {} at {}:{}",
                   Quoted(object->name()), KindName(first.kind()), first.file, first.line,
                   KindName(object->kind()), object->file, object->line)
          .SqlState("42P07");
    }
    return Ok();
  }

  // Objects of the project that it no longer declares.
  void FindDrops() {
    std::set<const Object*> kept;
    for (const Object* object : wanted_) {
      if (const Object* present = Present(catalog_, *object)) kept.insert(present);
    }
    for (const Object* object : catalog_.InOrder()) {
      if (object->from_project && !kept.contains(object)) {
        drops_.push_back({object, "no longer in the project"});
      }
    }
  }

  Status Judge(const Object& object) {
    const Object* present = Present(catalog_, object);
    if (present == nullptr) {
      makes_.emplace(&object, Make{Difference::What::kCreate, "new"});
      return Ok();
    }
    if (GivesColumns(*present, object)) {
      makes_.emplace(&object, Make{Difference::What::kCreate, "its topic gets columns"});
      return Ok();
    }
    if (!present->from_project) {
      return Error(Code::kAlreadyExists,
                   "{} {} of the project: a {} of this name was made by hand and is left alone",
                   KindName(object.kind()), Quoted(object.name()), KindName(present->kind()))
          .Hint(fmt::format("drop it, or give the project's {} another name",
                            KindName(object.kind())));
    }
    const Comparison comparison = Compare(present->definition, object.definition);
    if (comparison.what == Comparison::What::kSame) {
      if (present->comments != object.comments) alters_.emplace(&object, "its comments changed");
      return Ok();
    }
    const std::string reason = "definition changed: " + comparison.reason;
    if (comparison.what == Comparison::What::kSettings ||
        (comparison.what == Comparison::What::kInPlace && HoldsData(object.kind()))) {
      alters_.emplace(&object, reason);
    } else if (comparison.what == Comparison::What::kInPlace) {
      makes_.emplace(&object, Make{Difference::What::kReplace, reason});
      if (object.kind() == Kind::kView || IsVocabulary(object.kind())) replaced_.insert(present);
    } else {
      drops_.push_back({present, reason});
      makes_.emplace(&object, Make{Difference::What::kCreate, reason});
      replaced_.insert(present);
    }
    return Ok();
  }

  // What stands on what is replaced is bound and built anew, also where it was made by hand.
  Status RebuildReaders() {
    const std::vector<const Object*> replaced(replaced_.begin(), replaced_.end());
    for (const Object* root : replaced) {
      const std::string reason = fmt::format("stands on {} {}, which changes",
                                             KindName(root->kind()), Quoted(root->name()));
      std::set<const Object*> rebuilt = {root};
      for (const Object* reader : catalog_.DependentObjects(root->kind(), root->name())) {
        if (!StandsOn(*reader, rebuilt)) continue;  // only on a stream whose CHECK changes
        TRY(const bool anew, Rebuild(*reader, *root, reason));
        if (anew) rebuilt.insert(reader);
      }
    }
    return Ok();
  }

  bool StandsOn(const Object& reader, const std::set<const Object*>& objects) const {
    for (const std::string& name : reader.depends_on()) {
      if (objects.contains(catalog_.FindRelation(catalog_.DependencyOf(name)))) return true;
    }
    return std::any_of(reader.uses.begin(), reader.uses.end(), [&](const Use& use) {
      return objects.contains(catalog_.Find(use.kind, use.name));
    });
  }

  // False: the reader stays, under a CHECK that means something else from now on.
  Result<bool> Rebuild(const Object& reader, const Object& root, const std::string& reason) {
    if (!reader.from_project) {
      if (HoldsData(reader.kind())) return UsedByData(root, reader);
      by_hand_.emplace(&reader, reason);
      return true;
    }
    for (const Object* object : wanted_) {
      if (Present(catalog_, *object) != &reader) continue;
      if (!HoldsData(object->kind())) {
        makes_.emplace(object, Make{Difference::What::kReplace, reason});
      } else if (root.kind() == Kind::kMacro || root.kind() == Kind::kModel) {
        alters_.emplace(object, reason);
        return false;
      } else if (!makes_.contains(object)) {
        return UsedByData(root, *object);
      }
    }
    return true;
  }

  static Error UsedByData(const Object& changed, const Object& user) {
    return Error(Code::kConflict, "{} {} changes, and {} {}, which holds data, uses it",
                 KindName(changed.kind()), Quoted(changed.name()), KindName(user.kind()),
                 Quoted(user.name()))
        .Hint("make one under another name")
        .SqlState("2BP01");
  }

  // Readers go before what they read.
  void EmitDrops() {
    std::vector<const Object*> order = catalog_.InOrder();
    std::reverse(order.begin(), order.end());
    for (const Object* object : order) {
      const auto drop = std::find_if(drops_.begin(), drops_.end(),
                                     [&](const Drop& d) { return d.object == object; });
      if (drop == drops_.end()) continue;
      difference_.items.push_back({.what = Difference::What::kDrop,
                                   .kind = object->kind(),
                                   .name = object->name(),
                                   .reason = drop->reason,
                                   .loses_data = HoldsData(object->kind()),
                                   .backfill = false});
      difference_.changes.emplace_back(catalog::Drop{object->name(), object->kind()});
    }
  }

  void EmitCreates() {
    for (const Object* object : wanted_) {
      const auto make = makes_.find(object);
      const auto alter = alters_.find(object);
      if (make != makes_.end()) {
        Emit(*object, make->second);
      } else if (alter != alters_.end()) {
        EmitAlter(*object, alter->second);
      }
    }
    for (const Object* object : catalog_.InOrder()) {
      const auto reason = by_hand_.find(object);
      if (reason != by_hand_.end()) Emit(*object, Make{Difference::What::kReplace, reason->second});
    }
  }

  void Emit(const Object& object, const Make& make) {
    difference_.items.push_back({.what = make.what,
                                 .kind = object.kind(),
                                 .name = object.name(),
                                 .reason = make.reason,
                                 .loses_data = false,
                                 .backfill = IsMaterialized(object)});
    Create create{.object = object, .replace = make.what == Difference::What::kReplace};
    create.object.from_project = by_hand_.count(&object) == 0;
    // Made by hand, it is built anew as it was bound.
    create.object.bound_as_of = by_hand_.count(&object) == 0 ? 0 : object.bound_generation();
    create.object.generation = 0;  // Apply gives the new one
    const Object* present = catalog_.Find(object.kind(), object.name());
    if (create.replace && present != nullptr) create.object.topic_id = present->topic_id;
    if (!create.replace && present != nullptr && GivesColumns(*present, object)) {
      TakeOver(*present, create.object);
      difference_.changes.emplace_back(catalog::Drop{present->name(), present->kind()});
    }
    difference_.changes.emplace_back(std::move(create));
  }

  // The object as it is in the catalog, with what may change under its rows.
  void EmitAlter(const Object& object, std::string reason) {
    const Object& present = *Present(catalog_, object);
    Alter alter{present.name(), present};
    alter.object.comments = object.comments;
    if (const auto* view = std::get_if<ViewDefinition>(&object.definition)) {
      // As it was bound, whatever its SELECT would mean now.
      KeepSettings(*view, std::get<ViewDefinition>(alter.object.definition));
    } else {
      alter.object.definition = object.definition;
    }
    alter.object.uses = object.uses;
    alter.object.text = object.text;
    alter.object.file = object.file;
    alter.object.line = object.line;
    const auto* stream = std::get_if<StreamDefinition>(&present.definition);
    const std::string lost = stream == nullptr ? "" : KeepVersions(*stream, present, alter.object);
    if (!lost.empty())
      reason += fmt::format("; what records have in {} can no longer be read", lost);
    difference_.items.push_back({.what = Difference::What::kAlter,
                                 .kind = object.kind(),
                                 .name = object.name(),
                                 .reason = std::move(reason),
                                 .loses_data = !lost.empty(),
                                 .backfill = false});
    difference_.changes.emplace_back(std::move(alter));
  }

  // Makes `altered` a later version of the stream where that reads records otherwise. Returns the
  // columns that go.
  static std::string KeepVersions(const StreamDefinition& before, const Object& present,
                                  Object& altered) {
    auto& after = std::get<StreamDefinition>(altered.definition);
    after.partitions = std::max(after.partitions, before.partitions);
    if (!ReadsAsBefore(before, after)) {
      after = Evolve(before, after).value();  // Compare has found it to be possible
    } else {
      after.schema = before.schema;
      after.earlier = before.earlier;
    }
    // What earlier versions name stays named.
    for (const Use& use : present.uses) {
      if (!after.earlier.empty() &&
          std::find(altered.uses.begin(), altered.uses.end(), use) == altered.uses.end())
        altered.uses.push_back(use);
    }
    std::string lost;
    for (const rows::Column& column : before.schema.columns) {
      if (!after.schema.FindId(column.id)) lost += (lost.empty() ? "" : ", ") + Quoted(column.name);
    }
    return lost;
  }

  const Catalog& catalog_;
  std::vector<const Object*> wanted_;  // in the order of their dependencies
  std::vector<Drop> drops_;
  std::map<const Object*, Make> makes_;          // by object of wanted_
  std::map<const Object*, std::string> alters_;  // by object of wanted_, and why
  std::set<const Object*> replaced_;             // objects of the catalog whose readers are rebuilt
  std::map<const Object*, std::string> by_hand_;  // readers made by hand, and why they are rebuilt
  Difference difference_;
};

}  // namespace

Result<Difference> Diff(const Catalog& catalog, const std::vector<Object>& wanted) {
  return Differ(catalog, wanted).Run();
}

}  // namespace millrace::catalog
