// The catalog: all objects by name, with their dependencies. The truth is the log's topic __catalog, one record per change;
// the catalog is what those records add up to.
//
// Thread rule: a Catalog is an immutable value behind a shared_ptr; a change makes a new one with version + 1.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "catalog/definitions.h"

namespace millrace::catalog {

struct Create {
  Object object;
  bool replace = false;                    // CREATE OR REPLACE
};
struct Drop {
  std::string name;
  Kind kind;
};
using Change = std::variant<Create, Drop>;

class Catalog;
using CatalogPtr = std::shared_ptr<const Catalog>;

class Catalog {
 public:
  static CatalogPtr Empty();

  uint64_t version() const { return version_; }
  const Object* Find(std::string_view name) const;            // any kind of relation, source, endpoint or index
  const StreamDefinition* FindStream(std::string_view name) const;
  const TableDefinition* FindTable(std::string_view name) const;
  const ViewDefinition* FindView(std::string_view name) const;
  // All objects, each after those it depends on; ties by name.
  std::vector<const Object*> InOrder() const;
  std::vector<const Object*> OfKind(Kind kind) const;
  // Names of the objects that depend on `name`, directly or not, nearest first.
  std::vector<std::string> DependentsOf(std::string_view name) const;
  std::vector<std::string> RelationNames() const;             // for "did you mean"

  // The catalog after the changes, all or nothing. Errors: a name is taken (also one that differs in case only), a dependency is missing
  // or would go (names the dependents), a cycle.
  Result<CatalogPtr> Apply(const std::vector<Change>& changes) const;

 private:
  uint64_t version_ = 0;
  std::map<std::string, Object> objects_;                     // by lower-case name
};

// One log record: the changes of one statement or one project run, and back. Versioned, checked.
std::string EncodeChanges(uint64_t version_after, const std::vector<Change>& changes);
Result<std::pair<uint64_t, std::vector<Change>>> DecodeChanges(std::string_view bytes);

// What `millrace run` and `plan` do: the difference between what a project declares and what the catalog has of it.
struct Difference {
  enum class What { kCreate, kReplace, kDrop };
  struct Item {
    What what;
    Kind kind;
    std::string name;
    std::string reason;       // "new", "definition changed: …", "no longer in the project"
    bool loses_data = false;  // needs --allow-drop
    bool backfill = false;    // a view that is built from history
  };
  std::vector<Item> items;    // in the order of application
  std::vector<Change> changes;
};
// `wanted`: all objects of the project. Objects that were made by hand are left alone (and a clash with one is an error).
Result<Difference> Diff(const Catalog& catalog, const std::vector<Object>& wanted);

}  // namespace millrace::catalog
