#include "cli/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::cli::trace_test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(RecordName, IsStreamPartitionAndOffset) {
  const RecordName name = ParseRecordName("order_lines/2/17").value();
  EXPECT_EQ(name.stream, "order_lines");
  EXPECT_EQ(name.partition, "2");
  EXPECT_EQ(name.offset, "17");
  EXPECT_EQ(ParseRecordName("a/b/2/17").value().stream, "a/b");
  for (const char* wrong : {"", "/", "//", "s", "s/1", "/1/2", "s/1/", "s//1", "s/1/x", "s/-1/2",
                            "s/1/2/", "s/1/9999999999999999999999"}) {
    EXPECT_FALSE(ParseRecordName(wrong).ok()) << wrong;
  }
}

constexpr char kLog[] =
    R"("stream": "s", "partition": 1, "offset": 5, "log": {"topic": "s", "start_offset": 2,
       "end_offset": 9, "durable": true, "appended_at": "2026-01-01T00:00:00.000000Z",
       "timestamp": "2026-01-01T00:00:00.000000Z", "key": null, "key_bytes": 0,
       "value_bytes": 7, "value": "{\"a\":1}", "source": null})";

TEST(TraceText, ShowsARow) {
  const std::string text = TraceText(std::string("{") + kLog +
                                     R"(, "outcome": "row", "error": null, "error_column": null,
                   "row": {"a": 1, "b": null, "c": "x"}, "step": 3, "step_unknown": null,
                   "visible_step": 4, "views": [{"name": "v", "passed": true},
                                                {"name": "w", "passed": true}]})")
                               .value();
  EXPECT_EQ(text,
            "s/1/5\n"
            "  log        durable, in topic s, whose partition 1 holds offsets 2 to 8\n"
            "  appended   2026-01-01T00:00:00.000000Z\n"
            "  key        none\n"
            "  value      {\"a\":1} (7 bytes)\n"
            "  outcome    row\n"
            "  step       3 (visible is step 4)\n"
            "  columns    a = 1\n"
            "             b = null\n"
            "             c = x\n"
            "  passed by  v, w\n");
}

TEST(TraceText, SaysWhatIsUnknown) {
  const std::string text = TraceText(std::string("{") + kLog +
                                     R"(, "outcome": "duplicate", "row": null, "duplicate_of": null,
                   "duplicate_of_unknown": "several rows have its key", "step": null,
                   "step_unknown": "the journal begins at step 9", "visible_step": 10,
                   "views": []})")
                               .value();
  EXPECT_THAT(text, HasSubstr("duplicate of an unknown record: several rows have its key\n"));
  EXPECT_THAT(text, HasSubstr("unknown: the journal begins at step 9 (visible is step 10)\n"));
  EXPECT_THAT(text, HasSubstr("none reads the stream"));
}

TEST(TraceText, NamesTheFirstOfADuplicateAndTheViewsThatWait) {
  const std::string text = TraceText(std::string("{") + kLog +
                                     R"(, "outcome": "duplicate", "row": null,
                   "duplicate_of": {"partition": 0, "offset": 3}, "step": 1, "visible_step": 1,
                   "views": [{"name": "v", "passed": false}]})")
                               .value();
  EXPECT_THAT(text, HasSubstr("duplicate of s/0/3\n"));
  EXPECT_THAT(text, HasSubstr("not yet by v\n"));
  EXPECT_THAT(text, Not(HasSubstr("passed by")));
  EXPECT_FALSE(TraceText("{}").ok());
  EXPECT_FALSE(TraceText("nonsense").ok());
}

}  // namespace
}  // namespace millrace::cli::trace_test
