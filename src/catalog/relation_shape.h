// The columns of a relation as queries and circuits see them: the declared ones, then the hidden
// ones of a stream. Pure functions, thread-safe.
#pragma once

#include "catalog/definitions.h"
#include "rows/schema.h"

namespace millrace::catalog {

// Hidden columns of a stream, after the declared ones, in this order: SELECT * leaves them out.
//   _partition INTEGER, _offset BIGINT, _ingested_at TIMESTAMP (when it was appended), _timestamp
//   TIMESTAMP (the record's own), _late BOOLEAN (its event time lay behind the watermark)
inline constexpr size_t kHiddenStreamColumns = 5;

std::vector<rows::Column> HiddenColumns();

struct RelationShape {
  rows::Schema schema;  // declared columns, then hidden ones
  size_t visible = 0;   // SELECT * gives the first `visible` columns
};

// REQUIRES: the object is a stream, table or view.
RelationShape ShapeOf(const Object& object);

}  // namespace millrace::catalog
