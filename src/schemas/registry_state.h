// RegistryState: all schemas, subjects and settings at one moment. A value: the registry
// (registry.h) shares one that never changes, and makes the next one from it.
//
// A subject has numbered versions; each is a schema, which has one id for ever, under however many
// subjects it stands. Deleting hides versions (deleted for good: takes them from their subject);
// schemas stay, because values in streams name them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "log/types.h"
#include "schemas/registry_record.h"
#include "schemas/schema.h"
#include "schemas/wire_format.h"

namespace millrace::schemas {

struct StoredSchema {
  int32_t id = 0;
  Guid guid{};
  std::string text;  // as it was registered (Schema::TextOf)
  SchemaType type = SchemaType::kAvro;
  std::vector<Reference> references;
  std::string identity;  // equal for schemas that are the same
  std::shared_ptr<const Schema> parsed;
  // Of the log, in which it came: a record of a later frame may name it. So what a record decodes
  // to never depends on when it is decoded.
  log::FrameSequence frame;
};
using StoredSchemaPtr = std::shared_ptr<const StoredSchema>;

// Which columns a version shows: of which stream, and which version of them.
struct ColumnsShown {
  uint64_t stream = 0;
  int32_t columns = 0;
  bool operator==(const ColumnsShown&) const = default;
};

struct SubjectVersion {
  StoredSchemaPtr schema;
  bool deleted = false;                // hidden, not for good
  std::optional<ColumnsShown> stream;  // none: a client registered it
};

struct Subject {
  std::map<int32_t, SubjectVersion> versions;
  int32_t last_version = 0;  // ever given
  ColumnsShown shown;        // the newest that ever stood here
  bool has_live() const;
  // Whether a version stands that a client registered. Then none of a stream's does.
  bool is_clients() const;
  // The newest that is not deleted; with `deleted`, the newest.
  std::optional<int32_t> latest(bool deleted) const;
};

// A schema as somebody sends it.
struct GivenSchema {
  SchemaType type = SchemaType::kAvro;
  std::string text;
  std::vector<Reference> references;
};

// Ids of schemas of streams' columns begin here, so that they never meet ids of another registry,
// which clients import.
inline constexpr int32_t kColumnsIdsFrom = 1'000'000'000;

class RegistryState {
 public:
  // kCorruption: the record does not fit what came before.
  Status Apply(const RegistryRecord& record, log::FrameSequence frame);
  // Ids in use that are not known (damage): none of them is given again.
  void SkipIds(int32_t count) {
    next_id_ += count;
    next_columns_id_ += count;
  }

  const std::map<std::string, Subject, std::less<>>& subjects() const { return subjects_; }
  const Subject* FindSubject(std::string_view subject) const;
  StoredSchemaPtr FindSchema(const SchemaKey& key) const;
  StoredSchemaPtr FindSame(const std::string& identity) const;
  const std::map<int32_t, StoredSchemaPtr>& schemas() const { return schemas_; }
  int32_t next_id() const { return next_id_; }
  int32_t next_columns_id() const { return next_columns_id_; }
  size_t text_bytes() const { return text_bytes_; }  // of all schemas

  // What was set for the subject, or for all ("").
  std::optional<Compatibility> CompatibilitySet(std::string_view subject) const;
  std::optional<Mode> ModeSet(std::string_view subject) const;
  // What holds: the subject's own, or that of all, or BACKWARD and READWRITE.
  Compatibility CompatibilityOf(std::string_view subject) const;
  Mode ModeOf(std::string_view subject) const;

  // Parsed with what it refers to; the pair's second is its identity. kInvalidArgument, kTooLarge;
  // kNotFound: a reference is not there.
  Result<std::pair<std::shared_ptr<const Schema>, std::string>> Parse(
      const GivenSchema& given) const;
  // What stands between the schema and versions of the subject, by the level that holds there; with
  // `version`, that one alone whatever the level's reach. Empty: nothing.
  std::vector<std::string> Problems(std::string_view subject, const Schema& schema,
                                    std::optional<int32_t> version) const;
  // Versions, of any subject, that refer to this one.
  std::vector<int32_t> ReferrersOf(std::string_view subject, int32_t version) const;

 private:
  Status Put(const SchemaRecord& record, log::FrameSequence frame);
  Status Put(const std::string& subject, int32_t version, int32_t id,
             std::optional<ColumnsShown> stream);
  Status Put(const DeletionRecord& record);
  Status Resolve(const std::vector<Reference>& references, int depth,
                 std::vector<ReferencedText>& out) const;

  std::map<std::string, Subject, std::less<>> subjects_;
  std::map<int32_t, StoredSchemaPtr> schemas_;
  std::map<Guid, StoredSchemaPtr> by_guid_;
  std::map<std::string, StoredSchemaPtr> by_identity_;
  std::map<std::string, Compatibility, std::less<>> levels_;
  std::map<std::string, Mode, std::less<>> modes_;
  int32_t next_id_ = 1;
  int32_t next_columns_id_ = kColumnsIdsFrom;
  size_t text_bytes_ = 0;
};

}  // namespace millrace::schemas
