// How a subscription begins: the relation's feed first, where nobody follows it yet.
#include "runtime/node_impl.h"
#include "runtime/subscription.h"

namespace millrace::runtime {

namespace {

constexpr std::chrono::seconds kBeginWait{30};

Result<std::shared_ptr<const Relation>> Followable(const Published& published,
                                                   std::string_view name) {
  auto relation = published.relations->Find(name);
  if (relation == nullptr) {
    if (published.catalog->FindRelation(name) != nullptr) {
      return Error(Code::kInvalidArgument, "{} is a plain view: it has no content to follow",
                   Quoted(name))
          .Hint("CREATE MATERIALIZED VIEW keeps one")
          .SqlState("42809");
    }
    return Error(Code::kNotFound, "relation {} does not exist", Quoted(name))
        .Hint(DidYouMean(name, published.catalog->RelationNames()))
        .SqlState("42P01");
  }
  if (relation->content == nullptr) {
    return Error(Code::kInvalidArgument, "{} is a stream, which has records and no changes",
                 Quoted(name))
        .Hint("a materialized view over it can be followed")
        .SqlState("42809");
  }
  return relation;
}

}  // namespace

Result<std::unique_ptr<Subscription>> Node::Subscribe(std::string_view relation,
                                                      const SubscribeOptions& options) {
  return impl_->Subscribe(relation, options);
}

Result<std::unique_ptr<Subscription>> Node::Impl::Subscribe(std::string_view relation,
                                                            const SubscribeOptions& options) {
  Feeds& feeds = pipeline->feeds();
  const auto deadline = Tick() + kBeginWait;
  while (Tick() < deadline) {
    const PublishedPtr published = publisher.newest();
    TRY(const auto found, Followable(*published, relation));
    const std::string name = found->internal_name;
    const state::Step newest = published->state.step;
    const auto feed = feeds.Find(name);
    // A step that begins a feed may have been computed and not be shown yet.
    if (feed != nullptr && feed->begin() <= newest) {
      if (options.after && *options.after > newest.value) {
        return Error(Code::kInvalidArgument, "step {} has not come yet; the newest is {}",
                     *options.after, newest.value);
      }
      std::optional<state::Step> after;
      if (options.after) after = state::Step{*options.after};
      if (!options.after && !options.content) after = newest;
      return std::make_unique<Subscription>(publisher, feed, after);
    }
    if (feed == nullptr) {
      TRY(loop->AtBoundary([&]() -> Status {
        loop->Follow(name);
        return Ok();
      }));
    }
    TRY(publisher.WaitNewer(newest, std::chrono::seconds(1)));
  }
  return Error(Code::kTimeout, "{} could not be followed within {} s", Quoted(relation),
               kBeginWait.count());
}

}  // namespace millrace::runtime
