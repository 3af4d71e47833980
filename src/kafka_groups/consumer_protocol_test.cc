#include "kafka_groups/consumer_protocol.h"

#include <gtest/gtest.h>

#include "kafka_groups/testing.h"

namespace millrace::kafka_groups::consumer_protocol_test {
namespace {

TEST(ConsumerProtocol, ReadsTheTopicsOfASubscriptionAndNothingBehindThem) {
  const auto topics = ParseSubscribedTopics(Subscription({"orders", "clicks"}) + "user data");
  ASSERT_TRUE(topics.ok()) << topics.error().ToString();
  EXPECT_EQ(*topics, (std::vector<std::string>{"orders", "clicks"}));
  EXPECT_TRUE(ParseSubscribedTopics(Subscription({}))->empty());
}

TEST(ConsumerProtocol, RefusesWhatIsCutAnywhere) {
  const std::string whole = Subscription({"orders", "clicks"});
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(ParseSubscribedTopics(whole.substr(0, size)).ok()) << size;
}

TEST(ConsumerProtocol, RefusesACountThatTheBytesDoNotHold) {
  EXPECT_FALSE(ParseSubscribedTopics(std::string("\0\0\x7f\xff\xff\xff", 6)).ok());
  EXPECT_FALSE(ParseSubscribedTopics(std::string("\0\0\xff\xff\xff\xff", 6)).ok());
  EXPECT_FALSE(ParseSubscribedTopics(std::string("\0\0\0\0\0\1\xff\xff", 8)).ok());
}

}  // namespace
}  // namespace millrace::kafka_groups::consumer_protocol_test
