// Registry: the schemas that values in streams name, with the subjects, versions and rules of
// Confluent's schema registry, kept as records of the internal topic __schemas. A change is
// answered when it is on disk.
//
// Thread-safe. Changes wait for the disk and run one after another; reading never waits for them.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "log/log.h"
#include "schemas/registry_state.h"

namespace millrace::schemas {

inline constexpr char kSchemasTopic[] = "__schemas";

struct RegistryLimits {
  size_t schemas_max = 100'000;
  size_t text_bytes_max = size_t{64} << 20;  // of all schemas: all are kept parsed
  size_t subject_bytes_max = 1024;
};

struct Registered {
  StoredSchemaPtr schema;
  int32_t version = 0;
};

class Registry {
 public:
  // Makes the topic when it is not there. Records that are lost to damage or cannot be read are
  // reported in the log and by damage(): the rest works, and no id is given twice.
  static Result<std::unique_ptr<Registry>> Open(log::Log& log, RegistryLimits limits = {});

  std::shared_ptr<const RegistryState> state() const;
  const std::vector<std::string>& damage() const { return damage_; }

  // The schema's version under the subject: the one that it has already, or a new one. `id`,
  // `version`: where the subject's mode is IMPORT, those to give it. Errors: kInvalidArgument (the
  // schema, the subject's name), kNotFound (a reference), kConflict (incompatible, by the level
  // that holds; or the id is another schema's), kNotSupported (the mode), kTooLarge.
  Result<Registered> Register(const std::string& subject, const GivenSchema& given,
                              std::optional<int32_t> id = {}, std::optional<int32_t> version = {});
  // Those versions that are there.
  Status Delete(const std::string& subject, const std::vector<int32_t>& versions, bool permanent);
  Status SetCompatibility(const std::string& subject, std::optional<Compatibility> level);
  Status SetMode(const std::string& subject, std::optional<Mode> mode);

 private:
  Registry(log::Log& log, log::PartitionId partition, RegistryLimits limits)
      : log_(log), partition_(partition), limits_(limits) {}
  Status Load();
  // REQUIRES: changing_ is held.
  Status Change(const std::vector<RegistryRecord>& records);

  log::Log& log_;
  const log::PartitionId partition_;
  const RegistryLimits limits_;
  std::vector<std::string> damage_;

  std::mutex changing_;
  mutable std::mutex mutex_;  // guards the pointer alone
  std::shared_ptr<const RegistryState> state_ = std::make_shared<RegistryState>();
};

}  // namespace millrace::schemas
