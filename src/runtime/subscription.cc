#include "runtime/subscription.h"

#include "base/clock.h"
#include "rows/decode_rows.h"

namespace millrace::runtime {

namespace {

constexpr std::chrono::seconds kProgressInterval{1};

std::shared_ptr<const Relation> FindInternal(const Published& published, const std::string& name) {
  for (const auto& [user_name, relation] : published.relations->by_name) {
    if (relation->internal_name == name) return relation;
  }
  return nullptr;
}

}  // namespace

struct Subscription::Content {
  Publisher::Pin pin;
  std::shared_ptr<const Relation> relation;
  std::unique_ptr<state::ViewScan> scan;
  bool more = true;

  state::Step step() const { return pin.published().state.step; }
};

Subscription::Subscription(Publisher& publisher, std::shared_ptr<Feed> feed,
                           std::optional<state::Step> after)
    : publisher_(publisher), feed_(std::move(feed)), use_(feed_->Use()), after_(after) {}

Result<std::optional<FeedEvent>> Subscription::Next(std::chrono::milliseconds timeout) {
  const auto deadline = Tick() + timeout;
  while (true) {
    if (feed_->ended()) return Error(Code::kNotFound, "what was followed is gone");
    if (content_ != nullptr || (!after_ && BeginContent())) return NextOfContent();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Tick());
    if (after_) {
      TRY(auto event, NextChange(left));
      if (event || Tick() >= deadline) return event;
      continue;
    }
    TRY(publisher_.WaitNewer(publisher_.newest()->state.step, left));
    if (Tick() >= deadline) return std::optional<FeedEvent>();
  }
}

void Subscription::WhenMore(std::chrono::milliseconds timeout, std::function<void()> done) const {
  publisher_.WhenNewer(after_ ? *after_ : publisher_.newest()->state.step, timeout,
                       [done = std::move(done)](const Status&) { done(); });
}

void Subscription::NoteColumns(const Relation& relation) {
  schema_ = relation.shape.schema;
  types_ = relation.content->types();
}

bool Subscription::BeginContent() {
  Publisher::Pin pin = publisher_.PinNewest();
  auto relation = FindInternal(pin.published(), feed_->name());
  // A replacement that has been computed and is not shown yet has given the feed its new name.
  if (relation == nullptr || relation->content == nullptr) return false;
  NoteColumns(*relation);
  content_ = std::make_shared<Content>(Content{std::move(pin), std::move(relation), nullptr});
  return true;
}

Result<std::optional<FeedEvent>> Subscription::NextOfContent() {
  Content& content = *content_;
  if (content.scan == nullptr) content.scan = content.relation->content->Scan(content.step());
  while (content.more) {
    std::vector<std::string_view> encoded;
    std::vector<rows::Weight> weights;
    TRY(content.more,
        content.scan->Next(STANDARD_VECTOR_SIZE, [&](std::string_view row, rows::Weight weight) {
          encoded.push_back(row);
          weights.push_back(weight);
        }));
    if (encoded.empty()) continue;
    FeedEvent event{FeedEvent::Kind::kRows, content.step(), {}};
    TRY(event.rows, rows::DecodeRows(types_, encoded, weights));
    return std::optional(std::move(event));
  }
  after_ = content.step();
  content_.reset();
  return std::optional(Progress(*after_));
}

Result<std::optional<FeedEvent>> Subscription::NextChange(std::chrono::milliseconds timeout) {
  const PublishedPtr newest = publisher_.newest();
  const auto entries = feed_->Next(*after_, newest->state.step);
  if (!entries.ok()) {
    const FeedEvent reset{FeedEvent::Kind::kReset, *after_, {}};
    after_.reset();
    return std::optional(reset);
  }
  if (entries->empty()) {
    after_ = std::max(*after_, newest->state.step);
    if (Tick() - last_progress_ >= kProgressInterval) return std::optional(Progress(*after_));
    TRY(publisher_.WaitNewer(*after_,
                             std::min<std::chrono::milliseconds>(timeout, kProgressInterval)));
    return std::optional<FeedEvent>();
  }
  if (types_.empty()) {
    const auto relation = FindInternal(*newest, feed_->name());
    if (relation == nullptr) {  // replaced in a step that is not shown yet
      TRY(publisher_.WaitNewer(newest->state.step, timeout));
      return std::optional<FeedEvent>();
    }
    NoteColumns(*relation);
  }
  FeedEvent event{FeedEvent::Kind::kRows, entries->front()->step, {}};
  for (const Feed::EntryPtr& entry : *entries) {
    TRY(rows::Batch rows, DecodeFeedRows(entry->rows, types_));
    event.rows.Append(std::move(rows));
  }
  after_ = event.step;
  return std::optional(std::move(event));
}

FeedEvent Subscription::Progress(state::Step step) {
  last_progress_ = Tick();
  return {FeedEvent::Kind::kProgress, step, {}};
}

}  // namespace millrace::runtime
