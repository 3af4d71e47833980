#include "net/address.h"

#include <gtest/gtest.h>

namespace millrace::net::address_test {
namespace {

TEST(Address, ReadsHostAndPortOfBothFamilies) {
  EXPECT_EQ(ParseAddress("127.0.0.1:8080").value(), (Address{"127.0.0.1", 8080}));
  EXPECT_EQ(ParseAddress("localhost:0").value(), (Address{"localhost", 0}));
  EXPECT_EQ(ParseAddress("[::1]:65535").value(), (Address{"::1", 65535}));
}

TEST(Address, RefusesWhatIsNoAddressAndSaysWhy) {
  for (const char* text :
       {"", "8080", "host:", ":8080", "host:65536", "host:-1", "host:80x", "::1:80"}) {
    SCOPED_TRACE(text);
    auto address = ParseAddress(text);
    ASSERT_FALSE(address.ok());
    EXPECT_EQ(address.error().code(), Code::kInvalidArgument);
    EXPECT_NE(address.error().message().find("address"), std::string::npos);
  }
}

TEST(Address, ComesBackFromItsText) {
  for (const char* text : {"127.0.0.1:8080", "[::1]:1", "localhost:0"}) {
    EXPECT_EQ(ToString(ParseAddress(text).value()), text);
  }
}

TEST(Address, KnowsWhatOnlyThisMachineReaches) {
  for (const char* text : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"})
    EXPECT_TRUE(IsLoopback(*ParseAddress(text))) << text;
  for (const char* text : {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example.org:1", "localhost.x:1"})
    EXPECT_FALSE(IsLoopback(*ParseAddress(text))) << text;
}

}  // namespace
}  // namespace millrace::net::address_test
