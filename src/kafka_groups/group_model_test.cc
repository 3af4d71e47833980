// Random lives of one group: members that join, leave, die, repeat requests and come back, a
// storage that takes its time, and a node that dies at any point. MILLRACE_SEED repeats a history,
// MILLRACE_HISTORIES says how many to run.
//
// Held at every step: no generation is given twice; who is told to be current is of the newest
// generation; an assignment is the one that the leader of its generation made; no member that the
// group has taken in is lost as long as it does its part; an offset whose commit was answered is
// there. At the end: everybody is in one generation, and every request was answered once.
#include <gtest/gtest.h>

#include "kafka_groups/group_testing.h"

namespace millrace::kafka_groups::group_model_test {
namespace {

using std::chrono::milliseconds;

// What every generation was told to be.
struct ToldGeneration {
  std::set<std::string> members;  // by name: instance id or member id; once the leader knows
};

struct Client {
  int number = 0;
  std::optional<std::string> instance_id = {};
  std::string member_id = {};
  int32_t generation = -1;
  bool taken_in = false;  // a Join of this member id has succeeded
  bool in = false;        // has its assignment
  bool subscribes_to_more = false;
  std::optional<Awaited<JoinAnswer>> join = {};
  std::optional<Awaited<SyncAnswer>> sync = {};
  JoinAnswer joined = {};

  std::string Name() const { return instance_id.value_or(member_id); }
  void Forget() { *this = Client{.number = number, .instance_id = instance_id}; }
};

class History {
 public:
  explicit History(uint64_t seed) : random_(seed), groups_(Options(random_)) {
    for (int i = 0; i < 5; ++i) Add();
  }

  void Run(int rounds) {
    for (int i = 0; i < rounds && !::testing::Test::HasFailure(); ++i) Round(/*calm=*/false);
    for (int i = 0; i < 400 && !::testing::Test::HasFailure(); ++i) Round(/*calm=*/true);
    if (::testing::Test::HasFailure()) return;
    for (const Client& client : clients_) {
      EXPECT_TRUE(client.in) << "client " << client.number;
      EXPECT_EQ(client.generation, clients_[0].generation);
    }
    EXPECT_EQ(groups_.State(), GroupState::kStable);
    groups_->Shutdown();
    groups_.Store();
    for (const auto& answered : asked_) EXPECT_TRUE(answered()) << "a request without an answer";
    CheckOffsets();
  }

 private:
  static GroupOptions Options(Random& random) {
    GroupOptions options;
    options.initial_rebalance_delay = milliseconds(random.OneIn(2) ? 0 : 500);
    options.table = {.rewrite_bytes_min = 2000, .piece_bytes = 1 + random.Below(500)};
    return options;
  }

  void Add() {
    Client client;
    client.number = next_number_++;
    if (random_.OneIn(3)) client.instance_id = "instance" + std::to_string(client.number);
    clients_.push_back(client);
  }

  template <typename T>
  Awaited<T> Ask() {
    Awaited<T> awaited;
    asked_.push_back([awaited] { return awaited.answered(); });
    return awaited;
  }

  // A bit of time, in which everybody who lives does its part.
  void Round(bool calm) {
    for (Client& client : clients_) {
      Act(client, calm);
      if (random_.OneIn(4)) groups_.storage().RunOne();
    }
    if (calm || random_.OneIn(2)) groups_.Store();
    groups_.clock.Advance(milliseconds(random_.Below(1000)));
    groups_->Tick();
    CheckOffsets();
    if (calm) return;
    if (random_.OneIn(25)) Crash();
    if (random_.OneIn(25)) SomebodyGoes();
    if (random_.OneIn(15) && clients_.size() < 8) Add();
    if (random_.OneIn(20)) {
      // Static members start again under their name, others as somebody new.
      clients_[random_.Below(clients_.size())].Forget();
    }
  }

  void Crash() {
    groups_.Crash(random_.Below(groups_.storage().queued() + 1));
    asked_.clear();
    for (Client& client : clients_) {
      client.join.reset();
      if (client.sync) client.in = false;
      client.sync.reset();
      // An id that no finished Join has used means nothing to the node any more.
      if (!client.taken_in) client.member_id.clear();
    }
  }

  void SomebodyGoes() {
    if (clients_.size() < 2) return;
    const size_t at = random_.Below(clients_.size());
    const Client& client = clients_[at];
    if (!client.member_id.empty() && random_.OneIn(2)) {
      const auto left = groups_->Leave("g", {{client.member_id, client.instance_id}});
      if (client.taken_in) {
        EXPECT_EQ(left.members.at(0), ErrorCode::kNone);
      }
    }
    clients_.erase(clients_.begin() + static_cast<ptrdiff_t>(at));
  }

  void Act(Client& client, bool calm) {
    if (client.join) {
      if (client.join->answered()) return Joined(client);
      // Its connection breaks, and it asks again.
      if (!calm && random_.OneIn(20)) SendJoin(client);
      return;
    }
    if (client.sync) {
      if (client.sync->answered()) return Synced(client);
      if (!calm && random_.OneIn(20)) SendSync(client);
      return;
    }
    if (!client.in) return SendJoin(client);
    Heartbeat(client);
    if (client.in && random_.OneIn(3)) Commit(client);
    if (client.in && !calm && random_.OneIn(40)) {
      client.subscribes_to_more = !client.subscribes_to_more;
      client.in = false;
    }
  }

  void SendJoin(Client& client) {
    JoinRequest request = Groups::Request(client.member_id);
    request.client_id = "client" + std::to_string(client.number);
    request.instance_id = client.instance_id;
    request.require_known_member_id = !client.instance_id && random_.OneIn(2);
    request.supports_skip_assignment = true;
    request.protocols = {{"range", Subscription({"orders"})}, {"sticky", ""}};
    if (client.subscribes_to_more) request.protocols[0].metadata = Subscription({"orders", "x"});
    client.in = false;
    client.join = Ask<JoinAnswer>();
    groups_->Join(request, client.join->Done());
  }

  void Joined(Client& client) {
    const JoinAnswer answer = **client.join;
    client.join.reset();
    switch (answer.error) {
      case ErrorCode::kNone:
        break;
      case ErrorCode::kMemberIdRequired:
        client.member_id = answer.member_id;
        return;
      case ErrorCode::kRebalanceInProgress:
        return;
      case ErrorCode::kUnknownMemberId:
        return Unknown(client);
      default:
        FAIL() << kafka::ErrorName(answer.error);
    }
    client.member_id = answer.member_id;
    client.generation = answer.generation;
    client.taken_in = true;
    client.joined = answer;
    newest_ = std::max(newest_, answer.generation);
    if (!answer.members.empty()) {
      std::set<std::string> names;
      for (const JoinedMember& member : answer.members)
        names.insert(member.instance_id.value_or(member.id));
      const auto [told, first] = told_.try_emplace(answer.generation, ToldGeneration{names});
      EXPECT_EQ(told->second.members, names) << "generation " << answer.generation << " twice";
      EXPECT_TRUE(names.contains(client.Name()));
    }
    SendSync(client);
  }

  void SendSync(Client& client) {
    std::vector<MemberAssignment> shares;
    const JoinAnswer& joined = client.joined;
    if (joined.leader == joined.member_id && !joined.skip_assignment) {
      for (const JoinedMember& member : joined.members) {
        shares.push_back({member.id, std::to_string(joined.generation) + ":" +
                                         member.instance_id.value_or(member.id)});
      }
    }
    client.sync = Ask<SyncAnswer>();
    MemberIdentity who{"g", client.generation, client.member_id, client.instance_id};
    groups_->Sync({who, "consumer", joined.protocol, shares}, client.sync->Done());
  }

  void Synced(Client& client) {
    const SyncAnswer answer = **client.sync;
    client.sync.reset();
    switch (answer.error) {
      case ErrorCode::kNone:
        client.in = true;
        EXPECT_EQ(answer.assignment, std::to_string(client.generation) + ":" + client.Name());
        return;
      case ErrorCode::kRebalanceInProgress:
      case ErrorCode::kIllegalGeneration:
        return;
      case ErrorCode::kUnknownMemberId:
        return Unknown(client);
      default:
        FAIL() << kafka::ErrorName(answer.error);
    }
  }

  void Heartbeat(Client& client) {
    const ErrorCode error =
        groups_->Heartbeat({"g", client.generation, client.member_id, client.instance_id});
    switch (error) {
      case ErrorCode::kNone:
        EXPECT_EQ(client.generation, newest_) << "two generations are current";
        return;
      case ErrorCode::kRebalanceInProgress:
      case ErrorCode::kIllegalGeneration:
        client.in = false;
        return;
      case ErrorCode::kUnknownMemberId:
        return Unknown(client);
      default:
        FAIL() << kafka::ErrorName(error);
    }
  }

  // A member that was taken in and does its part stays.
  void Unknown(Client& client) {
    EXPECT_FALSE(client.taken_in) << "client " << client.number << " was lost";
    client.Forget();
  }

  void Commit(const Client& client) {
    auto answer = Ask<PartitionErrors>();
    const int64_t offset = ++issued_;
    groups_->Commit(
        {{"g", client.generation, client.member_id, client.instance_id}, {{{"orders", 0}, offset}}},
        [this, done = answer.Done(), offset](PartitionErrors errors) {
          if (errors.at(0) == ErrorCode::kNone) acknowledged_ = std::max(acknowledged_, offset);
          done(std::move(errors));
        });
  }

  void CheckOffsets() {
    const auto fetched = groups_->Fetch("g", std::vector<TopicPartition>{{"orders", 0}}, true);
    if (fetched.error != ErrorCode::kNone) return;  // shut down
    EXPECT_GE(fetched.offsets[0].committed.offset, acknowledged_);
    EXPECT_LE(fetched.offsets[0].committed.offset, issued_);
  }

  Random random_;
  Groups groups_;
  std::vector<Client> clients_;
  int next_number_ = 0;
  std::vector<std::function<bool()>> asked_;  // in this life of the node
  std::map<int32_t, ToldGeneration> told_;
  int32_t newest_ = 0;
  int64_t issued_ = 0;
  int64_t acknowledged_ = -1;
};

TEST(GroupModel, RandomLivesOfAGroupKeepItsPromises) {
  const uint64_t seed = SeedFromEnvironment(1);
  const char* text = std::getenv("MILLRACE_HISTORIES");
  const int histories = text == nullptr ? 150 : std::atoi(text);
  for (int i = 0; i < histories && !::testing::Test::HasFailure(); ++i) {
    SCOPED_TRACE("seed " + std::to_string(seed + static_cast<uint64_t>(i)));
    History(seed + static_cast<uint64_t>(i)).Run(300);
  }
}

}  // namespace
}  // namespace millrace::kafka_groups::group_model_test
