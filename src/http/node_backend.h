// The routes' backend over a running node.
#pragma once

#include <functional>
#include <string>

#include "http/backend.h"

namespace millrace::http {

// Thread-safe, as the node is. The node must outlive it.
class NodeBackend final : public Backend {
 public:
  explicit NodeBackend(runtime::Node& node) : node_(node) {}

  bool ready() const override { return node_.ready(); }
  Status health() const override { return node_.health(); }
  ingest::Ingest& ingest() override { return node_.ingest(); }
  std::string MergeTokens(const std::vector<std::string>& tokens) const override;
  void WhenVisible(std::string_view token, std::chrono::milliseconds timeout,
                   std::function<void(Status)> done) override;
  Result<std::vector<std::string>> SplitStatements(std::string_view text) const override;
  Result<runtime::StatementResult> Execute(std::string_view statement,
                                           const runtime::StatementOptions& options) override;
  std::optional<runtime::EndpointMatch> MatchEndpoint(std::string_view method,
                                                      std::string_view path) const override;
  bool EndpointIsFast(const runtime::EndpointMatch& match) const override;
  int64_t EndpointStep(const runtime::EndpointMatch& match) const override;
  Result<runtime::EndpointAnswer> AnswerEndpoint(
      const runtime::EndpointMatch& match, const std::map<std::string, std::string>& parameters,
      const runtime::StatementOptions& options) override;
  Result<runtime::EndpointAnswer> AnswerEndpointPage(
      const runtime::EndpointMatch& match, const std::map<std::string, std::string>& parameters,
      const runtime::PageRequest& page, const runtime::StatementOptions& options) override;
  Result<rows::Schema> ColumnsOf(const catalog::EndpointDefinition& endpoint) override;
  Result<std::optional<runtime::TableRow>> ReadRow(std::string_view table,
                                                   std::string_view key) const override {
    return node_.ReadRow(table, key);
  }
  Result<runtime::RowWritten> WriteRow(std::string_view table, std::string_view key,
                                       std::optional<std::string_view> row,
                                       const runtime::TableRows::Condition& condition) override {
    return node_.WriteRow(table, key, row, condition);
  }
  void OnStep(std::function<void(bool catalog_changed)> told) override {
    node_.OnStep(std::move(told));
  }
  runtime::DecidedCounts Decided(const std::vector<ingest::Placed>& placed) const override {
    return node_.Decided(placed);
  }
  Result<runtime::ProjectPlan> PlanProject(
      const std::vector<runtime::ProjectFile>& files) override {
    return node_.PlanProject(files);
  }
  Result<runtime::RecordTrace> Trace(std::string_view stream, int32_t partition, int64_t offset,
                                     const runtime::StatementOptions& options) override {
    return node_.Trace(stream, partition, offset, options);
  }
  schemas::Registry& schemas() override { return node_.schemas(); }
  Result<runtime::Node::BackupSource> BeginBackup() override { return node_.BeginBackup(); }
  Status EndBackup() override { return node_.EndBackup(); }
  Result<std::shared_ptr<const models::Model>> FindModel(std::string_view name) const override {
    return node_.FindModel(name);
  }
  catalog::CatalogPtr catalog() const override { return node_.catalog(); }
  int64_t visible_step() const override { return node_.visible_step(); }
  std::vector<runtime::LedgerLine> Ledger() const override { return node_.Ledger(); }
  Status CheckBooks() const override { return node_.CheckBooks(); }
  std::string Metrics() const override {
    return node_.Metrics() + (other_metrics_ ? other_metrics_() : std::string());
  }
  // Of the node's other listeners: Prometheus text behind the node's. Before the first request.
  void SetOtherMetrics(std::function<std::string()> metrics) {
    other_metrics_ = std::move(metrics);
  }

 private:
  runtime::Node& node_;
  std::function<std::string()> other_metrics_;
};

}  // namespace millrace::http
