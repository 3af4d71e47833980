// A plan of a project as JSON, and back: what POST /v1/project/plan answers and `millrace plan`
// reads. Pure functions, thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/node.h"

namespace millrace::http {

// {"files": [{"path", "text"}]}
std::string ProjectFilesBody(const std::vector<runtime::ProjectFile>& files);

// {"items": [{"what", "kind", "name", "reason", "builds", "rows_to_read", "bytes_to_read",
// "rows_lost", "bytes_lost", "needs_allow_drop"}], "notices": […]}
std::string ProjectPlanBody(const runtime::ProjectPlan& plan);
// kInvalidArgument: it is none.
Result<runtime::ProjectPlan> ParseProjectPlan(std::string_view body);

// "create", "replace", "drop"
std::string_view WhatName(catalog::Difference::What what);

}  // namespace millrace::http
