// The topics of views that were made WITH (changes = …): what a view's steps changed, as records
// that clients of the log's protocol consume.
//
//   upsert   key: the row's key columns as a JSON object, value: the row, or none where it went.
//            Compacted.
//   append   value: {"before": …, "after": …, "op": …, "ts_ms": …, "source": {"view", "step"}},
//   after
//            Debezium's envelope. op: c, u, d (created, updated, deleted); r: a row of the content
//            that was there at the beginning; t: what came before is void and the content follows.
//            key: the key columns, where they are known.
//
// Each record has the header `step`. A step's records are one frame of the log, or several, all but
// the last of which have the header `more`; `content` marks the rows of a content. So the topic
// itself says how far it has come, and each change is there once, over crashes at any moment: what
// is missing comes out of the view's feed (feeds.h), which is part of the flushed state. A content
// that a crash cut off begins anew.
//
// One thread of its own writes all of them. Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "catalog/catalog.h"
#include "log/log.h"
#include "runtime/node.h"
#include "runtime/published.h"

namespace millrace::runtime {

class ViewTopic;

class ViewChanges {
 public:
  using Subscribe = std::function<Result<std::unique_ptr<Subscription>>(
      std::string_view, const Node::SubscribeOptions&)>;
  ViewChanges(log::Log& log, Publisher& publisher, Subscribe subscribe);
  ~ViewChanges();
  void Start();
  // Writes no further: what was visible and is not written yet is written after the next start. It
  // may wait for a step until the publisher is closed.
  void BeginStop();
  // Waits for the end.
  void Stop();

  // Of a view whose changes have a topic, to the log. Stays over renames.
  static std::string TopicName(const catalog::Object& view);

 private:
  void Run();
  Status Align(const catalog::Catalog& catalog);

  log::Log& log_;
  Publisher& publisher_;
  const Subscribe subscribe_;
  std::map<std::string, std::unique_ptr<ViewTopic>> topics_;  // by TopicName
  uint64_t aligned_ = 0;                                      // with this version of the catalog
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable wake_;  // stop_ was set
  std::thread thread_;
};

}  // namespace millrace::runtime
