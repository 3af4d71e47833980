#include "http/router.h"

#include <algorithm>

#include "http/url.h"

namespace millrace::http {
namespace {

bool Takes(const Route& route, std::string_view method) {
  return route.method == method || (method == "HEAD" && route.method == "GET");
}

// Segment by segment; the values of braces are decoded into `segments`.
bool Fits(std::string_view pattern, std::string_view path, std::vector<std::string>& segments) {
  if (pattern.find('{') == std::string_view::npos) return pattern == path;
  segments.clear();
  while (!pattern.empty() && !path.empty()) {
    pattern.remove_prefix(1);  // both stand at a slash
    path.remove_prefix(1);
    const std::string_view wanted = pattern.substr(0, pattern.find('/'));
    const std::string_view given = path.substr(0, path.find('/'));
    pattern.remove_prefix(wanted.size());
    path.remove_prefix(given.size());
    if (!wanted.starts_with('{')) {
      if (wanted != given) return false;
      continue;
    }
    auto value = PercentDecode(given, false);
    if (given.empty() || !value.ok()) return false;
    segments.push_back(std::move(value).value());
  }
  return pattern.empty() && path.empty();
}

void AddMethod(std::string& allow, const std::string& method) {
  if (!allow.empty()) allow += ", ";
  allow += method == "GET" ? "GET, HEAD" : method;
}

}  // namespace

void Router::Add(Route route) {
  const size_t literal_bytes = std::min(route.pattern.find('{'), route.pattern.size());
  places_.push_back({std::move(route), literal_bytes});
}

void Router::SetFallback(Route route, std::function<std::string(std::string_view)> methods) {
  fallback_ = std::move(route);
  fallback_methods_ = std::move(methods);
}

Router::Match Router::Find(std::string_view method, std::string_view path) const {
  Match match;
  // An endpoint's path passes all patterns here: one letter tells most of them apart, which costs
  // less than a call to compare.
  const auto second = [](std::string_view text) { return text.size() > 1 ? text[1] : '\0'; };
  for (const auto& [route, literal_bytes] : places_) {
    if (literal_bytes > 1 && second(route.pattern) != second(path)) continue;
    if (!path.starts_with(std::string_view(route.pattern).substr(0, literal_bytes))) continue;
    if (!Fits(route.pattern, path, match.segments)) continue;
    if (Takes(route, method)) {
      match.route = &route;
      match.allow.clear();
      return match;
    }
    AddMethod(match.allow, route.method);
  }
  if (!match.allow.empty() || !fallback_) return match;
  if (Takes(*fallback_, method)) {
    match.route = &*fallback_;
  } else {
    match.allow = fallback_methods_(path);
  }
  return match;
}

std::vector<std::string> Router::Patterns() const {
  std::vector<std::string> patterns;
  for (const Place& place : places_)
    patterns.push_back(place.route.method + " " + place.route.pattern);
  return patterns;
}

}  // namespace millrace::http
