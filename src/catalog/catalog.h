// The catalog: all objects by name, with their dependencies. The truth is the log's topic
// __catalog, one record per change; the catalog is what those records add up to.
//
// Streams, tables and views share one name space (all are relations); indexes, sources, endpoints,
// types, macros and models have one each, so that a source may be named like the stream that it
// fills.
//
// Thread rule: a Catalog is an immutable value behind a shared_ptr; a change makes a new one with
// version + 1.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/definitions.h"

namespace millrace::catalog {

struct Create {
  Object object;
  bool replace = false;  // CREATE OR REPLACE
};
struct Drop {
  std::string name;
  Kind kind;
};
// The object keeps what it holds and takes on another definition, comment or name.
struct Alter {
  std::string name;  // before
  Object object;     // after: of the same kind, generation and topic
  Kind kind() const { return object.kind(); }
};
using ObjectChange = std::variant<Create, Drop, Alter>;

// Changes that are made together once the views among them are built from history. Until then the
// catalog keeps them aside (Catalog::builds): nothing can name what they create, and what they
// replace stays.
struct StartBuild {
  std::vector<ObjectChange> changes;
};
// Makes a build's changes, gives the build up, holds it, or lets it go on.
struct ControlBuild {
  uint64_t number;  // of the build
  enum class What { kFinish, kCancel, kPause, kResume };
  What what;
  std::string reason;  // of a build that is given up, for people; may be empty
};
using Change = std::variant<Create, Drop, Alter, StartBuild, ControlBuild>;

struct Build {
  uint64_t number = 0;  // the catalog's version that began it
  std::vector<ObjectChange> changes;
  bool paused = false;

  // The objects that come or are replaced.
  std::vector<const Object*> created() const;
  // The one of this name, of any kind of the name's space; nullptr: none.
  const Object* Find(Kind kind, std::string_view name) const;
};

// Streams, tables and views: what a query can name.
bool IsRelation(Kind kind);
// Types, macros and models: what a SELECT may name besides relations.
bool IsVocabulary(Kind kind);

// The name within its name space: streams, tables and views share one, the other kinds have one
// each (a source may be called like the stream that it fills). Two objects of equal key cannot be
// in one catalog.
std::string NameKey(Kind kind, std::string_view name);

class Catalog;
using CatalogPtr = std::shared_ptr<const Catalog>;

// Those of a catalog, each after those that it needs. Catalogs between which none of them changed
// share one.
using Vocabulary = std::vector<Object>;
using VocabularyPtr = std::shared_ptr<const Vocabulary>;

class Catalog {
 public:
  static CatalogPtr Empty();

  uint64_t version() const { return version_; }
  // The relation of this name; where there is none the source, endpoint or index.
  const Object* Find(std::string_view name) const;
  const Object* Find(Kind kind, std::string_view name) const;             // of this kind exactly
  const Object* FindRelation(std::string_view name) const;                // a stream, table or view
  const Object* FindInNameSpace(Kind kind, std::string_view name) const;  // of equal NameKey
  const StreamDefinition* FindStream(std::string_view name) const;
  const TableDefinition* FindTable(std::string_view name) const;
  const ViewDefinition* FindView(std::string_view name) const;
  // The view whose topic of changes is called so.
  const Object* FindChangesTopic(std::string_view name) const;
  // All objects, each after those it depends on; ties by name.
  std::vector<const Object*> InOrder() const;
  std::vector<const Object*> OfKind(Kind kind) const;
  const VocabularyPtr& vocabulary() const { return vocabulary_; }
  // What depends on the relation, type, macro or model `name`, directly or not, nearest first.
  // (Nothing depends on other kinds.)
  std::vector<const Object*> DependentObjects(Kind kind, std::string_view name) const;
  // The same of a relation.
  std::vector<const Object*> DependentObjects(std::string_view name) const;
  // Their names.
  std::vector<std::string> DependentsOf(std::string_view name) const;
  // The relation of the catalog that a name in a FROM clause stands on: itself, or the stream of
  // "<stream>.quarantine" and
  // "<stream>.late". Empty for system tables and the warehouse, which are not in the catalog. Else
  // the name, which is then missing.
  std::string DependencyOf(std::string_view name) const;
  std::vector<std::string> RelationNames() const;  // for "did you mean"

  // The catalog as what was bound at that generation sees it: streams with the columns that they
  // had then. None: no stream's columns have changed since.
  std::optional<Catalog> AsOf(uint64_t generation) const;

  // What is being built, by number.
  const std::map<uint64_t, Build>& builds() const { return builds_; }
  // The build that creates or replaces the object; nullptr: none.
  const Build* FindBuild(Kind kind, std::string_view name) const;
  // The catalog with the changes of one build made: by it, the build's views are planned.
  Result<CatalogPtr> With(const Build& build) const;
  // The catalog as it will be when all builds are over.
  CatalogPtr Outlook() const;

  // The catalog after the changes, all or nothing: dependencies are judged when all are made, so a
  // list may drop a stream, make it anew, and replace what reads it. Sets the `generation` of what
  // is created to the new version where the caller left it 0. Errors: a name is taken (also one
  // that differs in case only), a dependency is missing or would go (names the dependents), a cycle
  // (names its members); a build reads or replaces what the changes alter.
  Result<CatalogPtr> Apply(const std::vector<Change>& changes) const;

 private:
  // The objects that name the object directly, whether it exists or not.
  std::vector<const Object*> NeededBy(Kind kind, std::string_view name) const;

  Result<CatalogPtr> ApplyToObjects(const std::vector<Change>& changes) const;
  Status Take(const ControlBuild& control, std::set<std::string>& dropped);
  Status Take(const ObjectChange& change, std::set<std::string>& dropped);
  Status CheckBuilds() const;
  Status CheckUndisturbed(const Build& build, const Catalog& after) const;
  Status CheckNeeds(const Object& object, const Catalog& before,
                    const std::set<std::string>& dropped) const;
  Status Make(const Create& create);
  Status Take(const Alter& alter);

  uint64_t version_ = 0;
  std::map<std::string, Object> objects_;  // by name space and lower-case name
  std::map<uint64_t, Build> builds_;
  VocabularyPtr vocabulary_ = std::make_shared<const Vocabulary>();
};

// One log record: the changes of one statement or one project run, and back. Versioned, checked.
std::string EncodeChanges(uint64_t version_after, const std::vector<Change>& changes);
Result<std::pair<uint64_t, std::vector<Change>>> DecodeChanges(std::string_view bytes);

// The objects, each after those of them that it depends on; ties by name. Error: a cycle, naming
// its members.
Result<std::vector<const Object*>> Order(const std::vector<const Object*>& objects);

// What `millrace run` and `plan` do: the difference between what a project declares and what the
// catalog has of it.
struct Difference {
  enum class What { kCreate, kReplace, kDrop, kAlter };
  struct Item {
    What what;
    Kind kind;
    std::string name;
    std::string reason;       // "new", "definition changed: …", "no longer in the project"
    bool loses_data = false;  // needs --allow-drop
    bool backfill = false;    // a view that is built from history
  };
  std::vector<Item> items;  // in the order of application
  std::vector<Change> changes;
};
// `wanted`: all objects of the project, `reads` filled in (sql::RelationsNamed is enough). Objects
// that were made by hand are left alone (and a clash with one is an error), but a view made by hand
// over something that is replaced is rebuilt with it. Definitions are compared as what they mean:
// white space, comments and the case of keywords are no difference. Any change of a stream or table
// is a drop and a create, which loses data.
Result<Difference> Diff(const Catalog& catalog, const std::vector<Object>& wanted);

}  // namespace millrace::catalog
