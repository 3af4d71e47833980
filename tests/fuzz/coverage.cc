#include "fuzz/coverage.h"

#include <cstdio>

#include "base/check.h"
#include "fuzz/case.h"
#include "fuzz/queries.h"
#include "fuzz/rules.h"

namespace millrace::fuzz {

Coverage::Coverage() {
  for (const auto* rules : {&ScalarRules(), &AggregateRules(), &PeerWindowRules(),
                            &RowWindowRules(), &FrameRules(), &RowFrameRules()}) {
    for (const Rule& rule : *rules) views_[std::string(rule.text)];
  }
  for (const std::string& construct : QueryConstructs()) views_[construct];
  for (const char* construct : {kTwin, kOverTwin}) views_[construct];
  for (const Type& type : Types()) {
    if (type.column) views_["column of type " + type.name];
  }
}

void Coverage::Add(const std::set<std::string>& constructs) {
  for (const std::string& construct : constructs) {
    const auto found = views_.find(construct);
    CHECK(found != views_.end()) << "no construct of the grammar: " << construct;
    ++found->second;
  }
}

std::vector<std::string> Coverage::NeverHit() const {
  std::vector<std::string> never;
  for (const auto& [construct, count] : views_) {
    if (count == 0) never.push_back(construct);
  }
  return never;
}

void Coverage::Print() const {
  for (const auto& [construct, count] : views_)
    std::printf("%8llu  %s\n", static_cast<unsigned long long>(count), construct.c_str());
}

}  // namespace millrace::fuzz
