// The node's HTTP interface as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1): the
// endpoints, streams and keyed tables of a catalog, and the routes that are always there.
// Pure functions.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "catalog/catalog.h"

namespace millrace::http {

// The columns that an endpoint answers with.
using ColumnsOf = std::function<Result<rows::Schema>(const catalog::EndpointDefinition&)>;

// Of an endpoint whose columns cannot be had the answer has no schema.
std::string OpenApiText(const catalog::Catalog& catalog, const std::string& version,
                        const ColumnsOf& columns_of);

}  // namespace millrace::http
