// SPDX-License-Identifier: Apache-2.0
#include "witness/witness_list.h"

#include <gtest/gtest.h>

#include <string>

namespace cloister::witness {
namespace {

std::string Key(const std::string& name = "w1") {
  return audit::Cosigner::New(name, std::string(32, 'w'))->verifier_key();
}

TEST(WitnessListTest, TakesKeysAndUrls) {
  const auto peers = ParseWitnesses({Key() + " https://w.example/", Key("w2") + " https://[2001:db8::1]:8444/prefix",
                                     Key("w3") + " http://127.0.0.1:80", Key("w4") + " http://[::1]:8080/a/b"});
  ASSERT_TRUE(peers.ok()) << peers.status();
  ASSERT_EQ(peers->size(), 4u);
  EXPECT_EQ((*peers)[0].verifier.name(), "w1");
  EXPECT_EQ((*peers)[0].url, "https://w.example");
  EXPECT_EQ((*peers)[1].url, "https://[2001:db8::1]:8444/prefix");
  EXPECT_TRUE(ParseWitnesses({})->empty());
}

TEST(WitnessListTest, SaysWhichLineIsWrong) {
  const std::string good = Key() + " https://w.example";
  for (const std::string& line :
       {std::string(), Key("w2"), "key https://w.example" + std::string(), Key("w2") + " ftp://w.example",
        Key("w2") + " https://", Key("w2") + " https://:1", Key("w2") + " https://w.example:", Key("w2") + " https://w.example:x",
        Key("w2") + " https://w.example:123456", Key("w2") + " http://w.example", Key("w2") + " http://127.0.0.1.example",
        Key("w2") + " https://u:p@w.example", Key("w2") + " https://w.example/?q", Key("w2") + " https://w.example/#f",
        Key("w2") + " https://w.example/ x", Key("w2") + " https://w.example\\@evil", Key() + " https://other.example",
        Key("w2") + " https://" + std::string(kUrlBytesMax, 'a')}) {
    const auto peers = ParseWitnesses({good, line});
    EXPECT_EQ(peers.status().code(), StatusCode::kInvalidArgument) << line;
    EXPECT_NE(MessageOf(peers.status()).find("number 2"), std::string::npos) << peers.status();
  }
  EXPECT_FALSE(ParseWitnesses(std::vector<std::string>(kWitnessesMax + 1, good)).ok());
}

}  // namespace
}  // namespace cloister::witness
