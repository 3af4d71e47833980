#include "rows/schema.h"

#include <numeric>

namespace millrace::rows {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

}  // namespace

bool EqualNames(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

std::string LowerName(std::string_view name) {
  std::string lower(name);
  for (char& c : lower) c = Lower(c);
  return lower;
}

std::optional<size_t> Schema::Find(std::string_view name) const {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (EqualNames(columns[i].name, name)) return i;
  }
  return std::nullopt;
}

std::optional<size_t> Schema::FindField(std::string_view name) const {
  if (const auto found = Find(name)) return found;
  for (size_t i = 0; i < columns.size(); ++i) {
    for (const std::string& alias : columns[i].aliases) {
      if (EqualNames(alias, name)) return i;
    }
  }
  return std::nullopt;
}

std::optional<size_t> Schema::FindId(int id) const {
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].id == id) return i;
  }
  return std::nullopt;
}

Types Schema::types() const {
  Types types;
  types.reserve(columns.size());
  for (const Column& column : columns) types.push_back(column.type);
  return types;
}

std::vector<size_t> Schema::all() const {
  std::vector<size_t> all(columns.size());
  std::iota(all.begin(), all.end(), size_t{0});
  return all;
}

std::vector<std::string> Schema::names() const {
  std::vector<std::string> names;
  names.reserve(columns.size());
  for (const Column& column : columns) names.push_back(column.name);
  return names;
}

}  // namespace millrace::rows
