// Whether two definitions mean the same, and what a change of one costs.
// Pure functions.
#pragma once

#include <string>

#include "catalog/definitions.h"

namespace millrace::catalog {

struct Comparison {
  enum class What {
    kSame,         // no difference but white space, comments, case of keywords
    kInPlace,      // the object stays and takes the new definition on
    kSettings,     // the same, and nothing that stands on it notices
    kIncompatible  // rows of the object cannot be kept
  };
  What what = What::kSame;
  std::string reason;  // "column \"price\" is new", empty where the same
};

// Whether records are read by both alike: columns and CHECKs are the same.
bool ReadsAsBefore(const StreamDefinition& before, const StreamDefinition& after);

// Whether `after` says which columns the records of a raw stream, which Kafka clients made or
// filled, have: the topic stays, and its records are read again as rows.
bool GivesColumns(const Object& before, const Object& after);
// Gives `after` the topic. It has at least as many partitions, and `before`'s retention where it
// says none. REQUIRES: GivesColumns(before, after).
void TakeOver(const Object& before, Object& after);

// Gives `to` what ALTER … SET can change of a view.
void KeepSettings(const ViewDefinition& from, ViewDefinition& to);

// A view's `schema` and `reads` follow from its SELECT and are not compared.
Comparison Compare(const Definition& before, const Definition& after);

}  // namespace millrace::catalog
