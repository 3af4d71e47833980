// Whether what was written with one Avro schema can be read with another (specification 1.11,
// "Schema Resolution").
#pragma once

#include <string>
#include <vector>

#include "schemas/avro_schema.h"

namespace millrace::schemas {

// Why not, one text for each reason, with the place in the reader's schema; empty: it can.
std::vector<std::string> AvroReadProblems(const AvroSchema& reader, const AvroSchema& writer);

}  // namespace millrace::schemas
