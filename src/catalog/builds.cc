// What is being built beside the objects in force.
#include "catalog/catalog.h"

namespace millrace::catalog {
namespace {

std::pair<Kind, std::string> NamedBy(const ObjectChange& change) {
  if (const auto* drop = std::get_if<Drop>(&change)) return {drop->kind, drop->name};
  if (const auto* alter = std::get_if<Alter>(&change)) return {alter->kind(), alter->name};
  const Object& object = std::get<Create>(change).object;
  return {object.kind(), object.name()};
}

}  // namespace

// `this`: what stood when the build was checked last. Its views were planned with what they need as
// it was then, and it replaces what it means to replace.
Status Catalog::CheckUndisturbed(const Build& build, const Catalog& after) const {
  const auto same = [](const Object* old, const Object* now) {
    return old == nullptr ? now == nullptr : now != nullptr && now->generation == old->generation;
  };
  const auto disturbed = [&](const Object& object, const std::string& needed) {
    return Error(Code::kConflict,
                 "{} {} is being built from history, and {} cannot change meanwhile",
                 KindName(object.kind()), Quoted(object.name()), Quoted(needed))
        .Hint(
            "wait until it is built (SHOW VIEWS says how far it is), or end the build with DROP "
            "MATERIALIZED VIEW")
        .SqlState("55006");
  };
  for (const ObjectChange& change : build.changes) {
    const auto [kind, name] = NamedBy(change);
    const Object* object = build.Find(kind, name);
    if (!same(FindInNameSpace(kind, name), after.FindInNameSpace(kind, name))) {
      const Object* any = object != nullptr ? object : build.created().front();
      return disturbed(*any, name);
    }
    if (object == nullptr) continue;
    for (const std::string& read : object->depends_on()) {
      const std::string needed = DependencyOf(read);
      if (needed.empty() || build.Find(Kind::kStream, needed) != nullptr) continue;
      if (!same(FindRelation(needed), after.FindRelation(needed)))
        return disturbed(*object, needed);
    }
    for (const Use& use : object->uses) {
      if (build.Find(use.kind, use.name) != nullptr) continue;
      if (!same(Find(use.kind, use.name), after.Find(use.kind, use.name)))
        return disturbed(*object, use.name);
    }
  }
  return Ok();
}

std::vector<const Object*> Build::created() const {
  std::vector<const Object*> objects;
  for (const ObjectChange& change : changes) {
    if (const auto* create = std::get_if<Create>(&change)) objects.push_back(&create->object);
  }
  return objects;
}

const Object* Build::Find(Kind kind, std::string_view name) const {
  for (const Object* object : created()) {
    if (NameKey(object->kind(), object->name()) == NameKey(kind, name)) return object;
  }
  return nullptr;
}

const Build* Catalog::FindBuild(Kind kind, std::string_view name) const {
  for (const auto& [number, build] : builds_) {
    if (build.Find(kind, name) != nullptr) return &build;
  }
  return nullptr;
}

Result<CatalogPtr> Catalog::With(const Build& build) const {
  return ApplyToObjects({ControlBuild{build.number, ControlBuild::What::kFinish, ""}});
}

CatalogPtr Catalog::Outlook() const {
  std::vector<Change> changes;
  for (const auto& [number, build] : builds_)
    changes.push_back(ControlBuild{number, ControlBuild::What::kFinish, ""});
  if (changes.empty()) return std::make_shared<const Catalog>(*this);
  return ApplyToObjects(changes).value();  // CheckBuilds lets no others in
}

// That each build can end whenever it is ready, whichever of them ends first.
Status Catalog::CheckBuilds() const {
  for (const auto& [number, build] : builds_) {
    TRY(const CatalogPtr then, With(build));
    for (const auto& [other_number, other] : builds_) {
      if (other_number != number) TRY(CheckUndisturbed(other, *then));
    }
  }
  return Ok();
}

}  // namespace millrace::catalog
