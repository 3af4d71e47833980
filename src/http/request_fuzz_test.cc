// Damaged query strings and bodies against what reads them. MILLRACE_SEED repeats the same
// mutations, MILLRACE_FUZZ_SECONDS says how long to go on (default 10).
#include <gtest/gtest.h>

#include <random>

#include "base/fuzzing.h"
#include "http/project_plan_json.h"
#include "http/registry_json.h"
#include "http/sql_request.h"
#include "http/url.h"
#include "log/testing.h"

namespace millrace::http::request_fuzz_test {
namespace {

template <typename T>
bool IsReadOrRefused(const Result<T>& result) {
  if (result.ok()) return true;
  const Code code = result.error().code();
  EXPECT_TRUE(code == Code::kInvalidArgument || code == Code::kNotSupported ||
              code == Code::kTooLarge)
      << result.error().ToString();
  EXPECT_FALSE(result.error().message().empty());
  return false;
}

TEST(RequestFuzz, QueryStringsAndBodiesAreReadOrRefused) {
  const uint64_t seed = log::SeedFromEnvironment(std::random_device()());
  Random random(seed);
  const std::vector<std::string> corpus = {
      "day=2011-12-10&country=United+Kingdom&limit=10&after=a%2Fb%C3%A4&wait=visible",
      R"({"sql": "SELECT $1, $2", "params": [1, -9223372036854775808, 1.5e300, "t\u00e4", null]})",
      R"({"sql": "SELECT $a", "params": {"a": {"b": [1, 2, {"c": true}]}, "d": "2011-12-10"}})",
      R"({"schema": "\"int\"", "schemaType": "AVRO", "references": [{"name": "n", "subject": "s",
          "version": 1}], "id": 7, "version": 2})",
      "SELECT count(*) FROM order_lines -- \xc3\xa4\n WHERE country = 'France';",
  };
  const std::vector<std::optional<std::string_view>> types = {
      "application/json", "application/sql", "text/plain; charset=utf-8", std::nullopt, ";", "a/b"};
  const auto until = FuzzUntil();
  uint64_t cases = 0;
  uint64_t read = 0;
  for (; cases < 20'000 || std::chrono::steady_clock::now() < until; ++cases) {
    std::string bytes = corpus[cases % corpus.size()];
    Mutate(bytes, random);
    // In memory of exactly that size: a byte too far is seen.
    const std::vector<char> exact(bytes.begin(), bytes.end());
    const std::string_view view(exact.data(), exact.size());
    read += IsReadOrRefused(ParseQuery(view)) ? 1 : 0;
    read += IsReadOrRefused(PercentDecode(view, random.OneIn(2))) ? 1 : 0;
    read += IsReadOrRefused(ParseSchemaBody(view)) ? 1 : 0;
    read += IsReadOrRefused(ParseTextBody(view, "sql")) ? 1 : 0;
    read += IsReadOrRefused(ParseProjectPlan(view)) ? 1 : 0;
    read += IsReadOrRefused(ParseSqlRequest(types[random.Below(types.size())], bytes)) ? 1 : 0;
    ASSERT_FALSE(HasFailure()) << "case " << cases << ": " << bytes;
  }
  EXPECT_GT(read, cases / 10);
  std::fprintf(stderr, "%llu cases, read %llu times\n", static_cast<unsigned long long>(cases),
               static_cast<unsigned long long>(read));
}

}  // namespace
}  // namespace millrace::http::request_fuzz_test
