// A topic's settings, by Kafka's names, as the options of its stream or view (docs/kafka.md).
// Pure functions, thread-safe.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "catalog/definitions.h"
#include "kafka/backend.h"

namespace millrace::cli {

// What SET and RESET say of the options.
struct OptionChanges {
  std::map<std::string, std::string> set;
  std::set<std::string> reset;
};

// `settings`, and those that go back to their default. kInvalidArgument: unknown, cannot be
// changed, or no value of it.
Result<OptionChanges> OptionsFrom(const kafka::TopicSettings& settings,
                                  const std::vector<std::string>& reset = {});

// The settings that the definition makes.
void SetSettings(const catalog::StreamDefinition& stream, kafka::Topic& topic);
void SetSettings(const catalog::ViewDefinition& view, kafka::Topic& topic);

}  // namespace millrace::cli
