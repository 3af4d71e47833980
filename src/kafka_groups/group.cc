#include "kafka_groups/group.h"

#include <algorithm>

#include "base/check.h"
#include "kafka_groups/consumer_protocol.h"

namespace millrace::kafka_groups {

std::string_view GroupStateName(GroupState state) {
  switch (state) {
    case GroupState::kEmpty:
      return "Empty";
    case GroupState::kPreparingRebalance:
      return "PreparingRebalance";
    case GroupState::kCompletingRebalance:
      return "CompletingRebalance";
    case GroupState::kStable:
      return "Stable";
    case GroupState::kDead:
      return "Dead";
  }
  return "Dead";
}

const GroupProtocol* Member::FindProtocol(std::string_view name) const {
  for (const GroupProtocol& protocol : protocols) {
    if (protocol.name == name) return &protocol;
  }
  return nullptr;
}

bool Group::Supports(std::string_view type, const std::vector<GroupProtocol>& offered) const {
  if (type.empty() || offered.empty()) return false;
  if (members.empty()) return true;
  if (type != protocol_type) return false;
  return std::any_of(offered.begin(), offered.end(), [&](const GroupProtocol& protocol) {
    return std::all_of(members.begin(), members.end(), [&](const auto& entry) {
      return entry.second.FindProtocol(protocol.name) != nullptr;
    });
  });
}

std::string Group::SelectProtocol() const {
  std::map<std::string, int> votes;
  const auto all_speak = [&](const GroupProtocol& protocol) {
    return std::all_of(members.begin(), members.end(), [&](const auto& entry) {
      return entry.second.FindProtocol(protocol.name) != nullptr;
    });
  };
  std::set<std::string> candidates;
  if (members.empty()) return "";
  for (const GroupProtocol& protocol : members.begin()->second.protocols) {
    if (all_speak(protocol)) candidates.insert(protocol.name);
  }
  for (const auto& [id, member] : members) {
    for (const GroupProtocol& protocol : member.protocols) {
      if (!candidates.contains(protocol.name)) continue;
      ++votes[protocol.name];
      break;
    }
  }
  const auto best = std::max_element(
      votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return best == votes.end() ? "" : best->first;
}

std::chrono::milliseconds Group::RebalanceTimeout() const {
  std::chrono::milliseconds longest{0};
  for (const auto& [id, member] : members) longest = std::max(longest, member.rebalance_timeout);
  return longest;
}

size_t Group::CountJoining() const {
  return static_cast<size_t>(std::count_if(members.begin(), members.end(), [](const auto& entry) {
    return entry.second.join_done != nullptr;
  }));
}

bool Group::AllJoined() const {
  return pending_members.empty() && CountJoining() == members.size();
}

bool Group::MaySubscribe(const std::string& topic) const {
  if (!topics) return IsConsumerGroup();
  return topics->contains(topic);
}

const std::string* Group::FindStatic(const std::string& instance_id) const {
  const auto at = static_members.find(instance_id);
  return at == static_members.end() ? nullptr : &at->second;
}

ErrorCode Group::CheckMember(const std::string& member_id,
                             const std::optional<std::string>& instance_id) const {
  if (instance_id) {
    const std::string* current = FindStatic(*instance_id);
    if (current == nullptr) return ErrorCode::kUnknownMemberId;
    if (*current != member_id) return ErrorCode::kFencedInstanceId;
  }
  return members.contains(member_id) ? ErrorCode::kNone : ErrorCode::kUnknownMemberId;
}

std::vector<JoinedMember> Group::JoinedMembers() const {
  std::vector<JoinedMember> out;
  out.reserve(members.size());
  for (const auto& [id, member] : members) {
    const GroupProtocol* spoken = member.FindProtocol(protocol);
    out.push_back({id, member.instance_id, spoken == nullptr ? "" : spoken->metadata});
  }
  return out;
}

Member& Group::Add(Member member, const std::string& type) {
  if (members.empty()) protocol_type = type;
  if (leader.empty()) leader = member.id;
  if (member.instance_id) static_members[*member.instance_id] = member.id;
  pending_members.erase(member.id);
  const std::string member_id = member.id;
  const auto [at, added] = members.emplace(member_id, std::move(member));
  CHECK(added) << "two members of one id";
  return at->second;
}

void Group::Remove(const std::string& member_id) {
  const auto at = members.find(member_id);
  CHECK(at != members.end() && !at->second.join_done && !at->second.sync_done);
  if (at->second.instance_id) static_members.erase(*at->second.instance_id);
  awaited_syncs.erase(member_id);
  members.erase(at);
  if (leader == member_id) leader = members.empty() ? "" : members.begin()->first;
}

Member& Group::Replace(const std::string& old_id, const std::string& new_id) {
  const auto at = members.find(old_id);
  CHECK(at != members.end() && !at->second.join_done && !at->second.sync_done);
  Member member = std::move(at->second);
  members.erase(at);
  member.id = new_id;
  static_members[*member.instance_id] = new_id;
  if (awaited_syncs.erase(old_id) > 0) awaited_syncs.insert(new_id);
  if (leader == old_id) leader = new_id;
  return members.emplace(new_id, std::move(member)).first->second;
}

void Group::BeginGeneration() {
  // Kafka's generations wrap to 0 too: −1 means "none".
  generation = generation == INT32_MAX ? 0 : generation + 1;
  generation_told = false;
  assignment_in_flight = false;
  rebalance_deadline = kNever;
  initial_delay = false;
  awaited_syncs.clear();
  sync_deadline = kNever;
  protocol = SelectProtocol();
  state = members.empty() ? GroupState::kEmpty : GroupState::kCompletingRebalance;
  NoteTopics();
}

void Group::NoteTopics() {
  topics.reset();
  if (members.empty()) {
    topics.emplace();
    return;
  }
  if (!IsConsumerGroup()) return;
  std::set<std::string> subscribed;
  for (const auto& [id, member] : members) {
    const GroupProtocol* spoken = member.FindProtocol(protocol);
    const auto parsed = ParseSubscribedTopics(spoken == nullptr ? "" : spoken->metadata);
    if (!parsed.ok()) return;
    subscribed.insert(parsed->begin(), parsed->end());
  }
  topics = std::move(subscribed);
}

}  // namespace millrace::kafka_groups
