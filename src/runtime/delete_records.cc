#include "runtime/delete_records.h"

#include <thread>

#include "runtime/node_impl.h"

namespace millrace::runtime {

namespace {

constexpr std::chrono::milliseconds kLookAgain{5};

log::Offset Taken(const Node::Impl& node, log::PartitionId partition) {
  const NodeState& state = node.publisher.newest()->state;
  const auto position = state.positions.find(partition);
  return position == state.positions.end() ? log::Offset{0} : position->second.next;
}

// At a boundary between steps. What a step after the flushed one has read would be read again by
// recovery, so the state is flushed first.
Status CheckFree(Node::Impl& node, const std::string& stream, log::PartitionId partition,
                 log::Offset before) {
  TRY(node.loop->FlushNow());
  const auto needed = node.pipeline->HistoryNeeded(node.pipeline->state());
  const auto found = needed.find(partition);
  if (found == needed.end() || found->second >= before) return Ok();
  return Error(Code::kConflict,
               "records of stream {} from offset {} on are still read: a view or table is made "
               "from them",
               Quoted(stream), found->second.value)
      .Hint("SHOW VIEWS tells which, and how far it is");
}

}  // namespace

Result<int64_t> DeleteRecords(Node::Impl& node, std::string_view stream, int32_t partition,
                              std::optional<int64_t> before, std::chrono::milliseconds timeout) {
  const catalog::CatalogPtr catalog = node.publisher.newest()->catalog;
  const catalog::Object* object = catalog->FindRelation(stream);
  if (object == nullptr || object->kind() != catalog::Kind::kStream)
    return Error(Code::kNotFound, "stream {} does not exist", Quoted(stream));
  const log::PartitionId id{{object->topic_id}, partition};
  const auto cut = node.log->DurableCut();
  const log::Cut::End* end = cut->Find(id);
  if (end == nullptr)
    return Error(Code::kNotFound, "stream {} has no partition {}", Quoted(stream), partition);
  const log::Offset until = before ? log::Offset{*before} : end->end;
  if (until.value < 0 || until > end->end)
    return Error(Code::kInvalidArgument, "partition {} of stream {} ends before offset {}",
                 partition, Quoted(stream), until.value)
        .SqlState("22003");
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (Taken(node, id) < until) {
    if (std::chrono::steady_clock::now() > deadline)
      return Error(Code::kTimeout, "steps have taken records of stream {} up to offset {} only",
                   Quoted(stream), Taken(node, id).value);
    std::this_thread::sleep_for(kLookAgain);
  }
  const std::lock_guard lock(node.definition_mutex);  // no build begins meanwhile
  TRY(node.loop->AtBoundary([&] { return CheckFree(node, object->name(), id, until); }));
  TRY(const log::Offset first, node.log->DeleteRecords(id, until));
  return first.value;
}

}  // namespace millrace::runtime
