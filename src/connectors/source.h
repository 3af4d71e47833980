// What brings rows into a stream by itself. One file (later: folder) per kind of external system.
// Thread rule: a Source owns its threads; the methods are called by one owner.
#pragma once

#include <memory>

#include "base/result.h"
#include "catalog/definitions.h"
#include "ingest/ingest.h"

namespace millrace::connectors {

class Source {
 public:
  virtual ~Source() = default;  // stops it, and waits for what is under way
};

// Whether the definition makes sense: known connector, known options, values in range. Without
// touching anything outside.
Status CheckSource(const catalog::SourceDefinition& definition);

// Starts it. REQUIRES: CheckSource(definition).ok(). `stream` is the definition that it fills;
// `ingest` outlives it.
Result<std::unique_ptr<Source>> StartSource(const catalog::SourceDefinition& definition,
                                            const catalog::StreamDefinition& stream,
                                            ingest::Ingest& ingest);

}  // namespace millrace::connectors
