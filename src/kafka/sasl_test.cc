#include "kafka/sasl.h"

#include <thread>

#include "auth/crypto.h"
#include "kafka/testing.h"

namespace millrace::kafka::sasl_test {
namespace {

constexpr int16_t kVersion = 2;

// A listener on which clients must sign in.
class SaslTest : public KafkaServerTest {
 protected:
  void SetUp() override {
    access_folder_ = std::filesystem::temp_directory_path() /
                     fmt::format("millrace_kafka_access_{}", ::getpid());
    std::filesystem::create_directories(access_folder_);
    store_.emplace(Files::System(), access_folder_.string());
    access_ = *auth::Access::Open(Files::System(), access_folder_.string());
    access_->Require();
    KafkaServerTest::SetUp();
    for (const char* topic : {"clicks", "orders"})
      ASSERT_TRUE(backend_->CreateTopic(topic, 1, {}, false).ok());
  }
  void TearDown() override {
    KafkaServerTest::TearDown();
    access_.reset();
    std::filesystem::remove_all(access_folder_);
  }

  static auth::Scopes ScopesOf(const std::vector<std::string>& texts) {
    std::vector<auth::Scope> scopes;
    for (const std::string& text : texts) scopes.push_back(*auth::ParseScope(text));
    return auth::Scopes(std::move(scopes));
  }
  auth::NewToken Token(const std::vector<std::string>& scopes, int64_t seconds = 0) {
    auto token = store_->CreateToken(ScopesOf(scopes), std::chrono::seconds(seconds), "");
    EXPECT_TRUE(token.ok());
    access_->Refresh();
    return *token;
  }
  void User(const std::string& name, const std::vector<std::string>& scopes) {
    EXPECT_TRUE(store_->CreateUser(name, kPassword, ScopesOf(scopes), true).ok());
    access_->Refresh();
  }

  static ErrorCode Begin(TestClient& client, const std::string& mechanism, int16_t version = 1) {
    SaslHandshakeRequest handshake;
    handshake.mechanism = mechanism;
    return client.Ask<SaslHandshakeResponse>(handshake, version).error_code;
  }
  static SaslAuthenticateResponse Send(TestClient& client, const std::string& token) {
    SaslAuthenticateRequest request;
    request.auth_bytes.value = token;
    return client.Ask<SaslAuthenticateResponse>(request, kVersion);
  }
  static std::string Plain(const std::string& name, const std::string& password) {
    return std::string(1, '\0') + name + std::string(1, '\0') + password;
  }
  static SaslAuthenticateResponse SignIn(TestClient& client, const std::string& name,
                                         const std::string& password) {
    EXPECT_EQ(Begin(client, "PLAIN"), ErrorCode::kNone);
    return Send(client, Plain(name, password));
  }
  // As RFC 5802 has the client do it.
  static SaslAuthenticateResponse SignInByScram(TestClient& client, const std::string& name,
                                                const std::string& password) {
    EXPECT_EQ(Begin(client, "SCRAM-SHA-256"), ErrorCode::kNone);
    const std::string bare = "n=" + name + ",r=clientnonce";
    const std::string first = Send(client, "n,," + bare).auth_bytes.value;
    const size_t salt_at = first.find(",s="), count_at = first.find(",i=");
    EXPECT_NE(salt_at, std::string::npos);
    const std::string salt = *auth::FromBase64(first.substr(salt_at + 3, count_at - salt_at - 3));
    const std::string salted =
        auth::Pbkdf2Sha256(password, salt, std::stoi(first.substr(count_at + 3)));
    const std::string client_key = auth::HmacSha256(salted, "Client Key");
    const std::string final = "c=biws," + first.substr(0, salt_at);
    std::string proof =
        auth::HmacSha256(auth::Sha256(client_key), bare + "," + first + "," + final);
    for (size_t i = 0; i < proof.size(); ++i)
      proof[i] = static_cast<char>(proof[i] ^ client_key[i]);
    return Send(client, final + ",p=" + auth::Base64(proof));
  }

  static MetadataResponse AskMetadata(TestClient& client) {
    MetadataRequest request;
    request.topics = std::nullopt;
    return client.Ask<MetadataResponse>(request, 9);
  }
  static std::vector<std::string> TopicsSeen(TestClient& client) {
    std::vector<std::string> names;
    for (const auto& topic : AskMetadata(client).topics) names.push_back(*topic.name);
    return names;
  }
  static ErrorCode Produce(TestClient& client, const std::string& topic) {
    log::RecordBatchBuilder builder;
    builder.Add(std::nullopt, "value", log::Millis{1000});
    const std::string batch = builder.Finish();
    ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 1000;
    auto& data = request.topic_data.emplace_back();
    data.name = topic;
    auto& partition = data.partition_data.emplace_back();
    partition.records.null = false;
    partition.records.pieces = {batch};
    const auto response = client.Ask<ProduceResponse>(request, 9);
    return response.responses[0].partition_responses[0].error_code;
  }
  static ErrorCode Fetch(TestClient& client, const std::string& topic) {
    FetchRequest request;
    request.max_wait_ms = 60'000;  // a refusal does not wait
    request.min_bytes = 1;
    auto& wanted = request.topics.emplace_back();
    wanted.topic = topic;
    auto& partition = wanted.partitions.emplace_back();
    partition.partition_max_bytes = 1 << 20;
    return client.Ask<FetchResponse>(request, 12).responses[0].partitions[0].error_code;
  }
  static bool IsOpen(TestClient& client) {
    client.Send(ApiVersionsRequest{}, 0);
    return client.ReceiveRaw().has_value();
  }

  static constexpr const char* kPassword = "correct horse";
  std::filesystem::path access_folder_;
  std::optional<auth::Store> store_;
};

TEST_F(SaslTest, AStrangerMayOnlyAskForVersionsAndSignIn) {
  TestClient client = Connect();
  EXPECT_EQ(client.Ask<ApiVersionsResponse>(ApiVersionsRequest{}, 0).error_code, ErrorCode::kNone);
  client.Send(MetadataRequest{}, 9);
  EXPECT_FALSE(client.ReceiveRaw().has_value());
  TestClient large = Connect();
  large.SendRaw(std::string(kStrangerBytesMax + 1, '\0'));
  EXPECT_FALSE(large.ReceiveRaw().has_value());
  TestClient early = Connect();
  EXPECT_EQ(Send(early, "x").error_code, ErrorCode::kIllegalSaslState);
  EXPECT_FALSE(IsOpen(early));
}

TEST_F(SaslTest, TakesUsersByPlainAndScramAndTokensByPlain) {
  User("alice", {"admin"});
  const auth::NewToken token = Token({"admin"});
  TestClient plain = Connect();
  EXPECT_EQ(SignIn(plain, "alice", kPassword).error_code, ErrorCode::kNone);
  EXPECT_EQ(TopicsSeen(plain).size(), 2u);
  TestClient scram = Connect();
  const auto answer = SignInByScram(scram, "alice", kPassword);
  EXPECT_EQ(answer.error_code, ErrorCode::kNone);
  EXPECT_EQ(answer.auth_bytes.value.substr(0, 2), "v=");
  EXPECT_EQ(TopicsSeen(scram).size(), 2u);
  TestClient by_token = Connect();
  EXPECT_EQ(SignIn(by_token, token.id, token.text).error_code, ErrorCode::kNone);
  EXPECT_EQ(TopicsSeen(by_token).size(), 2u);
}

TEST_F(SaslTest, RefusesWhatIsWrongAndEndsTheConnection) {
  User("alice", {"admin"});
  const auto refused = [](const SaslAuthenticateResponse& answer) {
    EXPECT_EQ(answer.error_code, ErrorCode::kSaslAuthenticationFailed);
    EXPECT_EQ(answer.error_message->find("alice"), std::string::npos);
  };
  for (const auto& [name, password] : std::vector<std::pair<std::string, std::string>>{
           {"alice", "wrong"}, {"bob", kPassword}, {"", ""}, {"alice", std::string(10'000, 'x')}}) {
    TestClient client = Connect();
    refused(SignIn(client, name, password));
    EXPECT_FALSE(IsOpen(client)) << name;
  }
  for (const char* name : {"alice", "bob"}) {
    TestClient client = Connect();
    refused(SignInByScram(client, name, "wrong password"));
    EXPECT_FALSE(IsOpen(client));
  }
  for (const std::string& token : {std::string("no zeros"), std::string(), std::string(3, '\0')}) {
    TestClient client = Connect();
    EXPECT_EQ(Begin(client, "PLAIN"), ErrorCode::kNone);
    refused(Send(client, token));
  }
  TestClient client = Connect();
  EXPECT_EQ(Begin(client, "GSSAPI"), ErrorCode::kUnsupportedSaslMechanism);
  EXPECT_EQ(Begin(client, "PLAIN"), ErrorCode::kNone);  // it may choose another one
}

TEST_F(SaslTest, TakesBareTokensAfterAHandshakeOfVersion0) {
  User("alice", {"admin"});
  TestClient client = Connect();
  EXPECT_EQ(Begin(client, "PLAIN", 0), ErrorCode::kNone);
  client.SendRaw(Plain("alice", kPassword));
  EXPECT_EQ(client.ReceiveRaw(), "");
  EXPECT_EQ(TopicsSeen(client).size(), 2u);
  TestClient wrong = Connect();
  EXPECT_EQ(Begin(wrong, "PLAIN", 0), ErrorCode::kNone);
  wrong.SendRaw(Plain("alice", "wrong"));
  EXPECT_FALSE(wrong.ReceiveRaw().has_value());
}

TEST_F(SaslTest, ScopesSayWhichTopics) {
  const auth::NewToken producer = Token({"ingest:clicks"});
  const auth::NewToken consumer = Token({"consume:clicks"});
  TestClient produces = Connect();
  SignIn(produces, producer.id, producer.text);
  TestClient consumes = Connect();
  SignIn(consumes, consumer.id, consumer.text);
  EXPECT_EQ(Produce(produces, "clicks"), ErrorCode::kNone);
  EXPECT_EQ(Produce(produces, "orders"), ErrorCode::kTopicAuthorizationFailed);
  EXPECT_EQ(Produce(produces, "no such topic"), ErrorCode::kTopicAuthorizationFailed);
  EXPECT_EQ(Produce(consumes, "clicks"), ErrorCode::kTopicAuthorizationFailed);
  EXPECT_EQ(Fetch(consumes, "clicks"), ErrorCode::kNone);
  EXPECT_EQ(Fetch(consumes, "orders"), ErrorCode::kTopicAuthorizationFailed);
  EXPECT_EQ(Fetch(produces, "clicks"), ErrorCode::kTopicAuthorizationFailed);
  EXPECT_EQ(TopicsSeen(produces), std::vector<std::string>{"clicks"});

  MetadataRequest named;
  named.topics.emplace().emplace_back().name = "orders";
  const auto hidden = produces.Ask<MetadataResponse>(named, 9);
  EXPECT_EQ(hidden.topics[0].error_code, ErrorCode::kTopicAuthorizationFailed);
  EXPECT_TRUE(hidden.topics[0].partitions.empty());

  ListOffsetsRequest offsets;
  auto& wanted = offsets.topics.emplace_back();
  wanted.name = "orders";
  wanted.partitions.emplace_back().timestamp = -1;
  EXPECT_EQ(consumes.Ask<ListOffsetsResponse>(offsets, 6).topics[0].partitions[0].error_code,
            ErrorCode::kTopicAuthorizationFailed);
}

TEST_F(SaslTest, GroupsTransactionsAndTopicsNeedTheirScopes) {
  const auth::NewToken producer = Token({"ingest:clicks"});
  const auth::NewToken consumer = Token({"consume:clicks"});
  TestClient produces = Connect();
  SignIn(produces, producer.id, producer.text);
  TestClient consumes = Connect();
  SignIn(consumes, consumer.id, consumer.text);

  JoinGroupRequest join;
  join.group_id = "g";
  EXPECT_EQ(produces.Ask<JoinGroupResponse>(join, 5).error_code,
            ErrorCode::kGroupAuthorizationFailed);
  EXPECT_NE(consumes.Ask<JoinGroupResponse>(join, 5).error_code,
            ErrorCode::kGroupAuthorizationFailed);
  InitProducerIdRequest init;
  init.transactional_id = std::nullopt;
  EXPECT_EQ(produces.Ask<InitProducerIdResponse>(init, 2).error_code, ErrorCode::kNone);
  EXPECT_EQ(consumes.Ask<InitProducerIdResponse>(init, 2).error_code,
            ErrorCode::kClusterAuthorizationFailed);

  OffsetCommitRequest commit;
  commit.group_id = "g";
  for (const char* name : {"clicks", "orders"}) {
    auto& topic = commit.topics.emplace_back();
    topic.name = name;
    topic.partitions.emplace_back().committed_offset = 5;
  }
  const auto committed = consumes.Ask<OffsetCommitResponse>(commit, 7);
  EXPECT_EQ(committed.topics[0].partitions[0].error_code, ErrorCode::kNone);
  EXPECT_EQ(committed.topics[1].partitions[0].error_code, ErrorCode::kTopicAuthorizationFailed);
  const auto denied = produces.Ask<OffsetCommitResponse>(commit, 7);
  EXPECT_EQ(denied.topics[0].partitions[0].error_code, ErrorCode::kGroupAuthorizationFailed);
  OffsetFetchRequest fetch;
  fetch.group_id = "g";
  fetch.topics.emplace().push_back({"orders", {0}});
  EXPECT_EQ(consumes.Ask<OffsetFetchResponse>(fetch, 5).topics[0].partitions[0].error_code,
            ErrorCode::kTopicAuthorizationFailed);

  CreateTopicsRequest create;
  create.topics.emplace_back().name = "new";
  EXPECT_EQ(produces.Ask<CreateTopicsResponse>(create, 5).topics[0].error_code,
            ErrorCode::kTopicAuthorizationFailed);
  DeleteTopicsRequest drop;
  drop.topic_names = {"clicks"};
  EXPECT_EQ(produces.Ask<DeleteTopicsResponse>(drop, 4).responses[0].error_code,
            ErrorCode::kTopicAuthorizationFailed);
  EXPECT_FALSE(backend_->FindTopic("new"));
  EXPECT_TRUE(backend_->FindTopic("clicks"));
}

TEST_F(SaslTest, RevocationAndExpiryReachLivingConnections) {
  const auth::NewToken token = Token({"ingest:clicks"});
  TestClient client = Connect();
  EXPECT_EQ(SignIn(client, token.id, token.text).session_lifetime_ms, 0);
  EXPECT_EQ(Produce(client, "clicks"), ErrorCode::kNone);
  ASSERT_TRUE(store_->RevokeToken(token.id).ok());
  access_->Refresh();
  EXPECT_FALSE(IsOpen(client));

  const auth::NewToken short_lived = Token({"ingest:clicks"}, 3600);
  TestClient other = Connect();
  const auto answer = SignIn(other, short_lived.id, short_lived.text);
  EXPECT_GT(answer.session_lifetime_ms, 3'000'000);
  EXPECT_LE(answer.session_lifetime_ms, 3'600'000);
  // Before it ends a client signs in again, as the same and as nobody else.
  EXPECT_EQ(SignIn(other, short_lived.id, short_lived.text).error_code, ErrorCode::kNone);
  EXPECT_EQ(Produce(other, "clicks"), ErrorCode::kNone);
  User("alice", {"admin"});
  EXPECT_EQ(SignIn(other, "alice", kPassword).error_code, ErrorCode::kSaslAuthenticationFailed);
}

TEST_F(SaslTest, ManySignInAtOnce) {
  User("alice", {"admin"});
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([this, i] {
      for (int j = 0; j < 5; ++j) {
        TestClient client = Connect();
        const auto answer = i % 2 == 0 ? SignIn(client, "alice", kPassword)
                                       : SignInByScram(client, "alice", kPassword);
        EXPECT_EQ(answer.error_code, ErrorCode::kNone);
        EXPECT_EQ(Produce(client, "clicks"), ErrorCode::kNone);
      }
    });
  }
  for (auto& thread : threads) thread.join();
}

}  // namespace
}  // namespace millrace::kafka::sasl_test
