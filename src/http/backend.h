// What the HTTP routes ask of the node behind them. NodeBackend (node_backend.h) is the real one;
// tests have others. Types and meaning are those of runtime/node.h, which says more. Thread-safe.
#pragma once

#include "ingest/ingest.h"
#include "models/model.h"
#include "runtime/endpoint_pages.h"
#include "runtime/node.h"
#include "runtime/trace.h"
#include "schemas/registry.h"

namespace millrace::http {

class Backend {
 public:
  virtual ~Backend() = default;

  virtual bool ready() const = 0;
  virtual Status health() const = 0;

  virtual ingest::Ingest& ingest() = 0;
  virtual std::string MergeTokens(const std::vector<std::string>& tokens) const = 0;
  virtual void WhenVisible(std::string_view token, std::chrono::milliseconds timeout,
                           std::function<void(Status)> done) = 0;

  // The statements of a text that holds any number of them, each with what stands before it blanked
  // out, so that the positions in its errors are those of the whole text.
  virtual Result<std::vector<std::string>> SplitStatements(std::string_view text) const = 0;
  virtual Result<runtime::StatementResult> Execute(std::string_view statement,
                                                   const runtime::StatementOptions& options) = 0;

  virtual std::optional<runtime::EndpointMatch> MatchEndpoint(std::string_view method,
                                                              std::string_view path) const = 0;
  virtual bool EndpointIsFast(const runtime::EndpointMatch& match) const = 0;
  virtual int64_t EndpointStep(const runtime::EndpointMatch& match) const = 0;
  virtual Result<runtime::EndpointAnswer> AnswerEndpoint(
      const runtime::EndpointMatch& match, const std::map<std::string, std::string>& parameters,
      const runtime::StatementOptions& options) = 0;
  virtual void OnStep(std::function<void(bool catalog_changed)> told) = 0;

  virtual runtime::DecidedCounts Decided(const std::vector<ingest::Placed>& placed) const = 0;
  virtual Result<runtime::ProjectPlan> PlanProject(
      const std::vector<runtime::ProjectFile>& files) = 0;
  virtual Result<runtime::RecordTrace> Trace(std::string_view stream, int32_t partition,
                                             int64_t offset,
                                             const runtime::StatementOptions& options) = 0;

  // What the endpoint answers with. May take long.
  virtual Result<rows::Schema> ColumnsOf(const catalog::EndpointDefinition& endpoint) = 0;

  virtual Result<std::optional<runtime::TableRow>> ReadRow(std::string_view table,
                                                           std::string_view key) const = 0;
  virtual Result<runtime::RowWritten> WriteRow(std::string_view table, std::string_view key,
                                               std::optional<std::string_view> row,
                                               const runtime::TableRows::Condition& condition) = 0;

  virtual schemas::Registry& schemas() = 0;
  virtual Result<runtime::Node::BackupSource> BeginBackup() = 0;
  virtual Status EndBackup() = 0;

  // May take long.
  virtual Result<std::shared_ptr<const models::Model>> FindModel(std::string_view name) const = 0;

  virtual catalog::CatalogPtr catalog() const = 0;
  virtual int64_t visible_step() const = 0;
  virtual std::vector<runtime::LedgerLine> Ledger() const = 0;
  virtual Status CheckBooks() const = 0;
  virtual std::string Metrics() const = 0;

  // One page of an endpoint's answer. May take long.
  virtual Result<runtime::EndpointAnswer> AnswerEndpointPage(
      const runtime::EndpointMatch& match, const std::map<std::string, std::string>& parameters,
      const runtime::PageRequest& page, const runtime::StatementOptions& options) = 0;
};

// Blanks out everything before byte `begin`: line ends stay, every other character becomes a space.
std::string BlankBefore(std::string_view text, size_t begin, size_t end);

}  // namespace millrace::http
