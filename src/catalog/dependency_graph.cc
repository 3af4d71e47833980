#include "catalog/dependency_graph.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <tuple>

namespace millrace::catalog {

std::string Describe(const Object& object) {
  return fmt::format("{} {}", KindName(object.kind()), Quoted(object.name()));
}

std::string_view WithoutSchema(std::string_view lower_name) {
  for (std::string_view schema : {"public.", "main."}) {
    if (lower_name.starts_with(schema)) return lower_name.substr(schema.size());
  }
  return lower_name;
}

void SortByName(std::vector<const Object*>& objects) {
  std::vector<std::tuple<std::string, std::string, const Object*>> named;
  named.reserve(objects.size());
  for (const Object* object : objects)
    named.emplace_back(rows::LowerName(object->name()), object->name(), object);
  std::stable_sort(named.begin(), named.end(), [](const auto& a, const auto& b) {
    return std::tie(std::get<0>(a), std::get<1>(a)) < std::tie(std::get<0>(b), std::get<1>(b));
  });
  for (size_t i = 0; i < named.size(); ++i) objects[i] = std::get<2>(named[i]);
}

DependencyGraph::DependencyGraph(const std::vector<const Object*>& objects) : objects_(objects) {
  SortByName(objects_);
  for (const Object* object : objects_) {
    if (IsRelation(object->kind())) relations_.emplace(rows::LowerName(object->name()), object);
    if (IsVocabulary(object->kind()))
      words_.emplace(NameKey(object->kind(), object->name()), object);
  }
  for (const Object* object : objects_) needs_.emplace(object, Resolve(*object));
}

Result<std::vector<const Object*>> DependencyGraph::Order() const {
  std::map<const Object*, std::vector<size_t>> needed_by;
  std::vector<size_t> waits_for(objects_.size());
  std::priority_queue<size_t, std::vector<size_t>, std::greater<>> ready;
  for (size_t i = 0; i < objects_.size(); ++i) {
    const std::vector<const Object*>& needs = Needs(*objects_[i]);
    waits_for[i] = needs.size();
    if (needs.empty()) ready.push(i);
    for (const Object* need : needs) needed_by[need].push_back(i);
  }
  std::vector<const Object*> order;
  while (!ready.empty()) {
    order.push_back(objects_[ready.top()]);
    ready.pop();
    for (const size_t i : needed_by[order.back()]) {
      if (--waits_for[i] == 0) ready.push(i);
    }
  }
  if (order.size() < objects_.size()) return Cycle({order.begin(), order.end()});
  return order;
}

std::vector<const Object*> DependencyGraph::Resolve(const Object& object) const {
  std::vector<const Object*> needs;
  for (const std::string& name : object.depends_on()) {
    const std::string lower = rows::LowerName(name);
    const auto found = relations_.find(WithoutSchema(lower));
    if (found != relations_.end()) {
      needs.push_back(found->second);
      continue;
    }
    const size_t dot = lower.rfind('.');
    if (dot == std::string::npos) continue;
    const auto stream = relations_.find(WithoutSchema(std::string_view(lower).substr(0, dot)));
    if (stream != relations_.end()) needs.push_back(stream->second);
  }
  for (const Use& use : object.uses) {
    const auto found = words_.find(NameKey(use.kind, use.name));
    if (found != words_.end()) needs.push_back(found->second);
  }
  return needs;
}

Error DependencyGraph::Cycle(const std::set<const Object*>& done) const {
  std::vector<const Object*> path;
  const Object* at = *std::find_if(objects_.begin(), objects_.end(),
                                   [&](const Object* o) { return !done.contains(o); });
  while (std::find(path.begin(), path.end(), at) == path.end()) {
    path.push_back(at);
    const std::vector<const Object*>& needs = Needs(*at);
    at = *std::find_if(needs.begin(), needs.end(),
                       [&](const Object* o) { return !done.contains(o); });
  }
  path.erase(path.begin(), std::find(path.begin(), path.end(), at));
  std::string text;
  for (const Object* object : path) text += Describe(*object) + " reads ";
  return Error(Code::kConflict, "definitions go round in a circle: {}{}", text, Describe(*at))
      .SqlState("42P19");
}

Result<std::vector<const Object*>> Order(const std::vector<const Object*>& objects) {
  return DependencyGraph(objects).Order();
}

}  // namespace millrace::catalog
