// SPDX-License-Identifier: Apache-2.0
#include "sallyport/model/address.h"

#include <gtest/gtest.h>

namespace sallyport::model {
namespace {

TEST(IpAddress, PrintsAsItWasWritten) {
  for (const char* text : {"10.0.0.1", "fd00::1", "::1", "127.0.0.1"}) EXPECT_EQ(IpAddress::parse(text)->to_string(), text);
  EXPECT_FALSE(IpAddress::parse("10.0.0"));
  EXPECT_FALSE(IpAddress::parse("fe80::1%eth0"));
}

TEST(IpAddress, MappedAndPlainIpv4AreOne) {
  EXPECT_EQ(*IpAddress::parse("::ffff:10.0.0.1"), IpAddress::v4(10, 0, 0, 1));
  EXPECT_TRUE(IpAddress::parse("127.9.9.9")->is_loopback());
  EXPECT_FALSE(IpAddress::parse("::2")->is_loopback());
}

TEST(Endpoint, BracketsIpv6) {
  EXPECT_EQ((Endpoint{*IpAddress::parse("fd00::1"), 5432}).to_string(), "[fd00::1]:5432");
  EXPECT_EQ((Endpoint{IpAddress::v4(1, 2, 3, 4), 80}).to_string(), "1.2.3.4:80");
}

TEST(Prefix, ContainsByBits) {
  const Prefix prefix = *Prefix::parse("10.2.0.0/15");
  EXPECT_TRUE(prefix.contains(IpAddress::v4(10, 3, 255, 1)));
  EXPECT_FALSE(prefix.contains(IpAddress::v4(10, 4, 0, 0)));
  EXPECT_TRUE(Prefix::parse("::/0")->contains(IpAddress::v4(10, 4, 0, 0)));
  EXPECT_FALSE(Prefix::parse("10.2.0.1/16")) << "host bits are a mistake worth naming";
  EXPECT_FALSE(Prefix::parse("10.2.0.0/33"));
}

}  // namespace
}  // namespace sallyport::model
