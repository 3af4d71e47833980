#include "connectors/source.h"

#include "connectors/datagen.h"

namespace millrace::connectors {

Status CheckSource(const catalog::SourceDefinition& definition) {
  if (definition.connector == "datagen") return CheckDatagen(definition);
  return Error(Code::kNotSupported, "connector {} is not available", Quoted(definition.connector))
      .Hint("available: datagen");
}

Result<std::unique_ptr<Source>> StartSource(const catalog::SourceDefinition& definition,
                                            const catalog::StreamDefinition& stream,
                                            ingest::Ingest& ingest) {
  CHECK(definition.connector == "datagen") << definition.connector;
  return StartDatagen(definition, stream, ingest);
}

}  // namespace millrace::connectors
