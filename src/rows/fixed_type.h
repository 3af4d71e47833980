// The C++ types of vectors whose values are numbers of a fixed size.
// Pure functions.
#pragma once

#include "base/check.h"
#include "duckdb.hpp"

namespace millrace::rows {

// Calls `visit` with a value of the C++ type that a vector of `type` holds.
// REQUIRES: `type` is BOOL, an integer, FLOAT or DOUBLE.
template <typename Visit>
void WithFixedType(duckdb::PhysicalType type, Visit&& visit) {
  using duckdb::PhysicalType;
  switch (type) {
    case PhysicalType::BOOL:
      return visit(bool{});
    case PhysicalType::INT8:
      return visit(int8_t{});
    case PhysicalType::INT16:
      return visit(int16_t{});
    case PhysicalType::INT32:
      return visit(int32_t{});
    case PhysicalType::INT64:
      return visit(int64_t{});
    case PhysicalType::UINT8:
      return visit(uint8_t{});
    case PhysicalType::UINT16:
      return visit(uint16_t{});
    case PhysicalType::UINT32:
      return visit(uint32_t{});
    case PhysicalType::UINT64:
      return visit(uint64_t{});
    case PhysicalType::INT128:
      return visit(duckdb::hugeint_t{});
    case PhysicalType::UINT128:
      return visit(duckdb::uhugeint_t{});
    case PhysicalType::FLOAT:
      return visit(float{});
    case PhysicalType::DOUBLE:
      return visit(double{});
    default:
      CHECK(false) << "a vector of " << duckdb::TypeIdToString(type) << " holds no numbers";
  }
}

}  // namespace millrace::rows
