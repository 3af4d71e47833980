#include "auth/access.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "auth/crypto.h"

namespace millrace::auth::access_test {
namespace {

Scopes Of(std::string_view text) { return Scopes({*ParseScope(text)}); }

class AccessTest : public testing::Test {
 protected:
  ~AccessTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Access> Open() {
    auto access = Access::Open(Files::System(), folder_, clock_);
    EXPECT_TRUE(access.ok());
    return std::move(access).value();
  }
  std::string File(const std::string& name) {
    return Files::System().ReadAll(folder_ + "/access/" + name).value();
  }

  std::string folder_ = Made();
  ManualClock clock_{Micros{1'000'000'000}};
  Store store_{Files::System(), folder_, clock_};

 private:
  static std::string Made() {
    std::string name = "/tmp/millrace_access_XXXXXX";
    return ::mkdtemp(name.data());
  }
};

TEST_F(AccessTest, AsksNothingUntilSomebodyExists) {
  auto access = Open();
  EXPECT_FALSE(access->required());
  ASSERT_TRUE(store_.CreateToken(Of("sql"), {}, "").ok());
  access->Refresh();
  EXPECT_TRUE(access->required());
}

TEST_F(AccessTest, KnowsATokenUntilItIsRevoked) {
  const NewToken token = *store_.CreateToken(Of("ingest:clicks"), {}, "the shop's");
  auto access = Open();
  const PrincipalPtr principal = *access->CheckToken(token.text);
  EXPECT_EQ(principal->name, token.id);
  EXPECT_TRUE(principal->scopes.Allow(Permission::kIngest, "clicks"));
  EXPECT_FALSE(principal->scopes.Allow(Permission::kIngest, "other"));
  EXPECT_TRUE(access->CheckPassword(token.id, token.text).ok());
  EXPECT_NE(access->Renew(principal), nullptr);

  std::string wrong = token.text;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  EXPECT_FALSE(access->CheckToken(wrong).ok());
  EXPECT_FALSE(access->CheckToken("").ok());
  EXPECT_FALSE(access->CheckToken("mr__").ok());
  EXPECT_FALSE(access->CheckToken(token.text + "0").ok());

  ASSERT_TRUE(store_.RevokeToken(token.id).ok());
  access->Refresh();
  EXPECT_FALSE(access->CheckToken(token.text).ok());
  EXPECT_EQ(access->Renew(principal), nullptr);
  EXPECT_TRUE(access->required());  // the last one is gone, and the node stays closed
  EXPECT_EQ(store_.RevokeToken(token.id).error().code(), Code::kNotFound);
}

TEST_F(AccessTest, ForgetsATokenWhenItExpires) {
  const NewToken token = *store_.CreateToken(Of("sql"), std::chrono::seconds(60), "");
  auto access = Open();
  const PrincipalPtr principal = *access->CheckToken(token.text);
  clock_.Advance(std::chrono::seconds(59));
  EXPECT_NE(access->Renew(principal), nullptr);
  clock_.Advance(std::chrono::seconds(1));
  EXPECT_EQ(access->Renew(principal), nullptr);
  EXPECT_FALSE(access->CheckToken(token.text).ok());
}

TEST_F(AccessTest, KnowsAUserByItsPassword) {
  ASSERT_TRUE(store_.CreateUser("alice", "correct horse", Of("admin"), false).ok());
  auto access = Open();
  const PrincipalPtr alice = *access->CheckPassword("alice", "correct horse");
  EXPECT_FALSE(access->CheckPassword("alice", "correct house").ok());
  EXPECT_FALSE(access->CheckPassword("bob", "correct horse").ok());
  EXPECT_EQ(access->FindUser("bob"), nullptr);
  // Of somebody who is not there there is a verifier too, always with the same salt.
  EXPECT_EQ(access->VerifierOf("bob").salt, access->VerifierOf("bob").salt);
  EXPECT_NE(access->VerifierOf("bob").salt, access->VerifierOf("eve").salt);

  EXPECT_EQ(store_.CreateUser("alice", "another one", Of("sql"), false).error().code(),
            Code::kAlreadyExists);
  clock_.Advance(std::chrono::seconds(1));
  ASSERT_TRUE(store_.CreateUser("alice", "another one", Of("sql"), true).ok());
  access->Refresh();
  EXPECT_EQ(access->Renew(alice), nullptr);  // who signed in with the old password has to again
  ASSERT_TRUE(store_.DropUser("alice").ok());
  access->Refresh();
  EXPECT_FALSE(access->CheckPassword("alice", "another one").ok());
}

TEST_F(AccessTest, KeepsNoSecretOnDisk) {
  const NewToken token = *store_.CreateToken(Of("sql"), {}, "");
  ASSERT_TRUE(store_.CreateUser("alice", "correct horse", Of("admin"), false).ok());
  const std::string text = File("principals");
  EXPECT_EQ(text.find(token.text.substr(token.text.rfind('_') + 1)), std::string::npos);
  EXPECT_EQ(text.find("correct"), std::string::npos);
  const auto mode = std::filesystem::status(folder_ + "/access").permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_all);
}

TEST_F(AccessTest, RefusesADamagedFileAndKeepsWhatItKnows) {
  const NewToken token = *store_.CreateToken(Of("sql"), {}, "");
  auto access = Open();
  const std::string text = File("principals");
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_FALSE(DecodePrincipals(damaged).ok()) << i;
    EXPECT_FALSE(DecodePrincipals(text.substr(0, i)).ok()) << i;
  }
  ASSERT_TRUE(Files::System().Replace(folder_ + "/access/principals", text + "x").ok());
  access->Refresh();
  EXPECT_TRUE(access->CheckToken(token.text).ok());
  EXPECT_EQ(Access::Open(Files::System(), folder_, clock_).error().code(), Code::kCorruption);
  EXPECT_EQ(store_.CreateToken(Of("sql"), {}, "").error().code(), Code::kCorruption);
  std::filesystem::remove(folder_ + "/access/principals");
  access->Refresh();
  EXPECT_TRUE(access->CheckToken(token.text).ok());
}

TEST_F(AccessTest, RemembersWhenATokenWasLastUsed) {
  const NewToken token = *store_.CreateToken(Of("sql"), {}, "");
  {
    auto access = Open();
    ASSERT_TRUE(access->CheckToken(token.text).ok());
  }
  EXPECT_EQ(store_.ReadUses()->at(token.id), clock_.Now());
  clock_.Advance(std::chrono::seconds(61));
  auto access = Open();
  ASSERT_TRUE(access->CheckToken(token.text).ok());
  access->Refresh();
  clock_.Advance(std::chrono::seconds(61));
  access->Refresh();
  EXPECT_EQ(store_.ReadUses()->at(token.id).value, 1'061'000'000);
}

TEST_F(AccessTest, TakesChangesOfManyAtOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 10; ++j) EXPECT_TRUE(store_.CreateToken(Of("sql"), {}, "").ok());
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store_.Read()->tokens.size(), 40u);
}

TEST_F(AccessTest, SaysWhatIsWrong) {
  EXPECT_EQ(store_.CreateToken(Scopes(), {}, "").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(store_.CreateUser("a b", "correct horse", Of("sql"), false).error().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(store_.CreateUser("alice", "short", Of("sql"), false).error().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(store_.CreateUser("alice", "non-ascii \xc3\xa9", Of("sql"), false).error().code(),
            Code::kInvalidArgument);
  const Error error = store_.RevokeToken("mr_00112233445566_secret").error();
  EXPECT_EQ(error.ToString().find("secret"), std::string::npos);
}

TEST_F(AccessTest, WhatATokenHasDoneCountsOnWhileTheFileChanges) {
  const Rate rate{2, 3600};
  const NewToken token = *store_.CreateToken(Of("sql"), {}, "", rate);
  auto access = Open();
  const auto take = [&] { return (*access->CheckToken(token.text))->TakeTurn({}); };
  EXPECT_EQ(take().count(), 0);
  ASSERT_TRUE(store_.CreateUser("alice", "correct horse", Of("sql"), false, {5, 1}).ok());
  access->Refresh();
  EXPECT_EQ(access->FindUser("alice")->rate, (Rate{5, 1}));
  EXPECT_EQ(take().count(), 0);
  const auto wait = take();
  EXPECT_EQ(wait, std::chrono::seconds(1800));
  EXPECT_NE((*access->CheckToken(token.text))->OverRate(wait).ToString().find("2/h"),
            std::string::npos);
  EXPECT_NE(access->Metrics().find("auth_rate_limited_total{token=\"" + token.id + "\"} 1\n"),
            std::string::npos);
}

TEST(Principals, OfAFileWithoutRatesHaveNone) {
  std::string text = "millrace access 1\ntoken t 5 0 sql " + Base64(Sha256("secret")) + " \n";
  text += "sha256 " + Hex(Sha256(text)) + "\n";
  const auto principals = DecodePrincipals(text);
  ASSERT_TRUE(principals.ok()) << principals.error().ToString();
  EXPECT_FALSE(principals->tokens.at("t").principal->rate.limited());
}

TEST(Scope, ComesBackAsItWasWritten) {
  for (const char* text :
       {"ingest:clicks", "consume:*", "read:a b,c%", "sql", "metrics", "admin"}) {
    EXPECT_EQ(ToString(*ParseScope(text)), text);
  }
  for (const char* text : {"", "ingest", "ingest:", "sql:x", "admin:", "write:x", "Sql"}) {
    EXPECT_FALSE(ParseScope(text).ok()) << text;
  }
  Principals principals;
  principals.tokens["t"] = {std::make_shared<const Principal>(
                                Principal{Principal::Kind::kToken, "t", Of("read:a b,c%"), {}, {}}),
                            Sha256(""), "a note\n"};
  const Principals back = *DecodePrincipals(EncodePrincipals(principals));
  EXPECT_EQ(ToString(back.tokens.at("t").principal->scopes), "read:a b,c%");
  EXPECT_EQ(back.tokens.at("t").note, "a note\n");
}

TEST(Scope, AdminMayEverything) {
  EXPECT_TRUE(Of("admin").Allow(Permission::kConsume, "x"));
  EXPECT_TRUE(Of("admin").AllowSome(Permission::kIngest));
  EXPECT_FALSE(Of("ingest:x").AllowSome(Permission::kConsume));
  EXPECT_FALSE(Of("ingest:*").Allow(Permission::kAdmin, ""));
}

}  // namespace
}  // namespace millrace::auth::access_test
