#include "http/node_backend.h"

#include "sql/statement.h"

namespace millrace::http {

std::string NodeBackend::MergeTokens(const std::vector<std::string>& tokens) const {
  return ingest::MergeTokens(tokens);
}

void NodeBackend::WhenVisible(std::string_view token, std::chrono::milliseconds timeout,
                              std::function<void(Status)> done) {
  node_.WhenVisible(token, timeout, std::move(done));
}

Result<std::vector<std::string>> NodeBackend::SplitStatements(std::string_view text) const {
  TRY(const std::vector<sql::Statement> parsed,
      sql::Parse(text, {}, sql::TypesOf(*node_.catalog())));
  std::vector<std::string> statements;
  for (const sql::Statement& statement : parsed) {
    statements.push_back(
        BlankBefore(text, statement.begin, statement.begin + statement.text.size()));
  }
  return statements;
}

Result<runtime::StatementResult> NodeBackend::Execute(std::string_view statement,
                                                      const runtime::StatementOptions& options) {
  return node_.Execute(statement, options);
}

std::optional<runtime::EndpointMatch> NodeBackend::MatchEndpoint(std::string_view method,
                                                                 std::string_view path) const {
  return node_.MatchEndpoint(method, path);
}

bool NodeBackend::EndpointIsFast(const runtime::EndpointMatch& match) const {
  return node_.EndpointIsFast(match);
}

int64_t NodeBackend::EndpointStep(const runtime::EndpointMatch& match) const {
  return node_.EndpointStep(match);
}

Result<runtime::EndpointAnswer> NodeBackend::AnswerEndpoint(
    const runtime::EndpointMatch& match, const std::map<std::string, std::string>& parameters,
    const runtime::StatementOptions& options) {
  return node_.AnswerEndpoint(match, parameters, options);
}

Result<runtime::EndpointAnswer> NodeBackend::AnswerEndpointPage(
    const runtime::EndpointMatch& match, const std::map<std::string, std::string>& parameters,
    const runtime::PageRequest& page, const runtime::StatementOptions& options) {
  return node_.AnswerEndpointPage(match, parameters, page, options);
}

Result<rows::Schema> NodeBackend::ColumnsOf(const catalog::EndpointDefinition& endpoint) {
  sql::ParameterTypes types;
  for (const auto& parameter : endpoint.parameters) types[parameter.name] = parameter.type;
  TRY(sql::Database::Described described, node_.Describe(endpoint.select, types));
  return std::move(described.schema);
}

}  // namespace millrace::http
