// JSON Schema, as far as a registry needs it: that it is one, and whether what one schema accepts
// another accepts too. Rows are checked by their stream's columns, not by this.
//
// Compared: type, properties, required, additionalProperties, items, enum, const and the bounds of
// numbers, texts and arrays. Whatever else is in a schema (combinations, references, patterns) must
// not change: what is not understood is not called compatible.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::schemas {

class JsonSchema {
 public:
  // kInvalidArgument.
  static Result<std::shared_ptr<const JsonSchema>> Parse(std::string_view text);
  ~JsonSchema();
  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  explicit JsonSchema(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Values that `writer` accepts and `reader` does not, one text a reason; empty: there are none.
std::vector<std::string> JsonReadProblems(const JsonSchema& reader, const JsonSchema& writer);

}  // namespace millrace::schemas
