// Rows to play with: `CREATE SOURCE demo INTO clicks FROM datagen (rows_per_second = 1000)`. Values
// are random but look like what the column's name and type suggest; event times are now. The same
// `seed` gives the same values.
#pragma once

#include "connectors/source.h"

namespace millrace::connectors {

Status CheckDatagen(const catalog::SourceDefinition& definition);
Result<std::unique_ptr<Source>> StartDatagen(const catalog::SourceDefinition& definition,
                                             const catalog::StreamDefinition& stream,
                                             ingest::Ingest& ingest);

}  // namespace millrace::connectors
