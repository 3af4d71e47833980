#include "catalog/catalog.h"

#include <algorithm>
#include <set>

#include "catalog/dependency_graph.h"
#include "catalog/raw_stream.h"
#include "catalog/stream_versions.h"

namespace millrace::catalog {
namespace {

// Schemas whose relations are not objects of the catalog.
bool IsOutside(std::string_view lower_name) {
  for (std::string_view schema :
       {"millrace.", "warehouse.", "information_schema.", "pg_catalog."}) {
    if (lower_name.starts_with(schema)) return true;
  }
  return false;
}

std::vector<const Object*> Pointers(const std::map<std::string, Object>& objects) {
  std::vector<const Object*> pointers;
  pointers.reserve(objects.size());
  for (const auto& [key, object] : objects) pointers.push_back(&object);
  return pointers;
}

std::string List(const std::vector<const Object*>& objects) {
  std::string text;
  for (const Object* object : objects) text += (text.empty() ? "" : ", ") + Describe(*object);
  return text;
}

// An index, a source or a table of a topic stands on some kinds of relation only.
Status CheckTargetKind(const Object& object, const Object& target) {
  const auto* view = std::get_if<ViewDefinition>(&target.definition);
  if (TableOfTopic(object) != nullptr) return CheckHoldsRecords(target, object);
  if (object.kind() == Kind::kIndex) {
    if (target.kind() == Kind::kTable || (view != nullptr && view->materialized)) return Ok();
    return Error(Code::kInvalidArgument, "{} needs a table or a materialized view, {} is a {}",
                 Describe(object), Quoted(target.name()),
                 view != nullptr ? "plain view, which holds no rows" : "stream")
        .SqlState("42809");
  }
  if (object.kind() == Kind::kSource && target.kind() == Kind::kView) {
    return Error(Code::kInvalidArgument, "{} writes into a stream or a table, {} is a view",
                 Describe(object), Quoted(target.name()))
        .SqlState("42809");
  }
  return Ok();
}

Error NotThere(Kind kind, const std::string& name, const Catalog& catalog) {
  Error error(Code::kNotFound, "{} {} does not exist", KindName(kind), Quoted(name));
  error = std::move(error).SqlState("42P01");
  if (const Object* other = catalog.Find(name)) {
    return std::move(error).Hint(
        fmt::format("{} is a {}", Quoted(other->name()), KindName(other->kind())));
  }
  std::vector<std::string> names;
  for (const Object* object : catalog.OfKind(kind)) names.push_back(object->name());
  return std::move(error).Hint(DidYouMean(name, names));
}

// REQUIRES: it is one.
ObjectChange ToObjectChange(const Change& change) {
  if (const auto* create = std::get_if<Create>(&change)) return *create;
  if (const auto* drop = std::get_if<Drop>(&change)) return *drop;
  return std::get<Alter>(change);
}

bool SameVocabulary(const Vocabulary& a, const Vocabulary& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Object& x, const Object& y) {
    return x.kind() == y.kind() && x.name() == y.name() && x.generation == y.generation &&
           x.revision == y.revision;
  });
}

}  // namespace

CatalogPtr Catalog::Empty() { return std::make_shared<const Catalog>(); }

bool IsRelation(Kind kind) {
  return kind == Kind::kStream || kind == Kind::kTable || kind == Kind::kView;
}

bool IsVocabulary(Kind kind) {
  return kind == Kind::kType || kind == Kind::kMacro || kind == Kind::kModel;
}

std::string NameKey(Kind kind, std::string_view name) {
  const char space = IsRelation(kind) ? 'r' : static_cast<char>('0' + static_cast<int>(kind));
  return std::string(1, space) + rows::LowerName(name);
}

const Object* Catalog::Find(Kind kind, std::string_view name) const {
  const Object* object = FindInNameSpace(kind, name);
  return object != nullptr && object->kind() == kind ? object : nullptr;
}

const Object* Catalog::FindInNameSpace(Kind kind, std::string_view name) const {
  const auto found = objects_.find(NameKey(kind, name));
  return found != objects_.end() ? &found->second : nullptr;
}

const Object* Catalog::FindRelation(std::string_view name) const {
  return FindInNameSpace(Kind::kStream, name);
}

const Object* Catalog::Find(std::string_view name) const {
  if (const Object* relation = FindRelation(name)) return relation;
  for (const Kind kind :
       {Kind::kSource, Kind::kEndpoint, Kind::kIndex, Kind::kType, Kind::kMacro, Kind::kModel}) {
    if (const Object* object = Find(kind, name)) return object;
  }
  return nullptr;
}

const StreamDefinition* Catalog::FindStream(std::string_view name) const {
  const Object* object = Find(Kind::kStream, name);
  return object == nullptr ? nullptr : &std::get<StreamDefinition>(object->definition);
}

const TableDefinition* Catalog::FindTable(std::string_view name) const {
  const Object* object = Find(Kind::kTable, name);
  return object == nullptr ? nullptr : &std::get<TableDefinition>(object->definition);
}

const ViewDefinition* Catalog::FindView(std::string_view name) const {
  const Object* object = Find(Kind::kView, name);
  return object == nullptr ? nullptr : &std::get<ViewDefinition>(object->definition);
}

const Object* Catalog::FindChangesTopic(std::string_view name) const {
  if (!rows::LowerName(name).ends_with(kChangesSuffix)) return nullptr;
  const Object* view = Find(Kind::kView, name.substr(0, name.size() - kChangesSuffix.size()));
  return view != nullptr && HasChangesTopic(*view) ? view : nullptr;
}

std::vector<const Object*> Catalog::InOrder() const {
  return Order(Pointers(objects_)).value();  // Apply lets no cycle in
}

std::vector<const Object*> Catalog::OfKind(Kind kind) const {
  std::vector<const Object*> found;
  for (const auto& [key, object] : objects_) {
    if (object.kind() == kind) found.push_back(&object);
  }
  return found;
}

std::vector<const Object*> Catalog::DependentObjects(std::string_view name) const {
  return DependentObjects(Kind::kStream, name);
}

std::vector<const Object*> Catalog::DependentObjects(Kind kind, std::string_view name) const {
  std::vector<const Object*> found;
  const Object* root = FindInNameSpace(kind, name);
  if (root == nullptr || !(IsRelation(kind) || IsVocabulary(kind))) return found;
  const DependencyGraph graph(Pointers(objects_));
  std::vector<const Object*> level = {root};
  std::set<const Object*> seen = {root};
  while (!level.empty()) {
    std::vector<const Object*> next;
    for (const auto& [key, object] : objects_) {
      if (seen.contains(&object)) continue;
      for (const Object* need : graph.Needs(object)) {
        if (std::find(level.begin(), level.end(), need) == level.end()) continue;
        next.push_back(&object);
        seen.insert(&object);
        break;
      }
    }
    SortByName(next);
    found.insert(found.end(), next.begin(), next.end());
    level = std::move(next);
  }
  return found;
}

std::vector<std::string> Catalog::DependentsOf(std::string_view name) const {
  std::vector<std::string> names;
  for (const Object* object : DependentObjects(name)) names.push_back(object->name());
  return names;
}

std::vector<std::string> Catalog::RelationNames() const {
  std::vector<std::string> names;
  for (const auto& [key, object] : objects_) {
    if (IsRelation(object.kind())) names.push_back(object.name());
  }
  return names;
}

std::string Catalog::DependencyOf(std::string_view name) const {
  const std::string lower = rows::LowerName(name);
  const std::string_view plain = WithoutSchema(lower);
  if (const Object* relation = FindRelation(plain)) return relation->name();
  for (std::string_view suffix : {".quarantine", ".late"}) {
    if (plain.size() <= suffix.size() || !plain.ends_with(suffix)) continue;
    const std::string_view stream = plain.substr(0, plain.size() - suffix.size());
    const Object* found = FindRelation(stream);
    if (found == nullptr) continue;
    if (found->kind() == Kind::kStream || (suffix == ".quarantine" && TableOfTopic(*found)))
      return found->name();
  }
  if (IsOutside(lower)) return "";
  return std::string(name);
}

std::optional<Catalog> Catalog::AsOf(uint64_t generation) const {
  std::optional<Catalog> then;
  for (const auto& [key, object] : objects_) {
    const auto* stream = std::get_if<StreamDefinition>(&object.definition);
    if (stream == nullptr) continue;
    std::optional<StreamDefinition> earlier = catalog::AsOf(*stream, generation);
    if (!earlier) continue;
    if (!then) then = *this;
    then->objects_.at(key).definition = *std::move(earlier);
  }
  return then;
}

std::vector<const Object*> Catalog::NeededBy(Kind kind, std::string_view name) const {
  std::vector<const Object*> found;
  const std::string wanted = rows::LowerName(name);
  const auto reads = [&](const std::string& read) {
    const std::string lower = rows::LowerName(read);
    const std::string_view plain = WithoutSchema(lower);
    return plain == wanted || plain == wanted + ".quarantine" || plain == wanted + ".late";
  };
  const auto uses = [&](const Use& use) {
    return use.kind == kind && rows::EqualNames(use.name, name);
  };
  for (const auto& [key, object] : objects_) {
    const std::vector<std::string> relations = object.depends_on();
    const bool needs = IsRelation(kind) ? std::any_of(relations.begin(), relations.end(), reads)
                                        : std::any_of(object.uses.begin(), object.uses.end(), uses);
    if (needs) found.push_back(&object);
  }
  return found;
}

Status Catalog::Make(const Create& create) {
  const Kind kind = create.object.kind();
  if (create.object.name().empty())
    return Error(Code::kInvalidArgument, "a {} needs a name", KindName(kind));
  const auto existing = objects_.find(NameKey(kind, create.object.name()));
  if (existing != objects_.end() && (!create.replace || existing->second.kind() != kind)) {
    const Object& taken = existing->second;
    return Error(Code::kAlreadyExists, "{} cannot be created: {} exists{}", Describe(create.object),
                 Describe(taken),
                 taken.name() == create.object.name() ? "" : " (names compare without case)")
        .SqlState("42P07");
  }
  Object object = create.object;
  if (object.generation == 0) object.generation = version_;
  objects_.insert_or_assign(NameKey(kind, object.name()), std::move(object));
  return Ok();
}

Status Catalog::Take(const Alter& alter) {
  if (Find(alter.kind(), alter.name) == nullptr) return NotThere(alter.kind(), alter.name, *this);
  const std::string before = NameKey(alter.kind(), alter.name);
  const std::string after = NameKey(alter.kind(), alter.object.name());
  const auto taken = objects_.find(after);
  if (after != before && taken != objects_.end()) {
    return Error(Code::kAlreadyExists, "{} cannot be renamed to {}: {} exists",
                 Describe(objects_.at(before)), Quoted(alter.object.name()),
                 Describe(taken->second))
        .SqlState("42P07");
  }
  objects_.erase(before);
  Object object = alter.object;
  object.revision = version_;
  objects_.emplace(after, std::move(object));
  return Ok();
}

// That everything the object needs is there, and its name to be had. `before`: the catalog that the
// changes started from, `dropped`: name keys that are gone since.
Status Catalog::CheckNeeds(const Object& object, const Catalog& before,
                           const std::set<std::string>& dropped) const {
  const Object* view = IsRelation(object.kind()) ? FindChangesTopic(object.name()) : nullptr;
  if (view != nullptr)
    return Error(Code::kAlreadyExists, "{} has the name of the topic of changes of {}",
                 Describe(object), Describe(*view))
        .SqlState("42P07");
  const auto still_needed = [&](const Object& gone) {
    return Error(Code::kConflict, "cannot drop {}: {} needs it", Describe(gone),
                 List(NeededBy(gone.kind(), gone.name())))
        .Hint("drop what needs it first, or use DROP … CASCADE");
  };
  for (const std::string& name : object.depends_on()) {
    const std::string needed = DependencyOf(name);
    if (needed.empty()) continue;
    if (const Object* target = FindRelation(needed)) {
      TRY(CheckTargetKind(object, *target));
      continue;
    }
    // Before the changes it stood on this relation, which may be gone by them.
    const Object* old = before.FindRelation(before.DependencyOf(name));
    if (old != nullptr && dropped.contains(NameKey(old->kind(), old->name())))
      return still_needed(*old);
    return Error(Code::kNotFound, "{}: relation {} does not exist", Describe(object), Quoted(name))
        .Hint(DidYouMean(name, RelationNames()))
        .SqlState("42P01");
  }
  for (const Use& use : object.uses) {
    if (Find(use.kind, use.name) != nullptr) continue;
    const Object* old = before.Find(use.kind, use.name);
    if (old != nullptr && dropped.contains(NameKey(use.kind, use.name))) return still_needed(*old);
    return Error(Code::kNotFound, "{}: {} {} does not exist", Describe(object), KindName(use.kind),
                 Quoted(use.name))
        .SqlState("42704");
  }
  return Ok();
}

Status Catalog::Take(const ObjectChange& change, std::set<std::string>& dropped) {
  if (const auto* create = std::get_if<Create>(&change)) return Make(*create);
  if (const auto* alter = std::get_if<Alter>(&change)) {
    TRY(Take(*alter));
    if (!rows::EqualNames(alter->name, alter->object.name()))
      dropped.insert(NameKey(alter->kind(), alter->name));
    return Ok();
  }
  const Drop& drop = std::get<Drop>(change);
  if (Find(drop.kind, drop.name) == nullptr) return NotThere(drop.kind, drop.name, *this);
  objects_.erase(NameKey(drop.kind, drop.name));
  dropped.insert(NameKey(drop.kind, drop.name));
  return Ok();
}

Status Catalog::Take(const ControlBuild& control, std::set<std::string>& dropped) {
  const auto found = builds_.find(control.number);
  if (found == builds_.end())
    return Error(Code::kInternal, "no build has the number {}", control.number);
  switch (control.what) {
    case ControlBuild::What::kPause:
    case ControlBuild::What::kResume:
      found->second.paused = control.what == ControlBuild::What::kPause;
      return Ok();
    case ControlBuild::What::kCancel:
      builds_.erase(found);
      return Ok();
    case ControlBuild::What::kFinish:
      break;
  }
  const Build build = std::move(found->second);
  builds_.erase(found);
  for (const ObjectChange& change : build.changes) TRY(Take(change, dropped));
  return Ok();
}

Result<CatalogPtr> Catalog::ApplyToObjects(const std::vector<Change>& changes) const {
  auto next = std::make_shared<Catalog>(*this);
  next->version_ = version_ + 1;
  std::set<std::string> dropped;  // name keys
  for (const Change& change : changes) {
    if (const auto* start = std::get_if<StartBuild>(&change)) {
      next->builds_[next->version_] = {next->version_, start->changes, /*paused=*/false};
    } else if (const auto* control = std::get_if<ControlBuild>(&change)) {
      TRY(next->Take(*control, dropped));
    } else {
      TRY(next->Take(ToObjectChange(change), dropped));
    }
  }
  for (const auto& [key, object] : next->objects_) TRY(next->CheckNeeds(object, *this, dropped));
  TRY(const std::vector<const Object*> order, millrace::catalog::Order(Pointers(next->objects_)));
  auto words = std::make_shared<Vocabulary>();
  for (const Object* object : order) {
    if (IsVocabulary(object->kind())) words->push_back(*object);
  }
  if (!SameVocabulary(*words, *vocabulary_)) next->vocabulary_ = std::move(words);
  return CatalogPtr(std::move(next));
}

Result<CatalogPtr> Catalog::Apply(const std::vector<Change>& changes) const {
  TRY(CatalogPtr next, ApplyToObjects(changes));
  for (const auto& [number, build] : builds_) {
    if (next->builds_.contains(number)) TRY(CheckUndisturbed(build, *next));
  }
  TRY(next->CheckBuilds());
  return next;
}

}  // namespace millrace::catalog
