// Streams and the schema registry in step: what the registry is told of streams (the subject of
// stream s is "s-value"), and which changes of streams it forbids.
//
// A stream and what clients have registered at its subject fit each other: whichever comes second
// is refused where they do not (schemas/rows_fit.h). And where a team has registered schemas or set
// a level for the subject, that level holds for the columns over ALTERs too.
//
// Pure functions over values; thread-safe.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/catalog.h"
#include "runtime/published.h"
#include "runtime/system_tables.h"
#include "schemas/registry.h"

namespace millrace::runtime {

// The streams of the newest catalog. The publisher must outlive what is given.
schemas::Streams StreamsOf(const Publisher& publisher);

// kConflict: a change makes or alters a stream as its subject forbids. The changes are those of a
// statement or a project; under the registry's Hold, which ends when they have happened.
Status CheckSubjects(const schemas::RegistryState& registry, const catalog::Catalog& before,
                     const std::vector<catalog::Change>& changes);

// The subjects follow the streams. Where the registry cannot be written (it is full, or the disk),
// they show older columns until the next change, which the log says.
void FollowStreams(schemas::Registry& registry, const schemas::Registry::Hold& hold);

// Why records of the columns `writer` are no rows by the columns `reader`, as Avro's rules say of
// fields: a new column needs a DEFAULT or may be NULL, a type may become wider. Empty: they are.
std::vector<std::string> ColumnReadProblems(const rows::Schema& reader, const rows::Schema& writer);

// millrace.schemas
SystemTable SchemasTable(const schemas::Registry& registry);

}  // namespace millrace::runtime
