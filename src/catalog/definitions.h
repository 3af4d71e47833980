// What a user declared, as values: one struct per kind of object. The catalog (catalog.h) holds
// them by name. Names compare without case; streams, tables and views share one name space (design:
// they are all relations).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "rows/schema.h"

namespace millrace::catalog {

struct Check {
  std::string expression;  // SQL text over the columns
};

// How a stream's records were read before an ALTER of its columns or CHECKs.
struct StreamVersion {
  rows::Schema schema;
  std::vector<Check> checks;
  // Objects of this generation and later ones are bound to a later version.
  uint64_t until = 0;
  // By partition, the first offset that a later version reads; empty: not known yet. Those that
  // came later are not in it.
  std::vector<int64_t> ends;
};

// When a stream's producers are answered. Readers see durable records only, whatever it is.
struct Durability {
  // kFsync: when the record is durable. kInterval: when it is written; it is durable within the
  // interval. kOs: the same, within kOsInterval, as nothing is visible before it is durable.
  enum class Kind { kFsync, kInterval, kOs };
  static constexpr std::chrono::milliseconds kIntervalMin{1};
  static constexpr std::chrono::milliseconds kIntervalMax{10'000};
  static constexpr std::chrono::milliseconds kOsInterval{1'000};
  Kind kind = Kind::kFsync;
  std::chrono::milliseconds interval{0};  // of kInterval
  // How long a record may wait to be durable once its producer was answered; 0: not at all.
  std::chrono::milliseconds sync_delay_max() const;
  // As in WITH (durability = …): "fsync", "interval 50ms", "os".
  std::string text() const;
  bool operator==(const Durability&) const = default;
};

// How a stream's topic keeps its records, beside retention and durability.
struct Storage {
  static constexpr int64_t kMessageBytesMin = 1024;
  static constexpr int64_t kMessageBytesMax = 16 << 20;
  static constexpr int64_t kSegmentBytesMin = 16 << 10;
  static constexpr int64_t kSegmentBytesMax = 1 << 30;
  enum class Timestamps { kProducer, kBroker };  // whose time a record has
  Timestamps timestamps = Timestamps::kProducer;
  // The newest record of each key is all that counts; of raw streams.
  bool compact = false;
  // How long the record that deletes a key stays at least; none: a day.
  std::optional<std::chrono::microseconds> delete_retention;
  std::optional<int64_t> max_message_bytes;              // of one batch as sent
  std::optional<int64_t> segment_bytes;                  // none: the node's
  std::optional<std::chrono::microseconds> segment_age;  // none: the node's
  bool operator==(const Storage&) const = default;
};

struct StreamDefinition {
  std::string name;
  // kRaw: values are whatever they are; the columns are those of catalog/raw_stream.h. The others:
  // they are rows, as JSON or by a schema of the registry, which shows the columns as JSON Schema,
  // Avro or Protobuf.
  enum class Format { kRows, kRaw, kAvro, kProtobuf };
  Format format = Format::kRows;
  rows::Schema schema;
  std::vector<Check> checks;
  std::vector<StreamVersion> earlier;  // oldest first
  struct Watermark {
    std::string column;  // TIMESTAMP
    std::chrono::microseconds delay{0};
  };
  std::optional<Watermark> watermark;
  struct Deduplicate {
    std::vector<std::string> columns;
    std::optional<std::chrono::microseconds> within;  // none: all history
  };
  std::optional<Deduplicate> deduplicate;
  std::vector<std::string> partition_by;
  int partitions = 1;
  enum class OnInvalid { kQuarantine, kReject };
  OnInvalid on_invalid = OnInvalid::kQuarantine;
  enum class Late { kKeep, kDivert };
  Late late = Late::kKeep;
  std::optional<std::chrono::microseconds> retention;  // none: unlimited
  std::optional<int64_t> retention_bytes;
  std::chrono::microseconds idle_after = std::chrono::seconds(30);
  std::chrono::microseconds future_max = std::chrono::hours(24);
  Durability durability;
  Storage storage;
};

struct TableDefinition {
  std::string name;
  rows::Schema schema;
  std::vector<Check> checks;
  std::vector<std::string> primary_key;  // empty: a bag
  std::string seed;  // path of a file with rows, relative to the project; empty: none
  // The raw stream whose records are what happened to its rows (runtime/change_decoder.h); empty:
  // it is written to, and has a topic of its own.
  std::string topic;
  enum class Format { kJson, kDebezium };
  Format format = Format::kJson;  // of the values in that topic
};

struct ViewDefinition {
  std::string name;
  bool materialized = true;
  std::string select;              // the SELECT as it was written
  rows::Schema schema;             // as bound when it was created
  std::vector<std::string> reads;  // relations that the SELECT names, directly
  enum class OnError { kSkip, kStop };
  OnError on_error = OnError::kSkip;
  enum class History { kFull, kAvailable, kNone };
  History history = History::kFull;
  bool emit_on_close = false;  // EMIT ON WINDOW CLOSE
  // What its topic of changes holds (runtime/view_changes.h).
  enum class Changes { kNone, kUpsert, kAppend };
  Changes changes = Changes::kNone;
  std::vector<std::string> key;  // columns that identify a row, as bound; empty: not known
  // Bytes that its content may take in memory, and the rows that one step gives: beyond, it fails.
  std::optional<int64_t> memory_max;
  // Of the topic, with kAppend; none: unlimited.
  std::optional<std::chrono::microseconds> retention;
  std::optional<int64_t> retention_bytes;
};

// The topic of a view's changes, to clients of the log's protocol: no relation has its name.
inline constexpr std::string_view kChangesSuffix = ".changes";
inline std::string ChangesTopic(std::string_view view) {
  return std::string(view) + std::string(kChangesSuffix);
}

struct IndexDefinition {
  std::string name;
  std::string relation;  // a materialized view or table
  std::vector<std::string> columns;
};

struct SourceDefinition {
  std::string name;
  std::string into;       // a stream
  std::string connector;  // "datagen"
  std::map<std::string, std::string> options;
};

struct EndpointDefinition {
  std::string name;
  std::string method = "GET";
  std::string path;  // "/users/{user_id}/recommendations"
  struct Parameter {
    std::string name;
    duckdb::LogicalType type;
    std::optional<duckdb::Value> default_value;
    std::string check;  // SQL text over the parameter, empty: none
  };
  std::vector<Parameter> parameters;
  std::string select;  // with $name for parameters
  std::vector<std::string> reads;
};

// A type of the user's own: an ENUM. Columns that are declared by its name have the type ENUM(…)
// itself; who named it is in Object::uses.
struct TypeDefinition {
  std::string name;
  std::vector<std::string> values;
};

struct MacroDefinition {
  std::string name;
  bool table = false;  // AS TABLE SELECT …
  // What stands behind the name in CREATE MACRO: "(a, b := 2) AS a + b".
  std::string body;
  std::vector<std::string> reads;  // relations that the body names
};

// What predict(name, …) scores with. The node keeps the content under its digest: the file may
// change or go.
struct ModelDefinition {
  std::string name;
  std::string path;    // of the file that it was made of, as it was written
  std::string digest;  // SHA-256 of the content, lower-case hex; as bound
  int64_t bytes = 0;   // of the content; as bound
};

using Definition = std::variant<StreamDefinition, TableDefinition, ViewDefinition, IndexDefinition,
                                SourceDefinition, EndpointDefinition, TypeDefinition,
                                MacroDefinition, ModelDefinition>;

enum class Kind { kStream, kTable, kView, kIndex, kSource, kEndpoint, kType, kMacro, kModel };
inline constexpr Kind kLastKind = Kind::kModel;
std::string_view KindName(Kind kind);  // "stream", "table", "view", …

// COMMENT ON.
struct Comments {
  std::string object;                          // empty: none
  std::map<std::string, std::string> columns;  // by lower-case name
  bool operator==(const Comments&) const = default;
  bool empty() const { return object.empty() && columns.empty(); }
};

// A type, macro or model that an object names.
struct Use {
  Kind kind;
  std::string name;
  bool operator==(const Use&) const = default;
};

// A materialized view that does not follow what it reads: it shows what it was at a step.
struct Halt {
  enum class Why { kPaused, kFailed };
  Why why = Why::kPaused;
  std::string reason;  // failed: what went wrong
  std::string root;    // the view that was paused or failed: itself, or one that it stands on
  int64_t step = 0;    // whose content it shows
  bool operator==(const Halt&) const = default;
};

// An object of the catalog: the definition and what the node noted about it.
struct Object {
  Definition definition;
  std::string text;  // the statement as it was written, normalised in white space
  std::string file;  // of the project, empty where it was made by hand
  int line = 0;
  bool from_project = false;
  uint64_t generation = 0;  // catalog version at which it was made; replaced: the newer one
  // What of streams' columns its text means: those as of this generation; 0: as of its own.
  uint64_t bound_as_of = 0;
  uint64_t topic_id = 0;  // streams and tables: incarnation of their topic
  Comments comments;
  std::vector<Use> uses;  // types, macros and models that it names, directly or through others
  // The name under which its state and its books are kept, over every rename; empty: its name.
  std::string identity;
  std::optional<Halt> halt;  // materialized views
  // Catalog version at which it was last altered; 0: never. Follows from the records.
  uint64_t revision = 0;

  Kind kind() const;
  const std::string& name() const;
  uint64_t bound_generation() const { return bound_as_of != 0 ? bound_as_of : generation; }
  const std::string& kept_as() const { return identity.empty() ? name() : identity; }
  // Names of relations that this object needs. The types, macros and models are `uses`.
  std::vector<std::string> depends_on() const;
};

// The table whose rows come from the topic of a raw stream; nullptr: it is none such.
inline const TableDefinition* TableOfTopic(const Object& object) {
  const auto* table = std::get_if<TableDefinition>(&object.definition);
  return table != nullptr && !table->topic.empty() ? table : nullptr;
}

// Whether it is a view with a topic of its changes.
inline bool HasChangesTopic(const Object& object) {
  const auto* view = std::get_if<ViewDefinition>(&object.definition);
  return view != nullptr && view->changes != ViewDefinition::Changes::kNone;
}

}  // namespace millrace::catalog
