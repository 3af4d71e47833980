// A Relation is a stream, table or materialized view of the running node: its definition and where
// its content is. Relations is the set of them in force at a step, an immutable value behind a
// shared_ptr; what a Relation points to is shared by the sets that hold it, and has thread rules of
// its own.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "catalog/catalog.h"
#include "catalog/relation_shape.h"
#include "ingest/record_decoder.h"
#include "log/types.h"
#include "runtime/exclusions.h"
#include "runtime/heat.h"
#include "state/view_table.h"

namespace millrace::runtime {

struct Relation {
  catalog::Object object;
  catalog::RelationShape shape;
  // Its name inside the engine: a replaced view runs beside the new one for a while, so the user's
  // name is not enough.
  std::string internal_name;

  std::vector<std::string> reads;  // of a view: internal names of what its circuit reads

  std::shared_ptr<state::ViewTable> content;    // tables and views
  std::shared_ptr<Exclusions> exclusions;       // streams, and tables of topics
  std::shared_ptr<Heat> heat;                   // streams
  const schemas::Registry* registry = nullptr;  // of the schemas that records may name

  const catalog::StreamDefinition* stream() const {
    return std::get_if<catalog::StreamDefinition>(&object.definition);
  }
  const catalog::TableDefinition* table() const {
    return std::get_if<catalog::TableDefinition>(&object.definition);
  }
  const catalog::ViewDefinition* view() const {
    return std::get_if<catalog::ViewDefinition>(&object.definition);
  }
  ingest::RecordFormat format() const {
    return {stream() != nullptr ? stream()->format : catalog::StreamDefinition::Format::kRows,
            registry};
  }
  // Where its records are. Its positions and exclusions go by topic(), for a table of a topic is
  // not where the stream is that has the topic.
  log::TopicId log_topic() const { return fed_by.value != 0 ? fed_by : topic(); }
  log::TopicId topic() const { return {object.topic_id}; }
  int32_t partitions() const { return stream() != nullptr ? stream()->partitions : fed_partitions; }

  // Of a table whose rows come from the topic of a raw stream: that topic.
  log::TopicId fed_by;
  int32_t fed_partitions = 1;
};

struct Relations {
  std::map<std::string, std::shared_ptr<const Relation>> by_name;  // lower case
  std::shared_ptr<const Relation> Find(std::string_view name) const;
};
using RelationsPtr = std::shared_ptr<const Relations>;

// Of its primary key, ascending.
std::vector<size_t> KeyColumns(const catalog::TableDefinition& table);

// "identity#generation": stays over a rename.
std::string InternalName(const catalog::Object& object);
// The user's names of what holds rows, by internal name.
std::map<std::string, std::string> UserNames(const catalog::Catalog& catalog);
// One of them; the identity of what the catalog does not have (any more, or yet).
std::string UserName(const std::map<std::string, std::string>& names, const std::string& internal);
// The user's name of what keeps its books as `identity`; the identity where it is gone.
std::string UserNameOf(const catalog::Catalog& catalog, catalog::Kind kind,
                       const std::string& identity);
state::TableId ContentTable(const catalog::Object& object);

// Plain views are no relations of the engine: they are expanded where they are read.
inline bool HoldsRows(const catalog::Object& object) {
  const auto* view = std::get_if<catalog::ViewDefinition>(&object.definition);
  return object.kind() == catalog::Kind::kStream || object.kind() == catalog::Kind::kTable ||
         (view != nullptr && view->materialized);
}

}  // namespace millrace::runtime
