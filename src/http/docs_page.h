// The page at /docs: what /openapi.json says, for people, with a form to try each route.
#pragma once

#include <string_view>

namespace millrace::http {

extern const std::string_view kDocsPage;
// Its Content-Security-Policy: nothing from elsewhere.
extern const std::string_view kDocsPagePolicy;

}  // namespace millrace::http
