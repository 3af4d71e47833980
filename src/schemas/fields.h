// The fields at the top of a schema's values, as the JSON that they become: what may become the
// columns of a row. Pure functions; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "schemas/schema.h"

namespace millrace::schemas {

// What a JSON value is; sets of them are bits.
enum JsonKind : uint8_t {
  kJsonNull = 1,
  kJsonBoolean = 2,
  kJsonNumber = 4,
  kJsonText = 8,
  kJsonArray = 16,
  kJsonObject = 32,
  kJsonAny = 63,
};

struct Fields {
  struct Field {
    std::string name;
    uint8_t kinds = kJsonAny;
  };
  std::vector<Field> fields;
  bool open = false;  // there may be others
};

// One for each shape of object that values may have: the records of a union, the messages of a
// file. Empty: no value is an object.
std::vector<Fields> FieldsOf(const Schema& schema);

}  // namespace millrace::schemas
