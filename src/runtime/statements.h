// Carries out statements: what `POST /v1/sql` and `millrace sql` send.
// Thread-safe. Calls may take long.
#pragma once

#include "runtime/node.h"
#include "runtime/node_impl.h"

namespace millrace::runtime {

Result<StatementResult> ExecuteStatement(Node::Impl& node, std::string_view text,
                                         const StatementOptions& options);

// Definitions, from statements or a project's files (definitions.cc).
Result<StatementResult> ExecuteCreate(Node::Impl& node, const sql::Statement& statement,
                                      std::string_view text);
Result<StatementResult> ExecuteDrop(Node::Impl& node, const sql::DropStatement& drop);
// Changes of what stays (alterations.cc).
Result<StatementResult> ExecuteComment(Node::Impl& node, const sql::CommentStatement& comment);
Result<StatementResult> ExecuteAlter(Node::Impl& node, const sql::AlterStatement& alter,
                                     const std::string& text);

// Carries the changes out on the step loop's thread, then lets endpoints, sources and seeds follow.
// REQUIRES: the caller holds node.definition_mutex.
Status ApplyChanges(Node::Impl& node, std::vector<catalog::Change> changes);
// "STREAM", as it stands in a statement.
std::string Keyword(catalog::Kind kind);
Result<ProjectPlan> PlanProjectFiles(Node::Impl& node, const std::vector<ProjectFile>& files);
Result<ProjectPlan> ApplyProjectFiles(Node::Impl& node, const std::vector<ProjectFile>& files,
                                      const std::vector<std::string>& allow_drop);

}  // namespace millrace::runtime
