// Messages of the settings of topics and of the broker.
//
// One description for both directions; message.h says how to read it. Field names and versions are
// those of the Kafka protocol: https://kafka.apache.org/protocol.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "kafka/message.h"

namespace millrace::kafka {

struct DescribeConfigsRequest {
  static constexpr MessageInfo kInfo{"DescribeConfigsRequest", ApiKey::kDescribeConfigs, 4};
  struct DescribeConfigsResource {
    int8_t resource_type = 0;
    std::string resource_name;
    std::optional<std::vector<std::string>> configuration_keys = std::vector<std::string>();
    template <typename V>
    void Fields(V& v) {
      v("ResourceType", resource_type, Since(0));
      v("ResourceName", resource_name, Since(0));
      v("ConfigurationKeys", configuration_keys, Since(0).NullSince(0));
    }
    bool operator==(const DescribeConfigsResource&) const = default;
  };
  std::vector<DescribeConfigsResource> resources;
  bool include_synonyms = false;
  bool include_documentation = false;
  template <typename V>
  void Fields(V& v) {
    v("Resources", resources, Since(0));
    v("IncludeSynonyms", include_synonyms, Since(1));
    v("IncludeDocumentation", include_documentation, Since(3));
  }
  bool operator==(const DescribeConfigsRequest&) const = default;
};

struct DescribeConfigsResponse {
  static constexpr MessageInfo kInfo{"DescribeConfigsResponse", ApiKey::kDescribeConfigs, 4};
  struct DescribeConfigsResult {
    struct DescribeConfigsResourceResult {
      struct DescribeConfigsSynonym {
        std::string name;
        std::optional<std::string> value = std::string();
        int8_t source = 0;
        template <typename V>
        void Fields(V& v) {
          v("Name", name, Since(1));
          v("Value", value, Since(1).NullSince(0));
          v("Source", source, Since(1));
        }
        bool operator==(const DescribeConfigsSynonym&) const = default;
      };
      std::string name;
      std::optional<std::string> value = std::string();
      bool read_only = false;
      int8_t config_source = -1;
      bool is_sensitive = false;
      std::vector<DescribeConfigsSynonym> synonyms;
      int8_t config_type = 0;
      std::optional<std::string> documentation = std::string();
      template <typename V>
      void Fields(V& v) {
        v("Name", name, Since(0));
        v("Value", value, Since(0).NullSince(0));
        v("ReadOnly", read_only, Since(0));
        v("ConfigSource", config_source, Since(1));
        v("IsSensitive", is_sensitive, Since(0));
        v("Synonyms", synonyms, Since(1));
        v("ConfigType", config_type, Since(3));
        v("Documentation", documentation, Since(3).NullSince(0));
      }
      bool operator==(const DescribeConfigsResourceResult&) const = default;
    };
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = std::string();
    int8_t resource_type = 0;
    std::string resource_name;
    std::vector<DescribeConfigsResourceResult> configs;
    template <typename V>
    void Fields(V& v) {
      v("ErrorCode", error_code, Since(0));
      v("ErrorMessage", error_message, Since(0).NullSince(0));
      v("ResourceType", resource_type, Since(0));
      v("ResourceName", resource_name, Since(0));
      v("Configs", configs, Since(0));
    }
    bool operator==(const DescribeConfigsResult&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<DescribeConfigsResult> results;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("Results", results, Since(0));
  }
  bool operator==(const DescribeConfigsResponse&) const = default;
};

struct AlterConfigsRequest {
  static constexpr MessageInfo kInfo{"AlterConfigsRequest", ApiKey::kAlterConfigs, 2};
  struct AlterConfigsResource {
    struct AlterableConfig {
      std::string name;
      std::optional<std::string> value = std::string();
      template <typename V>
      void Fields(V& v) {
        v("Name", name, Since(0));
        v("Value", value, Since(0).NullSince(0));
      }
      bool operator==(const AlterableConfig&) const = default;
    };
    int8_t resource_type = 0;
    std::string resource_name;
    std::vector<AlterableConfig> configs;
    template <typename V>
    void Fields(V& v) {
      v("ResourceType", resource_type, Since(0));
      v("ResourceName", resource_name, Since(0));
      v("Configs", configs, Since(0));
    }
    bool operator==(const AlterConfigsResource&) const = default;
  };
  std::vector<AlterConfigsResource> resources;
  bool validate_only = false;
  template <typename V>
  void Fields(V& v) {
    v("Resources", resources, Since(0));
    v("ValidateOnly", validate_only, Since(0));
  }
  bool operator==(const AlterConfigsRequest&) const = default;
};

struct AlterConfigsResponse {
  static constexpr MessageInfo kInfo{"AlterConfigsResponse", ApiKey::kAlterConfigs, 2};
  struct AlterConfigsResourceResponse {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = std::string();
    int8_t resource_type = 0;
    std::string resource_name;
    template <typename V>
    void Fields(V& v) {
      v("ErrorCode", error_code, Since(0));
      v("ErrorMessage", error_message, Since(0).NullSince(0));
      v("ResourceType", resource_type, Since(0));
      v("ResourceName", resource_name, Since(0));
    }
    bool operator==(const AlterConfigsResourceResponse&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<AlterConfigsResourceResponse> responses;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("Responses", responses, Since(0));
  }
  bool operator==(const AlterConfigsResponse&) const = default;
};

struct IncrementalAlterConfigsRequest {
  static constexpr MessageInfo kInfo{"IncrementalAlterConfigsRequest",
                                     ApiKey::kIncrementalAlterConfigs, 1};
  struct AlterConfigsResource {
    struct AlterableConfig {
      std::string name;
      int8_t config_operation = 0;
      std::optional<std::string> value = std::string();
      template <typename V>
      void Fields(V& v) {
        v("Name", name, Since(0));
        v("ConfigOperation", config_operation, Since(0));
        v("Value", value, Since(0).NullSince(0));
      }
      bool operator==(const AlterableConfig&) const = default;
    };
    int8_t resource_type = 0;
    std::string resource_name;
    std::vector<AlterableConfig> configs;
    template <typename V>
    void Fields(V& v) {
      v("ResourceType", resource_type, Since(0));
      v("ResourceName", resource_name, Since(0));
      v("Configs", configs, Since(0));
    }
    bool operator==(const AlterConfigsResource&) const = default;
  };
  std::vector<AlterConfigsResource> resources;
  bool validate_only = false;
  template <typename V>
  void Fields(V& v) {
    v("Resources", resources, Since(0));
    v("ValidateOnly", validate_only, Since(0));
  }
  bool operator==(const IncrementalAlterConfigsRequest&) const = default;
};

struct IncrementalAlterConfigsResponse {
  static constexpr MessageInfo kInfo{"IncrementalAlterConfigsResponse",
                                     ApiKey::kIncrementalAlterConfigs, 1};
  struct AlterConfigsResourceResponse {
    ErrorCode error_code = ErrorCode::kNone;
    std::optional<std::string> error_message = std::string();
    int8_t resource_type = 0;
    std::string resource_name;
    template <typename V>
    void Fields(V& v) {
      v("ErrorCode", error_code, Since(0));
      v("ErrorMessage", error_message, Since(0).NullSince(0));
      v("ResourceType", resource_type, Since(0));
      v("ResourceName", resource_name, Since(0));
    }
    bool operator==(const AlterConfigsResourceResponse&) const = default;
  };
  int32_t throttle_time_ms = 0;
  std::vector<AlterConfigsResourceResponse> responses;
  template <typename V>
  void Fields(V& v) {
    v("ThrottleTimeMs", throttle_time_ms, Since(0));
    v("Responses", responses, Since(0));
  }
  bool operator==(const IncrementalAlterConfigsResponse&) const = default;
};

}  // namespace millrace::kafka
