#include "runtime/published.h"

#include <gtest/gtest.h>

#include <future>

namespace millrace::runtime::published_test {
namespace {

using std::chrono::milliseconds;

PublishedPtr UpTo(int64_t step, uint64_t frame) {
  auto published = std::make_shared<Published>();
  published->state.step = {static_cast<decltype(state::Step::value)>(step)};
  published->state.frame = {frame};
  return published;
}

class PublisherTest : public testing::Test {
 protected:
  std::future<Status> When(uint64_t frame, milliseconds timeout) {
    auto promise = std::make_shared<std::promise<Status>>();
    publisher_.WhenVisible({frame}, timeout,
                           [promise](Status status) { promise->set_value(std::move(status)); });
    return promise->get_future();
  }
  Publisher publisher_;
};

TEST_F(PublisherTest, WaitersAreToldInTimeThoughNothingIsPublished) {
  auto late = When(2, milliseconds(30'000));
  auto soon = When(2, milliseconds(10));
  EXPECT_EQ(soon.get().error().code(), Code::kTimeout);
  EXPECT_EQ(late.wait_for(milliseconds(0)), std::future_status::timeout);
  publisher_.Publish(UpTo(1, 1));
  EXPECT_EQ(late.wait_for(milliseconds(0)), std::future_status::timeout);
  publisher_.Publish(UpTo(2, 2));
  EXPECT_TRUE(late.get().ok());
  EXPECT_TRUE(When(2, milliseconds(0)).get().ok());
}

TEST_F(PublisherTest, NobodyWaitsForTheRecordsOfWhatHasBeenDropped) {
  auto relation = std::make_shared<Relation>();
  relation->object.topic_id = 7;
  auto relations = std::make_shared<Relations>();
  relations->by_name["t"] = relation;
  const auto publish = [&](int64_t step, RelationsPtr there) {
    auto published = std::make_shared<Published>(*UpTo(step, 1));
    published->relations = std::move(there);
    publisher_.Publish(std::move(published));
  };
  publish(1, relations);
  std::promise<Status> promise;
  publisher_.WhenVisible({{1}, {{{log::TopicId{7}, 0}, log::Offset{5}}}}, std::chrono::minutes(1),
                         [&](Status status) { promise.set_value(std::move(status)); });
  auto visible = promise.get_future();
  EXPECT_EQ(visible.wait_for(milliseconds(0)), std::future_status::timeout);
  publish(2, std::make_shared<Relations>());
  ASSERT_EQ(visible.wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_TRUE(visible.get().ok());
}

TEST_F(PublisherTest, CloseTellsAllWhoWait) {
  auto waiter = When(1, milliseconds(30'000));
  publisher_.Close(Error(Code::kUnavailable, "the node is stopping"));
  EXPECT_EQ(waiter.get().error().code(), Code::kUnavailable);
  EXPECT_EQ(When(1, milliseconds(30'000)).get().error().code(), Code::kUnavailable);
}

TEST_F(PublisherTest, WhoWaitsForTheNextStepIsToldOnce) {
  std::vector<bool> told;
  const auto wait = [&](int64_t step, milliseconds timeout) {
    publisher_.WhenNewer({step}, timeout, [&](Status status) { told.push_back(status.ok()); });
  };
  publisher_.Publish(UpTo(1, 1));
  wait(0, milliseconds(30'000));
  EXPECT_EQ(told.size(), 1u);
  wait(1, milliseconds(30'000));
  EXPECT_EQ(told.size(), 1u);
  // Also one that takes no frame.
  publisher_.Publish(UpTo(2, 1));
  publisher_.Publish(UpTo(3, 1));
  EXPECT_EQ(told, (std::vector<bool>{true, true}));
  wait(3, milliseconds(30'000));
  publisher_.Close(Error(Code::kUnavailable, "the node is stopping"));
  EXPECT_EQ(told, (std::vector<bool>{true, true, false}));
}

TEST_F(PublisherTest, TheListenerHearsOfEachStepAndOfAnotherCatalog) {
  std::vector<std::pair<int64_t, bool>> heard;
  publisher_.Publish(UpTo(1, 1));
  publisher_.Listen([&](bool catalog_changed) {
    heard.emplace_back(publisher_.newest()->state.step.value, catalog_changed);
  });
  publisher_.Publish(UpTo(2, 2));
  auto other = std::make_shared<Published>(*UpTo(3, 3));
  other->catalog = catalog::Catalog::Empty();
  publisher_.Publish(other);
  publisher_.Tell(true);
  publisher_.Listen(nullptr);
  publisher_.Publish(UpTo(4, 4));
  EXPECT_EQ(heard, (std::vector<std::pair<int64_t, bool>>{{2, false}, {3, true}, {3, true}}));
}

TEST_F(PublisherTest, WhatAReaderPinsIsNeeded) {
  publisher_.Publish(UpTo(1, 1));
  {
    const Publisher::Pin pin = publisher_.PinNewest();
    publisher_.Publish(UpTo(2, 2));
    EXPECT_EQ(pin.published().state.step.value, 1u);
    EXPECT_EQ(publisher_.OldestNeeded().value, 1u);
  }
  EXPECT_EQ(publisher_.OldestNeeded().value, 2u);
}

}  // namespace
}  // namespace millrace::runtime::published_test
