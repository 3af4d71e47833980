// What the Kafka listener serves, over a running node: its streams,
// its tables and the changes of its views are the topics.
#pragma once

#include <atomic>
#include <memory>

#include "catalog/catalog.h"
#include "kafka/backend.h"
#include "runtime/node.h"

namespace millrace::cli {

// Thread-safe, as the node is. The node must outlive it.
class KafkaBackend final : public kafka::Backend {
 public:
  KafkaBackend(runtime::Node& node, std::string cluster_id, std::string log_directory)
      : node_(node), cluster_id_(std::move(cluster_id)), log_directory_(std::move(log_directory)) {}

  std::string cluster_id() const override { return cluster_id_; }
  std::vector<kafka::Topic> Topics() const override;
  std::optional<kafka::Topic> FindTopic(std::string_view name) const override;
  std::optional<kafka::Topic> FindTopic(log::TopicId id) const override;
  log::Log& log() const override { return node_.log(); }
  Status Append(const kafka::Topic& topic, int32_t partition, std::string batches,
                log::AppendDone done) override;
  Status CreateTopic(const std::string& name, int32_t partitions,
                     const kafka::TopicSettings& settings, bool validate_only) override;
  Status GrowTopic(const std::string& name, int32_t partitions, bool validate_only) override;
  Result<kafka::LogDirectory> Directory() const override;
  Status AlterTopic(const std::string& name, const kafka::TopicSettings& settings,
                    const std::vector<std::string>& reset, bool validate_only) override;
  Result<int64_t> DeleteRecords(const kafka::Topic& topic, int32_t partition,
                                std::optional<int64_t> before,
                                std::chrono::milliseconds timeout) override;
  Status DeleteTopic(const std::string& name) override;

 private:
  struct Index;
  // Of the newest catalog.
  std::shared_ptr<const Index> Topology() const;
  // Of a view that has one; nullopt: it is being made.
  std::optional<kafka::Topic> ChangesOf(const catalog::Object& view) const;
  std::vector<kafka::Topic> ChangesTopics() const;
  // kNotFound; kInvalidArgument where it is a table's or a view's.
  Status CheckIsStream(const std::string& name) const;

  runtime::Node& node_;
  const std::string cluster_id_;
  const std::string log_directory_;
  mutable std::atomic<std::shared_ptr<const Index>> index_;
};

}  // namespace millrace::cli
