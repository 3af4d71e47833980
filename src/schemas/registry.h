// Registry: the schemas that values in streams name, with the subjects, versions and rules of
// Confluent's schema registry, kept as records of the internal topic __schemas. A change is
// answered when it is on disk.
//
// The subject of a stream is its name and "-value". Where clients have registered nothing there,
// its versions are the stream's columns, one for each ALTER that changed them; the first schema
// that a client registers takes their place, and has to be one whose values can be rows.
//
// Thread-safe. Changes wait for the disk and run one after another; reading never waits for them.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "log/log.h"
#include "rows/schema.h"
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

// The columns of a stream over its ALTERs.
struct StreamColumns {
  std::string stream;
  uint64_t generation = 0;                      // tells it from others that had its name
  SchemaType type = SchemaType::kJson;          // how its columns are shown
  std::vector<const rows::Schema*> versions;    // the newest last; at least one
  std::shared_ptr<const void> owner = nullptr;  // of the versions
};

// What there is of streams, asked under the registry's lock: they must not call it back.
struct Streams {
  std::function<std::vector<std::string>()> subjects;  // those of all streams that have rows
  std::function<std::optional<StreamColumns>(std::string_view subject)> columns_of;
};

class Registry {
 public:
  // Makes the topic when it is not there. Records that are lost to damage or cannot be read are
  // reported in the log and by damage(): the rest works, and no id is given twice.
  static Result<std::unique_ptr<Registry>> Open(log::Log& log, RegistryLimits limits = {});

  std::shared_ptr<const RegistryState> state() const;
  const std::vector<std::string>& damage() const { return damage_; }

  // REQUIRES: nobody else uses the registry yet.
  void Attach(Streams streams) { streams_ = std::move(streams); }
  // While it lives, nothing changes in the registry but through it: so that streams and their
  // subjects change together.
  using Hold = std::unique_lock<std::mutex>;
  Hold BeginHold() { return Hold(changing_); }
  // Brings the subjects of all streams into step with them. kTooLarge: the registry is full.
  Status Follow(const Hold& hold);

  // The schema's version under the subject: the one that it has already, or a new one. `id`,
  // `version`: where the subject's mode is IMPORT, those to give it. Errors: kInvalidArgument (the
  // schema, the subject's name), kNotFound (a reference), kConflict (incompatible, by the level
  // that holds, or with the stream; or the id is another schema's), kNotSupported (the mode),
  // kTooLarge.
  Result<Registered> Register(const std::string& subject, const GivenSchema& given,
                              std::optional<int32_t> id = {}, std::optional<int32_t> version = {});
  // What stands between the schema and being registered; with `version`, between it and that one.
  std::vector<std::string> Problems(const std::string& subject, const Schema& schema,
                                    std::optional<int32_t> version) const;
  // Those versions that are there. kNotSupported: one is a stream's own.
  Status Delete(const std::string& subject, const std::vector<int32_t>& versions, bool permanent);
  Status SetCompatibility(const std::string& subject, std::optional<Compatibility> level);
  Status SetMode(const std::string& subject, std::optional<Mode> mode);

 private:
  Registry(log::Log& log, log::PartitionId partition, RegistryLimits limits)
      : log_(log), partition_(partition), limits_(limits) {}
  Status Load();
  std::optional<StreamColumns> ColumnsOf(std::string_view subject) const {
    return streams_.columns_of ? streams_.columns_of(subject) : std::nullopt;
  }
  Status CheckRoom(const RegistryState& state, size_t text_bytes) const;
  // REQUIRES: changing_ is held.
  Status FollowSubject(const std::string& subject);
  // REQUIRES: changing_ is held.
  Status Change(const std::vector<RegistryRecord>& records);

  log::Log& log_;
  const log::PartitionId partition_;
  const RegistryLimits limits_;
  Streams streams_;
  std::vector<std::string> damage_;

  std::mutex changing_;
  mutable std::mutex mutex_;  // guards the pointer alone
  std::shared_ptr<const RegistryState> state_ = std::make_shared<RegistryState>();
};

}  // namespace millrace::schemas
