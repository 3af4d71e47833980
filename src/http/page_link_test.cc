// Pages of endpoints as HTTP has them: cursors as text, links, and what is wrong about the
// parameters. Which rows are on a page is the runtime's.
#include "http/page_link.h"

#include "http/testing.h"

namespace millrace::http::page_link_test {
namespace {

TEST(PageLink, CursorsAreTextsOfLettersThatStandInAUrlAsTheyAre) {
  for (size_t size = 0; size < 10; ++size) {
    for (const char byte : {'\0', '\xff', '\xfb', 'a'}) {
      const std::string bytes(size, byte);
      const std::string text = CursorText(bytes);
      EXPECT_EQ(text.find_first_of("+/=&?%# "), std::string::npos) << text;
      EXPECT_EQ(*CursorBytes(text), bytes);
    }
  }
  for (const char* wrong : {"a", "ab=", "ab==", "a+b/", "ab c", "ä"})
    EXPECT_FALSE(CursorBytes(wrong).ok()) << wrong;
}

TEST(PageLink, IsTheSameTargetWithAnotherCursor) {
  const auto link = [](std::string_view target) {
    const std::string text = fmt::format("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", target);
    RequestHead head;
    EXPECT_EQ(ParseHead(text, head).state, ParsedHead::State::kComplete);
    return NextLink(head, "NEW");
  };
  EXPECT_EQ(link("/a"), "</a?cursor=NEW>; rel=\"next\"");
  EXPECT_EQ(link("/a?x=1&cursor=OLD&page_size=2"), "</a?x=1&page_size=2&cursor=NEW>; rel=\"next\"");
  EXPECT_EQ(link("/a%20b?cursor=OLD"), "</a%20b?cursor=NEW>; rel=\"next\"");
}

TEST(Pages, SayWhereTheNextOneIs) {
  TestServer test;
  auto client = test.Client();
  const auto first = client.Get("/users/1?count=5&page_size=3");
  ASSERT_EQ(first->status, 200);
  const std::string cursor = CursorText("3");
  EXPECT_TRUE(first->body.starts_with("{\"rows\": [{\"i\":0,")) << first->body;
  EXPECT_TRUE(first->body.ends_with(fmt::format(", \"next\": \"{}\"}}\n", cursor))) << first->body;
  EXPECT_EQ(*first->Header("link"),
            fmt::format("</users/1?count=5&page_size=3&cursor={}>; rel=\"next\"", cursor));
  const auto second = client.Get("/users/1?count=5&page_size=3&cursor=" + cursor);
  EXPECT_TRUE(second->body.ends_with(", \"next\": null}\n")) << second->body;
  EXPECT_EQ(second->Header("link"), nullptr);
  for (const char* wrong : {"page_size=0", "page_size=10001", "page_size=x", "page_size=-1",
                            "page_size=", "cursor=a", "page=1"}) {
    const auto answer = client.Get(fmt::format("/users/1?{}", wrong));
    EXPECT_EQ(answer->status, 400) << wrong;
  }
}

}  // namespace
}  // namespace millrace::http::page_link_test
