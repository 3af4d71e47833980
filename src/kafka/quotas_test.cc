#include "kafka/quotas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kafka/testing.h"

namespace millrace::kafka::quotas_test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(QuotaAccounts, LetsASecondsWorthThroughAndThenTheRate) {
  QuotaAccounts accounts(1000);
  auto now = QuotaAccounts::TimePoint{} + seconds(100);
  EXPECT_EQ(accounts.Take("a", 1000, now), milliseconds(0));
  EXPECT_EQ(accounts.Take("a", 500, now), milliseconds(501));
  EXPECT_EQ(accounts.Take("b", 500, now), milliseconds(0));  // each its own
  EXPECT_EQ(accounts.Take("a", 0, now + milliseconds(500)), milliseconds(0));
  now += seconds(1000);  // a long rest is worth no more than a second
  EXPECT_EQ(accounts.Take("a", 2000, now), milliseconds(1001));
}

TEST(QuotaAccounts, KeepsTheDebtBeyondTheLongestThrottle) {
  QuotaAccounts accounts(1000);
  auto now = QuotaAccounts::TimePoint{} + seconds(100);
  EXPECT_EQ(accounts.Take("a", 26'000, now), kThrottleMax);
  EXPECT_EQ(accounts.Take("a", 0, now + seconds(10)), kThrottleMax);
  EXPECT_EQ(accounts.Take("a", 0, now + seconds(20)), milliseconds(5001));
  EXPECT_EQ(accounts.Take("a", 0, now + seconds(25)), milliseconds(0));
}

TEST(QuotaAccounts, AreBoundedWhateverClientsCallThemselves) {
  QuotaAccounts accounts(1000);
  auto now = QuotaAccounts::TimePoint{} + seconds(100);
  for (size_t i = 0; i < kQuotaAccountsMax + 10; ++i) accounts.Take(std::to_string(i), 1, now);
  EXPECT_LE(accounts.size(), kQuotaAccountsMax + 1);
  EXPECT_EQ(accounts.Take("a new one", 991, now), milliseconds(2));  // of those that share
  now += seconds(2);
  EXPECT_EQ(accounts.Take("another new one", 1000, now), milliseconds(0));
  EXPECT_LE(accounts.size(), 2u);  // those that owed nothing are forgotten
}

TEST(QuotaAccounts, LimitNothingAtRateZero) {
  QuotaAccounts accounts(0);
  EXPECT_EQ(accounts.Take("a", 1u << 30, {}), milliseconds(0));
  EXPECT_EQ(accounts.size(), 0u);
}

std::string Batch(size_t bytes) {
  log::RecordBatchBuilder builder;
  builder.Add(std::nullopt, std::string(bytes, 'x'), log::Millis{1000});
  return builder.Finish();
}

class QuotaTest : public KafkaServerTest {
 protected:
  static constexpr int16_t kVersion = 9;
  static constexpr int16_t kFetchVersion = 12;

  void StartWith(const QuotaOptions& quotas) {
    Stop();
    quotas_ = quotas;
    Start();
    ASSERT_TRUE(backend_->CreateTopic("t", 1, {}, false).ok());
  }
  static ProduceRequest ProduceOf(const std::string& batch) {
    ProduceRequest request;
    request.acks = -1;
    request.timeout_ms = 1000;
    auto& topic = request.topic_data.emplace_back();
    topic.name = "t";
    auto& partition = topic.partition_data.emplace_back();
    partition.records.null = false;
    partition.records.pieces = {batch};
    return request;
  }
};

TEST_F(QuotaTest, AProduceOverTheQuotaIsAnsweredAtOnceAndTheNextOneIsReadLater) {
  StartWith({.client_produce = 20'000});
  const std::string batch = Batch(30'000);
  TestClient client = Connect();
  const auto begin = std::chrono::steady_clock::now();
  const auto first = client.Ask<ProduceResponse>(ProduceOf(batch), kVersion);
  EXPECT_EQ(first.responses[0].partition_responses[0].error_code, ErrorCode::kNone);
  EXPECT_GT(first.throttle_time_ms, 300);
  EXPECT_LT(first.throttle_time_ms, 600);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(300));
  // A client that does not heed it.
  client.Ask<ApiVersionsResponse>(ApiVersionsRequest{}, 2);
  EXPECT_GT(std::chrono::steady_clock::now() - begin, milliseconds(first.throttle_time_ms - 5));
  EXPECT_THAT(server_->Metrics(), testing::HasSubstr("kafka_produce_throttled_total 1"));
  // Another connection of the same client owes the rest.
  client.Ask<ProduceResponse>(ProduceOf(batch), kVersion);
  EXPECT_GT(Connect().Ask<ProduceResponse>(ProduceOf(Batch(1)), kVersion).throttle_time_ms, 0);
}

TEST_F(QuotaTest, AFetchOverTheQuotaTakesASecondsWorthAtMost) {
  StartWith({.stream_fetch = 50'000});
  TestClient client = Connect();
  const std::string batch = Batch(20'000);
  for (int i = 0; i < 10; ++i) client.Ask<ProduceResponse>(ProduceOf(batch), kVersion);
  FetchRequest request;
  auto& topic = request.topics.emplace_back();
  topic.topic = "t";
  topic.partitions.emplace_back().partition_max_bytes = 1 << 20;
  const auto first = client.Ask<FetchResponse>(request, kFetchVersion);
  size_t bytes = 0;
  for (const auto piece : first.responses[0].partitions[0].records.pieces) bytes += piece.size();
  EXPECT_LE(bytes, 50'000u);
  EXPECT_GT(bytes, 20'000u);
  EXPECT_EQ(first.throttle_time_ms, 0);
  EXPECT_GT(Connect().Ask<FetchResponse>(request, kFetchVersion).throttle_time_ms, 0);
}

TEST_F(QuotaTest, AConnectionThatIsStillDoesNotHoldUpTheEnd) {
  StartWith({.client_produce = 1'000});
  TestClient client = Connect();
  EXPECT_EQ(client.Ask<ProduceResponse>(ProduceOf(Batch(30'000)), kVersion).throttle_time_ms,
            kThrottleMax.count());
  const auto begin = std::chrono::steady_clock::now();
  server_->Stop(seconds(60));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5));
}

}  // namespace
}  // namespace millrace::kafka::quotas_test
