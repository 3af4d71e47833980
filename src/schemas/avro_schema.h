// AvroSchema: an Avro schema (specification 1.11, "Schema Declaration") as a tree of types.
//
// What is checked: types, names and name spaces, unions (no union directly within one, no type
// twice), symbols, sizes, logical types (one that does not fit its type is ignored, as the
// specification says) and defaults. Named types may refer to themselves.
//
// Immutable; any thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::schemas {

enum class AvroKind {
  kNull,
  kBoolean,
  kInt,
  kLong,
  kFloat,
  kDouble,
  kBytes,
  kString,
  kRecord,
  kEnum,
  kArray,
  kMap,
  kFixed,
  kUnion,
};
std::string_view AvroKindName(AvroKind kind);  // "record"

enum class AvroLogical {
  kNone,
  kDecimal,
  kUuid,
  kDate,
  kTimeMillis,
  kTimeMicros,
  kTimestampMillis,
  kTimestampMicros,
  kTimestampNanos,
  kLocalTimestampMillis,
  kLocalTimestampMicros,
  kLocalTimestampNanos,
  kDuration,
};

struct AvroType {
  struct Field {
    std::string name;
    std::vector<std::string> aliases;
    const AvroType* type = nullptr;
    std::optional<std::string> default_json;
  };

  AvroKind kind = AvroKind::kNull;
  AvroLogical logical = AvroLogical::kNone;
  int precision = 0;                          // decimal
  int scale = 0;                              // decimal
  std::string name;                           // record, enum, fixed: with its name space
  std::vector<std::string> aliases;           // full names
  std::vector<Field> fields;                  // record
  std::vector<std::string> symbols;           // enum
  std::optional<std::string> default_symbol;  // enum
  uint64_t size = 0;                          // fixed
  const AvroType* element = nullptr;          // items of an array, values of a map
  std::vector<const AvroType*> branches;      // union

  // "record shop.Order", "int": for messages.
  std::string Describe() const;
};

class AvroSchema {
 public:
  // `named`: texts of schemas whose named types this one may use (references). kInvalidArgument
  // says where in the schema.
  static Result<std::shared_ptr<const AvroSchema>> Parse(
      std::string_view text, const std::vector<std::string>& named = {});

  const AvroType& root() const { return *root_; }

 private:
  friend class AvroParser;
  AvroSchema() = default;

  std::deque<AvroType> types_;
  std::map<std::string, const AvroType*> named_;  // by full name
  const AvroType* root_ = nullptr;
};

}  // namespace millrace::schemas
