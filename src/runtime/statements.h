// Carries out statements: what `POST /v1/sql` and `millrace sql` send.
// Thread-safe. Calls may take long.
#pragma once

#include "runtime/node.h"
#include "runtime/node_impl.h"

namespace millrace::runtime {

Result<StatementResult> ExecuteStatement(Node::Impl& node, std::string_view text,
                                         const StatementOptions& options);

Result<sql::Database::Described> DescribeStatement(Node::Impl& node, std::string_view text,
                                                   const sql::ParameterTypes& given);

// Definitions, from statements or a project's files (definitions.cc).
Result<StatementResult> ExecuteCreate(Node::Impl& node, const sql::Statement& statement,
                                      std::string_view text, const StatementOptions& options);
Result<StatementResult> ExecuteDrop(Node::Impl& node, const sql::DropStatement& drop);
// Changes of what stays (alterations.cc).
Result<StatementResult> ExecuteComment(Node::Impl& node, const sql::CommentStatement& comment);
Result<StatementResult> ExecuteAlter(Node::Impl& node, const sql::AlterStatement& alter,
                                     const std::string& text, const StatementOptions& options);

// Carries the changes out on the step loop's thread, then lets endpoints, sources and seeds follow.
// The number of the build that they began, 0: none.
// REQUIRES: the caller holds node.definition_mutex.
Result<uint64_t> ApplyChanges(Node::Impl& node, std::vector<catalog::Change> changes);
// Waits until the build is over, as long as the options let it; then it goes on without, and the
// result says so. An error: its views failed, and it is given up.
// REQUIRES: the caller does not hold node.definition_mutex.
Status AwaitBuild(Node::Impl& node, uint64_t build, const StatementOptions& options,
                  StatementResult& result);
// Lets a view and what stands on it stand still from the step of the change on.
std::vector<catalog::Change> HaltChanges(const catalog::Catalog& catalog,
                                         const catalog::Object& root, catalog::Halt::Why why,
                                         const std::string& reason);
// Makes the changes that waited for a build that is complete; does nothing where it is over.
Status FinishBuild(Node::Impl& node, uint64_t build);
// "STREAM", as it stands in a statement.
std::string Keyword(catalog::Kind kind);
Result<ProjectPlan> PlanProjectFiles(Node::Impl& node, const std::vector<ProjectFile>& files);
Result<ProjectPlan> ApplyProjectFiles(Node::Impl& node, const std::vector<ProjectFile>& files,
                                      const std::vector<std::string>& allow_drop);

}  // namespace millrace::runtime
