#include <algorithm>
#include <set>

#include "catalog/catalog.h"
#include "catalog/compare.h"

namespace millrace::catalog {
namespace {

using Item = Difference::Item;
using What = Difference::What;

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
    RebuildReaders();
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
    What what;
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
      makes_.emplace(&object, Make{What::kCreate, "new"});
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
    if (comparison.what == Comparison::What::kSame) return Ok();
    const std::string reason = "definition changed: " + comparison.reason;
    // A stream or table under the rows that it holds and the views that read it cannot be changed
    // yet: it goes, and comes anew.
    if (comparison.what == Comparison::What::kInPlace && !HoldsData(object.kind())) {
      makes_.emplace(&object, Make{What::kReplace, reason});
      if (object.kind() == Kind::kView) replaced_.insert(present);
    } else {
      drops_.push_back({present, reason});
      makes_.emplace(&object, Make{What::kCreate, reason});
      replaced_.insert(present);
    }
    return Ok();
  }

  // What stands on a replaced relation is bound and built anew, also where it was made by hand.
  void RebuildReaders() {
    const std::vector<const Object*> replaced(replaced_.begin(), replaced_.end());
    for (const Object* root : replaced) {
      const std::string reason = fmt::format("stands on {} {}, which changes",
                                             KindName(root->kind()), Quoted(root->name()));
      for (const Object* reader : catalog_.DependentObjects(root->name())) {
        if (!reader->from_project) {
          by_hand_.emplace(reader, reason);
          continue;
        }
        for (const Object* object : wanted_) {
          if (Present(catalog_, *object) == reader)
            makes_.emplace(object, Make{What::kReplace, reason});
        }
      }
    }
  }

  // Readers go before what they read.
  void EmitDrops() {
    std::vector<const Object*> order = catalog_.InOrder();
    std::reverse(order.begin(), order.end());
    for (const Object* object : order) {
      const auto drop = std::find_if(drops_.begin(), drops_.end(),
                                     [&](const Drop& d) { return d.object == object; });
      if (drop == drops_.end()) continue;
      difference_.items.push_back({.what = What::kDrop,
                                   .kind = object->kind(),
                                   .name = object->name(),
                                   .reason = drop->reason,
                                   .loses_data = HoldsData(object->kind()),
                                   .backfill = false});
      difference_.changes.push_back(catalog::Drop{object->name(), object->kind()});
    }
  }

  void EmitCreates() {
    for (const Object* object : wanted_) {
      const auto make = makes_.find(object);
      if (make != makes_.end()) Emit(*object, make->second);
    }
    for (const Object* object : catalog_.InOrder()) {
      const auto reason = by_hand_.find(object);
      if (reason != by_hand_.end()) Emit(*object, Make{What::kReplace, reason->second});
    }
  }

  void Emit(const Object& object, const Make& make) {
    difference_.items.push_back({.what = make.what,
                                 .kind = object.kind(),
                                 .name = object.name(),
                                 .reason = make.reason,
                                 .loses_data = false,
                                 .backfill = IsMaterialized(object)});
    Create create{.object = object, .replace = make.what == What::kReplace};
    create.object.from_project = by_hand_.count(&object) == 0;
    create.object.generation = 0;  // Apply gives the new one
    const Object* present = catalog_.Find(object.kind(), object.name());
    if (create.replace && present != nullptr) create.object.topic_id = present->topic_id;
    difference_.changes.push_back(std::move(create));
  }

  const Catalog& catalog_;
  std::vector<const Object*> wanted_;  // in the order of their dependencies
  std::vector<Drop> drops_;
  std::map<const Object*, Make> makes_;  // by object of wanted_
  std::set<const Object*> replaced_;     // relations of the catalog whose readers are rebuilt
  std::map<const Object*, std::string> by_hand_;  // readers made by hand, and why they are rebuilt
  Difference difference_;
};

}  // namespace

Result<Difference> Diff(const Catalog& catalog, const std::vector<Object>& wanted) {
  return Differ(catalog, wanted).Run();
}

}  // namespace millrace::catalog
