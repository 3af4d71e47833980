#include "kafka/server.h"

#include <gtest/gtest.h>

#include <future>
#include <random>
#include <thread>

#include "kafka/testing.h"

namespace millrace::kafka::server_test {
namespace {

std::string Batch(const std::vector<std::string>& values) {
  log::RecordBatchBuilder builder;
  for (const std::string& value : values) builder.Add(std::nullopt, value, log::Millis{1000});
  return builder.Finish();
}

ProduceRequest ProduceOf(const std::string& topic, const std::vector<std::string>& batches,
                         int16_t acks = -1) {
  ProduceRequest request;
  request.acks = acks;
  request.timeout_ms = 1000;
  auto& data = request.topic_data.emplace_back();
  data.name = topic;
  for (size_t i = 0; i < batches.size(); ++i) {
    auto& partition = data.partition_data.emplace_back();
    partition.index = static_cast<int32_t>(i);
    partition.records.null = false;
    partition.records.pieces = {batches[i]};
  }
  return request;
}

FetchRequest FetchOf(const std::string& topic, int64_t offset, int32_t wait_ms,
                     int32_t min_bytes = 1) {
  FetchRequest request;
  request.max_wait_ms = wait_ms;
  request.min_bytes = min_bytes;
  auto& wanted = request.topics.emplace_back();
  wanted.topic = topic;
  auto& partition = wanted.partitions.emplace_back();
  partition.fetch_offset = offset;
  partition.partition_max_bytes = 1 << 20;
  return request;
}

std::vector<std::string> Values(const FetchResponse& response) {
  std::vector<std::string> values;
  for (const std::string_view piece : response.responses[0].partitions[0].records.pieces) {
    std::string_view left = piece;
    while (!left.empty()) {
      const auto batch = log::RecordBatchView::Parse(left);
      EXPECT_TRUE(batch.ok());
      log::RecordCursor records = batch->records();
      while (records.Next()) values.emplace_back(*records.record().value);
      left.remove_prefix(batch->size());
    }
  }
  return values;
}

constexpr int16_t kProduceVersion = 9;
constexpr int16_t kFetchVersion = 12;

TEST_F(KafkaServerTest, RepliesToPipelinedProducesComeInOrderWithTheOffsetsOfTheirBatches) {
  ASSERT_TRUE(backend_->CreateTopic("t", 3, {}, false).ok());
  TestClient client = Connect();
  constexpr int kRequests = 300;
  const std::string batch = Batch({"a", "b"});
  std::thread sender([&] {
    for (int i = 0; i < kRequests; ++i)
      client.Send(ProduceOf("t", {batch, batch, batch}), kProduceVersion);
  });
  for (int i = 0; i < kRequests; ++i) {
    const auto response = client.Receive<ProduceResponse>(kProduceVersion);
    ASSERT_EQ(response.responses.size(), 1u);
    for (const auto& partition : response.responses[0].partition_responses) {
      EXPECT_EQ(partition.error_code, ErrorCode::kNone);
      EXPECT_EQ(partition.base_offset, 2 * i);
    }
  }
  sender.join();
}

TEST_F(KafkaServerTest, AWaitingFetchIsAnsweredWhenARecordComesAndNotBefore) {
  ASSERT_TRUE(backend_->CreateTopic("t", 1, {}, false).ok());
  TestClient reader = Connect();
  auto answer = std::async(std::launch::async, [&] {
    return reader.Ask<FetchResponse>(FetchOf("t", 0, 30'000), kFetchVersion);
  });
  EXPECT_EQ(answer.wait_for(std::chrono::milliseconds(200)), std::future_status::timeout);
  TestClient writer = Connect();
  writer.Ask<ProduceResponse>(ProduceOf("t", {Batch({"now"})}), kProduceVersion);
  EXPECT_EQ(Values(answer.get()), std::vector<std::string>{"now"});
}

TEST_F(KafkaServerTest, AFetchThatFindsNothingIsAnsweredWhenItsTimeIsUp) {
  ASSERT_TRUE(backend_->CreateTopic("t", 1, {}, false).ok());
  TestClient client = Connect();
  const auto begin = Tick();
  const auto response = client.Ask<FetchResponse>(FetchOf("t", 0, 300), kFetchVersion);
  EXPECT_GE(SecondsSince(begin), 0.29);
  EXPECT_TRUE(Values(response).empty());
  EXPECT_EQ(response.responses[0].partitions[0].high_watermark, 0);
}

TEST_F(KafkaServerTest, AFetchFromTheMiddleOfABatchGetsTheWholeBatch) {
  ASSERT_TRUE(backend_->CreateTopic("t", 1, {}, false).ok());
  TestClient client = Connect();
  client.Ask<ProduceResponse>(ProduceOf("t", {Batch({"a", "b", "c"})}), kProduceVersion);
  EXPECT_EQ(Values(client.Ask<FetchResponse>(FetchOf("t", 1, 0), kFetchVersion)),
            (std::vector<std::string>{"a", "b", "c"}));
  const auto beyond = client.Ask<FetchResponse>(FetchOf("t", 4, 5000), kFetchVersion);
  EXPECT_EQ(beyond.responses[0].partitions[0].error_code, ErrorCode::kOffsetOutOfRange);
}

TEST_F(KafkaServerTest, AProduceWithoutAcknowledgementGetsNoReplyAndHoldsNobodyBack) {
  ASSERT_TRUE(backend_->CreateTopic("t", 1, {}, false).ok());
  TestClient client = Connect();
  client.Send(ProduceOf("t", {Batch({"quiet"})}, /*acks=*/0), kProduceVersion);
  client.Send(MetadataRequest{}, 1);
  const auto raw = client.ReceiveRaw();
  ASSERT_TRUE(raw.has_value());
  EXPECT_EQ(GetBig<int32_t>(raw->data()), 2);  // the second request's
}

TEST_F(KafkaServerTest, AFullLogHoldsTheProducerBackAndLosesNothing) {
  ASSERT_TRUE(backend_->CreateTopic("t", 1, {}, false).ok());
  backend_->RefuseNext(20);
  TestClient client = Connect();
  for (int i = 0; i < 5; ++i) client.Send(ProduceOf("t", {Batch({"x"})}), kProduceVersion);
  for (int i = 0; i < 5; ++i) {
    const auto response = client.Receive<ProduceResponse>(kProduceVersion);
    EXPECT_EQ(response.responses[0].partition_responses[0].base_offset, i);
  }
}

TEST_F(KafkaServerTest, ADamagedBatchIsRefusedAndTheNextOneTaken) {
  ASSERT_TRUE(backend_->CreateTopic("t", 1, {}, false).ok());
  TestClient client = Connect();
  std::string damaged = Batch({"abc"});
  damaged[damaged.size() - 2] ^= 1;
  const auto refused =
      client.Ask<ProduceResponse>(ProduceOf("t", {damaged}), kProduceVersion).responses[0];
  EXPECT_NE(refused.partition_responses[0].error_code, ErrorCode::kNone);
  const auto taken =
      client.Ask<ProduceResponse>(ProduceOf("t", {Batch({"abc"})}), kProduceVersion).responses[0];
  EXPECT_EQ(taken.partition_responses[0].error_code, ErrorCode::kNone);
  EXPECT_EQ(taken.partition_responses[0].base_offset, 0);
}

TEST_F(KafkaServerTest, AnIdempotentBatchThatIsSentAgainAfterARestartIsStoredOnce) {
  ASSERT_TRUE(backend_->CreateTopic("t", 1, {}, false).ok());
  TestClient client = Connect();
  const auto producer = client.Ask<InitProducerIdResponse>(
      InitProducerIdRequest{.transactional_id = std::nullopt}, 4);
  ASSERT_EQ(producer.error_code, ErrorCode::kNone);
  log::RecordBatchBuilder builder;
  builder.SetProducer({producer.producer_id, producer.producer_epoch}, 0);
  builder.Add(std::nullopt, "once", log::Millis{1});
  const std::string batch = builder.Finish();
  const auto first = client.Ask<ProduceResponse>(ProduceOf("t", {batch}), kProduceVersion);
  EXPECT_EQ(first.responses[0].partition_responses[0].base_offset, 0);
  Stop();
  Start();
  TestClient again = Connect();
  const auto second = again.Ask<ProduceResponse>(ProduceOf("t", {batch}), kProduceVersion);
  EXPECT_EQ(second.responses[0].partition_responses[0].error_code, ErrorCode::kNone);
  EXPECT_EQ(second.responses[0].partition_responses[0].base_offset, 0);
  EXPECT_EQ(Values(again.Ask<FetchResponse>(FetchOf("t", 0, 0), kFetchVersion)),
            std::vector<std::string>{"once"});
}

TEST_F(KafkaServerTest, StoppingAnswersWhoeverWaits) {
  ASSERT_TRUE(backend_->CreateTopic("t", 1, {}, false).ok());
  TestClient reader = Connect();
  TestClient member = Connect();
  reader.Send(FetchOf("t", 0, 60'000), kFetchVersion);
  JoinGroupRequest join;
  join.group_id = "g";
  join.session_timeout_ms = 10'000;
  join.rebalance_timeout_ms = 60'000;
  join.protocol_type = "consumer";
  join.protocols.push_back({"range", {"metadata"}});
  member.Send(join, 3);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto begin = Tick();
  Stop();
  EXPECT_LT(SecondsSince(begin), 4.0);
}

TEST_F(KafkaServerTest, ATopicIsMadeWhereItsClientAsksForThatAndNotOtherwise) {
  TestClient client = Connect();
  MetadataRequest request;
  request.topics->emplace_back().name = "new";
  request.allow_auto_topic_creation = false;
  EXPECT_EQ(client.Ask<MetadataResponse>(request, 8).topics[0].error_code,
            ErrorCode::kUnknownTopicOrPartition);
  request.allow_auto_topic_creation = true;
  const auto made = client.Ask<MetadataResponse>(request, 8);
  EXPECT_EQ(made.topics[0].error_code, ErrorCode::kNone);
  EXPECT_EQ(made.topics[0].partitions.size(), 1u);
}

int64_t RequestsRead(const Server& server) {
  const std::string metrics = server.Metrics();
  const std::string name = "\nkafka_requests_total ";
  return std::strtoll(metrics.c_str() + metrics.find(name) + name.size(), nullptr, 10);
}

TEST_F(KafkaServerTest, AClientThatTakesNoRepliesIsReadNoFurtherAndLosesNone) {
  ASSERT_TRUE(backend_->CreateTopic("t", 1, {}, false).ok());
  TestClient client = Connect();
  client.Ask<ProduceResponse>(ProduceOf("t", {Batch({std::string(2 << 20, 'x')})}),
                              kProduceVersion);
  constexpr int kFetches = 80;
  for (int i = 0; i < kFetches; ++i) client.Send(FetchOf("t", 0, 0), kFetchVersion);
  // Until nothing more is read: then what waits is bounded, whatever was asked for.
  int64_t read = 0;
  for (int64_t before = -1; read != before;) {
    before = read;
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    read = RequestsRead(*server_);
  }
  EXPECT_LT(read, 60);
  for (int i = 0; i < kFetches; ++i) {
    const auto response = client.Receive<FetchResponse>(kFetchVersion);
    EXPECT_EQ(response.responses[0].partitions[0].records.size(),
              Batch({std::string(2 << 20, 'x')}).size());
  }
}

TEST_F(KafkaServerTest, RandomBytesAndHalfRequestsEndTheirOwnConnectionOnly) {
  const uint64_t seed = std::random_device{}();
  std::printf("MILLRACE_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::mt19937_64 random(seed);
  ASSERT_TRUE(backend_->CreateTopic("t", 1, {}, false).ok());
  TestClient healthy = Connect();
  for (int i = 0; i < 500; ++i) {
    TestClient client = Connect();
    std::string body;
    const auto apis = Apis();
    const Api& api = apis[random() % apis.size()];
    PutBig(body, static_cast<int16_t>(api.key));
    PutBig(body, static_cast<int16_t>(random() % 10));
    PutBig(body, int32_t{1});
    PutBig(body, int16_t{-1});
    for (uint64_t n = random() % 80; n > 0; --n) body += static_cast<char>(random());
    client.SendRaw(body);
    client.Close();
  }
  const auto response =
      healthy.Ask<ProduceResponse>(ProduceOf("t", {Batch({"fine"})}), kProduceVersion);
  EXPECT_EQ(response.responses[0].partition_responses[0].error_code, ErrorCode::kNone);
}

}  // namespace
}  // namespace millrace::kafka::server_test
