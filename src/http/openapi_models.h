// The part of the OpenAPI document that is about models. Pure functions.
#pragma once

#include <string>

#include "catalog/catalog.h"
#include "http/json_build.h"

namespace millrace::http {

// Path and operations of each model.
JsonMembers ModelPaths(const catalog::Catalog& catalog);
// What they refer to; none where there are no models.
JsonMembers ModelSchemas(const catalog::Catalog& catalog);

}  // namespace millrace::http
