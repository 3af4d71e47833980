#include "http/entity_tag.h"

#include "http/text.h"

namespace millrace::http {

bool NamesTag(std::string_view list, std::string_view opaque, TagComparison comparison) {
  while (!list.empty()) {
    std::string_view tag = NextPart(list, ',');
    if (tag == "*") return true;
    if (tag.starts_with("W/")) {
      if (comparison == TagComparison::kStrong) continue;
      tag.remove_prefix(2);
    }
    if (tag == opaque) return true;
  }
  return false;
}

}  // namespace millrace::http
